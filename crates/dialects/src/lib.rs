//! Wire grammars as pure functions.
