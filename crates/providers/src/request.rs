//! A call as a request of the deployment's dialect.

use std::borrow::Cow;

use gatewright_core::chat::Chat;
use gatewright_core::{
    Body, Call, Dialect, Error, ErrorKind, Form, Json, JsonLimits, Losses, Operation, Result,
};
use gatewright_transport::{Pieces, Request};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Uri};

use crate::endpoint::Endpoint;
use crate::handling::Handling;
use crate::linked::{self, Fetched};
use crate::{Params, asked, forced_tool, going_on, marks, repair};

/// Features that are not for everybody yet, by name.
const BETA: HeaderName = HeaderName::from_static("anthropic-beta");

/// Headers of a client that reach an upstream of the same dialect, or of the one that knows them: they choose features,
/// never credentials.
const FORWARDED: [HeaderName; 2] = [BETA, HeaderName::from_static("anthropic-version")];

/// The request, not yet authorized, and what it could not carry.
pub(crate) fn build(
    (call, fetched): (&Call, &Fetched),
    endpoint: &Endpoint,
    params: &Params,
    address: &Uri,
) -> Result<(Request, Vec<Cow<'static, str>>)> {
    let mut losses = Losses::default();
    let handling = Handling::of(call, params);
    // A ranking is written anew even so: clients say fields of older versions, which the API of today refuses.
    let same_dialect = call.codec.dialect() == endpoint.codec.dialect()
        && call.operation != Operation::Rerank
        && fetched.is_empty()
        && !going_on::is_begun(call)
        && !forced_tool::applies(call, endpoint);
    let mut headers = endpoint.headers.clone();
    if let (true, Body::Form(form)) = (same_dialect, &call.body) {
        let pieces = uploaded(form, call, endpoint, &mut headers)?;
        let request = Request {
            method: Method::POST,
            uri: address.clone(),
            headers,
            body: pieces,
            trust: params.trust,
        };
        return Ok((request, Vec::new()));
    }
    let json = call.body.json();
    let cleared = json.map(|json| handling.without(json)).transpose()?.flatten();
    let json = cleared.as_ref().or(json);
    let mut body = match (same_dialect, json) {
        (true, Some(json)) => edited(json, call, endpoint, params)?,
        (true, None) => {
            return Err(Error::new(ErrorKind::Unsupported, "this provider takes no such form"));
        }
        (false, _) => {
            translated((call, fetched), (json, cleared.is_some()), (endpoint, params), &mut losses)?
        }
    };
    if call.operation == Operation::Chat {
        if same_dialect || !endpoint.codec.nests_parameters() {
            set_defaults(&mut body, endpoint, params);
        }
        if let (true, Some(cap)) = (same_dialect, call.output_cap) {
            endpoint.codec.cap_output(&mut body, cap, &endpoint.facts);
        }
        if handling.repairs() {
            fit_output(&mut body, endpoint);
        }
    }
    handling.clear(&mut body)?;
    if let Some(quirks) = endpoint.quirks_of(call.operation) {
        quirks.apply(&mut body, &mut losses)?;
    }
    endpoint.settle(&mut body, call.operation, &mut losses)?;
    endpoint.head(&mut headers, call.stream);
    insist(handling, json, &mut body, &mut losses);
    if same_dialect || endpoint.codec.dialect() == Dialect::AnthropicMessages {
        forward_headers(&call.headers, &mut headers);
    }
    if !same_dialect {
        let needed = endpoint.codec.opt_ins(&body);
        needed.into_iter().for_each(|feature| ask_for(feature, &mut headers));
    }
    move_features(endpoint, &mut headers, &mut body, &mut losses);
    let dropped = losses.into_fields();
    // A dotted name is a detail that was adapted; only a whole field of the request is worth refusing the call for.
    let lost: Vec<&str> =
        dropped.iter().map(AsRef::as_ref).filter(|name: &&str| !name.contains('.')).collect();
    if handling.refuses() && !lost.is_empty() {
        return Err(refuse(&lost, endpoint));
    }
    let request = Request {
        method: Method::POST,
        uri: address.clone(),
        headers,
        body: body.pieces(),
        trust: params.trust,
    };
    Ok((request, dropped))
}

/// The client's form with the model's name at the provider.
fn uploaded(form: &Form, call: &Call, endpoint: &Endpoint, headers: &mut HeaderMap) -> Result<Pieces> {
    let mut form = form.clone();
    form.set_text("model", &endpoint.model);
    // Nobody can foresee an attempt's id, so no file has the boundary in it.
    let boundary = format!("gatewright-{}", call.target()?.attempt);
    let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"))
        .map_err(|_| Error::new(ErrorKind::Internal, "no boundary"))?;
    headers.insert(CONTENT_TYPE, kind);
    Ok(form.pieces(&boundary).into())
}

/// The client's own bytes with the model's name at the provider.
fn edited(json: &Json, call: &Call, endpoint: &Endpoint, params: &Params) -> Result<Json> {
    let mut body = json.clone();
    if call.operation == Operation::Chat && !params.cache_marks.is_empty() {
        marks::mark_body(&mut body, &params.cache_marks)?;
    }
    match call.operation {
        Operation::Chat | Operation::CountTokens => endpoint.codec.readdress(&mut body, &endpoint.model),
        _ => body.set_string("model", &endpoint.model),
    }
    Ok(body)
}

