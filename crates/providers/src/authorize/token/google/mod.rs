//! Google's tokens: a service account's, a user's, another cloud's identity's, or the machine's own.

mod account;

use std::path::Path;

use bytes::Bytes;
use gatewright_core::{Error, ErrorKind, Result, Secret};
use gatewright_transport::Trust;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::exchange::{Exchange, Refused, Token, secret_header};
use account::{Account, File};

use crate::fault::misconfigured;

/// What the tokens are for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where tokens come from.
pub(crate) enum Source {
    /// A service account with a key.
    Account(Box<Account>),
    /// Somebody who logged in with `gcloud auth application-default login`.
    User(Box<User>),
    /// An identity of another cloud or cluster.
    Federated(Box<Federated>),
    /// The machine's own account, from its metadata server.
    Machine {
        /// The server's host.
        host: String,
    },
}

/// What is said about credentials, by the deployment or by the environment.
#[derive(Default)]
pub(crate) struct Found {
    /// The deployment's: JSON, or a file's path.
    pub(crate) told: Option<String>,
    /// The environment's file.
    pub(crate) file: Option<String>,
    /// The folder of gcloud's configuration.
    pub(crate) gcloud: Option<String>,
    /// The metadata server, where it is not the usual one.
    pub(crate) metadata: Option<String>,
}

/// Somebody who logged in.
#[derive(Deserialize)]
pub(crate) struct User {
    client_id: String,
    client_secret: String,
    refresh_token: String,
    #[serde(default = "usual_token_uri")]
    token_uri: String,
}

/// An identity of somewhere else, which a token service takes for one of Google's.
#[derive(Deserialize)]
pub(crate) struct Federated {
    audience: String,
    subject_token_type: String,
    #[serde(default = "usual_sts")]
    token_url: String,
    credential_source: Subject,
    service_account_impersonation_url: Option<String>,
}

/// Where the other identity's token is.
#[derive(Deserialize)]
struct Subject {
    file: Option<String>,
    url: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    format: Format,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Format {
    #[serde(rename = "type")]
    kind: String,
    subject_token_field_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Impersonated {
    access_token: String,
}

fn usual_token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

fn usual_sts() -> String {
    "https://sts.googleapis.com/v1/token".to_owned()
}

/// An impersonated token's life, which is asked for.
const LIFE: u64 = 3600;

// === impl Source ===

impl Source {
    /// What Google's own libraries would use, in their order. Only the operator may name files or use what the machine
    /// has: whoever else chose the endpoint would be sent its token.
    pub(crate) fn find(found: Found, trust: Trust) -> Result<Self> {
        if let Some(told) = found.told.filter(|told| !told.trim().is_empty()) {
            if told.trim_start().starts_with('{') {
                return Self::read(&told, trust);
            }
            return Self::file(Path::new(&told), trust);
        }
        if trust == Trust::Untrusted {
            let words =
                "vertex_credentials are needed where somebody else than the operator chose the endpoint";
            return Err(misconfigured(words));
        }
        if let Some(file) = found.file {
            return Self::file(Path::new(&file), trust);
        }
        let login =
            found.gcloud.map(|folder| Path::new(&folder).join("application_default_credentials.json"));
        match login.filter(|path| path.exists()) {
            Some(path) => Self::file(&path, trust),
            None => {
                let host = found.metadata.unwrap_or_else(|| "metadata.google.internal".to_owned());
                Ok(Self::Machine { host })
            }
        }
    }

    fn file(path: &Path, trust: Trust) -> Result<Self> {
        if trust == Trust::Untrusted {
            return Err(misconfigured("vertex_credentials must be JSON here: only the operator names files"));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|err| misconfigured(format!("{}: {}", path.display(), err.kind())))?;
        Self::read(&text, trust)
    }

    fn read(text: &str, trust: Trust) -> Result<Self> {
        // Not the parser's words: they may quote the text.
        let wrong = |_| misconfigured("vertex_credentials are no credentials that Google gives out");
        let value: Value = serde_json::from_str(text).map_err(wrong)?;
        match value.get("type").and_then(Value::as_str) {
            Some("service_account") => {
                let file: File = serde_json::from_value(value).map_err(wrong)?;
                Ok(Self::Account(Box::new(Account::new(file)?)))
            }
            Some("authorized_user") => Ok(Self::User(serde_json::from_value(value).map_err(wrong)?)),
            Some("external_account") => {
                let federated: Federated = serde_json::from_value(value).map_err(wrong)?;
                federated.check(trust)?;
                Ok(Self::Federated(Box::new(federated)))
            }
            _ => Err(misconfigured(
                "vertex_credentials must be of type service_account, authorized_user or external_account",
            )),
        }
    }

    /// Asks for a token.
    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        match self {
            Self::Account(account) => account.token(exchange).await,
            Self::User(user) => user.token(exchange).await.map_err(|refused| refused.error),
            Self::Federated(federated) => federated.token(exchange).await.map_err(|refused| refused.error),
            Self::Machine { host } => machine(host, exchange).await.map_err(|refused| refused.error),
        }
    }
}

async fn machine(host: &str, exchange: &Exchange<'_>) -> Result<Token, Refused> {
    let address = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
    let flavor = HeaderName::from_static("metadata-flavor");
    let headers = HeaderMap::from_iter([(flavor, HeaderValue::from_static("Google"))]);
    let asked = exchange.token(Method::GET, &address, headers, Bytes::new()).await;
    asked.map_err(|refused| match refused.error.kind() {
        ErrorKind::Unreachable => {
            let words =
                "there are no Google credentials: set vertex_credentials or GOOGLE_APPLICATION_CREDENTIALS";
            let detail = refused.error.detail().unwrap_or_default().to_owned();
            Error::new(ErrorKind::UpstreamAuth, words).with_detail(detail).into()
        }
        _ => refused,
    })
}

// === impl User ===

impl User {
    async fn token(&self, exchange: &Exchange<'_>) -> Result<Token, Refused> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.as_str()),
            ("refresh_token", self.refresh_token.as_str()),
        ];
        exchange.post(&self.token_uri, HeaderMap::new(), &fields).await
    }
}

