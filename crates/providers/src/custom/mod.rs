//! Providers with behaviour of their own, a file each.

mod azure;
mod huggingface;
pub(crate) mod mock;

use std::borrow::Cow;

use gatewright_catalogue::ProviderRow;

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
        _ => (Cow::Borrowed(row), base),
    }
}

/// A model's name at the provider, where that is not the name behind the `/`.
pub(crate) fn model(row: &ProviderRow, model: &str) -> Option<String> {
    match row.id.as_str() {
        "huggingface" => huggingface::model(model),
        _ => None,
    }
}
