//! Where and how one model of one provider is called.

use std::sync::Arc;

use bytes::Bytes;
use gatewright_catalogue::{Also, Auth, Catalogue, ProviderRow, Quirk};
use gatewright_core::{
    Codec, Dialect, Framing, Json, Losses, ModelFacts, Operation, Rank, ReasoningControl, Relay, Result,
    Secret, Usage, without_user,
};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{StatusCode, Uri};

use crate::authorize::choice::Choice;
use crate::custom::{Asked, Special, Wire};
use crate::fault::misconfigured;
use crate::fill::{Fill, first};
use crate::quirks::Quirks;
use crate::{Authorize, HeaderKey, Params, custom, going_on};

/// Everything that is known about a request before the call comes.
pub(crate) struct Endpoint {
    pub(crate) codec: &'static dyn Codec,
    pub(crate) model: Arc<str>,
    pub(crate) facts: ModelFacts,
    /// Whether its model goes on with an answer that has begun.
    pub(crate) prefills: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) authorize: Option<Arc<dyn Authorize>>,
    /// In what a chat differs from the dialect's.
    pub(crate) quirks: Quirks,
    /// In what the other operations do.
    operation_quirks: Vec<(Operation, Quirks)>,
    /// How the provider's wire differs from the dialect's.
    wire: Option<Box<dyn Wire>>,
    /// How documents are ranked, where that is not the dialect's way.
    ranking: Option<&'static dyn Rank>,
    addresses: Vec<Address>,
    base: String,
}

/// Where one operation is asked for.
struct Address {
    operation: Operation,
    stream: bool,
    uri: Uri,
}

// === impl Endpoint ===

impl Endpoint {
    /// Joins a provider's row, one of the dialects that it speaks, the deployment's parameters and a model.
    pub(crate) fn new(
        (row, dialect): (&ProviderRow, Dialect),
        params: &Params,
        model: &str,
        catalogue: &Catalogue,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let Special { model, addressed, params, codec } = Special::of(row, params, model);
        let params = &*params;
        let template = params.api_base.clone().or_else(|| first(&row.base_env, env));
        let known = Fill::new(row, params, model, env);
        let (row, template) = custom::adapted((row, model), template, &known);
        let row = &*row;
        let codec = codec.unwrap_or_else(|| gatewright_dialects::of(dialect));
        let name: Arc<str> = full_name(row, row.bare(model), &known).into();
        let fill = Fill::new(row, params, addressed.as_deref().unwrap_or(&name), env);
        let Some(template) = template.or_else(|| row.base_of(model).map(str::to_owned)) else {
            return Err(misconfigured(format!("provider '{}' needs an api_base", row.id)));
        };
        let (base, user) = without_user(&template);
        let base = fill.fill(base.trim_end_matches('/'))?;
        let key = params.api_key.clone().or_else(|| first(&row.key_env, env).map(Secret::from));
        let auth = row.auth_of(model);
        let choice = Choice { row, auth, params, fill: &fill, env, base: &base };
        let authorize = match (user.and_then(HeaderKey::basic), key) {
            // As HTTP clients do: the address's user goes before a key in the same header.
            (Some(user), key) if key.is_none() || *auth == Auth::Bearer => {
                Some(Arc::new(user) as Arc<dyn Authorize>)
            }
            (_, key) => choice.proof(key.as_ref())?,
        };
        let wire = custom::wire(row, model, &fill)?;
        let base_model = params.overrides.base_model.as_deref();
        let also = row.also_of(model, base_model).iter().find(|also| also.dialect == dialect);
        let addresses = addresses(row, codec, (&base, (model, also)), &fill)?;
        let facts = ModelFacts { name: name.clone(), ..catalogue.facts(row, model, &params.overrides) };
        // A row's quirks are observed of its own dialect.
        let quirks = row.quirks_for(model, base_model).filter(|_| also.is_none());
        let of_operation = |operation: Operation| {
            let quirks = row.operation_quirks.get(operation.as_str())?;
            Some((operation, Quirks::new(quirks.clone())))
        };
        Ok(Self {
            codec,
            model: name,
            quirks: Quirks::new(quirks.flat_map(|quirk| settled(quirk, &facts)).collect()),
            operation_quirks: Operation::ALL.into_iter().filter_map(of_operation).collect(),
            facts,
            prefills: going_on::prefills(catalogue, row, (model, &params.overrides)),
            headers: headers((row, model), params, &fill)?,
            wire,
            ranking: row.ranking_of(model).map(gatewright_dialects::ranking),
            authorize,
            base: shown(&addresses, codec, &fill).unwrap_or(base),
            addresses,
        })
    }

