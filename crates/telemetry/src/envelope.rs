//! What stands around spans: OTLP's request with the resource and the scope, and the answer to it.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::attributes::Attributes;
use crate::{Otlp, Settings, wire};

/// Fields of OTLP's `ExportTraceServiceRequest`, `ResourceSpans`, `ScopeSpans` and `Resource`.
const RESOURCE_SPANS: u64 = 1;
const RESOURCE: u64 = 1;
const SCOPE_SPANS: u64 = 2;
const SCOPE: u64 = 1;
pub(crate) const RESOURCE_ATTRIBUTES: u64 = 1;

/// Who made the spans, as OTLP's `InstrumentationScope`: its name.
pub(crate) const OWN: &str = "gatewright";
const SCOPE_NAME: u64 = 1;

/// Fields of OTLP's `ExportTraceServiceResponse` and `ExportTracePartialSuccess`.
const PARTIAL_SUCCESS: u64 = 1;
const REJECTED: u64 = 1;

/// What every span says about this process. What the operator says of it counts before what we do.
pub(crate) fn resource(settings: &Settings, otlp: &Otlp) -> Vec<u8> {
    let own = [("service.version", env!("CARGO_PKG_VERSION"))];
    let said = otlp.resource.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let name = ("service.name", settings.service_name.as_str());
    let pairs: Vec<_> = own.into_iter().chain(said).chain([name]).collect();
    let mut told = Attributes { field: RESOURCE_ATTRIBUTES, room: u32::MAX, ..Attributes::default() };
    for (place, (key, value)) in pairs.iter().enumerate() {
        let is_last = !pairs.iter().skip(place + 1).any(|(other, _)| other == key);
        if is_last {
            told.put(key, *value);
        }
    }
    told.message
}

/// What stands in front of so many bytes of spans in a request.
pub(crate) fn front(resource: &[u8], spans: usize) -> Vec<u8> {
    let scope = wire::len_of(OWN.len());
    let of_scope = wire::len_of(scope) + spans;
    let of_resource = wire::len_of(resource.len()) + wire::len_of(of_scope);
    let mut front = Vec::with_capacity(resource.len() + 64);
    wire::begin(&mut front, RESOURCE_SPANS, of_resource);
    wire::bytes(&mut front, RESOURCE, resource);
    wire::begin(&mut front, SCOPE_SPANS, of_scope);
    wire::begin(&mut front, SCOPE, scope);
    wire::bytes(&mut front, SCOPE_NAME, OWN.as_bytes());
    front
}

/// The same bytes, packed; nothing where that fails, which a buffer in memory has no reason for.
pub(crate) fn gzip(pieces: &[Bytes]) -> Option<Bytes> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    pieces.iter().try_for_each(|piece| packer.write_all(piece)).ok()?;
    packer.finish().ok().map(Bytes::from)
}

/// How many spans an answer says that were not taken.
pub(crate) fn rejected(answer: &[u8]) -> u64 {
    let partial = wire::fields(answer).find(|field| field.number == PARTIAL_SUCCESS);
    let count =
        partial.and_then(|partial| wire::fields(partial.bytes).find(|field| field.number == REJECTED));
    count.map_or(0, |field| field.value)
}
