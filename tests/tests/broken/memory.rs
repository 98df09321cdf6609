//! How much memory broken answers take.
