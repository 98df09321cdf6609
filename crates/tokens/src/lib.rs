//! How many tokens a conversation has.
