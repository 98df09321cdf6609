//! Organizations.

use gatewright_store::Kind;

use crate::Table;
use crate::field::{
    Field, Form, Place, Shown, Unset, Writer, any, count, dollars, flag, inside, map, read, span, text, texts,
};

/// A company or department. LiteLLM keeps its limits in a budget of its own; here they are its fields.
pub(crate) const ORGANIZATION: Table = Table {
    kind: Kind::Organization,
    word: "Organization",
    id: "organization_id",
    fields: &[
        text("organization_id").at(Place::Id).by(Writer::Nobody),
        text("organization_alias").at(Place::Alias),
        text("budget_id").at(Place::Budget).by(Writer::Administrator),
        flag("blocked").at(Place::Blocked).by(Writer::Administrator).shown(Shown::Never),
        texts("models").by(Writer::Administrator),
        any("object_permission").by(Writer::Administrator),
        dollars("max_budget").by(Writer::Administrator),
        dollars("soft_budget").by(Writer::Administrator),
        span("budget_duration").by(Writer::Administrator),
        Field::new("budget_reset_at", Form::Moment).by(Writer::Administrator),
        map("model_max_budget").with_amounts().by(Writer::Administrator),
        count("tpm_limit").by(Writer::Administrator),
        count("rpm_limit").by(Writer::Administrator),
        count("max_parallel_requests").by(Writer::Administrator),
        inside(map("model_rpm_limit")).by(Writer::Administrator).shown(Shown::Never),
        inside(map("model_tpm_limit")).by(Writer::Administrator).shown(Shown::Never),
        map("metadata"),
        text("created_at").at(Place::Made).by(Writer::Nobody),
        text("created_by").at(Place::MadeBy).by(Writer::Nobody),
        text("updated_at").at(Place::Changed).by(Writer::Nobody),
        text("updated_by").at(Place::ChangedBy).by(Writer::Nobody),
        read("spend").unset(Unset::Zero),
        read("litellm_budget_table"),
        read("members").unset(Unset::List),
        read("teams").unset(Unset::List),
        read("model_spend").unset(Unset::Map),
        read("object_permission_id"),
    ],
};
