//! Alerting: what is told, wired to what knows it. Nothing of this is there where nobody is to be told.

mod changed;
mod reports;
mod users;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use gatewright_alerts::{Alerted, Alerts, Calls, Daily, Outages, Rounds};
use gatewright_core::Clock;
use gatewright_limits::{Counts, Rules, SoftBudgets};
use gatewright_routing::Witness;
use gatewright_spend::Journal;
use gatewright_store::Store;
use gatewright_transport::Transport;

use self::changed::Changed;
use self::reports::Reports;
use self::users::Users;
use self::watch::Books;
use crate::adapters::{Crossed, StoredClaims, Witnessed};
use crate::changes::Follow;
use crate::config::{AlertSettings, Config};
use crate::ledger::LiveLedger;

/// Alerting, where somebody is to be told.
pub(crate) struct Alerting(Option<Box<On>>);

struct On {
    alerts: Alerts,
    rounds: Option<Rounds>,
    calls: Arc<Calls>,
    daily: Arc<Daily>,
    settings: Arc<AlertSettings>,
    clock: Arc<dyn Clock>,
    changed: Option<changed::Inbox>,
}

/// What alerting knows of the gateway beside its calls.
pub(crate) struct Known<'a> {
    pub(crate) store: &'a Store,
    pub(crate) journal: &'a Journal,
    pub(crate) ledger: &'a LiveLedger,
    pub(crate) config: &'a Config,
}

// === impl Alerting ===

impl Alerting {
    pub(crate) fn new(
        config: &Config,
        (store, ledger, counts): (&Store, &LiveLedger, &Arc<Counts>),
        transport: &Transport,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let Some(settings) = config.alerts.clone() else { return Self(None) };
        let claims =
            Arc::new(StoredClaims { store: store.clone(), ledger: ledger.watched(), counts: counts.clone() });
        let (alerts, rounds) = Alerts::new(settings.desk.clone(), transport, claims, clock.clone());
        let daily = Arc::new(Daily::default());
        let calls = Calls::new(alerts.clone(), daily.clone(), settings.desk.threshold, clock.clone());
        Self(Some(Box::new(On {
            alerts,
            rounds: Some(rounds),
            calls,
            daily,
            settings,
            clock,
            changed: None,
        })))
    }

    /// Who hears how attempts went.
    pub(crate) fn witness(&self) -> Option<Arc<dyn Witness>> {
        let On { alerts, daily, settings, clock, .. } = self.0.as_deref()?;
        let outages = Outages::new(settings.desk.args.clone());
        Some(Arc::new(Witnessed {
            alerts: alerts.clone(),
            outages,
            daily: daily.clone(),
            clock: clock.clone(),
        }))
    }

    /// Who hears of what administrators change.
    pub(crate) fn follower(&mut self) -> Option<Arc<dyn Follow>> {
        let on = self.0.as_mut()?;
        let (follower, inbox) = Changed::new();
        on.changed = Some(inbox);
        Some(Arc::new(follower))
    }

    /// The policy of calls.
    pub(crate) fn calls(&self) -> Alerted {
        self.0.as_ref().map_or_else(Alerted::default, |on| Alerted::new(on.calls.clone()))
    }

    /// The policy of budgets, and who hears of it.
    pub(crate) fn budgets(
        &self,
        rules: Arc<dyn Rules>,
        clock: Arc<dyn Clock>,
    ) -> (SoftBudgets, Arc<Crossed>) {
        let alerts = self.alerts();
        let wanted =
            alerts.as_ref().is_some_and(|alerts| alerts.wants(gatewright_alerts::Kind::BudgetAlerts));
        let crossed = Arc::new(Crossed::telling(alerts));
        let policy = match wanted {
            true => SoftBudgets::and_others(rules, crossed.clone(), clock),
            false => SoftBudgets::new(rules, crossed.clone(), clock),
        };
        (policy, crossed)
    }

    /// Where alerts are raised.
    pub(crate) fn alerts(&self) -> Option<Alerts> {
        self.0.as_ref().map(|on| on.alerts.clone())
    }

    /// Begins to deliver, and to look at what nobody tells of by itself.
    pub(crate) fn run(&mut self, known: &Known<'_>) {
        let Some(on) = &mut self.0 else { return };
        let Known { store, journal, ledger, config } = known;
        if let Some(rounds) = on.rounds.take() {
            ledger.beside(rounds.run());
        }
        let calls = on.calls.clone();
        ledger.beside(every(calls.every(), move || calls.look()));
        let books = Books::new(on.alerts.clone(), ledger.watched(), (*journal).clone());
        ledger.beside(books.run());
        if let Some(inbox) = on.changed.take() {
            ledger.beside(inbox.run((*store).clone(), on.alerts.clone()));
        }
        let (calendar, clock) = (config.money.calendar.clone(), on.clock.clone());
        let instance = journal.instance().map_or_else(String::new, |id| id.to_string());
        let users = Users { store: (*store).clone(), clock: clock.clone() };
        ledger.beside(users.run(on.alerts.clone()));
        let reports = Reports {
            alerts: on.alerts.clone(),
            daily: on.daily.clone(),
            store: (*store).clone(),
            calendar,
            spend: on.settings.spend_reports.clone(),
            clock,
            instance,
        };
        ledger.beside(reports.run());
    }
}

/// Looks from time to time, until it is dropped.
async fn every(pause: Duration, look: impl Fn()) {
    loop {
        tokio::time::sleep(pause).await;
        look();
    }
}
