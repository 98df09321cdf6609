//! What users spend: more than a threshold, or far more than on the days before.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use gatewright_alerts::{Alert, Alerts, Args, Kind, Severity};
use gatewright_core::{Clock, Utc};
use gatewright_store::{Dimension, Error as StoreError, Rank, ReportQuery, Store};
use tokio::time::sleep;
use tracing::warn;

/// Users that are looked at: those that spent most.
const MOST: u64 = 1_000;

const DAY: u64 = 86_400;

pub(super) struct Users {
    pub(super) alerts: Alerts,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
}

type Spent = HashMap<Arc<str>, f64>;

// === impl Users ===

impl Users {
    /// Looks at them until it is dropped, where somebody is told of them.
    pub(super) async fn run(self) {
        let args = self.alerts.args().clone();
        let thresholds = self.alerts.wants(Kind::UserSpendThresholds)
            && (args.daily_spend_per_user_threshold.is_some()
                || args.monthly_spend_per_user_threshold.is_some());
        let anomalies = self.alerts.wants(Kind::UserSpendAnomalies);
        if !thresholds && !anomalies {
            return;
        }
        loop {
            sleep(args.user_spend_check_interval).await;
            if let Err(err) = self.look(&args, (thresholds, anomalies)).await {
                warn!(error = %err, "what users spent cannot be read; it is looked at later");
            }
        }
    }

    async fn look(&self, args: &Args, (thresholds, anomalies): (bool, bool)) -> Result<(), StoreError> {
        let now = self.clock.unix_seconds();
        let date = Utc(now).to_string();
        let (month, day) = (date.get(..7).unwrap_or_default(), date.get(..10).unwrap_or_default());
        let today = u32::try_from(now / DAY).unwrap_or(u32::MAX);
        let spent = self.spent(today..=today).await?;
        if thresholds {
            let of_month: u32 = day.get(8..).and_then(|day| day.parse().ok()).unwrap_or(1);
            let first = today.saturating_sub(of_month - 1);
            let month_spent = self.spent(first..=today).await?;
            for (spent, limit, period) in [
                (&spent, args.daily_spend_per_user_threshold, day),
                (&month_spent, args.monthly_spend_per_user_threshold, month),
            ] {
                let Some(limit) = limit else { continue };
                for (user, spent) in spent.iter().filter(|(_, spent)| **spent >= limit) {
                    self.alerts.raise(over(user, *spent, limit, period));
                }
            }
        }
        if anomalies {
            let days = args.spend_anomaly_baseline_days.max(1);
            let before = self.spent(today.saturating_sub(days)..=today.saturating_sub(1)).await?;
            for (user, spent) in &spent {
                let usual = before.get(user).copied().unwrap_or(0.0) / f64::from(days);
                if is_unusual(*spent, usual, args) {
                    self.alerts.raise(unusual(user, *spent, usual, day));
                }
            }
        }
        Ok(())
    }

    async fn spent(&self, days: RangeInclusive<u32>) -> Result<Spent, StoreError> {
        let (by, order) = (vec![Dimension::User], Rank::Cost);
        let query = ReportQuery { days, filters: Vec::new(), by, order, after: None, limit: MOST };
        let rows = self.store.report(&query).await?;
        let named = |row: gatewright_store::Report| {
            let user = row.by.into_iter().next()??;
            Some((user, row.sums.cost.0 as f64 / 1e9))
        };
        Ok(rows.into_iter().filter_map(named).collect())
    }
}

/// Somebody who never spent anything before is new, not unusual.
fn is_unusual(spent: f64, usual: f64, args: &Args) -> bool {
    usual > 0.0 && spent >= args.spend_anomaly_min_spend && spent > usual * args.spend_anomaly_multiplier
}

fn over(user: &str, spent: f64, limit: f64, period: &str) -> Alert {
    let title = format!("A user spent more than ${limit} in {period}");
    Alert::new(Kind::UserSpendThresholds, format!("{user} {period}"), Severity::Medium, title)
        .fact("User", user)
        .fact("Spent", format!("${spent:.4}"))
}

fn unusual(user: &str, spent: f64, usual: f64, day: &str) -> Alert {
    let title = "A user spent far more than usual";
    Alert::new(Kind::UserSpendAnomalies, format!("{user} {day}"), Severity::Medium, title)
        .fact("User", user)
        .fact("Spent today", format!("${spent:.4}"))
        .fact("Usual in a day", format!("${usual:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unusual_is_much_and_many_times_the_usual() {
        for (spent, usual, is) in [
            (31.0, 10.0, true),
            (30.0, 10.0, false),
            (9.0, 1.0, false),
            (50.0, 0.0, false),
            (10.0, 3.0, true),
        ] {
            assert_eq!(is_unusual(spent, usual, &Args::default()), is, "{spent} of {usual}");
        }
    }
}
