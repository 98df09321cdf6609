//! Providers with behaviour of their own: one file each.

mod bedrock;
pub(crate) mod mock;

use std::borrow::Cow;

use gatewright_catalogue::ProviderRow;
use gatewright_core::Codec;

use crate::Params;

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
