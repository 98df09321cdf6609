//! A call from an HTTP request: who, what, and off into the stack.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{FromRequestParts, Path, RawPathParams};
use axum::http::request::Parts;
use axum::response::Response;
use gatewright_auth::Peer;
use gatewright_core::{
    Body as CallBody, Call, CallId, CallService, Caller, Codec, Controls, Dialect, Error, ErrorKind, Form,
    Json, Operation, Origin, Result, Sender,
};
use http::Request;
use tracing::info;

use crate::admission::BegunBody;
use crate::intake::ClientBody;
use crate::refusals::Refusable;
use crate::respond::Told;
use crate::{
    Gateway, Ports, admission, cache_wishes, call_name, controls, conversation, explain, form, intake,
    respond,
};

/// The longest name of a model. It comes to stand in errors, spans and the journal.
const MAX_MODEL: usize = 1024;

/// What is known of a request before it is looked into.
pub(crate) struct Way {
    pub(crate) operation: Operation,
    pub(crate) dialect: Dialect,
    /// The model that its path names.
    pub(crate) model: Option<String>,
    pub(crate) streams: Streams,
    pub(crate) peer: Peer,
}

/// Whether and how an answer streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streams {
    /// Where the body's `stream` says so.
    AsBodySays,
    /// Not.
    Never,
    /// As events.
    AsEvents,
    /// As the items of one JSON list.
    AsList,
}

/// Answers one request in the dialect of its path.
pub(crate) async fn answer<S: CallService, B: ClientBody>(
    gateway: &Arc<Gateway<S>>,
    way: Way,
    request: Request<B>,
) -> Response {
    let received = Instant::now();
    let (parts, body) = request.into_parts();
    let refusable = Refusable::new(gateway.ports.refusals.as_ref(), &way, received);
    let Way { operation, dialect, model, streams, peer } = way;
    let codec = gatewright_dialects::of(dialect);
    let said = call_name::said(&parts.headers);
    let caller = match gateway.ports.caller(&parts.headers, &parts.uri, peer).await {
        Ok(caller) => caller,
        // LiteLLM tells every client about its key in OpenAI's words; its clients read them.
        Err(err) => {
            refusable.refused((&parts.headers, None), &err);
            let name = call_name::told(said, CallId::fresh());
            return respond::error(&err, gatewright_dialects::of(Dialect::OpenAiChat), name);
        }
    };
    let identified = Instant::now();
    let mut body = BegunBody::new(body);
    let place = match admission::enter(&gateway.door, &caller, &parts.headers, &mut body).await {
        Ok(place) => place,
        Err(err) => {
            refusable.refused((&parts.headers, Some(&caller)), &err);
            let name = call_name::told(said, CallId::fresh());
            return respond::refused(&err, codec, name, caller.key.as_deref());
        }
    };
    let asked = Asked { operation, codec, caller, received, identified, model, streams, peer };
    let read = match asked.read(gateway, &parts, body).await {
        Ok(read) => read,
        Err(err) => {
            refusable.refused((&parts.headers, Some(&asked.caller)), &err);
            let name = call_name::told(said, CallId::fresh());
            return respond::refused(&err, codec, name, asked.caller.key.as_deref());
        }
    };
    let (mut call, dropped) = asked.into_call(parts, read);
    call.id = call_name::id(said.as_ref()).unwrap_or(call.id);
    let name = call_name::told(said, call.id);
    call.decisions = explain::asked(&call.headers);
    let decisions = call.decisions.clone();
    let kept = &gateway.ports.conversations;
    // In a box: one dialect alone has such answers.
    let begun = match dialect {
        Dialect::OpenAiResponses => Box::pin(conversation::begin(&**kept, &mut call)).await,
        _ => Ok(None),
    };
    let begun = match begun {
        Ok(begun) => begun,
        Err(err) => {
            refusable.refused((&call.headers, Some(&call.caller)), &err);
            return respond::error(&err, codec, name);
        }
    };
    let (origin, settings) = (Arc::clone(&call.origin), &gateway.settings);
    let (as_list, key) = (streams == Streams::AsList, origin.caller.key.as_deref());
    let told = Told { name: name.clone(), received, settings, dropped, key, as_list, decisions, place };
    let answer = match &gateway.drains {
        None => gateway.stack.answer(call).await,
        Some(drains) => drains.answer(gateway, call).await,
    };
    match answer {
        Ok(reply) => {
            let reply = match begun {
                Some(begun) => Box::pin(begun.watch(reply, kept)).await,
                None => reply,
            };
            respond::reply(reply, codec, told).await
        }
        Err(err) => {
            // Not the message: a provider may quote the prompt in it.
            let call = name.to_str().unwrap_or_default();
            info!(call, kind = ?err.kind(), status = err.status().as_u16(), detail = err.detail(), "call failed");
            respond::failed(&err, codec, told)
        }
    }
}

/// What a request's body and its headers say.
struct Read {
    json: Json,
    form: Option<Form>,
    controls: Controls,
    /// Fields that were left out.
    dropped: Vec<Cow<'static, str>>,
    model: Arc<str>,
    stream: bool,
    /// Who calls in place of the key's holder.
    caller: Option<Arc<Caller>>,
}

/// A request whose caller is known and whose body is not yet read.
struct Asked {
    operation: Operation,
    codec: &'static dyn Codec,
    caller: Arc<Caller>,
    received: Instant,
    identified: Instant,
    model: Option<String>,
    streams: Streams,
    peer: Peer,
}

