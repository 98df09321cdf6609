//! Credentials: what providers are shown, under a name that models give.

use gatewright_store::Kind;

use crate::Table;
use crate::field::{Place, Writer, map, text};

/// A credential. Its values are kept encrypted, and shown masked.
pub(crate) const CREDENTIAL: Table = Table {
    kind: Kind::Credential,
    word: "Credential",
    id: "credential_name",
    fields: &[
        text("credential_name").at(Place::Id).by(Writer::Nobody),
        text("display_name"),
        map("credential_info"),
        map("credential_values"),
    ],
};
