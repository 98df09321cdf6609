//! Which proof a deployment has: its key, else what its provider takes in place of one.

use std::borrow::Cow;
use std::sync::Arc;

use gatewright_catalogue::{Auth, KeyExchange, ProviderRow, TokenFrom};
use gatewright_core::{Result, Secret, SystemClock};
use gatewright_transport::Trust;
use http::Uri;
use http::header::HeaderName;

use super::aws::{self, Aws};
use super::token::google::{Found, Source};
use super::token::{Client, Issuer, Keyed, Tokens, entra};
use super::{Authorize, HeaderKey, QueryKey};
use crate::fault::misconfigured;
use crate::fill::Fill;
use crate::{Params, custom};

/// What is known of a deployment.
pub(crate) struct Choice<'a> {
    pub(crate) row: &'a ProviderRow,
    /// How the model's key is shown.
    pub(crate) auth: &'a Auth,
    pub(crate) params: &'a Params,
    pub(crate) fill: &'a Fill<'a>,
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// The base URL.
    pub(crate) base: &'a str,
}

/// How a key is shown.
fn keyed(auth: &Auth, key: &Secret) -> Option<Arc<dyn Authorize>> {
    let header = match auth {
        // AWS has keys for Bedrock alone, which are shown as they are.
        Auth::Bearer | Auth::Aws(_) => HeaderKey::bearer(key),
        Auth::Header(name) => HeaderKey::named(HeaderName::from_bytes(name.as_bytes()).ok()?, key),
        // A key of Google's express mode, where it stands in for an account.
        Auth::Google => HeaderKey::named(HeaderName::from_static("x-goog-api-key"), key),
        Auth::Query(name) => return Some(Arc::new(QueryKey::new(name, key))),
    };
    header.map(|header| Arc::new(header) as Arc<dyn Authorize>)
}

// === impl Choice ===

impl Choice<'_> {
    /// What proves the deployment.
    pub(crate) fn proof(&self, key: Option<&Secret>) -> Result<Option<Arc<dyn Authorize>>> {
        if let Some(own) = custom::proof(self.row, self.fill) {
            return Ok(Some(Arc::new(own)));
        }
        // A service of AWS without keys of its own is asked with a signature, whatever else is said.
        let signed = matches!(self.row.auth, Auth::Aws(_)) && self.row.key_env.is_empty();
        match (key.filter(|_| !signed), &self.row.token) {
            (Some(key), Some(TokenFrom::Key(exchange))) => self.exchanged(key, exchange).map(Some),
            (Some(key), _) => Ok(keyed(self.auth, key)),
            (None, _) => self.keyless(),
        }
    }

    /// Where the provider knows something else than keys.
    fn keyless(&self) -> Result<Option<Arc<dyn Authorize>>> {
        match (self.auth, &self.row.token) {
            (Auth::Google, _) => self.google().map(Some),
            (Auth::Aws(service), _) => self.aws(service).map(Some),
            (_, Some(TokenFrom::Entra)) => self.entra(),
            (_, Some(TokenFrom::Client { url, scope })) => self.client(url, scope.as_deref()),
            _ => Ok(None),
        }
    }

    fn aws(&self, service: &str) -> Result<Arc<dyn Authorize>> {
        let region = self.fill.value("aws_region_name")?;
        let told = aws::Told { params: &self.params.access, env: self.env, region: &region };
        let signer = Aws::new(service, &told, Arc::new(SystemClock));
        let missing = || misconfigured(format!("provider '{}' needs AWS credentials", self.row.id));
        Ok(Arc::new(signer.ok_or_else(missing)?))
    }

    fn google(&self) -> Result<Arc<dyn Authorize>> {
        let fill = self.fill;
        let gcloud = || fill.known("home").map(|home| format!("{home}/.config/gcloud"));
        let found = Found {
            told: fill.known("vertex_credentials"),
            file: fill.known("google_application_credentials"),
            gcloud: fill.known("cloudsdk_config").or_else(gcloud),
            metadata: fill.known("gce_metadata_host"),
        };
        Ok(self.tokens(Issuer::Google(Source::find(found, self.params.trust)?)))
    }

    /// A token that the deployment was given, or who gives one.
    fn entra(&self) -> Result<Option<Arc<dyn Authorize>>> {
        let told = self.params.access.get("azure_ad_token").cloned();
        if let Some(token) = told.or_else(|| (self.env)("AZURE_AD_TOKEN").map(Secret::from)) {
            return Ok(HeaderKey::bearer(&token).map(|key| Arc::new(key) as Arc<dyn Authorize>));
        }
        // Whoever else chose the endpoint would be sent the machine's token.
        let machine = self.params.machine_identity && self.params.trust == Trust::Operator;
        let told = entra::Told { params: &self.params.access, env: self.env, machine };
        Ok(entra::Entra::find(&told)?.map(|entra| self.tokens(Issuer::Entra(entra))))
    }

    fn client(&self, url: &str, scope: Option<&str>) -> Result<Option<Arc<dyn Authorize>>> {
        let known = |name| self.fill.value(name).ok().map(Cow::into_owned);
        let Some((id, secret)) = known("client_id").zip(known("client_secret")) else { return Ok(None) };
        let address = match url.starts_with('/') {
            true => at_host(self.base, url)?,
            false => self.fill.fill(url)?,
        };
        let client = Client { address, id, secret: secret.into(), scope: scope.map(str::to_owned) };
        Ok(Some(self.tokens(Issuer::Client(client))))
    }

    /// Tokens that are given for the key.
    fn exchanged(&self, key: &Secret, exchange: &KeyExchange) -> Result<Arc<dyn Authorize>> {
        let KeyExchange { url, field, form, request_id } = exchange;
        let mut fields = Vec::new();
        for (name, template) in form {
            fields.push((name.clone(), self.fill.fill(template)?.into()));
        }
        fields.extend(field.iter().map(|field| (field.clone(), key.clone())));
        let named =
            |name: &String| HeaderName::from_bytes(name.as_bytes()).map_err(|_| misconfigured("no header"));
        Ok(self.tokens(Issuer::Keyed(Keyed {
            address: self.fill.fill(url)?,
            basic: field.is_none().then(|| key.clone()),
            fields,
            request_id: request_id.as_ref().map(named).transpose()?,
        })))
    }

    fn tokens(&self, issuer: Issuer) -> Arc<dyn Authorize> {
        Arc::new(Tokens::new(issuer, self.params.trust, Arc::new(SystemClock)))
    }
}

/// A path at the host of an address.
fn at_host(base: &str, path: &str) -> Result<String> {
    let uri: Uri = base.parse().map_err(|_| misconfigured("the api_base is no URL"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => Ok(format!("{scheme}://{authority}{path}")),
        _ => Err(misconfigured("the api_base is no URL")),
    }
}
