//! Who acts: a caller with its role, what it administers, and what is its own.

use std::sync::Arc;

use gatewright_auth::{Claimed, Credential, KeyHash};
use gatewright_core::Caller;
use gatewright_store::{Column, Filter, Kind, Object, Parents, Query, Store};
use http::StatusCode;
use serde_json::Value;

use crate::access::{Access, Standing};
use crate::failure::{Failure, Result};

/// LiteLLM's name for whoever holds the master key.
pub(crate) const MASTER: &str = "default_user_id";

/// The most memberships of one user that count.
const MOST_MEMBERSHIPS: u64 = 10_000;

/// Who acts.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    /// What the data plane knows of the caller.
    pub(crate) caller: Arc<Caller>,
    /// The row of its key; the master key and tokens have none.
    pub(crate) key: Option<Object>,
    /// What its token claims, where it has one in place of a key.
    pub(crate) token: Option<Arc<Claimed>>,
    standings: Vec<Standing>,
    leads: Vec<String>,
    organizes: Vec<String>,
    teams: Vec<String>,
}

// === impl Actor ===

impl Actor {
    /// Everything that a caller may be, as the database has it now.
    pub(crate) async fn new(
        store: &Store,
        caller: Arc<Caller>,
        credential: Option<&Credential>,
    ) -> Result<Self> {
        let mut actor = Self::bare(caller);
        if actor.caller.admin {
            return Ok(Self { standings: vec![Standing::ProxyAdmin], ..actor });
        }
        if let Some(credential) = credential {
            let hash = KeyHash::of(credential.reveal()).to_string();
            actor.key = store.objects(Kind::Key).find(&hash).await?;
        }
        // The data plane may remember for a minute what another replica changed; whoever changes things may not.
        if actor.key.as_ref().is_none_or(|key| key.draft.blocked) {
            let words = "Authentication Error, Invalid API key provided.";
            return Err(Failure::new(StatusCode::UNAUTHORIZED, "token_not_found_in_db", Some("key"), words));
        }
        actor.with_user(store).await
    }

    /// Whoever a token stands for that is no administrator's: it acts as a key of its user would.
    pub(crate) async fn of_token(store: &Store, caller: Arc<Caller>, claimed: Arc<Claimed>) -> Result<Self> {
        Self { token: Some(claimed), ..Self::bare(caller) }.with_user(store).await
    }

    /// A caller of which nothing else is known yet.
    fn bare(caller: Arc<Caller>) -> Self {
        Self {
            caller,
            key: None,
            token: None,
            standings: vec![Standing::Keyholder],
            leads: Vec::new(),
            organizes: Vec::new(),
            teams: Vec::new(),
        }
    }

    /// With the role and the memberships of its user, and no others.
    async fn with_user(mut self, store: &Store) -> Result<Self> {
        let Some(user) = self.caller.user.clone() else { return Ok(self) };
        let row = store.objects(Kind::User).find(&user).await?;
        // A key may name a user that nobody made: it has no role.
        let Some(row) = row.filter(|row| !row.draft.blocked) else { return Ok(self) };
        self.standings = vec![standing(row.draft.fields.get("user_role").and_then(Value::as_str))];
        self.join(&of_user(store, &user).await?);
        Ok(self)
    }

    fn join(&mut self, memberships: &[Object]) {
        for membership in memberships {
            let Parents { team, organization, .. } = membership.draft.parents.clone();
            let role = membership.draft.fields.get("role").and_then(Value::as_str);
            self.teams.extend(team.clone());
            self.leads.extend(team.filter(|_| role == Some("admin")));
            self.organizes.extend(organization.filter(|_| role == Some("org_admin")));
        }
        for (standing, list) in [(Standing::TeamAdmin, &self.leads), (Standing::OrgAdmin, &self.organizes)] {
            if !list.is_empty() && self.standings != [Standing::InternalUserViewer] {
                self.standings.push(standing);
            }
        }
    }

