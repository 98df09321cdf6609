//! The one error of a call, and the table that says what each kind means.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::{Cached, ServedBy};

/// What every layer answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whether another attempt may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The request itself is at fault: no deployment would take it.
    Never,
    /// This deployment will not take it; another one may.
    Elsewhere,
    /// The same deployment may take it later.
    Anywhere,
}

/// What a failure says about the health of the deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cooldown {
    /// Nothing: the request was at fault.
    Never,
    /// It counts towards the share of failures.
    Counted,
    /// It is enough by itself where the group has another deployment.
    Immediate,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $kind:ident { $status:literal, $openai:literal, $anthropic:literal, $retry:ident, $cooldown:ident })*) => {
        /// Why a call failed. The table beside it gives status, wire names, retry verdict and cooldown.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[doc = $doc])* $kind,)* }

        impl ErrorKind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The HTTP status that a client sees when the upstream gave none.
            pub fn status(self) -> StatusCode {
                let code: u16 = match self { $(Self::$kind => $status,)* };
                StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// `error.type` of an OpenAI error body, with LiteLLM's names.
            pub fn openai_type(self) -> &'static str {
                match self { $(Self::$kind => $openai,)* }
            }

            /// `error.type` of an Anthropic error body.
            pub fn anthropic_type(self) -> &'static str {
                match self { $(Self::$kind => $anthropic,)* }
            }

            /// Whether another attempt may help.
            pub fn retry(self) -> Retry {
                match self { $(Self::$kind => Retry::$retry,)* }
            }

            /// What it says about the deployment's health.
            pub fn cooldown(self) -> Cooldown {
                match self { $(Self::$kind => Cooldown::$cooldown,)* }
            }
        }
    };
}

kinds! {
    /// The request is malformed or asks for something impossible.
    InvalidRequest { 400, "invalid_request_error", "invalid_request_error", Never, Never }
    /// No deployment serves a model of this name.
    UnknownModel { 400, "invalid_request_error", "invalid_request_error", Never, Never }
    /// The request uses something that this provider cannot carry.
    Unsupported { 400, "invalid_request_error", "invalid_request_error", Elsewhere, Never }
    /// The conversation is longer than the model takes.
    ContextWindow { 400, "invalid_request_error", "invalid_request_error", Elsewhere, Never }
    /// The provider refuses the content.
    ContentPolicy { 400, "invalid_request_error", "invalid_request_error", Elsewhere, Never }
    /// The caller's key is missing, wrong or expired.
    Unauthenticated { 401, "auth_error", "authentication_error", Never, Never }
    /// The provider does not accept the deployment's credential.
    UpstreamAuth { 401, "authentication_error", "authentication_error", Elsewhere, Immediate }
    /// The provider wants to be paid first.
    PaymentRequired { 402, "payment_required", "billing_error", Elsewhere, Immediate }
    /// The caller may not do this.
    Forbidden { 403, "auth_error", "permission_error", Never, Never }
    /// The provider does not let the deployment's credential do this.
    UpstreamForbidden { 403, "permission_error", "permission_error", Elsewhere, Immediate }
    /// The provider does not know the model or the path.
    NotFound { 404, "invalid_request_error", "not_found_error", Elsewhere, Immediate }
    /// Nothing came in time.
    Timeout { 408, "timeout_error", "timeout_error", Anywhere, Immediate }
    /// The body is larger than the limit.
    TooLarge { 413, "invalid_request_error", "request_too_large", Never, Never }
    /// The provider understood the request and refuses it.
    Unprocessable { 422, "invalid_request_error", "invalid_request_error", Never, Never }
    /// A budget is spent.
    BudgetExceeded { 422, "budget_exceeded", "rate_limit_error", Never, Never }
    /// A limit of the gateway's own is reached.
    LimitReached { 429, "throttling_error", "rate_limit_error", Never, Never }
    /// The provider's rate limit is reached.
    RateLimited { 429, "throttling_error", "rate_limit_error", Anywhere, Immediate }
    /// The deployment's account is used up, which its provider says with a rate limit's status: no wait helps.
    QuotaExhausted { 429, "throttling_error", "rate_limit_error", Elsewhere, Immediate }
    /// The client left before the end.
    ClientGone { 499, "client_closed_request", "api_error", Never, Never }
    /// Something of ours is broken.
    Internal { 500, "internal_server_error", "api_error", Never, Never }
    /// The provider could not be reached: it has not seen the request and bills nothing.
    Unreachable { 500, "internal_server_error", "api_error", Anywhere, Counted }
    /// The connection broke after the provider may have seen the request.
    Connection { 500, "internal_server_error", "api_error", Anywhere, Counted }
    /// The provider failed.
    Upstream { 500, "internal_server_error", "api_error", Anywhere, Counted }
    /// The provider answered something that its dialect does not know.
    BadGateway { 502, "internal_server_error", "api_error", Anywhere, Counted }
    /// The provider, or the gateway itself, takes no more calls for now.
    Unavailable { 503, "internal_server_error", "overloaded_error", Anywhere, Counted }
}