/// Asks for no more than the model can write.
fn fit_output(body: &mut Json, endpoint: &Endpoint) {
    let said = endpoint.codec.stated_cap(body);
    if let Some(most) = endpoint.facts.max_output.filter(|most| said.is_some_and(|said| said > *most)) {
        endpoint.codec.cap_output(body, most, &endpoint.facts);
    }
}

/// Sends what somebody insists on, as the client wrote it.
fn insist(handling: Handling<'_>, asked: Option<&Json>, body: &mut Json, losses: &mut Losses) {
    for field in handling.always_send() {
        if let (Some(raw), false) = (asked.and_then(|json| json.raw(field)), body.has(field)) {
            body.set(field, raw.to_vec());
        }
        losses.forget(field);
    }
}

fn translated(
    (call, fetched): (&Call, &Fetched),
    (json, is_edited): (Option<&Json>, bool),
    (endpoint, params): (&Endpoint, &Params),
    losses: &mut Losses,
) -> Result<Json> {
    if !matches!(call.operation, Operation::Chat | Operation::CountTokens) {
        let bytes = asked::question(call, json, endpoint, losses)?;
        return Json::parse(bytes, JsonLimits::default());
    }
    let mut chat = match json.filter(|_| is_edited) {
        Some(json) => Cow::Owned(Chat { stream: call.stream, ..call.codec.decode_request(json)? }),
        None => Cow::Borrowed(call.chat()?),
    };
    if !fetched.is_empty() {
        linked::inline(chat.to_mut(), fetched);
    }
    if Handling::of(call, params).repairs() {
        repair::repair(chat.to_mut(), &endpoint.facts, losses);
    }
    if !params.cache_marks.is_empty() {
        marks::mark(chat.to_mut(), &params.cache_marks);
    }
    if forced_tool::applies(call, endpoint) {
        chat = Cow::Owned(forced_tool::forced(&chat));
    }
    if let Some(asked) = going_on::asked(call, &chat, endpoint) {
        chat = Cow::Owned(asked);
    }
    if endpoint.codec.nests_parameters() && !params.defaults.is_empty() {
        chat.to_mut().complete(defaults(params)?);
    }
    if let Some(cap) = call.output_cap {
        let chat = chat.to_mut();
        chat.max_output = Some(chat.max_output.map_or(cap, |own| own.min(cap)));
    }
    let bytes = endpoint.codec.encode_request(&chat, &endpoint.facts, losses)?;
    let mut body = Json::parse(bytes, JsonLimits::default())?;
    if call.operation == Operation::CountTokens {
        endpoint.codec.ask_count(&mut body, &endpoint.model);
    }
    Ok(body)
}

/// The operator's defaults as OpenAI's dialect reads them.
fn defaults(params: &Params) -> Result<Chat> {
    let mut body = Json::parse(r#"{"messages":[]}"#.into(), JsonLimits::default())?;
    let openai = gatewright_dialects::of(Dialect::OpenAiChat);
    params.defaults.iter().for_each(|(field, value)| openai.set_default(&mut body, field, value));
    openai.decode_request(&body)
}

fn set_defaults(body: &mut Json, endpoint: &Endpoint, params: &Params) {
    for (field, value) in &params.defaults {
        endpoint.codec.set_default(body, field, value);
    }
}

fn forward_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for name in &FORWARDED {
        match from.get(name) {
            Some(value) if *name == BETA => add_feature(value, to),
            Some(value) => drop(to.insert(name, value.clone())),
            None => {}
        }
    }
}

/// Takes the names of features out of the headers where the upstream wants them in the body.
fn move_features(endpoint: &Endpoint, headers: &mut HeaderMap, body: &mut Json, losses: &mut Losses) {
    let Some(named) = headers.get(&BETA).and_then(|value| value.to_str().ok()) else { return };
    let names: Vec<&str> = named.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if endpoint.codec.name_features(body, &names, losses) {
        headers.remove(&BETA);
    }
}

/// Names the feature, unless it is named already.
fn ask_for(feature: &'static str, headers: &mut HeaderMap) {
    let named = |value: &HeaderValue| {
        value.as_bytes().split(|byte| *byte == b',').any(|name| name.trim_ascii() == feature.as_bytes())
    };
    if !headers.get(&BETA).is_some_and(named) {
        add_feature(&HeaderValue::from_static(feature), headers);
    }
}

fn add_feature(value: &HeaderValue, headers: &mut HeaderMap) {
    let all = match headers.get(&BETA) {
        Some(own) => {
            let both = [own.as_bytes(), b",", value.as_bytes()].concat();
            HeaderValue::from_bytes(&both).unwrap_or_else(|_| value.clone())
        }
        None => value.clone(),
    };
    headers.insert(&BETA, all);
}

fn refuse(lost: &[&str], endpoint: &Endpoint) -> Error {
    let message = format!(
        "litellm.UnsupportedParamsError: {} does not support parameters: {}. To drop them, set `drop_params: true`.",
        endpoint.model,
        lost.join(", ")
    );
    let err = Error::new(ErrorKind::Unsupported, message);
    match lost.first() {
        Some(field) => err.with_param((*field).to_owned()),
        None => err,
    }
}
