//! Who may call what: one row a route in `routes.rs`, one of these in each.

/// What a caller may be. Somebody may be several at once: a user who administers a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The master key, and keys of users with the role `proxy_admin`.
    ProxyAdmin,
    /// Keys of users with the role `proxy_admin_viewer`: they see everything.
    ProxyAdminViewer,
    /// Keys of users who administer an organization, for what belongs to it.
    OrgAdmin,
    /// Keys of users who administer a team, for what belongs to it.
    TeamAdmin,
    /// Keys of users, for what is theirs.
    InternalUser,
    /// Keys of users who only look, at what is theirs.
    InternalUserViewer,
    /// Keys of nobody, for themselves.
    Keyholder,
}

/// Which standings a route is open to. Proxy administrators may call all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The name that messages and documentation have for it.
    pub name: &'static str,
    open: &'static [Standing],
}

use Standing::{InternalUser, InternalUserViewer, Keyholder, OrgAdmin, ProxyAdminViewer, TeamAdmin};

/// The proxy's administrators only.
pub(crate) const ADMIN: Access = Access { name: "administrators", open: &[] };
/// Administrators, and those who may look.
pub(crate) const WATCH: Access = Access { name: "administrators and viewers", open: &[ProxyAdminViewer] };
/// Writing what belongs to an organization.
pub(crate) const ORGANIZE: Access = Access { name: "administrators of the organization", open: &[OrgAdmin] };
/// Writing what belongs to a team.
pub(crate) const LEAD: Access = Access { name: "administrators of the team", open: &[OrgAdmin, TeamAdmin] };
/// Writing what belongs to a user.
pub(crate) const OWN: Access =
    Access { name: "whoever it belongs to", open: &[OrgAdmin, TeamAdmin, InternalUser] };
/// Reading what belongs to oneself, or to what one administers.
pub(crate) const LOOK: Access = Access {
    name: "whoever may see it",
    open: &[ProxyAdminViewer, OrgAdmin, TeamAdmin, InternalUser, InternalUserViewer, Keyholder],
};

/// All of them.
pub const ACCESSES: [Access; 6] = [ADMIN, WATCH, ORGANIZE, LEAD, OWN, LOOK];

// === impl Standing ===

impl Standing {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ProxyAdmin,
        Self::ProxyAdminViewer,
        Self::OrgAdmin,
        Self::TeamAdmin,
        Self::InternalUser,
        Self::InternalUserViewer,
        Self::Keyholder,
    ];

    /// LiteLLM's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProxyAdmin => "proxy_admin",
            Self::ProxyAdminViewer => "proxy_admin_viewer",
            Self::OrgAdmin => "org_admin",
            Self::TeamAdmin => "team admin",
            Self::InternalUser => "internal_user",
            Self::InternalUserViewer => "internal_user_viewer",
            Self::Keyholder => "unknown",
        }
    }
}

// === impl Access ===

impl Access {
    /// Whether somebody of this standing may call, for what is theirs.
    pub fn is_open_to(self, standing: Standing) -> bool {
        standing == Standing::ProxyAdmin || self.open.contains(&standing)
    }
}
