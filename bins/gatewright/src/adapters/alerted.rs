//! What happened elsewhere, as alerts: budgets that were crossed, and what administrators changed.

use std::time::UNIX_EPOCH;

use gatewright_alerts::{Alert, Event, EventGroup, EventKind, Kind, Severity};
use gatewright_core::{Caller, Money, Utc};
use gatewright_limits::{Crossing, Mark};
use gatewright_store::{Audit, Kind as Row};
use serde_json::Value;

/// A budget that was crossed, in LiteLLM's words where a webhook's receiver compares them.
pub(crate) fn budget(crossing: &Crossing, caller: &Caller) -> Alert {
    let Crossing { scope, id, budget, mark, spent, period } = crossing;
    let (group, what) = group_of(scope);
    let (kind, word, severity, how) = match mark {
        Mark::Soft => (EventKind::SoftBudgetCrossed, "soft", Severity::Low, "Soft Budget Crossed".to_owned()),
        Mark::Share(percent) => {
            let left = 100_u8.saturating_sub(*percent);
            let how = format!("{left}% Threshold Crossed");
            (EventKind::ThresholdCrossed, if left < 10 { "5" } else { "15" }, Severity::Medium, how)
        }
        Mark::All => (EventKind::BudgetCrossed, "all", Severity::High, "Budget Crossed".to_owned()),
        Mark::Foreseen { .. } => {
            let how = "Projected Limit Exceeded".to_owned();
            (EventKind::ProjectedLimitExceeded, "foreseen", Severity::Medium, how)
        }
    };
    let message = format!("{what} Budget: {how}");
    let (projected_spend, projected_exceeded_date) = match mark {
        Mark::Foreseen { spend, on } => (Some(dollars(*spend)), Some(day(*on))),
        Mark::Soft | Mark::Share(_) | Mark::All => (None, None),
    };
    let text = |value: &Option<std::sync::Arc<str>>| value.as_deref().map(str::to_owned);
    let names = &caller.known_as;
    let is_soft = *mark == Mark::Soft;
    // Whose call it was says nothing about a budget that all have, and only their own is mailed to people.
    let shared = group == EventGroup::Proxy;
    let own = matches!(group, EventGroup::Key | EventGroup::InternalUser);
    let event = Event {
        spend: dollars(*spent),
        max_budget: (!is_soft).then(|| dollars(*budget)),
        soft_budget: is_soft.then(|| dollars(*budget)),
        token: (caller.key.is_some() && !shared).then(|| caller.id.to_string()),
        customer_id: (group == EventGroup::Customer).then(|| id.to_string()),
        user_id: text(&caller.user).filter(|_| !shared),
        team_id: text(&caller.team).filter(|_| !shared),
        team_alias: text(&names.team).filter(|_| !shared),
        user_email: text(&names.email).filter(|_| own),
        key_alias: text(&names.key).filter(|_| !shared),
        projected_exceeded_date,
        projected_spend,
        event: kind,
        event_group: group,
        event_message: message.clone(),
    };
    // A period of another length is another budget; its next turn is told when the time of this one is over.
    let subject = format!("{scope} {id} {} {word}", period.as_deref().unwrap_or_default());
    Alert::new(Kind::BudgetAlerts, subject, severity, message)
        .fact("Spent", format!("${spent}"))
        .fact("Budget", format!("${budget}"))
        .fact_if("Period", period.as_ref())
        .fact(what, shown(scope, id, caller))
        .fact_if("Team", event.team_alias.as_ref().or(event.team_id.as_ref()).filter(|_| own))
        .fact_if(
            "User",
            event.user_email.as_ref().or(event.user_id.as_ref()).filter(|_| group == EventGroup::Key),
        )
        .fact_if("Projected spend", event.projected_spend)
        .fact_if("Used up on", event.projected_exceeded_date.clone())
        .event(event)
}

