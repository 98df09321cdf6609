//! Budgets that several may share.

use gatewright_store::Kind;

use crate::Table;
use crate::field::{Field, Form, Place, Unset, Writer, any, count, dollars, read, span, text, texts};

/// Limits with a name. Whoever names one has its limits, where it has none of its own.
pub(crate) const BUDGET: Table = Table {
    kind: Kind::Budget,
    word: "Budget",
    id: "budget_id",
    fields: &[
        text("budget_id").at(Place::Id).by(Writer::Nobody),
        dollars("max_budget"),
        dollars("soft_budget"),
        span("budget_duration"),
        Field::new("budget_reset_at", Form::Moment),
        count("max_parallel_requests"),
        count("tpm_limit"),
        count("rpm_limit"),
        count("tpd_limit"),
        any("model_max_budget").with_amounts(),
        texts("allowed_models"),
        dollars("temp_budget_increase"),
        Field::new("temp_budget_expiry", Form::Moment),
        text("created_at").at(Place::Made).by(Writer::Nobody),
        text("created_by").at(Place::MadeBy).by(Writer::Nobody),
        text("updated_at").at(Place::Changed).by(Writer::Nobody),
        text("updated_by").at(Place::ChangedBy).by(Writer::Nobody),
        // What LiteLLM's clients read and nothing here sets.
        read("organization").unset(Unset::Null),
        read("projects"),
        read("keys"),
        read("end_users"),
        read("tags"),
        read("model_access_groups"),
        read("team_membership"),
        read("organization_membership"),
    ],
};
