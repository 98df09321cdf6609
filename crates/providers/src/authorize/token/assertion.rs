//! Signed claims: how somebody who holds a key proves to a token server who they are (RFC 7523).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gatewright_core::{Error, ErrorKind, Result};
use serde_json::Value;

/// How a claim is signed.
#[derive(Clone, Copy)]
pub(super) enum Scheme {
    /// RSA with PKCS #1's padding.
    Rs256,
    /// RSA-PSS.
    Ps256,
}

/// A key that signs claims.
pub(super) struct Signer {
    key: RsaKeyPair,
    scheme: Scheme,
}

// === impl Scheme ===

impl Scheme {
    /// The name in a claim's head.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

// === impl Signer ===

impl Signer {
    /// The RSA key (PKCS #8) in a PEM text; `None` where it has none.
    pub(super) fn new(text: &str, scheme: Scheme) -> Option<Self> {
        let key = RsaKeyPair::from_pkcs8(&pem(text, "PRIVATE KEY")?).ok()?;
        Some(Self { key, scheme })
    }

    /// The three parts of a signed claim.
    pub(super) fn sign(&self, head: &Value, claims: &Value) -> Result<String> {
        let coded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", coded(head), coded(claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(self.scheme.encoding(), &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| Error::new(ErrorKind::Internal, "the deployment's key does not sign"))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The bytes of the first part of a PEM text that has this label.
pub(super) fn pem(text: &str, label: &str) -> Option<Vec<u8>> {
    let (_, rest) = text.split_once(&format!("-----BEGIN {label}-----"))?;
    let (part, _) = rest.split_once("-----END ")?;
    let lines = part.lines().map(str::trim);
    STANDARD.decode(lines.collect::<String>()).ok().filter(|der| !der.is_empty())
}
