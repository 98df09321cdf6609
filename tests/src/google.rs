//! A service account of Google's, for a token server of a test's own.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The file of an account whose tokens come from `base`, at `/token`.
pub fn service_account(base: &str) -> Value {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let coded = STANDARD.encode(der.as_ref());
    json!({
        "type": "service_account", "project_id": "project", "private_key_id": "k1",
        "private_key": format!("-----BEGIN PRIVATE KEY-----\n{coded}\n-----END PRIVATE KEY-----\n"),
        "client_email": "gateway@project.iam.gserviceaccount.com", "token_uri": format!("{base}/token"),
    })
}

/// What its token server answers.
pub fn token() -> Value {
    json!({"access_token": "ya29.fake", "expires_in": 3600, "token_type": "Bearer"})
}
