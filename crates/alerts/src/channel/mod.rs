//! Channels: where alerts go, each in the words of whoever is there.

mod discord;
mod email;
mod pagerduty;
mod post;
mod slack;
mod teams;
mod words;

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use gatewright_transport::Transport;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::warn;

use self::email::Mailbox;
use crate::desk::{Ready, Tally};
use crate::{Severity, Where};

/// One of them.
pub(crate) struct Channel {
    to: To,
    name: &'static str,
    transport: Transport,
    timeout: Duration,
    base_url: Option<String>,
}

enum To {
    Web(Where),
    Mail(Box<Mailbox>),
}

/// Why a delivery failed.
#[derive(Debug)]
pub(crate) struct Failed {
    /// In words, without an address.
    why: Cow<'static, str>,
    /// Whether it may go well later.
    again: bool,
    /// How long to wait before that, where the receiver says.
    wait: Option<Duration>,
}

/// Deliveries of one alert after the first, and the waits before them.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(16)];

/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

// === impl Channel ===

impl Channel {
    pub(crate) fn new(to: Where, transport: Transport, timeout: Duration, base_url: Option<String>) -> Self {
        let name = to.name();
        let to = match to {
            Where::Email(settings) => To::Mail(Box::new(Mailbox::new(settings, timeout))),
            web => To::Web(web),
        };
        Self { to, name, transport, timeout, base_url }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Delivers one after the other, until nobody has any more.
    pub(crate) async fn deliver(self: Arc<Self>, mut inbox: mpsc::Receiver<Ready>, tally: Arc<Tally>) {
        while let Some(ready) = inbox.recv().await {
            match self.insist(&ready).await {
                Ok(true) => drop(tally.sent.fetch_add(1, Relaxed)),
                // It is not for this channel.
                Ok(false) => {}
                Err(failed) => {
                    tally.failed.fetch_add(1, Relaxed);
                    let kind = ready.alert.kind.name();
                    warn!(channel = self.name, kind, why = %failed.why, "an alert was not delivered");
                }
            }
        }
    }

    /// Delivers it once, and says what is wrong where that does not go well.
    pub(crate) async fn test(&self, ready: &Ready) -> Result<(), String> {
        match timeout(self.timeout, self.send(ready)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("nobody is there to be told".to_owned()),
            Ok(Err(failed)) => Err(failed.why.into_owned()),
            Err(_) => Err("it was not taken in time".to_owned()),
        }
    }

    /// Tries again where that may help. Answers whether there was anything to deliver.
    async fn insist(&self, ready: &Ready) -> Result<bool, Failed> {
        let mut waits = WAITS.iter();
        loop {
            let late = || Failed::passing("it was not taken in time");
            let sent = timeout(self.timeout, self.send(ready)).await.unwrap_or_else(|_| Err(late()));
            match (sent, waits.next()) {
                (Err(failed), Some(wait)) if failed.again => {
                    sleep(failed.wait.unwrap_or(*wait).min(LONGEST_WAIT)).await;
                }
                (sent, _) => return sent,
            }
        }
    }

    async fn send(&self, ready: &Ready) -> Result<bool, Failed> {
        let base = self.base_url.as_deref();
        let (uri, body) = match &self.to {
            To::Mail(mailbox) => return mailbox.send(ready, base).await,
            To::Web(Where::Slack(uri)) => (uri, slack::message(ready, base)),
            To::Web(Where::Discord(uri)) => (uri, discord::message(ready, base)),
            To::Web(Where::Teams(uri)) => (uri, teams::message(ready, base)),
            To::Web(Where::Webhook(uri)) => match &ready.alert.event {
                Some(event) => (uri, serde_json::to_value(event).unwrap_or(Value::Null)),
                None => return Ok(false),
            },
            // Nobody is woken for what is only good to know.
            To::Web(Where::PagerDuty { .. }) if ready.alert.severity == Severity::Low => return Ok(false),
            To::Web(Where::PagerDuty { to, key }) => (to, pagerduty::event(ready, key, base)),
            To::Web(Where::Email(_)) => return Ok(false),
            To::Web(Where::Unset { variable, .. }) => {
                return Err(Failed::lasting(format!("the variable {variable} is not set")));
            }
        };
        post::post(&self.transport, uri, &body).await.map(|()| true)
    }
}

// === impl Failed ===

impl Failed {
    /// It may go well later.
    pub(crate) fn passing(why: impl Into<Cow<'static, str>>) -> Self {
        Self { why: why.into(), again: true, wait: None }
    }

    /// It will never go well.
    pub(crate) fn lasting(why: impl Into<Cow<'static, str>>) -> Self {
        Self { why: why.into(), again: false, wait: None }
    }
}
