//! `/audit`: who changed what.

use gatewright_store::{Audit, AuditQuery, Kind};
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::calendar;
use crate::failure::Result;
use crate::objects::MOST;
use crate::page::Page;

/// LiteLLM's names for the tables of what was changed.
const TABLES: [(Kind, &str); 11] = [
    (Kind::Key, "LiteLLM_VerificationToken"),
    (Kind::Team, "LiteLLM_TeamTable"),
    (Kind::User, "LiteLLM_UserTable"),
    (Kind::Organization, "LiteLLM_OrganizationTable"),
    (Kind::Project, "LiteLLM_ProjectTable"),
    (Kind::Customer, "LiteLLM_EndUserTable"),
    (Kind::Budget, "LiteLLM_BudgetTable"),
    (Kind::Tag, "LiteLLM_TagTable"),
    (Kind::Membership, "LiteLLM_TeamMembership"),
    (Kind::Model, "LiteLLM_ProxyModelTable"),
    (Kind::Credential, "LiteLLM_CredentialsTable"),
];

/// `GET /audit`: pages of changes, the latest first.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let page = Page::read(ask, "page_size", 10)?;
    let kind = ask.param("table_name").and_then(|name| TABLES.iter().find(|(_, table)| *table == name));
    let query = AuditQuery {
        kind: kind.map(|(kind, _)| *kind),
        object_id: ask.param("object_id").map(str::to_owned),
        actor: ask.param("changed_by").map(str::to_owned),
        before: None,
        limit: MOST,
    };
    let mut changes = ask.store().audits(&query).await?;
    if let Some(action) = ask.param("action") {
        changes.retain(|change| change.action == action);
    }
    let total = changes.len() as u64;
    let skip = usize::try_from(page.query().skip).unwrap_or(usize::MAX);
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let told: Vec<Value> = changes.iter().skip(skip).take(size).map(shown).collect();
    Ok(json!({
        "audit_logs": told, "total": total, "page": page.number, "page_size": page.size,
        "total_pages": page.of(total),
    }))
}

/// `GET /audit/{id}`.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let id = ask.required_param("id")?.to_owned();
    let changes = ask.store().audits(&AuditQuery { limit: MOST, ..AuditQuery::default() }).await?;
    let found = changes.iter().find(|change| change.id.to_string() == id);
    found.map(shown).ok_or_else(|| crate::failure::Failure::missing("no such line in the audit log"))
}

fn shown(change: &Audit) -> Value {
    let table = TABLES.iter().find(|(kind, _)| kind.name() == change.kind).map_or(&*change.kind, |row| row.1);
    let document = |text: &Option<String>| -> Value {
        text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    };
    json!({
        "id": change.id.to_string(),
        "updated_at": calendar::printed(change.at),
        "changed_by": change.actor,
        "changed_by_api_key": "",
        "action": change.action,
        "table_name": table,
        "object_id": change.object_id,
        "before_value": document(&change.before),
        "updated_values": document(&change.after),
    })
}
