//! Memberships: users in teams and organizations.

use gatewright_store::Kind;

use crate::Table;
use crate::field::{Field, Form, Place, Shown, Unset, Writer, count, dollars, read, span, text, texts};

/// A user in a team or in an organization, and what it may spend there.
pub(crate) const MEMBER: Table = Table {
    kind: Kind::Membership,
    word: "Member",
    id: "membership_id",
    fields: &[
        text("membership_id").at(Place::Id).by(Writer::Nobody).shown(Shown::Never),
        text("user_id").at(Place::User).by(Writer::Nobody),
        text("team_id").at(Place::Team).by(Writer::Nobody),
        text("organization_id").at(Place::Organization).by(Writer::Nobody),
        text("budget_id").at(Place::Budget),
        text("role"),
        text("user_email"),
        texts("models"),
        dollars("max_budget"),
        span("budget_duration"),
        Field::new("budget_reset_at", Form::Moment).by(Writer::Administrator),
        count("tpm_limit"),
        count("rpm_limit"),
        count("tpd_limit"),
        count("max_parallel_requests"),
        text("created_at").at(Place::Made).by(Writer::Nobody),
        read("spend").unset(Unset::Zero),
        read("total_spend").unset(Unset::Zero),
        read("litellm_budget_table"),
    ],
};
