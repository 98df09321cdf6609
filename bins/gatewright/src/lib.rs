//! Wiring, command line and configuration of the gateway.
