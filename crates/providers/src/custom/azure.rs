//! Azure OpenAI: deployments in the path of dated versions, and a version without dates that is OpenAI's own API. Azure AI
//! Foundry: rankings.

use std::borrow::Cow;

use gatewright_catalogue::{Auth, ProviderRow, Quirk};
use gatewright_core::Operation;

/// Versions of the API that name the deployment in the body, as OpenAI does (Microsoft's "API version lifecycle").
const UNDATED: [&str; 3] = ["v1", "latest", "preview"];

/// The first dated version that has Responses: "Azure OpenAI Responses API is enabled only for api-version
/// 2025-03-01-preview and later". Dates compare as texts do.
const RESPONSES_SINCE: &str = "2025-03-01";

/// The hosts of Foundry's resources. A serverless endpoint, or a machine of the operator's, has one model and one API.
const FOUNDRY: [&str; 3] = [".services.ai.azure.com", ".openai.azure.com", ".cognitiveservices.azure.com"];

/// The row for this version of the API.
pub(super) fn row<'a>(row: &'a ProviderRow, version: &str) -> Cow<'a, ProviderRow> {
    let undated = UNDATED.contains(&version);
    if !undated && version < RESPONSES_SINCE {
        return Cow::Borrowed(row);
    }
    let mut row = row.clone();
    if undated {
        row.paths.clear();
        row.quirks.push(Quirk::BaseSuffix("/openai/v1".to_owned()));
    }
    for also in &mut row.also {
        also.paths.clear();
        if !undated {
            also.paths.insert("chat".to_owned(), "/openai/responses?api-version={api_version}".to_owned());
        }
    }
    Cow::Owned(row)
}

/// The resource's address: operators paste what the portal shows, with the deployment's path behind it.
pub(super) fn resource(base: &str) -> &str {
    before(base, "/openai")
}

/// The same for Foundry, whose models stand together below one path.
pub(super) fn foundry(base: &str) -> &str {
    before(base, "/models")
}

/// Whether this is the host of a resource of Foundry's.
pub(super) fn is_foundry(host: &str) -> bool {
    FOUNDRY.iter().any(|end| host.ends_with(end))
}

/// An address up to these segments of its path; a host may have the same word in it.
fn before<'a>(base: &'a str, segments: &str) -> &'a str {
    let path = base.find("://").and_then(|at| base.get(at + 3..)?.find('/').map(|slash| at + 3 + slash));
    let Some((root, path)) = path.and_then(|at| base.split_at_checked(at)) else { return base };
    let cut = path.find(segments).unwrap_or(path.len());
    base.get(..root.len() + cut).unwrap_or(base)
}

/// Where Foundry's resources have Cohere's API. Deployments with an address of their own have it at their root.
const OF_COHERE: &str = "/providers/cohere/v2/rerank";

/// The row for a model of Foundry's. Rankings are Cohere's own API behind a bearer's key
/// (<https://learn.microsoft.com/azure/ai-studio/how-to/deploy-models-cohere-rerank>).
pub(super) fn ranker<'a>(row: &'a ProviderRow, base: Option<&str>, model: &str) -> Cow<'a, ProviderRow> {
    if !model.to_ascii_lowercase().contains("rerank") {
        return Cow::Borrowed(row);
    }
    let mut row = row.clone();
    row.auth = Auth::Bearer;
    if base.is_some_and(|base| is_foundry(base.trim_end_matches('/'))) {
        row.paths.insert(Operation::Rerank.as_str().to_owned(), OF_COHERE.to_owned());
    }
    Cow::Owned(row)
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
        assert_eq!(resource("https://openai.acme.test/x/openai/v1"), "https://openai.acme.test/x");
        assert_eq!(resource("https://openai.acme.test"), "https://openai.acme.test");
        for base in ["https://models.acme.test", "https://models.acme.test/models/chat/completions"] {
            assert_eq!(foundry(base), "https://models.acme.test", "{base}");
        }
    }

    #[test]
    fn responses_stand_below_the_version_that_has_them() {
        let azure = Catalogue::builtin().provider("azure").unwrap();
        for (version, path) in [
            ("2024-10-21", Some("/openai/v1/responses")),
            ("2025-02-01-preview", Some("/openai/v1/responses")),
            ("2025-03-01-preview", Some("/openai/responses?api-version={api_version}")),
            ("2025-04-01-preview", Some("/openai/responses?api-version={api_version}")),
            ("v1", None),
        ] {
            let told = row(azure, version).also[0].paths.get("chat").cloned();
            assert_eq!(told.as_deref(), path, "{version}");
        }
    }

    #[test]
    fn only_a_resource_of_foundrys_has_its_other_apis() {
        assert!(is_foundry("acme.services.ai.azure.com") && is_foundry("acme.openai.azure.com"));
        assert!(!is_foundry("acme.eastus2.models.ai.azure.com") && !is_foundry("127.0.0.1"));
    }

    #[test]
    fn a_resource_ranks_below_coheres_name_and_a_deployment_at_its_root() {
        let foundry = Catalogue::builtin().provider("azure_ai").unwrap();
        for (base, path) in [
            ("https://acme.services.ai.azure.com/", OF_COHERE),
            ("https://x.eastus.models.ai.azure.com", "/v1/rerank"),
        ] {
            let row = ranker(foundry, Some(base), "Cohere-rerank-v4.0-pro");
            let told = (row.paths.get("rerank").map(String::as_str), &row.auth);
            assert_eq!(told, (Some(path), &Auth::Bearer), "{base}");
        }
        assert_eq!(*ranker(foundry, None, "gpt-4o"), *foundry);
    }
}
