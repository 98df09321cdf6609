//! Teams.

use gatewright_store::Kind;

use crate::Table;
use crate::field::{
    Field, Form, Place, Shown, Unset, Writer, any, count, dollars, flag, inside, map, read, span, spend,
    text, texts,
};

/// A team. Its members are rows of their own.
pub(crate) const TEAM: Table = Table {
    kind: Kind::Team,
    word: "Team",
    id: "team_id",
    fields: &[
        text("team_id").at(Place::Id).by(Writer::Nobody),
        text("team_alias").at(Place::Alias),
        text("organization_id").at(Place::Organization),
        flag("blocked").at(Place::Blocked),
        // What it may do.
        texts("models"),
        map("model_aliases").shown(Shown::Never),
        texts("team_member_permissions"),
        texts("default_team_member_models"),
        texts("access_group_ids"),
        texts("policies"),
        map("router_settings"),
        any("object_permission"),
        inside(texts("guardrails")).shown(Shown::Never),
        inside(texts("prompts")).shown(Shown::Never),
        inside(texts("allowed_passthrough_routes")).shown(Shown::Never),
        inside(flag("disable_global_guardrails")).shown(Shown::Never),
        inside(flag("require_trace_id")).shown(Shown::Never),
        inside(map("secret_manager_settings")).shown(Shown::Never),
        inside(any("logging")).shown(Shown::Never),
        // How much.
        dollars("max_budget"),
        dollars("soft_budget"),
        span("budget_duration"),
        Field::new("budget_reset_at", Form::Moment).by(Writer::Administrator),
        any("budget_limits").with_amounts(),
        map("model_max_budget").with_amounts(),
        count("tpm_limit"),
        count("rpm_limit"),
        count("tpd_limit"),
        count("max_parallel_requests"),
        inside(map("model_rpm_limit")).shown(Shown::Never),
        inside(map("model_tpm_limit")).shown(Shown::Never),
        // What its members get.
        dollars("team_member_budget").shown(Shown::Never),
        span("team_member_budget_duration").shown(Shown::Never),
        count("team_member_rpm_limit").shown(Shown::Never),
        count("team_member_tpm_limit").shown(Shown::Never),
        span("team_member_key_duration").shown(Shown::Never),
        // What is known of it.
        map("metadata"),
        inside(texts("tags")).shown(Shown::Never),
        text("created_at").at(Place::Made).by(Writer::Nobody),
        text("updated_at").at(Place::Changed).by(Writer::Nobody),
        read("members_with_roles").unset(Unset::List),
        spend(),
        // What LiteLLM's clients read and nothing here sets.
        read("admins").unset(Unset::List),
        read("members").unset(Unset::List),
        read("model_id"),
        read("model_spend").unset(Unset::Map),
        read("allow_team_guardrail_config").unset(Unset::No),
        read("litellm_model_table"),
        read("litellm_organization_table").shown(Shown::Told),
        read("object_permission_id"),
        read("projects").shown(Shown::Told),
    ],
};