    /// Edits a request, when it is otherwise final.
    pub(crate) fn settle(&self, body: &mut Json, operation: Operation, losses: &mut Losses) -> Result<()> {
        match &self.wire {
            Some(wire) => wire.request(body, (self.codec.dialect(), operation), losses),
            None => Ok(()),
        }
    }

    /// Edits the headers of a request.
    pub(crate) fn head(&self, headers: &mut HeaderMap, stream: bool) {
        if let Some(wire) = &self.wire {
            wire.head(headers, stream);
        }
    }

    /// What goes on behind an answer that may lead to another.
    pub(crate) fn lead(&self) -> Option<&dyn Wire> {
        self.wire.as_deref().filter(|wire| wire.leads_on())
    }

    /// A whole answer as the dialect has it.
    pub(crate) fn read(&self, body: Bytes, asked: Asked) -> Result<Bytes> {
        match &self.wire {
            Some(wire) => wire.reply(body, asked),
            None => Ok(body),
        }
    }

    /// How a stream is cut into events.
    pub(crate) fn framing(&self) -> Framing {
        let dialects = self.codec.framing();
        self.wire.as_ref().map_or(dialects, |wire| wire.framing(dialects))
    }

    /// What takes a stream's events, where `relay` takes those of the dialect.
    pub(crate) fn relay(&self, relay: Box<dyn Relay>, asked: Asked) -> Box<dyn Relay> {
        match &self.wire {
            Some(wire) => wire.events(relay, asked),
            None => relay,
        }
    }

    /// What an error answer is without what the provider puts around it.
    pub(crate) fn refusal(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: Bytes,
    ) -> (StatusCode, Bytes) {
        match &self.wire {
            Some(wire) => wire.refusal(status, headers, body),
            None => (status, body),
        }
    }

    /// The address for an operation; `None` where the provider has none.
    pub(crate) fn address(&self, operation: Operation, stream: bool) -> Option<&Uri> {
        let fits = |address: &&Address| address.operation == operation && address.stream == stream;
        self.addresses.iter().find(fits).map(|address| &address.uri)
    }

    /// In what requests for an operation differ from the dialect's.
    pub(crate) fn quirks_of(&self, operation: Operation) -> Option<&Quirks> {
        match operation {
            Operation::Chat | Operation::CountTokens => Some(&self.quirks),
            _ => self.operation_quirks.iter().find(|(own, _)| *own == operation).map(|(_, quirks)| quirks),
        }
    }

    /// How documents are ranked; `None` where that is never done.
    pub(crate) fn rank(&self) -> Option<&'static dyn Rank> {
        self.ranking.or_else(|| self.codec.rerank().map(|codec| codec as &dyn Rank))
    }

    /// Whether documents are ranked in another way than the dialect's.
    pub(crate) fn ranks_otherwise(&self) -> bool {
        self.ranking.is_some()
    }

    /// The usage as it is billed, where the provider reports it otherwise.
    pub(crate) fn billed(&self, usage: Usage) -> Usage {
        match self.quirks.contains(&Quirk::ReasoningBesideOutput) {
            true => Usage { output: usage.output.saturating_add(usage.reasoning), ..usage },
            false => usage,
        }
    }

    /// Where conversations are held.
    pub(crate) fn host(&self) -> &str {
        self.address(Operation::Chat, false).and_then(Uri::host).unwrap_or_default()
    }

    /// The base URL that clients are shown.
    pub(crate) fn shown_base(&self) -> &str {
        &self.base
    }
}

/// The chat's address without the dialect's path.
fn shown(addresses: &[Address], codec: &dyn Codec, fill: &Fill<'_>) -> Option<String> {
    let chat = addresses.iter().find(|address| address.operation == Operation::Chat)?;
    let path = codec.path(Operation::Chat, fill.model(), false)?;
    chat.uri.to_string().strip_suffix(&path).map(str::to_owned)
}

