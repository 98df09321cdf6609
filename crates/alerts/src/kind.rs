//! What alerts are about: LiteLLM's alert types, one row each.

use std::time::Duration;

use crate::Args;

/// How often the same thing is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Once within `alert_ttl`: what goes on as long as its cause does.
    Ongoing,
    /// Once within `budget_alert_ttl`.
    Budget,
    /// Once within `outage_alert_ttl`.
    Outage,
    /// Once within `region_outage_alert_ttl`.
    Region,
    /// Once, whoever else has seen it: what happened at one moment, or a report on one period.
    Once,
}

/// How long it is remembered that something was told which is told once.
const FOR_GOOD: Duration = Duration::from_secs(40 * 86_400);

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident { $name:literal, $usual:literal, $pace:ident })*) => {
        /// What an alert is about. The table beside it gives LiteLLM's name, whether it is told where nobody names kinds,
        /// and how often the same thing is told.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($(#[doc = $doc])* $kind,)* }

        impl Kind {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// LiteLLM's name of it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            /// Whether it is told where nobody says which are.
            pub fn is_usual(self) -> bool {
                match self { $(Self::$kind => $usual,)* }
            }

            /// How often the same thing is told.
            pub fn pace(self) -> Pace {
                match self { $(Self::$kind => Pace::$pace,)* }
            }
        }
    };
}

kinds! {
    /// Calls failed that their providers did not answer.
    LlmExceptions { "llm_exceptions", true, Ongoing }
    /// A call took longer than the threshold.
    LlmTooSlow { "llm_too_slow", true, Ongoing }
    /// Calls are open for longer than the threshold.
    LlmRequestsHanging { "llm_requests_hanging", true, Ongoing }
    /// A budget was crossed, nearly, or will be.
    BudgetAlerts { "budget_alerts", true, Budget }
    /// What was spent in a period.
    SpendReports { "spend_reports", true, Once }
    /// Something that was spent may not be booked.
    FailedTrackingSpend { "failed_tracking_spend", true, Ongoing }
    /// A user spent more than a threshold in a day or a month.
    UserSpendThresholds { "user_spend_thresholds", false, Once }
    /// A user spent far more today than on the days before.
    UserSpendAnomalies { "user_spend_anomalies", false, Once }
    /// The database does not answer.
    DbExceptions { "db_exceptions", true, Ongoing }
    /// How the deployments did.
    DailyReports { "daily_reports", true, Once }
    /// A deployment rests after failures.
    CooldownDeployment { "cooldown_deployment", true, Ongoing }
    /// A model was added over HTTP.
    NewModelAdded { "new_model_added", true, Once }
    /// A deployment fails again and again.
    OutageAlerts { "outage_alerts", true, Outage }
    /// Several deployments of a provider in one region do.
    RegionOutageAlerts { "region_outage_alerts", true, Region }
    /// How often other groups answered in place of those that were asked.
    FallbackReports { "fallback_reports", true, Once }
    /// A key was made.
    NewVirtualKeyCreated { "new_virtual_key_created", false, Once }
    /// A key was changed.
    VirtualKeyUpdated { "virtual_key_updated", false, Once }
    /// A key was deleted.
    VirtualKeyDeleted { "virtual_key_deleted", false, Once }
    /// A team was made.
    NewTeamCreated { "new_team_created", false, Once }
    /// A team was changed.
    TeamUpdated { "team_updated", false, Once }
    /// A team was deleted.
    TeamDeleted { "team_deleted", false, Once }
    /// A user was made.
    NewInternalUserCreated { "new_internal_user_created", false, Once }
    /// A user was changed.
    InternalUserUpdated { "internal_user_updated", false, Once }
    /// A user was deleted.
    InternalUserDeleted { "internal_user_deleted", false, Once }
}

/// Some kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u32);

// === impl Kind ===

impl Kind {
    /// The kind of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

// === impl Pace ===

impl Pace {
    /// How long the same thing is not told again.
    pub fn ttl(self, args: &Args) -> Duration {
        match self {
            Self::Ongoing => args.alert_ttl,
            Self::Budget => args.budget_alert_ttl,
            Self::Outage => args.outage_alert_ttl,
            Self::Region => args.region_outage_alert_ttl,
            Self::Once => FOR_GOOD,
        }
    }
}

// === impl Kinds ===

impl Kinds {
    /// Those that are told where nobody names any.
    pub fn usual() -> Self {
        Kind::ALL.iter().copied().filter(|kind| kind.is_usual()).collect()
    }

    /// Whether this is one of them.
    pub fn has(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }

    /// One more.
    #[must_use]
    pub fn with(self, kind: Kind) -> Self {
        Self(self.0 | bit(kind))
    }

    /// Those that are not among the others.
    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), Self::with)
    }
}

fn bit(kind: Kind) -> u32 {
    1 << kind as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_and_a_bit_of_its_own() {
        assert!(Kind::ALL.len() <= 32);
        for kind in Kind::ALL.iter().copied() {
            assert_eq!(Kind::parse(kind.name()), Some(kind));
            let only = Kinds::default().with(kind);
            let others: Kinds = Kind::ALL.iter().copied().filter(|other| *other != kind).collect();
            assert!(only.has(kind) && !others.has(kind) && !only.without(only).has(kind));
        }
    }
}
