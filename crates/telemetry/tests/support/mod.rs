//! A receiver of spans that speaks OTLP, and a dialect for calls whose content nobody reads.

pub(crate) mod codec;
pub(crate) mod receiver;
