//! A receiver of spans that speaks OTLP.

pub(crate) mod receiver;