// === impl Federated ===

impl Federated {
    fn check(&self, trust: Trust) -> Result<()> {
        match &self.credential_source {
            Subject { file: Some(_), .. } if trust == Trust::Untrusted => {
                Err(misconfigured("only the operator names files of tokens"))
            }
            Subject { file: None, url: None, .. } => {
                Err(misconfigured("a credential_source is read from a file or a url, nothing else"))
            }
            _ => Ok(()),
        }
    }

    async fn token(&self, exchange: &Exchange<'_>) -> Result<Token, Refused> {
        let subject = self.credential_source.read(exchange).await?;
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", self.audience.as_str()),
            ("scope", SCOPE),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", subject.reveal()),
            ("subject_token_type", self.subject_token_type.as_str()),
        ];
        let token = exchange.post(&self.token_url, HeaderMap::new(), &fields).await?;
        match &self.service_account_impersonation_url {
            Some(address) => impersonate(address, &token, exchange).await,
            None => Ok(token),
        }
    }
}

/// A service account's token for an identity that may act for it.
async fn impersonate(address: &str, token: &Token, exchange: &Exchange<'_>) -> Result<Token, Refused> {
    let (name, value) = secret_header(AUTHORIZATION, &format!("Bearer {}", token.secret.reveal()))?;
    let kind = HeaderValue::from_static("application/json");
    let headers = HeaderMap::from_iter([(name, value), (CONTENT_TYPE, kind)]);
    let body = json!({"scope": [SCOPE], "lifetime": format!("{LIFE}s")}).to_string();
    let answer = exchange.ask(Method::POST, address, headers, body.into()).await?;
    let Impersonated { access_token } = serde_json::from_slice(&answer).map_err(|_| exchange.unreadable())?;
    Ok(Token { secret: access_token.into(), life: std::time::Duration::from_secs(LIFE) })
}

// === impl Subject ===

impl Subject {
    async fn read(&self, exchange: &Exchange<'_>) -> Result<Secret, Refused> {
        let text = match (&self.file, &self.url) {
            // A few hundred bytes, once an hour; the identity's keeper writes them anew.
            (Some(file), _) => std::fs::read(file).map(Bytes::from).map_err(|err| {
                Error::new(ErrorKind::UpstreamAuth, "the credential_source's file cannot be read")
                    .with_detail(err.kind().to_string())
            })?,
            (None, Some(url)) => {
                let mut headers = HeaderMap::new();
                for (name, value) in &self.headers {
                    let name = HeaderName::try_from(name).map_err(|_| exchange.unreadable())?;
                    let (name, value) = secret_header(name, value)?;
                    headers.insert(name, value);
                }
                exchange.ask(Method::GET, url, headers, Bytes::new()).await?
            }
            (None, None) => return Err(exchange.unreadable().into()),
        };
        Ok(self.format.subject(&text)?)
    }
}

// === impl Format ===

impl Format {
    /// The token in what was read: all of it, or a field of an object.
    fn subject(&self, text: &[u8]) -> Result<Secret> {
        let lost = || Error::new(ErrorKind::UpstreamAuth, "there is no token in the credential_source");
        let text = std::str::from_utf8(text).map_err(|_| lost())?;
        if self.kind != "json" {
            return Some(text.trim()).filter(|text| !text.is_empty()).map(Secret::from).ok_or_else(lost);
        }
        let field = self.subject_token_field_name.as_deref().unwrap_or("access_token");
        let object: Value = serde_json::from_str(text).map_err(|_| lost())?;
        object.get(field).and_then(Value::as_str).map(Secret::from).ok_or_else(lost)
    }
}
