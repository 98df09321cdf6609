//! The ledger by itself: what the gateway's own crates write down of a request, for a proxy that does nothing else.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{AttemptId, CallId, Money, SystemClock, Usage};
use gatewright_spend::{Begin, Certainty, Ending, Journal, Settle, Shipper, Shipping, Tenant, Ticket};
use gatewright_store::{Place, Store};
use tempfile::TempDir;

/// An open journal, and SQLite behind it.
#[derive(Clone)]
pub(crate) struct Books {
    journal: Journal,
    _folder: Arc<TempDir>,
}

/// One request that is written down.
pub(crate) struct Page {
    journal: Journal,
    attempt: AttemptId,
    ticket: Ticket,
}

// === impl Books ===

impl Books {
    /// Opens both as the gateway does, and ships from one to the other.
    pub(crate) async fn open() -> Self {
        let (folder, clock) = (TempDir::new().unwrap(), Arc::new(SystemClock));
        let place = Place::Sqlite(folder.path().join("gatewright.db"));
        let store = Store::open(gatewright_store::Settings::at(place), clock.clone()).await.unwrap();
        store.ready().await.unwrap();
        let lanes = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
        let settings = gatewright_spend::Settings {
            lanes,
            ..gatewright_spend::Settings::at(folder.path().join("journal"))
        };
        let journal = Journal::open(settings, clock.clone()).unwrap();
        let shipper = Shipper::new(journal.clone(), store, Shipping::default(), clock);
        drop(tokio::spawn(shipper.run(pending())));
        Self { journal, _folder: Arc::new(folder) }
    }

    /// Before a request is sent.
    pub(crate) fn begin(&self) -> Page {
        let attempt = AttemptId::fresh();
        let begin = Begin {
            attempt,
            call: CallId::fresh(),
            caller: "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b".into(),
            tenant: Tenant::default(),
            spared: None,
            group: "plain".into(),
            deployment: "2f7c1b0f9e6d4c8a8b1d3e5f7a9b0c1d".into(),
            provider: "openai".into(),
            model: "gpt-4o".into(),
            started: 0,
            input_estimate: 300,
            output_cap: 256,
            floor: Money(750_000),
            bound: Money(3_310_000),
        };
        let ticket = self.journal.begin(&begin).unwrap();
        Page { journal: self.journal.clone(), attempt, ticket }
    }
}

// === impl Page ===

impl Page {
    /// When it was answered.
    pub(crate) fn settle(self) {
        let settle = Settle {
            attempt: self.attempt,
            ending: Ending::Complete,
            certainty: Certainty::Exact,
            usage: Usage { input: 200, output: 150, ..Usage::default() },
            cost: Money(2_000_000),
            first_content: None,
            duration: Duration::from_millis(1),
            response: None,
        };
        self.journal.settle(self.ticket, &settle);
    }
}
