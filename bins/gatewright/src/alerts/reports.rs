//! Reports: how deployments did as this replica saw it, and what was spent in a period, told once by all replicas.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatewright_alerts::{Alert, Alerts, Daily, Kind, Severity};
use gatewright_core::{Clock, Utc};
use gatewright_limits::{Calendar, Every};
use gatewright_store::{Dimension, Error as StoreError, Rank, Report, ReportQuery, Store};
use tokio::time::{Instant, sleep};
use tracing::warn;

/// Lines of each list.
const MOST: u64 = 20;

const DAY: u64 = 86_400;

pub(super) struct Reports {
    pub(super) alerts: Alerts,
    pub(super) daily: Arc<Daily>,
    pub(super) store: Store,
    pub(super) calendar: Calendar,
    /// The lengths of the periods that spend is reported of.
    pub(super) spend: Vec<Every>,
    pub(super) clock: Arc<dyn Clock>,
    /// Tells this replica's reports from others'.
    pub(super) instance: String,
}

// === impl Reports ===

impl Reports {
    /// Tells what is due, until it is dropped.
    pub(super) async fn run(self) {
        let args = self.alerts.args().clone();
        let mut day_ends = Instant::now() + args.daily_report_frequency;
        let mut told = vec![None; self.spend.len()];
        loop {
            // Not at once: a start has other things to do, and the last entries may be on their way yet.
            sleep(args.report_check_interval.min(args.daily_report_frequency)).await;
            if Instant::now() >= day_ends {
                day_ends += args.daily_report_frequency;
                self.tell_of_day();
            }
            if !self.alerts.wants(Kind::SpendReports) {
                continue;
            }
            for (every, told) in self.spend.iter().zip(&mut told) {
                let period = self.calendar.last(*every, self.clock.wall());
                if *told == Some(period) {
                    continue;
                }
                match spent(&self.store, *every, period).await {
                    Ok(alert) => {
                        *told = Some(period);
                        alert.into_iter().for_each(|alert| self.alerts.raise(alert));
                    }
                    Err(err) => warn!(error = %err, "what was spent cannot be read; it is reported later"),
                }
            }
        }
    }

    fn tell_of_day(&self) {
        let subject = format!("{} {}", self.instance, self.clock.unix_seconds());
        let reports = [self.daily.report(&subject), self.daily.fallbacks(&subject)];
        for alert in reports.into_iter().flatten() {
            self.alerts.raise(alert.fact("Replica", &self.instance));
        }
    }
}

/// What was spent in a period; nothing where nothing was. The database has sums of days in UTC: those that begin in the
/// period count.
async fn spent(
    store: &Store,
    every: Every,
    (began, ended): (SystemTime, SystemTime),
) -> Result<Option<Alert>, StoreError> {
    let (first, end) = (day_from(began), day_from(ended));
    let days = first..=end.saturating_sub(1).max(first);
    let by = async |by: Vec<Dimension>| {
        let (days, order) = (days.clone(), Rank::Cost);
        store.report(&ReportQuery { days, filters: Vec::new(), by, order, after: None, limit: MOST }).await
    };
    let all = by(Vec::new()).await?;
    let Some(all) = all.first().filter(|all| all.sums.succeeded + all.sums.failed > 0) else {
        return Ok(None);
    };
    let title = format!("What was spent from {} until {}", date(began), date(ended));
    let mut alert = Alert::new(Kind::SpendReports, format!("{every} {}", date(ended)), Severity::Low, title)
        .fact("Spent", format!("${}", all.sums.cost))
        .fact("Attempts", all.sums.succeeded + all.sums.failed);
    for row in by(vec![Dimension::Team]).await?.iter().filter(|row| is_named(row)) {
        alert = alert.fact("Team", line(row));
    }
    for row in by(vec![Dimension::Tags]).await?.iter().filter(|row| is_named(row)) {
        alert = alert.fact("Tags", line(row));
    }
    Ok(Some(alert))
}

/// Nobody has no line.
fn is_named(row: &Report) -> bool {
    row.by.iter().flatten().next().is_some_and(|name| !name.is_empty() && &**name != "[]")
}

fn line(row: &Report) -> String {
    let name = row.by.iter().flatten().next().map_or("", |name| name);
    format!("{name}: ${}", row.sums.cost)
}

/// The first day in UTC that begins then or later.
fn day_from(moment: SystemTime) -> u32 {
    u32::try_from(seconds(moment).div_ceil(DAY)).unwrap_or(u32::MAX)
}

fn date(moment: SystemTime) -> String {
    Utc(seconds(moment)).to_string()
}

fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
pub(super) mod tests {
    use gatewright_core::{Money, SystemClock};
    use gatewright_store::{CarriedDay, Place, Settings, Sums};
    use tempfile::TempDir;

    use super::*;

    /// A database of its own.
    pub(crate) async fn store() -> (Store, TempDir) {
        let dir = TempDir::new().unwrap();
        let place = Place::Sqlite(dir.path().join("test.db"));
        (Store::open(Settings::at(place), Arc::new(SystemClock)).await.unwrap(), dir)
    }

    /// So much of a key, a team and a user.
    pub(crate) fn spent_by(day: u32, dollars: i64, who: [Option<&str>; 3]) -> CarriedDay {
        let [key, team, user] = who.map(|name| name.map(Arc::from));
        let names = [key, team, user, None, None, None, None, None];
        let sums = Sums { succeeded: 1, cost: Money(dollars * 1_000_000_000), ..Sums::default() };
        CarriedDay { source: format!("{day} {who:?}"), day, names, sums }
    }

    #[tokio::test]
    async fn a_report_has_what_was_spent_in_its_period_by_team() {
        let (store, _dir) = store().await;
        // Monday, 16 November 2026, in days since 1970.
        let monday = 20_773;
        let of = |day, dollars, team| spent_by(day, dollars, [Some("k"), team, None]);
        let days = [
            of(monday - 8, 100, Some("before")),
            of(monday - 7, 1, Some("a")),
            of(monday - 1, 2, Some("b")),
            of(monday - 1, 4, None),
            of(monday, 100, Some("after")),
        ];
        store.carry_days(&days).await.unwrap();
        let every = Every::Days(7);
        let friday = UNIX_EPOCH + Duration::from_secs((u64::from(monday) + 4) * DAY);
        let period = Calendar::default().last(every, friday);
        let alert = spent(&store, every, period).await.unwrap().unwrap();
        assert_eq!(alert.subject, "7d 2026-11-16 00:00:00");
        assert_eq!(alert.title, "What was spent from 2026-11-09 00:00:00 until 2026-11-16 00:00:00");
        let facts: Vec<String> = alert.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
        assert_eq!(facts, ["Spent $7.0", "Attempts 3", "Team b: $2.0", "Team a: $1.0"]);
        let quiet = Calendar::default().last(every, friday - Duration::from_secs(70 * DAY));
        assert_eq!(spent(&store, every, quiet).await.unwrap(), None);
    }
}
