//! What a token claims, as far as it means something here.

use std::sync::Arc;

use gatewright_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::{Map, Value};

use super::settings::{BearerSettings, Role};

/// Whom a token stands for. Two tokens that claim the same are the same caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Claimed {
    /// Administrates.
    pub admin: bool,
    /// The user.
    pub user: Option<Arc<str>>,
    /// The user's address.
    pub email: Option<Arc<str>>,
    /// Teams, of which the first one counts that is there.
    pub teams: Vec<Arc<str>>,
    /// The organization.
    pub organization: Option<Arc<str>>,
    /// The end user.
    pub end_user: Option<Arc<str>>,
    /// The only models that may be used, where scopes say so.
    pub models: Option<Vec<Arc<str>>>,
    /// The only routes that may be called, where something says so.
    pub routes: Vec<Arc<str>>,
    /// Whether a user that is not there yet is made.
    pub create_user: bool,
    /// Whether a team that is not there yet is made.
    pub create_team: bool,
}

/// The longest id that a claim may give.
const LONGEST: usize = 256;

/// The most teams of one token.
const MOST_TEAMS: usize = 200;

// === impl Claimed ===

impl Claimed {
    /// What the claims of a checked token mean.
    pub(crate) fn new(settings: &BearerSettings, claims: &Map<String, Value>) -> Result<Self> {
        let names = &settings.claims;
        let texts =
            |name: &Option<String>| name.as_deref().map(|name| texts(at(claims, name))).unwrap_or_default();
        let first = |name: &Option<String>| texts(name).into_iter().next();
        let scopes = words(claims.get("scope"));
        let mut claimed = Self {
            admin: scopes.contains(&settings.admin_scope),
            // An address is as good as an id, where there is no other.
            user: first(&names.user).or_else(|| first(&names.email)),
            email: first(&names.email),
            teams: texts(&names.team).into_iter().chain(texts(&names.teams)).take(MOST_TEAMS).collect(),
            organization: first(&names.organization),
            end_user: first(&names.end_user),
            ..Self::default()
        };
        claimed.take_role(settings, &texts(&names.roles), first(&names.object))?;
        if claimed.admin {
            claimed.routes = settings.admin_routes.clone();
            return claimed.bounded();
        }
        let roles = texts(&names.user_roles);
        if !settings.user_roles.is_empty()
            && !roles.iter().any(|role| settings.user_roles.iter().any(|allowed| **allowed == **role))
        {
            return Err(forbidden("none of the token's roles may call"));
        }
        if let Some(domain) = &settings.email_domain {
            let of_domain = claimed.email.as_deref().and_then(|email| email.rsplit_once('@'));
            if !of_domain.is_some_and(|(_, of)| of.eq_ignore_ascii_case(domain)) {
                return Err(forbidden("users of the token's domain may not call"));
            }
        }
        if claimed.teams.is_empty() {
            claimed.teams.extend(settings.default_team.clone());
        }
        if claimed.teams.is_empty() && settings.need_team {
            return Err(forbidden("the token must belong to a team"));
        }
        if claimed.teams.is_empty() && claimed.user.is_none() {
            return Err(forbidden("the token names neither a user nor a team that is known here"));
        }
        if !claimed.teams.is_empty() {
            claimed.routes = settings.team_routes.clone();
        }
        claimed.take_scopes(settings, &scopes)?;
        (claimed.create_user, claimed.create_team) = (settings.create_users, settings.create_teams);
        claimed.bounded()
    }

    fn take_role(
        &mut self,
        settings: &BearerSettings,
        roles: &[Arc<str>],
        object: Option<Arc<str>>,
    ) -> Result<()> {
        let meant = settings.roles.iter().find(|(name, _)| roles.iter().any(|role| **role == **name));
        match (meant.map(|(_, role)| *role), object) {
            (Some(Role::Admin), _) => self.admin = true,
            (Some(Role::Team), Some(team)) => self.teams.insert(0, team),
            (Some(Role::User), Some(user)) => self.user = Some(user),
            (Some(Role::Team | Role::User), None) => {}
            (None, _) if settings.enforce_roles && !self.admin => {
                return Err(forbidden("the token has no role that may call"));
            }
            (None, _) => {}
        }
        Ok(())
    }

    fn take_scopes(&mut self, settings: &BearerSettings, scopes: &[String]) -> Result<()> {
        if !settings.enforce_scopes {
            return Ok(());
        }
        let granted: Vec<_> = settings.scopes.iter().filter(|grant| scopes.contains(&grant.scope)).collect();
        if granted.is_empty() {
            return Err(forbidden("none of the token's scopes opens a model"));
        }
        // One scope that opens everything opens everything.
        if granted.iter().all(|grant| !grant.models.is_empty()) {
            self.models = Some(granted.iter().flat_map(|grant| grant.models.clone()).collect());
        }
        if granted.iter().all(|grant| !grant.routes.is_empty()) {
            self.routes = granted.iter().flat_map(|grant| grant.routes.clone()).collect();
        }
        Ok(())
    }

    fn bounded(self) -> Result<Self> {
        let ids = [&self.user, &self.email, &self.organization, &self.end_user];
        let long = ids.into_iter().flatten().chain(&self.teams).any(|id| id.len() > LONGEST);
        match long {
            true => Err(forbidden("a claim of the token is too long")),
            false => Ok(self),
        }
    }
}

