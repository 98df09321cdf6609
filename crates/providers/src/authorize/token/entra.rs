//! Microsoft Entra's tokens: an application's, by its secret, its certificate or its workload's identity, or the
//! machine's own.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow>

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use gatewright_core::{Result, Secret};
use http::Method;
use http::header::{HeaderMap, HeaderName};
use serde_json::json;

use super::assertion::{Scheme, Signer, pem};
use super::exchange::{Exchange, Refused, Token, coded, secret_header};
use crate::authorize::random;
use crate::fault::misconfigured;

/// What the tokens are for, where the deployment says nothing else.
const SCOPE: &str = "https://cognitiveservices.azure.com/.default";

/// How long a signed claim holds, in seconds.
const HOLDS: u64 = 600;

/// The environment variables that are asked for.
pub(crate) const VARIABLES: [&str; 10] = [
    "AZURE_AD_TOKEN",
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "AZURE_TENANT_ID",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
];

/// What is said about credentials, by the deployment or by the environment, which says nothing to endpoints that the
/// operator did not choose.
pub(crate) struct Told<'a> {
    pub(crate) params: &'a BTreeMap<String, Secret>,
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// Whether the token of the machine may be shown.
    pub(crate) machine: bool,
}

/// Whose tokens they are, and what for.
pub(crate) struct Entra {
    proof: Proof,
    scope: String,
}

enum Proof {
    /// An application's, which its tenant's token server knows.
    Application { address: String, client: String, by: Credential },
    /// The machine's, from its identity service: an address and a header.
    Machine { address: String, header: (HeaderName, Secret) },
}

enum Credential {
    Secret(Secret),
    Certificate(Box<Certificate>),
    /// The file of a workload's identity, which its cluster writes anew.
    File(String),
}

struct Certificate {
    signer: Signer,
    /// The digest of the certificate, by which Entra finds it.
    thumbprint: String,
}

// === impl Entra ===

impl Entra {
    /// What Microsoft's own libraries would use, in their order; `None` where nothing is said.
    pub(crate) fn find(told: &Told<'_>) -> Result<Option<Self>> {
        let scope = told.param("azure_scope").unwrap_or_else(|| SCOPE.to_owned());
        let proof = match told.application()? {
            Some(application) => Some(application),
            None => told.machine(&scope),
        };
        Ok(proof.map(|proof| Self { proof, scope }))
    }

    pub(super) async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        let asked = match &self.proof {
            Proof::Application { address, client, by } => {
                self.application((address, client), by, exchange).await
            }
            Proof::Machine { address, header: (name, value) } => {
                let header = secret_header(name.clone(), value.reveal())?;
                exchange.token(Method::GET, address, HeaderMap::from_iter([header]), Bytes::new()).await
            }
        };
        asked.map_err(|refused| refused.error)
    }

    async fn application(
        &self,
        (address, client): (&str, &str),
        by: &Credential,
        exchange: &Exchange<'_>,
    ) -> Result<Token, Refused> {
        let secret = match by {
            Credential::Secret(secret) => secret.clone(),
            Credential::Certificate(certificate) => {
                certificate.claim(address, client, exchange.clock.unix_seconds())?.into()
            }
            Credential::File(path) => read(path)?.trim().into(),
        };
        let asked = [("grant_type", "client_credentials"), ("client_id", client), ("scope", &self.scope)];
        let shown: &[(&str, &str)] = match by {
            Credential::Secret(_) => &[("client_secret", secret.reveal())],
            _ => &[
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", secret.reveal()),
            ],
        };
        exchange.post(address, HeaderMap::new(), &[&asked, shown].concat()).await
    }
}

// === impl Told ===

impl Told<'_> {
    fn param(&self, name: &str) -> Option<String> {
        self.params.get(name).map(|value| value.reveal().to_owned()).filter(|value| !value.is_empty())
    }

    fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|value| !value.is_empty())
    }

    fn either(&self, param: &str, variable: &str) -> Option<String> {
        self.param(param).or_else(|| self.variable(variable))
    }

    fn application(&self) -> Result<Option<Proof>> {
        let (Some(tenant), Some(client)) =
            (self.either("tenant_id", "AZURE_TENANT_ID"), self.either("client_id", "AZURE_CLIENT_ID"))
        else {
            return Ok(None);
        };
        let Some(by) = self.credential()? else { return Ok(None) };
        let authority = self.variable("AZURE_AUTHORITY_HOST");
        let authority = authority.as_deref().unwrap_or("https://login.microsoftonline.com");
        let authority = authority.trim_end_matches('/');
        let address = format!("{authority}/{}/oauth2/v2.0/token", coded(&tenant));
        Ok(Some(Proof::Application { address, client, by }))
    }

    fn credential(&self) -> Result<Option<Credential>> {
        if let Some(secret) = self.either("client_secret", "AZURE_CLIENT_SECRET") {
            return Ok(Some(Credential::Secret(secret.into())));
        }
        if let Some(path) = self.variable("AZURE_CLIENT_CERTIFICATE_PATH") {
            let certificate = Certificate::new(&read(&path)?)?;
            return Ok(Some(Credential::Certificate(Box::new(certificate))));
        }
        Ok(self.variable("AZURE_FEDERATED_TOKEN_FILE").map(Credential::File))
    }

    /// The machine's identity: of an app or a function, and of a virtual machine where the operator wants it.
    fn machine(&self, scope: &str) -> Option<Proof> {
        let resource = coded(scope.trim_end_matches("/.default"));
        let client = self.either("client_id", "AZURE_CLIENT_ID");
        let client = client.map(|id| format!("&client_id={}", coded(&id))).unwrap_or_default();
        if let (Some(endpoint), Some(secret)) =
            (self.variable("IDENTITY_ENDPOINT"), self.variable("IDENTITY_HEADER"))
        {
            let address = format!("{endpoint}?api-version=2019-08-01&resource={resource}{client}");
            let header = (HeaderName::from_static("x-identity-header"), secret.into());
            return Some(Proof::Machine { address, header });
        }
        self.machine.then(|| {
            let host = self.variable("AZURE_POD_IDENTITY_AUTHORITY_HOST");
            let host = host.as_deref().unwrap_or("http://169.254.169.254").trim_end_matches('/');
            let path = "metadata/identity/oauth2/token?api-version=2018-02-01";
            let address = format!("{host}/{path}&resource={resource}{client}");
            Proof::Machine { address, header: (HeaderName::from_static("metadata"), "true".into()) }
        })
    }
}

// === impl Certificate ===

impl Certificate {
    fn new(text: &str) -> Result<Self> {
        let wrong =
            || misconfigured("the client's certificate is no PEM of a certificate and an RSA key (PKCS #8)");
        let signer = Signer::new(text, Scheme::Ps256).ok_or_else(wrong)?;
        let der = pem(text, "CERTIFICATE").ok_or_else(wrong)?;
        Ok(Self { signer, thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, &der)) })
    }

    fn claim(&self, address: &str, client: &str, now: u64) -> Result<String> {
        let nonce = random()?;
        let head = json!({"alg": Scheme::Ps256.name(), "typ": "JWT", "x5t#S256": self.thumbprint});
        let claims = json!({
            "aud": address, "iss": client, "sub": client, "jti": URL_SAFE_NO_PAD.encode(nonce),
            "iat": now, "nbf": now, "exp": now + HOLDS,
        });
        self.signer.sign(&head, &claims)
    }
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).map_err(|err| misconfigured(format!("{path}: {}", err.kind())))
}
