//! What administrators make: keys, teams, users and so on, all stored alike.

use std::time::SystemTime;

use serde_json::{Map, Value, json};

use crate::moment::micros;

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A company or department.
    Organization,
    /// A team of users.
    Team,
    /// A project of a team or an organization.
    Project,
    /// A person or a service.
    User,
    /// A user in a team, an organization or a project.
    Membership,
    /// A virtual key; its id is the hash.
    Key,
    /// The end user of a client.
    Customer,
    /// Limits that several may share.
    Budget,
    /// A tag of calls.
    Tag,
    /// A deployment that was not made in the file.
    Model,
    /// What a provider is shown.
    Credential,
    /// Settings of the gateway that are changed while it runs.
    Setting,
}

/// What somebody wants to store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// What people call it. Of keys, no two may have the same.
    pub alias: Option<String>,
    /// What it belongs to.
    pub parents: Parents,
    /// Whether it is switched off.
    pub blocked: bool,
    /// When it ends.
    pub expires_at: Option<SystemTime>,
    /// Everything else. Secrets are hashed or encrypted before they come here.
    pub fields: Map<String, Value>,
}

/// What a row belongs to, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parents {
    /// The organization.
    pub organization: Option<String>,
    /// The team.
    pub team: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The project.
    pub project: Option<String>,
    /// The budget that holds its limits.
    pub budget: Option<String>,
}

/// A row as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its id.
    pub id: String,
    /// What it says.
    pub draft: Draft,
    /// Grows with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: SystemTime,
    /// By whom.
    pub created_by: String,
    /// When it was changed last.
    pub updated_at: SystemTime,
    /// By whom.
    pub updated_by: String,
}

// === impl Kind ===

impl Kind {
    /// All there are.
    pub const ALL: [Self; 12] = [
        Self::Organization,
        Self::Team,
        Self::Project,
        Self::User,
        Self::Membership,
        Self::Key,
        Self::Customer,
        Self::Budget,
        Self::Tag,
        Self::Model,
        Self::Credential,
        Self::Setting,
    ];

    /// Its name in the archive and in the audit log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Team => "team",
            Self::Project => "project",
            Self::User => "user",
            Self::Membership => "membership",
            Self::Key => "key",
            Self::Customer => "customer",
            Self::Budget => "budget",
            Self::Tag => "tag",
            Self::Model => "model",
            Self::Credential => "credential",
            Self::Setting => "setting",
        }
    }

    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Organization => "organizations",
            Self::Team => "teams",
            Self::Project => "projects",
            Self::User => "users",
            Self::Membership => "memberships",
            Self::Key => "keys",
            Self::Customer => "customers",
            Self::Budget => "budgets",
            Self::Tag => "tags",
            Self::Model => "models",
            Self::Credential => "credentials",
            Self::Setting => "settings",
        }
    }
}

// === impl Object ===

impl Object {
    /// All of it, for the archive and the audit log; moments in microseconds since 1970.
    pub(crate) fn to_json(&self) -> Value {
        let Draft { alias, parents, blocked, expires_at, fields } = &self.draft;
        json!({
            "id": self.id,
            "alias": alias,
            "organization_id": parents.organization,
            "team_id": parents.team,
            "user_id": parents.user,
            "project_id": parents.project,
            "budget_id": parents.budget,
            "blocked": blocked,
            "expires_at": expires_at.map(micros),
            "fields": fields,
            "version": self.version,
            "created_at": micros(self.created_at),
            "created_by": self.created_by,
            "updated_at": micros(self.updated_at),
            "updated_by": self.updated_by,
        })
    }
}
