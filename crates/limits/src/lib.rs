//! Whatever is counted against a limit, held in one step.
