//! Span constructors and metric names, once.
