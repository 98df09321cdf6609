//! Projects.

use gatewright_store::Kind;

use crate::Table;
use crate::field::{
    Field, Form, Place, Shown, Unset, Writer, any, count, dollars, flag, inside, map, read, span, text, texts,
};

/// A project of a team: what its keys spend together.
pub(crate) const PROJECT: Table = Table {
    kind: Kind::Project,
    word: "Project",
    id: "project_id",
    fields: &[
        text("project_id").at(Place::Id).by(Writer::Nobody),
        text("project_alias").at(Place::Alias),
        text("description"),
        text("team_id").at(Place::Team),
        text("budget_id").at(Place::Budget),
        flag("blocked").at(Place::Blocked),
        texts("models"),
        any("object_permission"),
        dollars("max_budget"),
        dollars("soft_budget"),
        span("budget_duration"),
        Field::new("budget_reset_at", Form::Moment).by(Writer::Administrator),
        map("model_max_budget").with_amounts(),
        count("tpm_limit"),
        count("rpm_limit"),
        count("max_parallel_requests"),
        inside(map("model_rpm_limit")).shown(Shown::Never),
        inside(map("model_tpm_limit")).shown(Shown::Never),
        map("metadata"),
        inside(texts("tags")).shown(Shown::Never),
        text("created_at").at(Place::Made).by(Writer::Nobody),
        text("created_by").at(Place::MadeBy).by(Writer::Nobody),
        text("updated_at").at(Place::Changed).by(Writer::Nobody),
        text("updated_by").at(Place::ChangedBy).by(Writer::Nobody),
        read("spend").unset(Unset::Zero),
        read("litellm_budget_table"),
        read("model_spend").unset(Unset::Map),
        read("object_permission_id"),
    ],
};
