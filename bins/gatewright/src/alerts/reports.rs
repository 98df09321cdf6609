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
                match self.spent(*every, period).await {
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

    /// What was spent in a period; nothing where nothing was. The database has sums of days in UTC: those that begin in
    /// the period count.
    async fn spent(
        &self,
        every: Every,
        (began, ended): (SystemTime, SystemTime),
    ) -> Result<Option<Alert>, StoreError> {
        let (first, end) = (day_from(began), day_from(ended));
        let days = first..=end.saturating_sub(1).max(first);
        let by = async |by: Vec<Dimension>| {
            let query = ReportQuery {
                days: days.clone(),
                filters: Vec::new(),
                by,
                order: Rank::Cost,
                after: None,
                limit: MOST,
            };
            self.store.report(&query).await
        };
        let all = by(Vec::new()).await?;
        let Some(all) = all.first().filter(|all| all.sums.succeeded + all.sums.failed > 0) else {
            return Ok(None);
        };
        let title = format!("What was spent from {} until {}", date(began), date(ended));
        let mut alert =
            Alert::new(Kind::SpendReports, format!("{every} {}", date(ended)), Severity::Low, title)
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
