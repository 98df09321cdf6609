//! Models: deployments that were not made in the file.

use gatewright_store::Kind;

use crate::Table;
use crate::field::{Place, Writer, flag, map, text};

/// A deployment. Its parameters are kept encrypted, and shown masked.
pub(crate) const MODEL: Table = Table {
    kind: Kind::Model,
    word: "Model",
    id: "model_id",
    fields: &[
        text("model_id").at(Place::Id).by(Writer::Nobody),
        text("model_name").at(Place::Alias),
        map("litellm_params"),
        map("model_info"),
        flag("blocked").at(Place::Blocked),
        text("created_at").at(Place::Made).by(Writer::Nobody),
        text("created_by").at(Place::MadeBy).by(Writer::Nobody),
        text("updated_at").at(Place::Changed).by(Writer::Nobody),
        text("updated_by").at(Place::ChangedBy).by(Writer::Nobody),
    ],
};
