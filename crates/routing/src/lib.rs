//! Chooses deployments, retries, falls back.