/// Where the model's operations are asked for.
fn addresses(
    row: &ProviderRow,
    codec: &dyn Codec,
    (base, spoken): (&str, (&str, Option<&Also>)),
    fill: &Fill<'_>,
) -> Result<Vec<Address>> {
    let path = |operation: Operation, stream: bool| match row.path_of(spoken, operation, stream) {
        Some("") => Ok(None),
        Some(template) => fill.fill(template).map(Some),
        None if row.only_paths => Ok(None),
        None => Ok(codec.path(operation, fill.model(), stream)),
    };
    let own = gatewright_dialects::of(row.dialect).path(Operation::Chat, fill.model(), false);
    let root = Root::new(base, [path(Operation::Chat, false)?, own], row);
    let mut addresses = Vec::new();
    for operation in Operation::ALL {
        for stream in [false, true] {
            if stream && !operation.streams() {
                continue;
            }
            if let Some(path) = path(operation, stream)? {
                addresses.push(Address { operation, stream, uri: root.join(&path)? });
            }
        }
    }
    Ok(addresses)
}

/// What operations stand below.
struct Root<'a> {
    base: &'a str,
    suffix: &'a str,
}

impl<'a> Root<'a> {
    /// Without the chat's path where an operator wrote it out, be it that of the provider's own dialect.
    fn new(base: &'a str, chat: [Option<String>; 2], row: &'a ProviderRow) -> Self {
        if let Some(base) = chat.iter().flatten().find_map(|path| base.strip_suffix(path.as_str())) {
            return Self { base, suffix: "" };
        }
        let suffix = row.quirks.iter().find_map(|quirk| match quirk {
            Quirk::BaseSuffix(suffix) if !base.ends_with(suffix) => Some(suffix.as_str()),
            _ => None,
        });
        Self { base, suffix: suffix.unwrap_or_default() }
    }

    fn join(&self, path: &str) -> Result<Uri> {
        let Self { base, suffix } = self;
        if base.ends_with(path) {
            return uri(base);
        }
        // `https://host/v1` and `/v1/messages` share a segment; another version at the base is the operator's choice.
        let last = base.rsplit('/').next().unwrap_or_default();
        let shared =
            |first: &str| (is_version(first) && is_version(last)) || (first == "models" && last == first);
        match path.get(1..).and_then(|path| path.split_once('/')) {
            Some((first, rest)) if shared(first) => uri(&format!("{base}/{rest}")),
            _ => uri(&format!("{base}{suffix}{path}")),
        }
    }
}

/// `v1`, `v1beta`.
fn is_version(segment: &str) -> bool {
    segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The quirk as it holds for this model; nothing where it does not.
fn settled(quirk: &Quirk, facts: &ModelFacts) -> Vec<Quirk> {
    match quirk {
        Quirk::ReasoningToThinkersOnly if facts.reasoning == ReasoningControl::None => vec![
            Quirk::Drop(vec!["reasoning_effort".to_owned()]),
            Quirk::DropFromMessages(vec!["reasoning_content".to_owned(), "reasoning".to_owned()]),
        ],
        Quirk::ReasoningToThinkersOnly => Vec::new(),
        other => vec![other.clone()],
    }
}

/// Short names stand for a provider's public models where its row says so.
fn full_name(row: &ProviderRow, model: &str, known: &Fill<'_>) -> String {
    if let Some(name) = custom::model(row, model, known) {
        return name;
    }
    let prefix = row.quirks_for(model, None).find_map(|quirk| match quirk {
        Quirk::ModelPrefix(prefix) if !model.contains('/') => Some(prefix.as_str()),
        _ => None,
    });
    format!("{}{model}", prefix.unwrap_or_default())
}

fn uri(text: &str) -> Result<Uri> {
    let uri: Uri = text.parse().map_err(|_| misconfigured(format!("'{text}' is not a URL")))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.authority().is_some() => Ok(uri),
        _ => Err(misconfigured(format!("'{text}' is not an http or https URL"))),
    }
}

fn headers((row, model): (&ProviderRow, &str), params: &Params, fill: &Fill<'_>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("gatewright/", env!("CARGO_PKG_VERSION"))));
    for (name, template) in row.headers_of(model) {
        let value = fill.fill(template)?;
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    for (name, value) in &params.headers {
        headers.insert(name.clone(), value.clone());
    }
    Ok(headers)
}
