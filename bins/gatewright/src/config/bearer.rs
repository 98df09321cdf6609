//! `enable_jwt_auth` and `litellm_jwtauth`: tokens of identity providers.

use std::sync::Arc;

use gatewright_auth::{BearerSettings, ClaimNames, Role, ScopeGrant};
use serde_json::{Map, Value};

use super::file::Env;
use super::problem::Problems;
use super::read::Section;

/// The keys that do something. Any other would change who gets in, and nobody would notice that it does not.
const OBEYED: [&str; 25] = [
    "public_key_ttl",
    "public_key_stale_ttl",
    "leeway",
    "admin_jwt_scope",
    "admin_allowed_routes",
    "team_allowed_routes",
    "team_id_default",
    "user_id_upsert",
    "team_id_upsert",
    "user_allowed_email_domain",
    "user_allowed_roles",
    "role_mappings",
    "enforce_rbac",
    "scope_mappings",
    "enforce_scope_based_access",
    "enforce_team_based_model_access",
    "user_id_jwt_field",
    "user_email_jwt_field",
    "team_id_jwt_field",
    "team_ids_jwt_field",
    "org_id_jwt_field",
    "end_user_id_jwt_field",
    "user_roles_jwt_field",
    "roles_jwt_field",
    "object_id_jwt_field",
];

/// How tokens are checked, where they are accepted.
pub(super) fn settings(
    general: &Section<'_>,
    env: Env<'_>,
    problems: &mut Problems,
) -> Option<BearerSettings> {
    const KEY: &str = "litellm_jwtauth";
    if !general.flag("enable_jwt_auth", problems).unwrap_or(false) {
        return None;
    }
    let empty = Map::new();
    let map = match general.value(KEY) {
        None => &empty,
        Some(Value::Object(map)) => map,
        Some(_) => general.wrong(KEY, "keys and values", problems).unwrap_or(&empty),
    };
    let own = Section::new(general.at(KEY), map);
    let said = map.iter().filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)));
    for (key, _) in said.filter(|(key, _)| !OBEYED.contains(&key.as_str())) {
        problems.error(own.at(key), "unknown, or not supported yet: tokens would be judged without it");
    }
    let list = |name: &str| -> Vec<String> {
        let text = env(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect()
    };
    let keys = list("JWT_PUBLIC_KEY_URL");
    if keys.is_empty() {
        problems
            .error(general.at("enable_jwt_auth"), "JWT_PUBLIC_KEY_URL says where the provider's keys are");
    }
    let read = Reading { own, defaults: BearerSettings::default() };
    Some(read.settings((keys, list("JWT_AUDIENCE"), list("JWT_ISSUER")), problems))
}

struct Reading<'a> {
    own: Section<'a>,
    defaults: BearerSettings,
}

// === impl Reading ===

impl Reading<'_> {
    fn settings(
        &self,
        (keys, audiences, issuers): (Vec<String>, Vec<String>, Vec<String>),
        problems: &mut Problems,
    ) -> BearerSettings {
        let (own, defaults) = (&self.own, &self.defaults);
        let flag = |key: &str, problems: &mut Problems| own.flag(key, problems).unwrap_or(false);
        BearerSettings {
            keys,
            audiences,
            issuers,
            fresh: own.seconds("public_key_ttl", problems).unwrap_or(defaults.fresh),
            stale: own.seconds("public_key_stale_ttl", problems).unwrap_or(defaults.stale),
            leeway: own.seconds("leeway", problems).unwrap_or(defaults.leeway),
            admin_scope: own.text("admin_jwt_scope", problems).unwrap_or(defaults.admin_scope.clone()),
            admin_routes: self.routes("admin_allowed_routes", &defaults.admin_routes, problems),
            team_routes: self.routes("team_allowed_routes", &defaults.team_routes, problems),
            claims: self.claims(problems),
            default_team: own.text("team_id_default", problems).map(Arc::from),
            need_team: flag("enforce_team_based_model_access", problems),
            create_users: flag("user_id_upsert", problems),
            create_teams: flag("team_id_upsert", problems),
            email_domain: own.text("user_allowed_email_domain", problems),
            user_roles: own.texts("user_allowed_roles", problems),
            roles: self.roles(problems),
            enforce_roles: flag("enforce_rbac", problems),
            scopes: self.scopes(problems),
            enforce_scopes: flag("enforce_scope_based_access", problems),
        }
    }

    fn claims(&self, problems: &mut Problems) -> ClaimNames {
        let mut name = |key: &str| self.own.text(key, problems).filter(|name| !name.is_empty());
        ClaimNames {
            user: name("user_id_jwt_field"),
            email: name("user_email_jwt_field"),
            team: name("team_id_jwt_field"),
            teams: name("team_ids_jwt_field"),
            organization: name("org_id_jwt_field"),
            end_user: name("end_user_id_jwt_field"),
            user_roles: name("user_roles_jwt_field"),
            roles: name("roles_jwt_field"),
            object: name("object_id_jwt_field"),
        }
    }

    fn routes(&self, key: &str, default: &[Arc<str>], problems: &mut Problems) -> Vec<Arc<str>> {
        match self.own.value(key) {
            None => default.to_vec(),
            Some(_) => self.own.texts(key, problems).into_iter().map(Arc::from).collect(),
        }
    }

    /// `[{role: litellm.api.consumer, internal_role: team}, …]`.
    fn roles(&self, problems: &mut Problems) -> Vec<(String, Role)> {
        let role = |entry: &Section<'_>, problems: &mut Problems| {
            let meant = match entry.text("internal_role", problems)?.as_str() {
                "proxy_admin" => Role::Admin,
                "team" => Role::Team,
                "internal_user" => Role::User,
                _ => return entry.wrong("internal_role", "proxy_admin, team or internal_user", problems),
            };
            Some((entry.text("role", problems)?, meant))
        };
        self.entries("role_mappings", role, problems)
    }

    /// `[{scope: litellm.api.consumer, models: […], routes: […]}, …]`.
    fn scopes(&self, problems: &mut Problems) -> Vec<ScopeGrant> {
        let grant = |entry: &Section<'_>, problems: &mut Problems| {
            let mut names = |key: &str| entry.texts(key, problems).into_iter().map(Arc::from).collect();
            let (models, routes) = (names("models"), names("routes"));
            Some(ScopeGrant { scope: entry.text("scope", problems)?, models, routes })
        };
        self.entries("scope_mappings", grant, problems)
    }

    fn entries<T>(
        &self,
        key: &str,
        read: impl Fn(&Section<'_>, &mut Problems) -> Option<T>,
        problems: &mut Problems,
    ) -> Vec<T> {
        let list = match self.own.value(key) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => return self.own.wrong(key, "a list", problems).unwrap_or_default(),
        };
        let mut all = Vec::new();
        for (nth, entry) in list.iter().enumerate() {
            let path = format!("{}[{nth}]", self.own.at(key));
            let found = entry.as_object().and_then(|map| read(&Section::new(path.clone(), map), problems));
            match found {
                Some(found) => all.push(found),
                None => problems.error(path, "this entry cannot be read"),
            }
        }
        all
    }
}
