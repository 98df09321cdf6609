//! What came back.

use std::io::Read;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, StatusCode};

use crate::{Body, Failure, FailureKind};

/// The head of an answer, and its body as it arrives. Redirects are answers like any other.
#[derive(Debug)]
pub struct Response {
    /// How it went.
    pub status: StatusCode,
    /// Everything else about it.
    pub headers: HeaderMap,
    /// The body as it arrives.
    pub body: Body,
}

// === impl Response ===

impl Response {
    /// The same, where its body stands as it is: nobody asks for a content encoding, and what unfolds by itself is not
    /// read.
    pub fn plain(self) -> Result<Self, Failure> {
        let coded = |value: &http::HeaderValue| !matches!(value.as_bytes(), b"" | b"identity");
        match self.headers.get_all(CONTENT_ENCODING).iter().find(|value| coded(value)) {
            Some(_) => Err(unreadable("a content encoding that nobody asked for")),
            None => Ok(self),
        }
    }

    /// The whole body without its content encoding, if it has at most `limit` bytes both ways.
    pub async fn decoded(self, limit: usize) -> Result<Bytes, Failure> {
        let mut body = self.body.collect(limit).await?;
        let mut layers = Vec::new();
        for value in self.headers.get_all(CONTENT_ENCODING) {
            let value = value.to_str().map_err(|_| unreadable("a content encoding that is not text"))?;
            layers.extend(value.split(',').map(|layer| layer.trim().to_ascii_lowercase()));
        }
        // They were put on in the order in which they are listed.
        for layer in layers.iter().rev() {
            body = decode(layer, body, limit)?;
        }
        Ok(body)
    }
}

fn decode(encoding: &str, body: Bytes, limit: usize) -> Result<Bytes, Failure> {
    match encoding {
        "" | "identity" => Ok(body),
        _ if body.is_empty() => Ok(body),
        "gzip" | "x-gzip" => inflate(MultiGzDecoder::new(&body[..]), limit),
        // The standard means zlib; some servers send it bare.
        "deflate" => match body.first() {
            Some(first) if first & 0x0f == 8 => inflate(ZlibDecoder::new(&body[..]), limit),
            _ => inflate(DeflateDecoder::new(&body[..]), limit),
        },
        other => Err(unreadable(format!("unknown content encoding {other}"))),
    }
}

/// Stops at the limit, whatever is still to come: a small body can unfold a thousandfold.
fn inflate(decoder: impl Read, limit: usize) -> Result<Bytes, Failure> {
    let mut out = Vec::new();
    let mut bounded = decoder.take(limit as u64 + 1);
    bounded.read_to_end(&mut out).map_err(|error| unreadable(error.to_string()))?;
    match out.len() > limit {
        true => Err(Failure::sent(FailureKind::TooLarge, format!("more than {limit} bytes"))),
        false => Ok(out.into()),
    }
}

fn unreadable(text: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::sent(FailureKind::Decompression, text)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(data: &[u8]) -> Bytes {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap().into()
    }

    #[track_caller]
    fn check(encoding: &str, body: Bytes, wanted: Result<&[u8], FailureKind>) {
        let found = decode(encoding, body, 1000);
        let found = found.as_ref().map(|body| &body[..]).map_err(|failure| failure.kind);
        assert_eq!(found, wanted, "{encoding}");
    }

    #[test]
    fn the_usual_encodings_are_undone() {
        let text = b"a few words, a few words".as_slice();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(text).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::fast());
        bare.write_all(text).unwrap();
        check("identity", text.into(), Ok(text));
        check("gzip", gzip(text), Ok(text));
        check("deflate", zlib.finish().unwrap().into(), Ok(text));
        check("deflate", bare.finish().unwrap().into(), Ok(text));
        check("gzip", [gzip(b"two "), gzip(b"members")].concat().into(), Ok(b"two members"));
        check("gzip", Bytes::new(), Ok(b""));
    }

    #[test]
    fn what_unfolds_beyond_the_limit_is_refused() {
        check("gzip", gzip(&[0; 1000]), Ok(&[0; 1000]));
        check("gzip", gzip(&[0; 1001]), Err(FailureKind::TooLarge));
        let endless = inflate(std::io::repeat(0), 1000).unwrap_err();
        assert_eq!(endless.kind, FailureKind::TooLarge);
    }

    #[test]
    fn what_is_no_encoding_is_told() {
        check("gzip", Bytes::from_static(b"plain text"), Err(FailureKind::Decompression));
        check("zstd", Bytes::from_static(b"x"), Err(FailureKind::Decompression));
    }
}
