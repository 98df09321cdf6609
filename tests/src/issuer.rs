//! An identity provider with keys of its own: it publishes them, and signs whatever a test wants signed.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// A running provider.
pub struct Issuer {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    published: Mutex<Vec<Value>>,
    fetched: AtomicU32,
}

/// A key of a provider, or of somebody who is none.
pub struct SigningKey {
    /// Its name in tokens.
    pub kid: String,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
}

// === impl Issuer ===

impl Issuer {
    /// Publishes these keys, on a free port.
    pub fn start(keys: &[&SigningKey]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let published = Mutex::new(keys.iter().map(|key| key.published()).collect());
        let shared = Arc::new(Shared { published, fetched: AtomicU32::new(0) });
        let served = shared.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                served.answer(addr, socket);
            }
        });
        Self { addr, shared }
    }

    /// Its name, which is its address.
    pub fn name(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it says where its keys are.
    pub fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.name())
    }

    /// Publishes one more key.
    pub fn publish(&self, key: &SigningKey) {
        self.shared.published.lock().unwrap().push(key.published());
    }

    /// How often its keys were fetched.
    pub fn fetched(&self) -> u32 {
        self.shared.fetched.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn answer(&self, addr: SocketAddr, mut socket: TcpStream) {
        let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
        let first = lines.next().and_then(Result::ok).unwrap_or_default();
        while lines.next().and_then(Result::ok).is_some_and(|line| !line.is_empty()) {}
        let document = match first.contains("openid-configuration") {
            true => json!({"issuer": format!("http://{addr}"), "jwks_uri": format!("http://{addr}/keys")}),
            false => {
                self.fetched.fetch_add(1, Ordering::Relaxed);
                json!({"keys": *self.published.lock().unwrap()})
            }
        };
        let body = document.to_string();
        let _ = write!(
            socket,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
    }
}

// === impl SigningKey ===

impl SigningKey {
    /// A fresh RSA key.
    pub fn rsa(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Rsa(Box::new(pair)) }
    }

    /// A fresh key on the curve P-256.
    pub fn ec(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { kid: kid.to_owned(), pair: Pair::Ec(pair) }
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&self.kid, claims)
    }

    /// A token that names another key than the one it is signed with.
    pub fn sign_as(&self, kid: &str, claims: &Value) -> String {
        let alg = match self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
        };
        let text = unsigned(&json!({"alg": alg, "kid": kid, "typ": "JWT"}), claims);
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
                signature
            }
            Pair::Ec(pair) => pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token that takes the public key for a secret that both sides share.
    pub fn sign_with_public_key(&self, claims: &Value) -> String {
        let public = match &self.pair {
            Pair::Rsa(pair) => pair.public_key().as_der().unwrap().as_ref().to_vec(),
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
        };
        let text = unsigned(&json!({"alg": "HS256", "kid": self.kid, "typ": "JWT"}), claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    fn published(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                // A sequence of the modulus, of 256 bytes and a zero before, and of the exponent 65537.
                let der = pair.public_key().as_ref();
                let modulus = URL_SAFE_NO_PAD.encode(&der[9..9 + 256]);
                json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": modulus, "e": "AQAB"})
            }
            Pair::Ec(pair) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(32);
                let coded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
                json!({"kty": "EC", "crv": "P-256", "kid": self.kid, "x": coded(x), "y": coded(y)})
            }
        }
    }
}

/// A token that nobody signed.
pub fn nobodys(claims: &Value) -> String {
    format!("{}.", unsigned(&json!({"alg": "none", "typ": "JWT"}), claims))
}

/// So many seconds from now, before where it is negative.
pub fn seconds_from_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() + seconds
}

fn unsigned(header: &Value, claims: &Value) -> String {
    let coded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}", coded(header), coded(claims))
}