impl ErrorKind {
    /// The class of LiteLLM's exception for it.
    pub fn class(self) -> &'static str {
        match self {
            Self::InvalidRequest | Self::UnknownModel | Self::TooLarge => "BadRequestError",
            Self::Unsupported => "UnsupportedParamsError",
            Self::ContextWindow => "ContextWindowExceededError",
            Self::ContentPolicy => "ContentPolicyViolationError",
            Self::Unauthenticated | Self::UpstreamAuth => "AuthenticationError",
            Self::PaymentRequired => "PaymentRequiredError",
            Self::Forbidden | Self::UpstreamForbidden => "PermissionDeniedError",
            Self::NotFound => "NotFoundError",
            Self::Timeout => "Timeout",
            Self::Unprocessable => "UnprocessableEntityError",
            Self::BudgetExceeded => "BudgetExceededError",
            Self::LimitReached | Self::RateLimited | Self::QuotaExhausted => "RateLimitError",
            Self::Connection | Self::ClientGone => "APIConnectionError",
            Self::Internal | Self::Unreachable | Self::Upstream => "InternalServerError",
            Self::BadGateway => "BadGatewayError",
            Self::Unavailable => "ServiceUnavailableError",
        }
    }

    /// Its name as one word of data: `rate_limited`.
    pub fn word(self) -> String {
        let mut word = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_uppercase() && !word.is_empty() {
                word.push('_');
            }
            word.push(letter.to_ascii_lowercase());
        }
        word
    }
}

/// A failed call. What a client may read and what only the log may are separate fields.
#[derive(Clone)]
pub struct Error(Box<Fields>);

#[derive(Clone)]
struct Fields {
    kind: ErrorKind,
    status: StatusCode,
    message: Cow<'static, str>,
    detail: Option<String>,
    param: Option<Cow<'static, str>>,
    code: Option<Cow<'static, str>>,
    wire_type: Option<Cow<'static, str>>,
    provider: Option<&'static str>,
    billed: bool,
    served_by: Option<Arc<ServedBy>>,
    cached: Option<Arc<Cached>>,
    retry_after: Option<Duration>,
    headers: HeaderMap,
}

// === impl Error ===

impl Error {
    /// A failure with the words that the client will read.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Fields {
            kind,
            status: kind.status(),
            message: message.into(),
            detail: None,
            param: None,
            code: None,
            wire_type: None,
            provider: None,
            billed: false,
            served_by: None,
            cached: None,
            retry_after: None,
            headers: HeaderMap::new(),
        }))
    }

    /// The request field at fault.
    pub fn with_param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.0.param = Some(param.into());
        self
    }

    /// A code of the failure's own; without one the body carries the status as text.
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// A wire name in place of the table's.
    pub fn with_type(mut self, wire_type: impl Into<Cow<'static, str>>) -> Self {
        self.0.wire_type = Some(wire_type.into());
        self
    }

    /// What the log needs and no client may read.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The status that the upstream gave, where the client should see the same.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// How long to wait before another attempt.
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Marks it as the upstream's own failure and names the provider.
    pub fn with_provider(mut self, provider: &'static str) -> Self {
        self.0.provider = Some(provider);
        self
    }

    /// Marks it as the failure of an attempt that the provider bills all the same: it had begun to answer.
    pub fn with_bill(mut self) -> Self {
        self.0.billed = true;
        self
    }

    /// The deployment that failed.
    pub fn with_served_by(mut self, served_by: Arc<ServedBy>) -> Self {
        self.0.served_by = Some(served_by);
        self
    }

    /// Marks it as the failure of another call, which this one had joined to get the same answer.
    pub fn with_cached(mut self, cached: Arc<Cached>) -> Self {
        self.0.cached = Some(cached);
        self
    }

    /// Headers of the upstream's answer that a client may see.
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.0.headers = headers;
        self
    }

    /// The same failure in other words for the client.
    pub fn with_message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Why it failed.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The HTTP status for the client.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// What the client may read.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The request field at fault.
    pub fn param(&self) -> Option<&str> {
        self.0.param.as_deref()
    }

    /// A code of the failure's own.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// A wire name in place of the table's.
    pub fn wire_type(&self) -> Option<&str> {
        self.0.wire_type.as_deref()
    }

    /// What only the log may say.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The provider whose failure it is; `None` for the gateway's own.
    pub fn provider(&self) -> Option<&'static str> {
        self.0.provider
    }

    /// Whether the provider bills the attempt all the same.
    pub fn is_billed(&self) -> bool {
        self.0.billed
    }

    /// The deployment that failed, where it came so far.
    pub fn served_by(&self) -> Option<&Arc<ServedBy>> {
        self.0.served_by.as_ref()
    }

    /// What the cache says of it, where it is another call's failure; nothing where it is the call's own.
    pub fn cached(&self) -> Option<&Arc<Cached>> {
        self.0.cached.as_ref()
    }

    /// How long to wait before another attempt.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Headers of the upstream's answer that a client may see.
    pub fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fields { kind, status, message, detail, .. } = &*self.0;
        write!(f, "{kind:?} ({}): {message}", status.as_u16())?;
        match detail {
            Some(detail) => write!(f, " [{detail}]"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
