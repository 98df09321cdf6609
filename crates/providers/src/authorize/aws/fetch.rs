//! Credentials from where they are given out: the Security Token Service, a container's address, a machine's metadata.

use std::time::Duration;

use futures_core::future::BoxFuture;
use gatewright_core::{Error, ErrorKind, Result};
use gatewright_transport::{Pieces, Request, Transport};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::timeout;

use super::credentials::{Credentials, element};
use super::sign::{self, Scope};
use super::source::{self, Role, Source, Token};

/// The longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest wait for a machine's own service, which answers at once or is not there.
const NEAR: Duration = Duration::from_secs(2);

/// The largest answer that is read.
const MOST: usize = 64 * 1024;

const SESSION_TOKEN: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token");
const SESSION_TTL: HeaderName = HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds");

/// Who asks, and when.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) transport: &'a Transport,
    /// Unix seconds.
    pub(super) now: u64,
}

// === impl Asker ===

impl<'a> Asker<'a> {
    /// Credentials that are good now. In a box, because a role may need another's.
    pub(super) fn fetch(self, source: &'a Source) -> BoxFuture<'a, Result<Credentials>> {
        Box::pin(async move {
            match source {
                Source::Keys(keys) => Ok(keys.clone()),
                Source::Profile { files, name, region } => {
                    let source = source::of_profile(files, name, region)?;
                    Asker { transport: self.transport, now: self.now }.fetch(&source).await
                }
                Source::Role(from, role) => {
                    let bearer = self.fetch(from).await?;
                    self.assume(role, &bearer).await
                }
                Source::WebIdentity(token, role) => self.identify(role, token).await,
                Source::Container { address, token } => self.container(address, token.as_ref()).await,
                Source::Instance { endpoint } => self.instance(endpoint).await,
            }
        })
    }

    async fn assume(self, role: &Role, bearer: &Credentials) -> Result<Credentials> {
        let mut form =
            vec![("Action", "AssumeRole"), ("RoleArn", &role.arn), ("RoleSessionName", &role.session)];
        form.extend(role.external_id.as_ref().map(|id| ("ExternalId", id.as_str())));
        let mut request = posted(role, &form)?;
        sign::sign(&mut request, bearer, Scope { region: &role.region, service: "sts", now: self.now })?;
        self.token_service(request).await
    }

    async fn identify(self, role: &Role, token: &Token) -> Result<Credentials> {
        let token = token.read()?;
        let form = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleArn", &role.arn),
            ("RoleSessionName", &role.session),
            ("WebIdentityToken", token.reveal()),
        ];
        self.token_service(posted(role, &form)?).await
    }

    async fn token_service(self, request: Request) -> Result<Credentials> {
        let (status, body) = self.send(request, PATIENCE, "the security token service").await?;
        let text = String::from_utf8_lossy(&body);
        match status.is_success() {
            true => Credentials::from_xml(&text),
            // The code is Amazon's own word (`AccessDenied`); its message may quote the token.
            false => Err(refused("the security token service", status, element(&text, "Code"))),
        }
    }

    async fn container(self, address: &str, token: Option<&Token>) -> Result<Credentials> {
        let uri = address_of(address)?;
        if !may_be_asked(&uri) {
            return Err(wrong("the container's address for credentials must be https, or a link-local one")
                .with_detail(address.to_owned()));
        }
        let mut request = Request::fetch(uri);
        if let Some(token) = token {
            let mut value = secret(token.read()?.reveal())?;
            value.set_sensitive(true);
            request.headers.insert(AUTHORIZATION, value);
        }
        self.document(request, "the container's service").await
    }

    async fn instance(self, endpoint: &str) -> Result<Credentials> {
        let mut request =
            Request::new(Method::PUT, address_of(&format!("{endpoint}/latest/api/token"))?, Pieces::new());
        request.headers.insert(SESSION_TTL, HeaderValue::from_static("21600"));
        let session = self.near(request, MACHINE).await?;
        let session = secret(String::from_utf8_lossy(&session).trim())?;
        let asked = |path: &str| -> Result<Request> {
            let list = format!("{endpoint}/latest/meta-data/iam/security-credentials/{path}");
            let mut request = Request::fetch(address_of(&list)?);
            request.headers.insert(SESSION_TOKEN, session.clone());
            Ok(request)
        };
        let roles = self.near(asked("")?, MACHINE).await?;
        let roles = String::from_utf8_lossy(&roles);
        let role = roles.lines().next().unwrap_or_default().trim();
        if role.is_empty() {
            return Err(wrong("the machine has no role"));
        }
        self.document(asked(role)?, MACHINE).await
    }

    async fn document(self, request: Request, whose: &'static str) -> Result<Credentials> {
        Credentials::from_json(&self.near(request, whose).await?)
    }

    async fn near(self, request: Request, whose: &'static str) -> Result<bytes::Bytes> {
        match self.send(request, NEAR, whose).await? {
            (status, body) if status.is_success() => Ok(body),
            (status, _) => Err(refused(whose, status, None)),
        }
    }

    async fn send(
        self,
        request: Request,
        patience: Duration,
        whose: &'static str,
    ) -> Result<(StatusCode, bytes::Bytes)> {
        let away = |why: String| {
            Error::new(ErrorKind::Unreachable, "the AWS credentials could not be fetched")
                .with_detail(format!("{whose}: {why}"))
        };
        let answered = async {
            let response = self.transport.send(request).await?;
            Ok::<_, gatewright_transport::Failure>((response.status, response.body.collect(MOST).await?))
        };
        match timeout(patience, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => Err(away(failure.to_string())),
            Err(_) => Err(away("no answer in time".to_owned())),
        }
    }
}

const MACHINE: &str = "the machine's metadata service";

fn posted(role: &Role, form: &[(&str, &str)]) -> Result<Request> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs = form.iter().chain([&("Version", "2011-06-15")]);
    let body: Vec<String> = pairs.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let body = Pieces::from_iter([body.join("&").into()]);
    let mut request = Request::new(Method::POST, address_of(&format!("{}/", role.endpoint))?, body);
    request
        .headers
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
    Ok(request)
}

/// Only a container's own host is shown its token without encryption: Amazon's addresses for that, and the loopback.
fn may_be_asked(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let near = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "localhost", "[::1]"];
    uri.scheme_str() == Some("https") || near.contains(&host) || host.starts_with("127.")
}

fn address_of(text: &str) -> Result<Uri> {
    text.parse().map_err(|_| wrong("an address for AWS credentials is no URL").with_detail(text.to_owned()))
}

fn secret(text: &str) -> Result<HeaderValue> {
    let value = HeaderValue::from_str(text);
    let mut value = value.map_err(|_| wrong("a token for AWS credentials cannot stand in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn refused(whose: &str, status: StatusCode, code: Option<&str>) -> Error {
    let kind = if status.is_server_error() { ErrorKind::Unavailable } else { ErrorKind::UpstreamAuth };
    Error::new(kind, "the AWS credentials were refused").with_detail(format!(
        "{whose} answered {}: {}",
        status.as_u16(),
        code.unwrap_or("no code")
    ))
}

fn wrong(words: &'static str) -> Error {
    Error::new(ErrorKind::UpstreamAuth, words)
}
