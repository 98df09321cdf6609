//! Customers: the end users of clients.

use gatewright_store::Kind;

use crate::Table;
use crate::field::{Place, Shown, any, count, dollars, flag, map, read, span, spend, text, texts};

/// The end user of a client, by the name that calls give in `user`.
pub(crate) const CUSTOMER: Table = Table {
    kind: Kind::Customer,
    word: "Customer",
    id: "user_id",
    fields: &[
        text("user_id").at(Place::Id).by(crate::field::Writer::Nobody),
        text("alias").at(Place::Alias),
        flag("blocked").at(Place::Blocked),
        text("budget_id").at(Place::Budget),
        text("allowed_model_region"),
        text("default_model"),
        texts("models"),
        any("object_permission"),
        dollars("max_budget").shown(Shown::Never),
        span("budget_duration").shown(Shown::Never),
        map("model_max_budget").with_amounts().shown(Shown::Never),
        count("tpm_limit").shown(Shown::Never),
        count("rpm_limit").shown(Shown::Never),
        count("max_parallel_requests").shown(Shown::Never),
        map("metadata").shown(Shown::Never),
        spend(),
        read("litellm_budget_table"),
        read("object_permission_id"),
    ],
};
