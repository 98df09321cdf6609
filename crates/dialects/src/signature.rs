//! Whose a signature is. A provider refuses a request with another's signature in it, and a conversation may go from one
//! to the other: Gemini's are marked, in the canonical conversation and with clients of other dialects.

use base64::Engine as _;
use base64::alphabet::URL_SAFE as URL_ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

/// What Gemini's begin with.
const MARK: &str = "gemini.";

/// What the bytes of others' begin with for Gemini's clients, which read any signature as bytes.
const OTHER: &[u8] = b"other.";

/// URL-safe base64, padded or not: Google's libraries write it, whatever they have read.
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(
    &URL_ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One of Gemini's, marked.
pub(crate) fn of_gemini(signature: &str) -> String {
    format!("{MARK}{signature}")
}

/// One of Gemini's, as it gave it; `None` for another's.
pub(crate) fn as_gemini(signature: &str) -> Option<&str> {
    signature.strip_prefix(MARK)
}

/// Anybody's, as a client of Gemini's reads it.
pub(crate) fn for_gemini_client(signature: &str) -> String {
    match as_gemini(signature) {
        Some(own) => own.to_owned(),
        None => STANDARD.encode([OTHER, signature.as_bytes()].concat()),
    }
}

/// What a client of Gemini's gives back.
pub(crate) fn from_gemini_client(signature: &str) -> String {
    let bytes = STANDARD.decode(signature).or_else(|_| URL_SAFE.decode(signature)).unwrap_or_default();
    let other = bytes.strip_prefix(OTHER).and_then(|other| std::str::from_utf8(other).ok());
    other.map_or_else(|| of_gemini(signature), str::to_owned)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE as REWRITTEN;

    use super::*;

    #[test]
    fn a_signature_comes_back_as_its_provider_wrote_it() {
        for signature in ["gemini.-_Ab", "gemini.c2ln", "+/ab", "not base64 \u{e9}", ""] {
            let shown = for_gemini_client(signature);
            assert_eq!(from_gemini_client(&shown), signature);
            // As a library writes the bytes that it read.
            if as_gemini(signature).is_none() {
                let rewritten = REWRITTEN.encode(STANDARD.decode(&shown).unwrap());
                assert_eq!(from_gemini_client(&rewritten), signature);
            }
        }
    }
}
