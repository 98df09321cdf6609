//! Azure OpenAI: deployments in the path of dated versions, and a version without dates that is OpenAI's own API.

use std::borrow::Cow;

use gatewright_catalogue::{ProviderRow, Quirk};

/// Versions of the API that name the deployment in the body, as OpenAI does (Microsoft's "API version lifecycle").
const UNDATED: [&str; 3] = ["v1", "latest", "preview"];

/// The row for this version of the API.
pub(super) fn row<'a>(row: &'a ProviderRow, version: &str) -> Cow<'a, ProviderRow> {
    if !UNDATED.contains(&version) {
        return Cow::Borrowed(row);
    }
    let mut row = row.clone();
    row.paths.clear();
    row.quirks.push(Quirk::BaseSuffix("/openai/v1".to_owned()));
    Cow::Owned(row)
}

/// The resource's address: operators paste what the portal shows, with the deployment's path behind it.
pub(super) fn resource(base: &str) -> &str {
    base.split_once("/openai").map_or(base, |(resource, _)| resource)
}

#[cfg(test)]
mod tests {
    use gatewright_catalogue::Catalogue;

    use super::*;

    #[test]
    fn an_undated_version_is_openais_own_api() {
        let azure = Catalogue::builtin().provider("azure").unwrap();
        assert!(!row(azure, "2024-10-21").paths.is_empty());
        for version in UNDATED {
            assert!(row(azure, version).paths.is_empty(), "{version}");
        }
    }

    #[test]
    fn the_resource_is_found_in_what_the_portal_shows() {
        for base in [
            "https://acme.openai.azure.com",
            "https://acme.openai.azure.com/openai/v1",
            "https://acme.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
        ] {
            assert_eq!(resource(base), "https://acme.openai.azure.com", "{base}");
        }
    }
}
