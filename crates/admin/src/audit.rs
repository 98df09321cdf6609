//! `/audit`: who changed what.

use gatewright_store::{Audit, AuditQuery, Kind};
use serde_json::{Value, json};

use crate::ask::Ask;
use crate::calendar;
use crate::failure::{Failure, Result};
use crate::page::Page;
use crate::veil;

/// The most changes that are counted.
const MOST_COUNTED: u64 = 100_000;

/// LiteLLM's names for the tables of what was changed.
const TABLES: [(Kind, &str); 12] = [
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
    (Kind::Setting, "LiteLLM_CacheConfig"),
];

/// `GET /audit`: pages of changes, the latest first.
pub(crate) async fn list(ask: &mut Ask) -> Result<Value> {
    let page = Page::read(ask, "page_size", 10)?;
    let text = |name: &str| ask.param(name).map(str::to_owned);
    let kind = ask.param("table_name").and_then(|name| TABLES.iter().find(|(_, table)| *table == name));
    let query = AuditQuery {
        kind: kind.map(|(kind, _)| *kind),
        object_id: text("object_id"),
        actor: text("changed_by"),
        action: text("action"),
        skip: page.skip(),
        limit: page.size,
        ..AuditQuery::default()
    };
    let total = ask.store().count_audits(&query, MOST_COUNTED).await?;
    let changes = ask.store().audits(&query).await?;
    let told: Vec<Value> = changes.iter().map(shown).collect();
    Ok(json!({
        "audit_logs": told, "total": total, "page": page.number, "page_size": page.size,
        "total_pages": page.of(total),
    }))
}

/// `GET /audit/{id}`.
pub(crate) async fn info(ask: &mut Ask) -> Result<Value> {
    let missing = || Failure::missing("no such line in the audit log");
    let id = ask.required_param("id")?.parse().map_err(|_| missing())?;
    let query = AuditQuery { id: Some(id), limit: 1, ..AuditQuery::default() };
    ask.store().audits(&query).await?.first().map(shown).ok_or_else(missing)
}

fn shown(change: &Audit) -> Value {
    let table = TABLES.iter().find(|(kind, _)| kind.name() == change.kind).map_or(&*change.kind, |row| row.1);
    let document = |text: &Option<String>| -> Value {
        let mut written: Value =
            text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if let Some(metadata) = written.pointer_mut("/fields/metadata") {
            *metadata = veil::veiled(metadata.take());
        }
        written
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