/// A claim by its name, which may have a dot of its own, or lead into objects.
fn at<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        at(claims.get(first)?.as_object()?, rest)
    })
}

fn texts(value: Option<&Value>) -> Vec<Arc<str>> {
    let text = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(Arc::from(text.as_str())),
        Value::Number(number) => Some(number.to_string().into()),
        _ => None,
    };
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(text).collect(),
        Some(value) => text(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Scopes come as a text with spaces, or as a list.
fn words(value: Option<&Value>) -> Vec<String> {
    texts(value).iter().flat_map(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn forbidden(why: &str) -> Error {
    Error::new(ErrorKind::Forbidden, format!("Authentication Error, {why}."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::settings::{ClaimNames, ScopeGrant};
    use super::*;

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn settings() -> BearerSettings {
        let claims = ClaimNames {
            user: some("sub"),
            email: some("email"),
            team: some("client_id"),
            teams: some("resource.groups"),
            roles: some("roles"),
            object: some("oid"),
            ..ClaimNames::default()
        };
        BearerSettings { claims, ..BearerSettings::default() }
    }

    fn claimed(settings: &BearerSettings, claims: Value) -> Result<Claimed> {
        Claimed::new(settings, claims.as_object().unwrap())
    }

    #[test]
    fn claims_mean_a_user_and_teams() {
        let claims = json!({"sub": "ann", "client_id": "red", "resource": {"groups": ["blue", 7, null]}});
        let told = claimed(&settings(), claims).unwrap();
        assert_eq!(told.user.as_deref(), Some("ann"));
        assert_eq!(told.teams, ["red", "blue", "7"].map(Arc::from));
        assert_eq!(told.routes[0], "openai_routes".into());
        let alone = claimed(&settings(), json!({"sub": "ann"})).unwrap();
        assert!(alone.routes.is_empty() && alone.teams.is_empty() && !alone.admin);
        assert!(claimed(&settings(), json!({})).is_err());
        assert!(claimed(&settings(), json!({"sub": "x".repeat(257)})).is_err());
        let in_teams = BearerSettings { need_team: true, ..settings() };
        assert!(claimed(&in_teams, json!({"sub": "ann"})).is_err());
        assert!(claimed(&in_teams, json!({"sub": "ann", "client_id": "red"})).is_ok());
        let default = BearerSettings { default_team: Some("all".into()), ..settings() };
        assert_eq!(claimed(&default, json!({})).unwrap().teams, ["all".into()]);
    }

    #[test]
    fn scopes_and_roles_open_what_they_are_said_to() {
        for (scope, admin) in [
            (json!("a litellm_proxy_admin"), true),
            (json!(["litellm_proxy_admin"]), true),
            (json!("litellm_proxy"), false),
        ] {
            let told = claimed(&settings(), json!({"sub": "ann", "scope": scope})).unwrap();
            assert_eq!((told.admin, told.routes.contains(&"management_routes".into())), (admin, admin));
        }
        let roles = vec![("boss".to_owned(), Role::Admin), ("svc".to_owned(), Role::Team)];
        let by_role = BearerSettings { roles, enforce_roles: true, ..settings() };
        assert!(claimed(&by_role, json!({"roles": ["boss"]})).unwrap().admin);
        let team = claimed(&by_role, json!({"roles": "svc", "oid": "red"})).unwrap();
        assert_eq!((team.admin, team.teams), (false, vec!["red".into()]));
        assert!(claimed(&by_role, json!({"sub": "ann", "roles": ["other"]})).is_err());
        let grant = |scope: &str, models: &[&str]| ScopeGrant {
            scope: scope.to_owned(),
            models: models.iter().map(|model| Arc::from(*model)).collect(),
            routes: Vec::new(),
        };
        let scopes = vec![grant("small", &["mini"]), grant("large", &["max"]), grant("all", &[])];
        let by_scope = BearerSettings { scopes, enforce_scopes: true, ..settings() };
        let models = |scope: &str| {
            claimed(&by_scope, json!({"sub": "ann", "scope": scope}))
                .map(|told| told.models.map(|list| list.len()))
        };
        assert_eq!((models("small").unwrap(), models("small large").unwrap()), (Some(1), Some(2)));
        assert_eq!(models("small all").unwrap(), None);
        assert!(models("none").is_err());
    }

    #[test]
    fn only_users_of_the_domain_and_with_a_role_may_call() {
        let of_domain = BearerSettings { email_domain: some("acme.com"), ..settings() };
        for (email, may) in
            [("a@acme.com", true), ("a@ACME.com", true), ("a@acme.com.evil", false), ("a", false)]
        {
            assert_eq!(claimed(&of_domain, json!({"sub": "a", "email": email})).is_ok(), may, "{email}");
        }
        let claims = ClaimNames { user_roles: some("app.roles"), ..settings().claims };
        let with_role = BearerSettings { user_roles: vec!["basic".into()], claims, ..settings() };
        assert!(claimed(&with_role, json!({"sub": "a", "app": {"roles": ["basic"]}})).is_ok());
        assert!(claimed(&with_role, json!({"sub": "a", "app": {"roles": ["other"]}})).is_err());
    }
}
