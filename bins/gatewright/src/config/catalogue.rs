//! What the operator knows of providers, over what is shipped.

use gatewright_catalogue::{Catalogue, ProviderRow};
use serde_json::Value;

use super::problem::Problems;
use super::read::Section;

/// The shipped catalogue with the rows of `general_settings.providers`, which are those of `providers.toml`.
pub(super) fn read(general: &Section<'_>, problems: &mut Problems) -> &'static Catalogue {
    let list = match general.value("providers") {
        None => return Catalogue::builtin(),
        Some(Value::Array(list)) => list,
        Some(_) => {
            problems.error(general.at("providers"), "expected a list of providers");
            return Catalogue::builtin();
        }
    };
    let mut rows: Vec<ProviderRow> = Vec::new();
    for (i, row) in list.iter().enumerate() {
        match serde_json::from_value(row.clone()) {
            Ok(row) => rows.push(row),
            Err(err) => problems.error(format!("{}[{i}]", general.at("providers")), err.to_string()),
        }
    }
    // Everything that names a provider borrows from the catalogue for as long as the process lives, and a process
    // reads few files.
    Box::leak(Box::new(Catalogue::builtin().with_rows(rows)))
}
