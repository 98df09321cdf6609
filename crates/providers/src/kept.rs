//! Answers that an upstream keeps: asked about at the deployment that has them.

use bytes::Bytes;
use gatewright_core::{Dialect, Error, ErrorKind, Operation, Result};
use gatewright_transport::{Failure, Request, Response};
use http::{Method, StatusCode, Uri};

use crate::deployment::Answerer;
use crate::{Upstream, fault};

impl Upstream {
    /// Asks a deployment about an answer that its upstream keeps; `tail` is what stands behind the address of all of
    /// them.
    pub async fn ask(&self, deployment: &str, method: Method, tail: &str) -> Result<(StatusCode, Bytes)> {
        let gone = || Error::new(ErrorKind::NotFound, "the deployment that has this answer was removed");
        let deployment = self.deployment(deployment).ok_or_else(gone)?;
        let Answerer::Endpoint(endpoint) = deployment.spoken_in(Dialect::OpenAiResponses)? else {
            return Err(gone());
        };
        let Some(address) = endpoint.address(Operation::Chat, false) else { return Err(gone()) };
        let provider = deployment.provider();
        let mut request = Request {
            method,
            uri: below(address, tail)?,
            headers: endpoint.headers.clone(),
            body: Default::default(),
            trust: deployment.params.trust,
        };
        if let Some(authorize) = &endpoint.authorize {
            if let Some(refreshed) = authorize.refresh(self.transport()) {
                refreshed.await?;
            }
            authorize.authorize(&mut request)?;
        }
        let broken = |failure: Failure| fault::broken(provider, &failure);
        let Response { status, headers, body } = self.transport().send(request).await.map_err(broken)?;
        let body = body.collect(self.most_reply_bytes()).await.map_err(broken)?;
        match status.is_success() {
            true => Ok((status, body)),
            false => Err(fault::refused(endpoint.codec, provider, (status, headers), &body)),
        }
    }
}

/// An address below another one, whose query stays.
fn below(address: &Uri, tail: &str) -> Result<Uri> {
    let text = address.to_string();
    let joined = match text.split_once('?') {
        Some((path, query)) => {
            let more = if tail.contains('?') { '&' } else { '?' };
            format!("{path}{tail}{more}{query}")
        }
        None => format!("{text}{tail}"),
    };
    joined
        .parse()
        .map_err(|_| Error::new(ErrorKind::InvalidRequest, "the answer's id cannot stand in an address"))
}
