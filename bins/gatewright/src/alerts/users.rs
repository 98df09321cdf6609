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
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
}

type Spent = HashMap<Arc<str>, f64>;

// === impl Users ===

impl Users {
    /// Looks at them until it is dropped, where somebody is told of them.
    pub(super) async fn run(self, alerts: Alerts) {
        let args = alerts.args().clone();
        let thresholds = alerts.wants(Kind::UserSpendThresholds)
            && (args.daily_spend_per_user_threshold.is_some()
                || args.monthly_spend_per_user_threshold.is_some());
        let anomalies = alerts.wants(Kind::UserSpendAnomalies);
        if !thresholds && !anomalies {
            return;
        }
        loop {
            sleep(args.user_spend_check_interval).await;
            match self.look(&args, (thresholds, anomalies)).await {
                Ok(found) => found.into_iter().for_each(|alert| alerts.raise(alert)),
                Err(err) => warn!(error = %err, "what users spent cannot be read; it is looked at later"),
            }
        }
    }

    async fn look(
        &self,
        args: &Args,
        (thresholds, anomalies): (bool, bool),
    ) -> Result<Vec<Alert>, StoreError> {
        let now = self.clock.unix_seconds();
        let date = Utc(now).to_string();
        let (month, day) = (date.get(..7).unwrap_or_default(), date.get(..10).unwrap_or_default());
        let today = u32::try_from(now / DAY).unwrap_or(u32::MAX);
        let spent = self.spent(today..=today).await?;
        let mut alerts = Vec::new();
        if thresholds {
            let of_month: u32 = day.get(8..).and_then(|day| day.parse().ok()).unwrap_or(1);
            let of_month = self.spent(today.saturating_sub(of_month - 1)..=today).await?;
            for (spent, limit, period) in [
                (&spent, args.daily_spend_per_user_threshold, day),
                (&of_month, args.monthly_spend_per_user_threshold, month),
            ] {
                let Some(limit) = limit else { continue };
                let much = spent.iter().filter(|(_, spent)| **spent >= limit);
                alerts.extend(much.map(|(user, spent)| over(user, *spent, limit, period)));
            }
        }
        if anomalies {
            let days = args.spend_anomaly_baseline_days.max(1);
            let before = self.spent(today.saturating_sub(days)..=today.saturating_sub(1)).await?;
            let usual = |user: &Arc<str>| before.get(user).copied().unwrap_or(0.0) / f64::from(days);
            let much = spent.iter().filter(|(user, spent)| is_unusual(**spent, usual(user), args));
            alerts.extend(much.map(|(user, spent)| unusual(user, *spent, usual(user), day)));
        }
        Ok(alerts)
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
    use gatewright_core::HandClock;

    use super::*;
    use crate::alerts::reports::tests::spent_by;

    #[tokio::test]
    async fn who_spent_too_much_today_or_this_month_or_far_more_than_usual_is_told() {
        let (store, _dir) = crate::alerts::reports::tests::store().await;
        // 20 November 2026.
        let today = 20_777;
        let day = |n: u32, dollars: i64, user: &str| spent_by(today - n, dollars, [None, None, Some(user)]);
        let mut days: Vec<_> = (1..=7).map(|n| day(n, 10, "steady")).collect();
        days.extend((1..=7).map(|n| day(n, 4, "eager")));
        days.extend([day(0, 11, "steady"), day(0, 13, "eager"), day(0, 90, "new"), day(25, 500, "past")]);
        store.carry_days(&days).await.unwrap();
        let users = Users { store, clock: HandClock::at(u64::from(today) * DAY + 3600) };
        let args = Args {
            daily_spend_per_user_threshold: Some(50.0),
            monthly_spend_per_user_threshold: Some(80.0),
            ..Args::default()
        };
        let told = users.look(&args, (true, true)).await.unwrap();
        let mut told: Vec<_> = told.iter().map(|alert| (alert.kind.name(), &*alert.subject)).collect();
        told.sort_unstable();
        let (over, unusual) = ("user_spend_thresholds", "user_spend_anomalies");
        let wanted = [
            (unusual, "eager 2026-11-20"),
            (over, "new 2026-11"),
            (over, "new 2026-11-20"),
            (over, "steady 2026-11"),
        ];
        assert_eq!(told, wanted);
    }

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
