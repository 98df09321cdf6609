//! What a picture costs by its size and quality, where the catalogue tells that apart.

use gatewright_catalogue::{Catalogue, Overrides, Prices};
use gatewright_core::{Body, Call, Operation};

/// The prices that price lists keep under `quality/width-x-height/model`, with or without the quality.
pub(crate) fn sized(catalogue: &Catalogue, (provider, model): (&str, &str), call: &Call) -> Option<Prices> {
    if !matches!(
        call.operation,
        Operation::ImageGenerations | Operation::ImageEdits | Operation::ImageVariations
    ) {
        return None;
    }
    let size = said(call, "size")?.replace('x', "-x-");
    let quality = said(call, "quality").map(|quality| format!("{quality}/{size}/{model}"));
    let names = quality.into_iter().chain([format!("{size}/{model}")]);
    let prices = |name: String| {
        catalogue.model(provider, &name)?;
        Some(catalogue.prices(provider, &name, &Overrides::default()))
    };
    names.filter_map(prices).next()
}

fn said(call: &Call, field: &str) -> Option<String> {
    match &call.body {
        Body::Json(json) => json.string(field).ok()?.map(Into::into),
        Body::Form(form) => form.text(field).map(str::to_owned),
        Body::Opaque(_) => None,
    }
}
