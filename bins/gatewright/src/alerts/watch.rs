//! The ledger and the database, looked at from time to time: what is amiss there no call notices.

use std::time::Duration;

use gatewright_alerts::{Alert, Alerts, Kind, Severity};
use gatewright_spend::Journal;
use gatewright_telemetry::LedgerFigures;
use tokio::time::{Instant, sleep};

use crate::ledger::Watched;

const EVERY: Duration = Duration::from_secs(1);

/// How long a database may be away before it is told: a start takes a moment, and so does a restart of its server.
const GRACE: Duration = Duration::from_secs(10);

/// The books, and what they said last.
pub(super) struct Books {
    alerts: Alerts,
    watched: Watched,
    journal: Journal,
    last: LedgerFigures,
    away_since: Option<Instant>,
}

// === impl Books ===

impl Books {
    pub(super) fn new(alerts: Alerts, watched: Watched, journal: Journal) -> Self {
        let last = watched.figures(&journal);
        Self { alerts, watched, journal, last, away_since: None }
    }

    /// Looks until it is dropped.
    pub(super) async fn run(mut self) {
        loop {
            sleep(EVERY).await;
            let now = self.watched.figures(&self.journal);
            self.away_since = match now.connected {
                true => None,
                false => self.away_since.or_else(|| Some(Instant::now())),
            };
            if self.away_since.is_some_and(|since| since.elapsed() >= GRACE) {
                self.alerts.raise(away(&now));
            }
            untracked(&self.last, &now).into_iter().for_each(|alert| self.alerts.raise(alert));
            self.last = now;
        }
    }
}

fn away(now: &LedgerFigures) -> Alert {
    let title = "The database does not answer; calls go on";
    Alert::new(Kind::DbExceptions, "database", Severity::High, title)
        .fact("Entries that wait for it", now.backlog)
        .fact("The oldest waits for", format!("{:.0} s", now.oldest_seconds))
}

/// What may not be booked since the last look.
fn untracked(last: &LedgerFigures, now: &LedgerFigures) -> Vec<Alert> {
    let grown = [
        ("Attempts without a line in the journal", last.unjournalled, now.unjournalled),
        ("Ends that were lost", last.lost, now.lost),
        ("Entries that were too old for the database", last.refused, now.refused),
        ("Damaged places in the journal", last.damaged, now.damaged),
        ("Failures to force the journal to the disk", last.sync_failures, now.sync_failures),
    ];
    let alert = |subject: &str, title: &str| {
        Alert::new(Kind::FailedTrackingSpend, subject, Severity::High, title)
            .fact("Cost of what has no line", format!("${:.6}", now.unjournalled_dollars))
    };
    let grown = grown.into_iter().filter(|(_, last, now)| now > last);
    let mut alerts: Vec<Alert> =
        grown.map(|(what, _, now)| alert(what, "Spend may not be booked").fact(what, now)).collect();
    if now.full {
        alerts.push(alert("full", "The journal has no next segment: its disk is full"));
    }
    if now.failing {
        alerts.push(alert("failing", "The journal cannot be written"));
    }
    alerts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grew_is_told_and_what_stayed_is_not() {
        let last = LedgerFigures { connected: true, lost: 2, ..LedgerFigures::default() };
        let told = |now: &LedgerFigures| -> Vec<String> {
            untracked(&last, now).into_iter().map(|alert| alert.subject).collect()
        };
        assert_eq!(told(&last), [""; 0]);
        let now = LedgerFigures { lost: 3, full: true, ..last };
        assert_eq!(told(&now), ["Ends that were lost", "full"]);
        assert_eq!(told(&LedgerFigures { unjournalled: 1, failing: true, ..last }).len(), 2);
    }
}