impl Asked {
    async fn read<S, B: ClientBody>(&self, gateway: &Gateway<S>, parts: &Parts, body: B) -> Result<Read> {
        let settings = &gateway.settings;
        let bytes = intake::read(body, &parts.headers, settings.max_body_bytes, settings.body_idle).await?;
        let uploads = self.operation.uploads();
        let form = if uploads { Some(form::read(bytes.clone(), &parts.headers).await?) } else { None };
        let mut json = match &form {
            Some(form) => form::as_json(form)?,
            None => intake::text(bytes)
                .and_then(|bytes| Json::parse(bytes, settings.json))
                .map_err(|err| intake::explained(err, &parts.headers))?,
        };
        let dialect = self.codec.dialect();
        let (mut controls, dropped) = controls::lift(&mut json, &parts.headers, self.codec, settings)?;
        // What a token says of its end user, no header takes back.
        controls.end_user = self.caller.end_user.clone().or(controls.end_user);
        controls.upstream_name = self.model.is_some() && parts.uri.path().starts_with("/openai/deployments/");
        let model: Arc<str> = match &self.model {
            Some(model) => model.as_str().into(),
            None => json.string("model")?.map(Arc::from).ok_or_else(|| unknown_model(dialect, "None"))?,
        };
        if model.len() > MAX_MODEL {
            let words = format!("the model's name is longer than {MAX_MODEL} bytes");
            return Err(Error::new(ErrorKind::InvalidRequest, words).with_param("model"));
        }
        let (caller, model) = admitted(&gateway.ports, parts, (&self.caller, self.peer), model).await?;
        cache_wishes::permit(&controls.cache, caller.as_ref().unwrap_or(&self.caller))?;
        let required = self.codec.required(self.operation);
        let has =
            |field: &str| json.raw(field).is_some() || form.as_ref().is_some_and(|form| form.has_any(field));
        if let Some(field) = required.iter().find(|field| !has(field)) {
            return Err(missing(dialect, field));
        }
        let stream = match self.streams {
            Streams::AsBodySays => match self.codec.streams_at(parts.uri.path()) {
                Some(stream) => stream,
                None if self.operation == Operation::Speech => true,
                // Ollama's answers are streams where nothing is said, but not its vectors.
                None => self.operation.streams() && self.codec.streams(&json)?,
            },
            Streams::Never => false,
            Streams::AsEvents | Streams::AsList => true,
        };
        Ok(Read { json, form, controls, dropped, model, stream, caller })
    }

    fn into_call(self, parts: Parts, read: Read) -> (Call, Vec<Cow<'static, str>>) {
        let Read { json, form, controls, dropped, model, stream, caller } = read;
        let body = match form {
            Some(form) => CallBody::Form(form.keeping(|name| json.raw(name).is_some())),
            None => CallBody::Json(json),
        };
        let target = parts.uri.into_parts().path_and_query;
        let sender = target.map(|target| Sender { address: self.peer.0, target });
        let origin = Origin {
            caller: caller.unwrap_or(self.caller),
            headers: parts.headers,
            controls,
            received: self.received,
            identified: Some(self.identified),
            sender,
        };
        let mut call = Call::by(origin, self.operation, self.codec, model, body);
        call.stream = stream;
        (call, dropped)
    }
}

/// The model that the caller means, where it may use that, and who calls in its place, where it is somebody else who may.
async fn admitted(
    ports: &Ports,
    parts: &Parts,
    (caller, peer): (&Arc<Caller>, Peer),
    asked: Arc<str>,
) -> Result<(Option<Arc<Caller>>, Arc<str>)> {
    // Before the check: a name of a caller's own opens nothing that it may not use.
    let meant = |caller: &Caller| caller.meant_by(&asked).cloned().unwrap_or_else(|| asked.clone());
    let model = meant(caller);
    if ports.permits(caller, &model) {
        return Ok((None, model));
    }
    // In a box: hardly any call comes here.
    match Box::pin(ports.in_another_team(parts, peer, &asked)).await {
        Some(caller) => {
            let model = meant(&caller);
            Ok((Some(caller), model))
        }
        None => Err(model_denied(&model)),
    }
}

/// The name where the path has one: a model's (`/engines/{model}/…`), an answer's (`/responses/{id}`).
pub(crate) async fn name_in_path<B>(mut parts: Parts, body: B) -> (Option<String>, Request<B>) {
    let named = RawPathParams::from_request_parts(&mut parts, &())
        .await
        .is_ok_and(|path| path.iter().next().is_some());
    let model = match named {
        true => Path::<String>::from_request_parts(&mut parts, &()).await.ok().map(|Path(model)| model),
        false => None,
    };
    (model, Request::from_parts(parts, body))
}

fn unknown_model(dialect: Dialect, model: &str) -> Error {
    let words = format!(
        "{}: Invalid model name passed in model={model}. Call `/v1/models` to view available models for your key.",
        dialect.route()
    );
    Error::new(ErrorKind::InvalidRequest, words)
}

fn missing(dialect: Dialect, field: &'static str) -> Error {
    let words = format!("{}: Missing required parameter: '{field}'.", dialect.route());
    Error::new(ErrorKind::InvalidRequest, words).with_param(field)
}

fn model_denied(model: &str) -> Error {
    let words = format!(
        "The requested model '{model}' is not available for this API key, or the model name is invalid. Check the models available to you and try again."
    );
    Error::new(ErrorKind::Forbidden, words).with_type("key_model_access_denied").with_param("model")
}