    /// The name that changes are written down with.
    pub(crate) fn name(&self) -> String {
        match (&self.caller.user, self.caller.admin) {
            (Some(user), _) => user.to_string(),
            (None, true) => MASTER.to_owned(),
            (None, false) => self.caller.id.to_string(),
        }
    }

    /// Its user, where it has one.
    pub(crate) fn user(&self) -> Option<&str> {
        self.caller.user.as_deref()
    }

    /// The teams that it is in.
    pub(crate) fn teams(&self) -> &[String] {
        &self.teams
    }

    /// May do everything.
    pub(crate) fn is_admin(&self) -> bool {
        self.has(Standing::ProxyAdmin)
    }

    /// Sees everything.
    pub(crate) fn sees_all(&self) -> bool {
        self.is_admin() || self.has(Standing::ProxyAdminViewer)
    }

    /// LiteLLM's name for what it is first of all.
    pub(crate) fn role(&self) -> &'static str {
        self.standings.first().map_or("unknown", |standing| standing.name())
    }

    /// Refuses whoever may call a route for nothing at all.
    pub(crate) fn enter(&self, access: Access, route: &str) -> Result<()> {
        if self.standings.iter().any(|standing| access.is_open_to(*standing)) {
            return Ok(());
        }
        let role = self.role();
        if route.starts_with("/model/") {
            return Err(Failure::no_models(role));
        }
        let words = format!(
            "Authentication Error, Only proxy admin can be used to generate, delete, update info for new \
             keys/users/teams. Route={route}. Your role={role}. Your user_id=*******"
        );
        Err(Failure::new(StatusCode::UNAUTHORIZED, "auth_error", None, &words))
    }

    /// Whether a route may be called for what belongs to these.
    pub(crate) fn may(&self, access: Access, parents: &Parents) -> bool {
        let as_one = |standing: Standing| self.has(standing) && access.is_open_to(standing);
        let is = |one: &Option<String>, list: &[String]| one.as_ref().is_some_and(|one| list.contains(one));
        let mine = parents.user.is_some() && parents.user.as_deref() == self.user();
        let in_team = parents.team.is_none() || is(&parents.team, &self.teams);
        as_one(Standing::ProxyAdmin)
            || as_one(Standing::ProxyAdminViewer)
            || (as_one(Standing::OrgAdmin) && is(&parents.organization, &self.organizes))
            || (as_one(Standing::TeamAdmin) && is(&parents.team, &self.leads))
            || (mine && in_team && (as_one(Standing::InternalUser) || as_one(Standing::InternalUserViewer)))
    }

    /// Refuses where it may not.
    pub(crate) fn check(&self, access: Access, parents: &Parents) -> Result<()> {
        if self.may(access, parents) {
            return Ok(());
        }
        let words = format!("You are not allowed to do this: only proxy admins and {} are.", access.name);
        Err(Failure::forbidden(&words))
    }

    /// Whether it administers this team, as itself or as the proxy's administrator.
    pub(crate) fn leads(&self, team: &str) -> bool {
        self.sees_all() || (self.has(Standing::TeamAdmin) && self.leads.iter().any(|led| led == team))
    }

    /// Whether it administers this organization.
    pub(crate) fn organizes(&self, organization: &str) -> bool {
        self.sees_all() || self.organizes.iter().any(|one| one == organization)
    }

    fn has(&self, standing: Standing) -> bool {
        self.standings.contains(&standing)
    }
}

/// The memberships of a user.
pub(crate) async fn of_user(store: &Store, user: &str) -> Result<Vec<Object>> {
    let query = Query { limit: MOST_MEMBERSHIPS, ..Query::of([Filter::Is(Column::User, user.to_owned())]) };
    Ok(store.objects(Kind::Membership).list(&query).await?)
}

fn standing(role: Option<&str>) -> Standing {
    match role {
        Some("proxy_admin") => Standing::ProxyAdmin,
        Some("proxy_admin_viewer") => Standing::ProxyAdminViewer,
        Some("internal_user_viewer") => Standing::InternalUserViewer,
        _ => Standing::InternalUser,
    }
}
