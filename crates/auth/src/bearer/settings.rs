//! What an operator may set about the tokens of an identity provider.

use std::sync::Arc;
use std::time::Duration;

/// Which tokens are accepted, and what their claims mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerSettings {
    /// Where the provider's public keys are: a key set, or its discovery document.
    pub keys: Vec<String>,
    /// Audiences, one of which a token must have; any where there is none.
    pub audiences: Vec<String>,
    /// Issuers, one of which a token must have; any where there is none.
    pub issuers: Vec<String>,
    /// How long fetched keys are good, and how much longer while no others can be fetched.
    pub fresh: Duration,
    /// How much longer they are used while no others can be fetched.
    pub stale: Duration,
    /// How far the provider's clock may be off.
    pub leeway: Duration,
    /// The scope of administrators, and what they may call with it.
    pub admin_scope: String,
    /// What administrators may call.
    pub admin_routes: Vec<Arc<str>>,
    /// What tokens of a team may call.
    pub team_routes: Vec<Arc<str>>,
    /// Which claims say what.
    pub claims: ClaimNames,
    /// The team of tokens that name none.
    pub default_team: Option<Arc<str>>,
    /// Whether a token must name a team.
    pub need_team: bool,
    /// Whether users that are not there yet are made.
    pub create_users: bool,
    /// Whether teams that are not there yet are made.
    pub create_teams: bool,
    /// The only domain that users may be of.
    pub email_domain: Option<String>,
    /// Roles, one of which a user must have.
    pub user_roles: Vec<String>,
    /// What roles of the provider mean here.
    pub roles: Vec<(String, Role)>,
    /// Whether a token needs a role that means something.
    pub enforce_roles: bool,
    /// What scopes open.
    pub scopes: Vec<ScopeGrant>,
    /// Whether only that may be used which a scope opens.
    pub enforce_scopes: bool,
}

/// The names of claims; a dot leads into an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimNames {
    /// The user's id.
    pub user: Option<String>,
    /// The user's address.
    pub email: Option<String>,
    /// The team's id.
    pub team: Option<String>,
    /// Ids of several teams.
    pub teams: Option<String>,
    /// The organization's id.
    pub organization: Option<String>,
    /// The end user's id.
    pub end_user: Option<String>,
    /// Roles that a user must have one of.
    pub user_roles: Option<String>,
    /// Roles that mean something here.
    pub roles: Option<String>,
    /// The id of whoever has such a role.
    pub object: Option<String>,
}

/// What a role of the provider means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `proxy_admin`: everything that administrators may.
    Admin,
    /// `team`: the token is a team's.
    Team,
    /// `internal_user`: the token is a user's.
    User,
}

/// What a scope opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeGrant {
    /// The scope.
    pub scope: String,
    /// Models; all where there is none.
    pub models: Vec<Arc<str>>,
    /// Routes; all where there is none.
    pub routes: Vec<Arc<str>>,
}

impl Default for BearerSettings {
    fn default() -> Self {
        let texts = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
        Self {
            keys: Vec::new(),
            audiences: Vec::new(),
            issuers: Vec::new(),
            fresh: Duration::from_secs(600),
            stale: Duration::from_secs(3600),
            leeway: Duration::ZERO,
            admin_scope: "litellm_proxy_admin".to_owned(),
            admin_routes: texts(&[
                "management_routes",
                "spend_tracking_routes",
                "global_spend_tracking_routes",
                "info_routes",
            ]),
            team_routes: texts(&["openai_routes", "info_routes", "mcp_routes"]),
            claims: ClaimNames::default(),
            default_team: None,
            need_team: false,
            create_users: false,
            create_teams: false,
            email_domain: None,
            user_roles: Vec::new(),
            roles: Vec::new(),
            enforce_roles: false,
            scopes: Vec::new(),
            enforce_scopes: false,
        }
    }
}
