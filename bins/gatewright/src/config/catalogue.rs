//! What the operator knows of providers, over what is shipped.

use std::num::NonZeroU64;
use std::path::PathBuf;

use gatewright_catalogue::{Catalogue, ProviderRow};
use gatewright_core::without_user;
use http::Uri;
use serde_json::Value;

use super::file::Env;
use super::is_on;
use super::problem::Problems;
use super::read::Section;

/// Where prices come from that are laid over those which are shipped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostMapSettings {
    /// Where the map is.
    pub source: Option<CostMapSource>,
    /// How often it is loaded by itself.
    pub hours: Option<NonZeroU64>,
    /// Whether the environment wants what is shipped.
    pub is_forced: bool,
}

/// Where a price map is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CostMapSource {
    /// At an address.
    Url(Uri),
    /// In a file.
    File(PathBuf),
}

const MAP: &str = "model_cost_map";
const HOURS: &str = "model_cost_map_reload_hours";
const URL: &str = "LITELLM_MODEL_COST_MAP_URL";
const LOCAL: &str = "LITELLM_LOCAL_MODEL_COST_MAP";

/// The shipped catalogue with the rows of `general_settings.providers`, which are those of `providers.toml`.
pub(super) fn read(general: &Section<'_>, problems: &mut Problems) -> &'static Catalogue {
    let list = match general.value("providers") {
        None => return apart(Catalogue::builtin().apart()),
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
    apart(Catalogue::builtin().with_rows(rows).apart())
}

/// Everything that names a provider borrows from the catalogue for as long as the process lives, and a process reads
/// few files. Models are not part of what is kept: they may be replaced while it lives.
fn apart(catalogue: Catalogue) -> &'static Catalogue {
    Box::leak(Box::new(catalogue))
}

/// The file's own word counts before the environment's; `LITELLM_LOCAL_MODEL_COST_MAP` before both.
pub(super) fn cost_map(general: &Section<'_>, env: Env<'_>, problems: &mut Problems) -> CostMapSettings {
    let own = general.text(MAP, problems).map(|text| (general.at(MAP), text));
    let said = own.or_else(|| env(URL).map(|text| (URL.to_owned(), text)));
    let said = said.filter(|(_, text)| !text.trim().is_empty());
    let source = said.and_then(|(place, text)| {
        source(text.trim()).map_err(|why| problems.error(place, format!("expected {why}"))).ok()
    });
    let hours = general.count(HOURS, problems).and_then(NonZeroU64::new);
    if hours.is_some() && source.is_none() {
        problems.warn(general.at(HOURS), format!("there is no `{MAP}` to load"));
    }
    let is_forced = is_on(env(LOCAL));
    CostMapSettings { source: source.filter(|_| !is_forced), hours, is_forced }
}

fn source(text: &str) -> Result<CostMapSource, &'static str> {
    match text.split_once("://") {
        Some(("http" | "https", _)) if without_user(text).1.is_some() => Err("an address without a user"),
        Some(("http" | "https", _)) => text.parse().map(CostMapSource::Url).map_err(|_| "an address"),
        Some(("file", path)) => Ok(CostMapSource::File(path.into())),
        Some(_) => Err("`http://…`, `https://…` or the path of a file"),
        None => Ok(CostMapSource::File(text.into())),
    }
}
