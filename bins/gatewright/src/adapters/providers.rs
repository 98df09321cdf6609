//! Which provider a bare model name belongs to, from the catalogue.

use std::sync::Arc;

use gatewright_catalogue::Catalogue;
use gatewright_routing::ProviderOf;

/// Leads `gpt-4o` to `openai`.
pub(crate) fn provider_of(catalogue: &'static Catalogue) -> ProviderOf {
    Arc::new(move |model| {
        let (provider, rest) = catalogue.split(model, None).ok()?;
        // A name that tells its provider is not a bare one.
        (rest.len() == model.len()).then(|| provider.name().into())
    })
}
