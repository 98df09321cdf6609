//! Before a call: what it goes on from is put into it, or its way is bound to the deployment that has it.

use std::sync::Arc;

use gatewright_core::{Body, Call, Dialect, Error, ErrorKind, Json, JsonLimits, Result};

use super::{Conversations, items, owner};

/// A call whose answer may be gone on from.
pub(crate) struct Begun {
    pub(super) owner: Arc<str>,
    /// Its request, for the items that the answer answers.
    pub(super) asked: Json,
}

/// Prepares a call in the dialect that has such answers. Answers what its own answer will be kept with, unless the
/// client says that nothing shall be.
pub(crate) async fn begin(kept: &dyn Conversations, call: &mut Call) -> Result<Option<Begun>> {
    if call.codec.dialect() != Dialect::OpenAiResponses {
        return Ok(None);
    }
    let Body::Json(json) = &call.body else { return Ok(None) };
    let previous: Option<Arc<str>> = json.string("previous_response_id")?.map(Arc::from);
    let stores = json.raw("store") != Some(b"false");
    let owner: Arc<str> = owner(&call.caller).into();
    if let Some(previous) = previous.filter(|id| !id.is_empty()) {
        resume(kept, call, (&owner, previous)).await?;
    }
    let Body::Json(json) = &call.body else { return Ok(None) };
    Ok(stores.then(|| Begun { owner, asked: json.clone() }))
}

async fn resume(
    kept: &dyn Conversations,
    call: &mut Call,
    (owner, previous): (&str, Arc<str>),
) -> Result<()> {
    let Some(found) = kept.find(owner, &previous).await? else {
        let words = format!("Previous response with id '{previous}' not found.");
        return Err(Error::new(ErrorKind::InvalidRequest, words)
            .with_code("previous_response_not_found")
            .with_param("previous_response_id"));
    };
    let controls = &mut call.controls;
    let Some(told) = &found.conversation else {
        // Nobody but the upstream that keeps it can go on from it.
        controls.deployment = Some(found.deployment.clone());
        controls.disable_fallbacks = true;
        return Ok(());
    };
    controls.previous_response = Some(previous);
    let Body::Json(json) = &call.body else { return Ok(()) };
    let mut json = json.clone();
    json.set("input", items::joined(&told.input, &told.response, json.raw("input").unwrap_or_default())?);
    json.remove("previous_response_id");
    // Parsed anew, so that whoever asks how large the request is hears of all of it.
    call.body = Body::Json(Json::parse(json.to_bytes(), JsonLimits::default())?);
    Ok(())
}
