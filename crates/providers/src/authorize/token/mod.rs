//! Access tokens: fetched before the first request, held, and renewed before they end.

mod assertion;
mod client;
pub(crate) mod entra;
mod exchange;
pub(crate) mod google;
mod keyed;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use gatewright_core::{Clock, Error, ErrorKind, Result};
use gatewright_transport::{Request, Transport, Trust};
use http::header::{AUTHORIZATION, HeaderValue};
use parking_lot::RwLock;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::timeout;

pub(crate) use client::Client;
use entra::Entra;
pub(crate) use keyed::Keyed;

use super::Authorize;
use exchange::{Exchange, Token};

/// How long before its end a token is renewed; Google's and Microsoft's own libraries take about as much.
const AHEAD: Duration = Duration::from_secs(225);

/// How long a token server may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long nobody asks again after a failure: calls that wait for the same token get the same answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Who gives tokens.
pub(crate) enum Issuer {
    /// Google, to an account.
    Google(google::Source),
    /// Microsoft, to whoever may use a resource of Azure.
    Entra(Entra),
    /// Anybody, to a client with a secret.
    Client(Client),
    /// The provider, to whoever has a key.
    Keyed(Keyed),
}

/// Adds an access token.
pub(crate) struct Tokens {
    issuer: Issuer,
    trust: Trust,
    clock: Arc<dyn Clock>,
    state: RwLock<State>,
    /// Held while a token is fetched: those that wait look at what was found meanwhile.
    gate: Mutex<()>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failed: Option<(Instant, Error)>,
}

/// A token, by the monotonic clock: the machine's wall clock may be wrong.
struct Held {
    header: HeaderValue,
    renew: Instant,
    end: Instant,
}

/// How the token at hand is.
#[derive(PartialEq, Eq)]
enum Shape {
    Good,
    /// Good, but not for long.
    Ending,
    Gone,
}

// === impl Issuer ===

impl Issuer {
    /// Whose token server it is, for people.
    fn whose(&self) -> &'static str {
        match self {
            Self::Google(_) => "Google's",
            Self::Entra(_) => "Microsoft's",
            Self::Client(_) | Self::Keyed(_) => "the provider's",
        }
    }

    async fn token(&self, exchange: &Exchange<'_>) -> Result<Token> {
        match self {
            Self::Google(source) => source.token(exchange).await,
            Self::Entra(entra) => entra.token(exchange).await,
            Self::Client(client) => client.token(exchange).await,
            Self::Keyed(keyed) => keyed.token(exchange).await,
        }
    }
}

// === impl Tokens ===

impl Tokens {
    /// Tokens from there.
    pub(crate) fn new(issuer: Issuer, trust: Trust, clock: Arc<dyn Clock>) -> Self {
        Self { issuer, trust, clock, state: RwLock::default(), gate: Mutex::new(()) }
    }

    fn shape(&self) -> Shape {
        let now = self.clock.now();
        match &self.state.read().held {
            Some(held) if now < held.renew => Shape::Good,
            Some(held) if now < held.end => Shape::Ending,
            _ => Shape::Gone,
        }
    }

    /// Waits its turn; whoever was before may have fetched it.
    async fn first(&self, transport: &Transport) -> Result<()> {
        let turn = self.gate.lock().await;
        if self.shape() != Shape::Gone {
            return Ok(());
        }
        if let Some((at, err)) = &self.state.read().failed
            && self.clock.now().duration_since(*at) < PAUSE
        {
            return Err(err.clone());
        }
        self.fetch(transport, turn).await
    }

    /// The old token still serves where no new one is to be had.
    async fn renew(&self, transport: &Transport, turn: MutexGuard<'_, ()>) -> Result<()> {
        match self.fetch(transport, turn).await {
            Err(err) if self.shape() == Shape::Gone => Err(err),
            _ => Ok(()),
        }
    }

    async fn fetch(&self, transport: &Transport, _turn: MutexGuard<'_, ()>) -> Result<()> {
        let whose = self.issuer.whose();
        let exchange = Exchange { transport, whose, trust: self.trust, clock: &*self.clock };
        let asked = timeout(PATIENCE, self.issuer.token(&exchange)).await;
        let asked = asked.unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Timeout, format!("{whose} token server did not answer in time")))
        });
        let now = self.clock.now();
        let mut state = self.state.write();
        match asked.and_then(|token| held(&token, now)) {
            Ok(held) => {
                *state = State { held: Some(held), failed: None };
                Ok(())
            }
            Err(err) => {
                state.failed = Some((now, err.clone()));
                // While the old one serves, nobody asks anew at once.
                if let Some(held) = &mut state.held {
                    held.renew = (now + PAUSE).min(held.end);
                }
                Err(err)
            }
        }
    }
}

fn held(token: &Token, now: Instant) -> Result<Held> {
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.secret.reveal()))
        .map_err(|_| Error::new(ErrorKind::UpstreamAuth, "an access token cannot stand in a header"))?;
    header.set_sensitive(true);
    // Of one that lives shorter than that, half its life.
    let ahead = AHEAD.min(token.life / 2);
    Ok(Held { header, renew: now + (token.life - ahead), end: now + token.life })
}

impl Authorize for Tokens {
    fn refresh<'a>(&'a self, transport: &'a Transport) -> Option<BoxFuture<'a, Result<()>>> {
        match self.shape() {
            Shape::Good => None,
            // One renews it, and all others go on with what is there.
            Shape::Ending => {
                let turn = self.gate.try_lock().ok()?;
                Some(Box::pin(self.renew(transport, turn)))
            }
            Shape::Gone => Some(Box::pin(self.first(transport))),
        }
    }

    fn authorize(&self, request: &mut Request) -> Result<()> {
        let state = self.state.read();
        let held =
            state.held.as_ref().ok_or_else(|| Error::new(ErrorKind::Internal, "there is no token yet"))?;
        request.headers.insert(AUTHORIZATION, held.header.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
