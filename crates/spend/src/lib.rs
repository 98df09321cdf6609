//! What every attempt cost, written down before and after.
