//! LiteLLM's webhook event: the JSON that budget alerts and new keys and users are told in.

use serde::Serialize;

/// The event. Amounts are dollars; what is unknown is `null`, as LiteLLM writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Event {
    /// What was spent.
    pub spend: f64,
    /// The most that may be.
    pub max_budget: Option<f64>,
    /// What may be before it is told.
    pub soft_budget: Option<f64>,
    /// The key's hash; never the key.
    pub token: Option<String>,
    /// The end user.
    pub customer_id: Option<String>,
    /// The user.
    pub user_id: Option<String>,
    /// The team.
    pub team_id: Option<String>,
    /// What people call the team.
    pub team_alias: Option<String>,
    /// The user's address.
    pub user_email: Option<String>,
    /// What people call the key.
    pub key_alias: Option<String>,
    /// When the budget will be used up, where that is foreseen: a day as `2026-11-30`.
    pub projected_exceeded_date: Option<String>,
    /// What will have been spent by the end of the period.
    pub projected_spend: Option<f64>,
    /// What happened.
    pub event: EventKind,
    /// To what kind of thing.
    pub event_group: EventGroup,
    /// The same in words.
    pub event_message: String,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A budget is used up.
    #[default]
    BudgetCrossed,
    /// A budget is nearly used up.
    ThresholdCrossed,
    /// It will be before its period ends, if that goes on.
    ProjectedLimitExceeded,
    /// A soft budget is used up.
    SoftBudgetCrossed,
    /// A key was made.
    KeyCreated,
    /// A user was made.
    InternalUserCreated,
    /// Something was spent.
    SpendTracked,
}

/// To what kind of thing it happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EventGroup {
    /// A user.
    InternalUser,
    /// A key.
    #[default]
    Key,
    /// A team.
    Team,
    /// The whole gateway.
    Proxy,
    /// An end user.
    Customer,
    /// An organization.
    Organization,
    /// A project.
    Project,
    /// A tag of calls.
    Tag,
}
