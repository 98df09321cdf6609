//! Which of LiteLLM's tables are brought, in which order, and which are not and why.

use gatewright_store::{ForeignTable, Kind, Scope};
use serde_json::Value;

/// A table whose rows become objects.
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) table: ForeignTable,
    /// The column that becomes the id.
    pub(super) id: &'static str,
    /// Columns that are brought in another way.
    pub(super) otherwise: &'static [&'static str],
    /// What its `spend` is the balance of.
    pub(super) scope: Option<Scope>,
}

/// Aliases of models that teams have.
pub(super) const ALIASES: ForeignTable = ForeignTable { name: "LiteLLM_ModelTable", key: &["id"] };

/// Without it, it is no database of LiteLLM's.
pub(super) const KEYS: ForeignTable = table("LiteLLM_VerificationToken");

/// What others name comes first.
pub(super) const PLAN: &[Step] = &[
    step(Kind::Budget, "LiteLLM_BudgetTable", &["budget_id"], None),
    step(Kind::Organization, "LiteLLM_OrganizationTable", &["organization_id"], Some(Scope::Organization)),
    Step {
        otherwise: &["members_with_roles", "model_id"],
        ..step(Kind::Team, "LiteLLM_TeamTable", &["team_id"], Some(Scope::Team))
    },
    Step {
        otherwise: &["teams", "team_id"],
        ..step(Kind::User, "LiteLLM_UserTable", &["user_id"], Some(Scope::User))
    },
    step(Kind::Project, "LiteLLM_ProjectTable", &["project_id"], Some(Scope::Project)),
    step(Kind::Key, "LiteLLM_VerificationToken", &["token"], Some(Scope::Key)),
    step(Kind::Customer, "LiteLLM_EndUserTable", &["user_id"], Some(Scope::Customer)),
    step(Kind::Tag, "LiteLLM_TagTable", &["tag_name"], Some(Scope::Tag)),
    Step {
        otherwise: &["credential_id"],
        ..step(Kind::Credential, "LiteLLM_CredentialsTable", &["credential_name"], None)
    },
    step(Kind::Model, "LiteLLM_ProxyModelTable", &["model_id"], None),
];

/// Tables with rows that this gateway has no place for.
pub(super) const BESIDE: &[(ForeignTable, &str)] = &[
    (table("LiteLLM_SpendLogs"), "single calls: their sums by day are brought"),
    (table("LiteLLM_DailyTagSpend"), "sums of days are brought by key and user only"),
    (table("LiteLLM_DailyEndUserSpend"), "sums of days are brought by key and user only"),
    (table("LiteLLM_BudgetWindowSpend"), "budgets of several times begin anew"),
    (table("LiteLLM_AuditLog"), "who changed what before is LiteLLM's to tell"),
    (
        table("LiteLLM_DeprecatedVerificationToken"),
        "keys in their grace after a rotation: rotate again, or wait",
    ),
    (table("LiteLLM_JWTKeyMapping"), "there are no keys for claims of tokens"),
    (table("LiteLLM_InvitationLink"), "nobody is invited here"),
    (table("LiteLLM_ObjectPermissionTable"), "permissions on tools and vector stores"),
    (table("LiteLLM_AccessGroupTable"), "access groups are not there yet"),
    (table("LiteLLM_Config"), "settings belong into the file"),
    (table("LiteLLM_GuardrailsTable"), "there are no guardrails yet"),
    (table("LiteLLM_MCPServerTable"), "there are no tool servers yet"),
    (table("LiteLLM_PromptTable"), "there are no prompts yet"),
    (table("LiteLLM_AgentsTable"), "there are no agents yet"),
];

/// A JSON document that may have been written as a text.
pub(super) fn document(value: Value) -> Value {
    match value {
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::Null),
        other => other,
    }
}

const fn step(kind: Kind, name: &'static str, key: &'static [&'static str], scope: Option<Scope>) -> Step {
    Step { kind, table: ForeignTable { name, key }, id: key[0], otherwise: &[], scope }
}

const fn table(name: &'static str) -> ForeignTable {
    ForeignTable { name, key: &[] }
}