/// A key, team, user or model that was made, changed or deleted; nothing for everything else.
pub(crate) fn change(audit: &Audit) -> Option<Alert> {
    let row = Row::ALL.into_iter().find(|kind| kind.name() == audit.kind)?;
    let (kind, title) = match (row, audit.action.as_str()) {
        (Row::Key, "created") => (Kind::NewVirtualKeyCreated, "A key was made"),
        (Row::Key, "updated") => (Kind::VirtualKeyUpdated, "A key was changed"),
        (Row::Key, "deleted") => (Kind::VirtualKeyDeleted, "A key was deleted"),
        (Row::Team, "created") => (Kind::NewTeamCreated, "A team was made"),
        (Row::Team, "updated") => (Kind::TeamUpdated, "A team was changed"),
        (Row::Team, "deleted") => (Kind::TeamDeleted, "A team was deleted"),
        (Row::User, "created") => (Kind::NewInternalUserCreated, "A user was made"),
        (Row::User, "updated") => (Kind::InternalUserUpdated, "A user was changed"),
        (Row::User, "deleted") => (Kind::InternalUserDeleted, "A user was deleted"),
        (Row::Model, "created") => (Kind::NewModelAdded, "A model was added"),
        _ => return None,
    };
    let document = audit.after.as_deref().or(audit.before.as_deref());
    let row_said: Value = document.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let said = |path: &str| row_said.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let alert = Alert::new(kind, audit.id.to_string(), Severity::Low, title)
        .fact("Id", &audit.object_id)
        .fact_if("Name", said("/alias"))
        .fact_if("Team", said("/team_id"))
        .fact_if("User", said("/user_id"))
        .fact("By", &audit.actor);
    Some(match created(kind, &audit.object_id, &row_said) {
        Some(event) => alert.event(event),
        None => alert,
    })
}

/// What LiteLLM's webhooks tell of a new key and a new user.
fn created(kind: Kind, id: &str, row: &Value) -> Option<Event> {
    let said = |path: &str| row.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let number = |path: &str| row.pointer(path).and_then(Value::as_f64);
    let common = Event {
        max_budget: number("/fields/max_budget"),
        soft_budget: number("/fields/soft_budget"),
        team_id: said("/team_id"),
        ..Event::default()
    };
    match kind {
        Kind::NewVirtualKeyCreated => Some(Event {
            event: EventKind::KeyCreated,
            event_group: EventGroup::Key,
            event_message: "API Key Created".to_owned(),
            token: Some(id.to_owned()),
            key_alias: said("/alias"),
            user_id: said("/user_id"),
            ..common
        }),
        Kind::NewInternalUserCreated => Some(Event {
            event: EventKind::InternalUserCreated,
            event_group: EventGroup::InternalUser,
            event_message: "Internal User Created".to_owned(),
            user_id: Some(id.to_owned()),
            user_email: said("/alias"),
            ..common
        }),
        _ => None,
    }
}

/// What LiteLLM calls it, and people do.
fn group_of(scope: &str) -> (EventGroup, &'static str) {
    match scope {
        "proxy" => (EventGroup::Proxy, "Proxy"),
        "team" | "model_per_team" => (EventGroup::Team, "Team"),
        "user" | "model_per_user" | "team_member" => (EventGroup::InternalUser, "User"),
        "end_user" => (EventGroup::Customer, "Customer"),
        "organization" | "model_per_organization" => (EventGroup::Organization, "Organization"),
        "project" | "model_per_project" => (EventGroup::Project, "Project"),
        "tag" => (EventGroup::Tag, "Tag"),
        _ => (EventGroup::Key, "Key"),
    }
}

/// A key's id is its hash, and people know it by other names.
fn shown(scope: &str, id: &str, caller: &Caller) -> String {
    let alias = caller.known_as.key.as_deref().or(Some(&*caller.name).filter(|name| !name.is_empty()));
    match (scope, alias) {
        ("api_key", Some(alias)) => alias.to_owned(),
        _ => id.to_owned(),
    }
}

fn dollars(money: Money) -> f64 {
    money.0 as f64 / 1e9
}

fn day(moment: std::time::SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Utc(seconds).to_string().chars().take_while(|letter| *letter != ' ').collect()
}
