//! Harness for whole-gateway tests.
