//! Whose money an attempt was: everybody that it is booked to.

use std::sync::Arc;

use gatewright_spend::Entry;

/// What a balance is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// A virtual key, by its hash.
    Key,
    /// A team.
    Team,
    /// A user.
    User,
    /// A user in a team, by [`member_id`].
    Member,
    /// A project.
    Project,
    /// An organization.
    Organization,
    /// The end user of a client.
    Customer,
    /// A tag.
    Tag,
    /// A model group for a key, by `key:model`.
    KeyModel,
    /// A model group for a team, by `team:model`.
    TeamModel,
    /// A model group for a user, by `user:model`.
    UserModel,
    /// A model group for the end user of a client, by `end user:model`.
    CustomerModel,
    /// A model group for a project, by `project:model`.
    ProjectModel,
    /// A model group for an organization, by `organization:model`.
    OrganizationModel,
    /// Everything, by the name of `proxy`.
    Proxy,
    /// A provider.
    Provider,
    /// A deployment.
    Deployment,
}

/// The only one of [`Scope::Proxy`].
const PROXY: &str = "proxy";

/// The id of a user in a team.
pub fn member_id(user: &str, team: &str) -> String {
    format!("{user}:{team}")
}

// === impl Scope ===

impl Scope {
    /// All there are.
    pub const ALL: [Self; 17] = [
        Self::Key,
        Self::Team,
        Self::User,
        Self::Member,
        Self::Project,
        Self::Organization,
        Self::Customer,
        Self::Tag,
        Self::KeyModel,
        Self::TeamModel,
        Self::UserModel,
        Self::CustomerModel,
        Self::ProjectModel,
        Self::OrganizationModel,
        Self::Proxy,
        Self::Provider,
        Self::Deployment,
    ];

    /// Its name in allowances and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "api_key",
            Self::Team => "team",
            Self::User => "user",
            Self::Member => "team_member",
            Self::Project => "project",
            Self::Organization => "organization",
            Self::Customer => "end_user",
            Self::Tag => "tag",
            Self::KeyModel => "model_per_key",
            Self::TeamModel => "model_per_team",
            Self::UserModel => "model_per_user",
            Self::CustomerModel => "model_per_end_user",
            Self::ProjectModel => "model_per_project",
            Self::OrganizationModel => "model_per_organization",
            Self::Proxy => PROXY,
            Self::Provider => "provider",
            Self::Deployment => "deployment",
        }
    }
}

/// Everybody that an attempt is booked to.
pub(crate) fn of(entry: &Entry) -> Vec<(Scope, Arc<str>)> {
    let (begin, tenant) = (&entry.begin, &entry.begin.tenant);
    let mut scopes = vec![
        (Scope::Key, Arc::clone(&begin.caller)),
        (Scope::Proxy, PROXY.into()),
        (Scope::Provider, Arc::clone(&begin.provider)),
        (Scope::Deployment, Arc::clone(&begin.deployment)),
    ];
    let parents = [
        (Scope::Team, &tenant.team),
        (Scope::User, &tenant.user),
        (Scope::Project, &tenant.project),
        (Scope::Organization, &tenant.organization),
        (Scope::Customer, &tenant.customer),
    ];
    scopes.extend(parents.into_iter().filter_map(|(scope, id)| Some((scope, id.clone()?))));
    scopes.extend(tenant.tags.iter().map(|tag| (Scope::Tag, Arc::clone(tag))));
    if let (Some(user), Some(team)) = (&tenant.user, &tenant.team) {
        scopes.push((Scope::Member, member_id(user, team).into()));
    }
    let models = [
        (Scope::KeyModel, Some(&begin.caller)),
        (Scope::TeamModel, tenant.team.as_ref()),
        (Scope::UserModel, tenant.user.as_ref()),
        (Scope::CustomerModel, tenant.customer.as_ref()),
        (Scope::ProjectModel, tenant.project.as_ref()),
        (Scope::OrganizationModel, tenant.organization.as_ref()),
    ];
    let of_model = |id: &Arc<str>| format!("{id}:{}", begin.group).into();
    scopes.extend(models.into_iter().filter_map(|(scope, id)| Some((scope, of_model(id?)))));
    scopes
}
