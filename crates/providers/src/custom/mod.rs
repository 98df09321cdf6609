//! Providers with behaviour of their own: one file each. Nowhere else is a provider told by its id.

mod azure;
mod bedrock;
mod huggingface;
pub(crate) mod mock;
mod vertex;

use std::borrow::Cow;

use gatewright_catalogue::ProviderRow;
use gatewright_core::{Codec, Dialect, Json, Operation};

use crate::Params;
use crate::fill::Fill;

/// A provider's row, and the base URL that the operator gave, as they hold for one deployment.
pub(crate) fn adapted<'a>(
    row: &'a ProviderRow,
    base: Option<String>,
    fill: &Fill<'_>,
) -> (Cow<'a, ProviderRow>, Option<String>) {
    match row.id.as_str() {
        "azure" => {
            let version = fill.value("api_version").unwrap_or_default();
            (azure::row(row, &version), base.map(|base| azure::resource(&base).to_owned()))
        }
        "azure_ai" => (Cow::Borrowed(row), base.map(|base| azure::foundry(&base).to_owned())),
        _ => (Cow::Borrowed(row), base),
    }
}

/// Whether what a provider speaks besides its own dialect is spoken at this host.
pub(crate) fn answers(provider: &str, host: &str) -> bool {
    match provider {
        "azure_ai" => azure::is_foundry(host),
        _ => true,
    }
}

/// A model's name at the provider, where that is not the name behind the `/`.
pub(crate) fn model(row: &ProviderRow, model: &str) -> Option<String> {
    match row.id.as_str() {
        "huggingface" => huggingface::model(model),
        _ => None,
    }
}

/// Edits a request of this dialect for this operation, when it is otherwise final.
pub(crate) type Shape = fn(&mut Json, Dialect, Operation);

/// How a provider's requests are edited, where its row cannot say it.
pub(crate) fn shape(provider: &str) -> Option<Shape> {
    match provider {
        "vertex_ai" => Some(vertex::shape),
        _ => None,
    }
}

/// A value of an address that follows from others; `known` looks those up.
pub(crate) fn value(provider: &str, name: &str, known: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match provider {
        "vertex_ai" => vertex::value(name, known),
        _ => None,
    }
}

/// What a deployment means where its provider does not take its words as they stand.
pub(crate) struct Special<'a> {
    /// The model's name.
    pub(crate) model: &'a str,
    /// What stands in addresses instead of it.
    pub(crate) addressed: Option<String>,
    /// The deployment's parameters.
    pub(crate) params: Cow<'a, Params>,
    /// How the provider is spoken to, where the row does not say it.
    pub(crate) codec: Option<&'static dyn Codec>,
}

// === impl Special ===

impl<'a> Special<'a> {
    /// Reads a deployment of this provider.
    pub(crate) fn of(row: &ProviderRow, params: &'a Params, model: &'a str) -> Self {
        match &*row.id {
            "bedrock" => bedrock::special(params, model),
            _ => Self { model, addressed: None, params: Cow::Borrowed(params), codec: None },
        }
    }
}
