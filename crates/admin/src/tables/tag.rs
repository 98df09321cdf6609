//! Tags of calls.

use gatewright_store::Kind;

use crate::Table;
use crate::field::{Place, Shown, Writer, count, dollars, map, read, span, text, texts};

/// A tag that calls carry.
pub(crate) const TAG: Table = Table {
    kind: Kind::Tag,
    word: "Tag",
    id: "name",
    fields: &[
        text("name").at(Place::Id).by(Writer::Nobody),
        text("description"),
        texts("models"),
        map("model_info"),
        text("budget_id").at(Place::Budget).shown(Shown::Never),
        dollars("max_budget").shown(Shown::Never),
        dollars("soft_budget").shown(Shown::Never),
        span("budget_duration").shown(Shown::Never),
        map("model_max_budget").with_amounts().shown(Shown::Never),
        count("tpm_limit").shown(Shown::Never),
        count("rpm_limit").shown(Shown::Never),
        count("max_parallel_requests").shown(Shown::Never),
        text("created_at").at(Place::Made).by(Writer::Nobody),
        text("updated_at").at(Place::Changed).by(Writer::Nobody),
        text("created_by").at(Place::MadeBy).by(Writer::Nobody),
        read("litellm_budget_table").shown(Shown::Told),
    ],
};
