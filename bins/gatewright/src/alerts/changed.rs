//! What administrators change, told to people: the audit log's lines, looked up beside the feed of changes.

use std::future::ready;
use std::pin::Pin;

use gatewright_alerts::Alerts;
use gatewright_store::{AuditQuery, Change, Kind, News, Store};
use tokio::sync::mpsc;
use tracing::warn;

use crate::adapters::alerted;
use crate::changes::Follow;

/// Changes that wait to be looked up. Whoever makes more of them at once is not told of all.
const WAITING: usize = 1024;

/// Hears of changes, and keeps nobody waiting.
pub(super) struct Changed(mpsc::Sender<Change>);

/// Where they are looked up.
pub(super) struct Inbox(mpsc::Receiver<Change>);

// === impl Changed ===

impl Changed {
    pub(super) fn new() -> (Self, Inbox) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), Inbox(receiver))
    }
}

impl Follow for Changed {
    fn hear<'a>(&'a self, news: &'a News) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        if let News::Changes(changes) = news {
            for change in changes.iter().filter(|change| is_told(change.kind)) {
                if self.0.try_send(change.clone()).is_err() {
                    warn!("too many changes at once; people are not told of all of them");
                    break;
                }
            }
        }
        // What was not heard is never told later: it would be no news.
        Box::pin(ready(true))
    }
}

// === impl Inbox ===

impl Inbox {
    /// Tells people of them, until nobody has any more.
    pub(super) async fn run(mut self, store: Store, alerts: Alerts) {
        while let Some(change) = self.0.recv().await {
            let query = AuditQuery { id: Some(change.id), limit: 1, ..AuditQuery::default() };
            match store.audits(&query).await {
                Ok(lines) => {
                    lines.first().and_then(alerted::change).into_iter().for_each(|alert| alerts.raise(alert));
                }
                Err(err) => warn!(error = %err, "a change cannot be looked up; people are not told of it"),
            }
        }
    }
}

fn is_told(kind: Kind) -> bool {
    matches!(kind, Kind::Key | Kind::Team | Kind::User | Kind::Model)
}
