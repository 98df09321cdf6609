//! Users.

use gatewright_store::Kind;

use crate::Table;
use crate::field::{
    Field, Form, Place, Shown, Unset, Writer, any, count, dollars, flag, inside, map, read, span, spend,
    text, texts,
};

/// A person or a service.
pub(crate) const USER: Table = Table {
    kind: Kind::User,
    word: "User",
    id: "user_id",
    fields: &[
        text("user_id").at(Place::Id).by(Writer::Nobody),
        text("user_alias"),
        // Users are looked up by their address.
        text("user_email").at(Place::Alias).by(Writer::Administrator),
        text("user_role").by(Writer::Administrator),
        text("sso_user_id").by(Writer::Administrator),
        text("organization_id").at(Place::Organization).by(Writer::Administrator),
        flag("blocked").at(Place::Blocked).by(Writer::Administrator).shown(Shown::Never),
        // What it may do.
        texts("models").by(Writer::Administrator),
        texts("allowed_cache_controls").by(Writer::Administrator),
        texts("policies").by(Writer::Administrator),
        any("object_permission").by(Writer::Administrator),
        // How much.
        dollars("max_budget").by(Writer::Administrator),
        dollars("soft_budget").by(Writer::Administrator).shown(Shown::Never),
        span("budget_duration").by(Writer::Administrator),
        Field::new("budget_reset_at", Form::Moment).by(Writer::Administrator),
        map("model_max_budget").with_amounts().by(Writer::Administrator),
        count("tpm_limit").by(Writer::Administrator),
        count("rpm_limit").by(Writer::Administrator),
        count("max_parallel_requests").by(Writer::Administrator),
        inside(map("model_rpm_limit")).by(Writer::Administrator).shown(Shown::Never),
        inside(map("model_tpm_limit")).by(Writer::Administrator).shown(Shown::Never),
        // What is known of it.
        map("metadata"),
        text("created_at").at(Place::Made).by(Writer::Nobody),
        text("updated_at").at(Place::Changed).by(Writer::Nobody),
        read("teams").unset(Unset::List),
        spend(),
        // What LiteLLM's clients read and nothing here sets.
        read("team_id"),
        read("object_permission_id"),
        read("password_reset_required"),
        read("last_breach_check_at"),
        read("verified_subjects"),
        read("model_spend").unset(Unset::Map),
        read("litellm_organization_table"),
        read("organization_memberships").unset(Unset::List),
        read("invitations_created"),
        read("invitations_updated"),
        read("invitations_user"),
    ],
};
