//! What can go wrong, as LiteLLM's clients read it.

use axum::response::{IntoResponse, Response};
use gatewright_store::Error as StoreError;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use tracing::error;

/// An answer that is none.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) body: Box<Value>,
}

// === impl Failure ===

impl Failure {
    /// `{"error": {message, type, param, code}}`.
    pub(crate) fn new(status: StatusCode, kind: &str, param: Option<&str>, message: &str) -> Self {
        let code = status.as_u16().to_string();
        let body = json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
        Self { status, body: Box::new(body) }
    }

    /// The request asks for what cannot be.
    pub(crate) fn bad(param: &str, message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request_error", Some(param), message)
    }

    /// There is no such thing. LiteLLM puts these words into a Python dictionary, and clients look for them there.
    pub(crate) fn missing(what: &str) -> Self {
        let words = format!("{{'error': '{what}'}}");
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", None, &words)
    }

    /// `{"detail": {"error": …}}`, as some of LiteLLM's routes tell what is wrong.
    pub(crate) fn told(status: StatusCode, message: &str) -> Self {
        Self { status, body: Box::new(json!({"detail": {"error": message}})) }
    }

    /// `{"detail": …}`, as others do.
    pub(crate) fn detail(status: StatusCode, message: &str) -> Self {
        Self { status, body: Box::new(json!({"detail": message})) }
    }

    /// The caller may not do this.
    pub(crate) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "auth_error", None, message)
    }

    /// The caller may not manage models.
    pub(crate) fn no_models(role: &str) -> Self {
        let words = format!(
            "{{'error': 'User does not have permission to make this model call. Your role={role}. You can only make \
             model calls if you are a PROXY_ADMIN or if you are a team admin, by specifying a team_id in the \
             model_info.'}}"
        );
        Self::new(StatusCode::FORBIDDEN, "auth_error", None, &words)
    }

    /// A field has a wrong form; `what` is the word and the text that LiteLLM's validator has for it.
    pub(crate) fn form(at: &[Value], what: (&str, &str), input: &Value) -> Self {
        let (kind, message) = what;
        let mut place = vec![json!("body")];
        place.extend_from_slice(at);
        let body = json!({"detail": [{"type": kind, "loc": place, "msg": message, "input": input}]});
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, body: Box::new(body) }
    }

    /// A field is missing.
    pub(crate) fn required(name: &str) -> Self {
        Self::form(&[name.into()], ("missing", "Field required"), &Value::Null)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        answer(self.status, &self.body)
    }
}

impl From<StoreError> for Failure {
    fn from(err: StoreError) -> Self {
        let of = |status, kind, message| Self::new(status, kind, None, message);
        match err {
            StoreError::Taken(_) => of(
                StatusCode::BAD_REQUEST,
                "bad_request_error",
                "there is one with this id or this alias already",
            ),
            StoreError::Missing(_) => Self::missing("not found"),
            StoreError::Stale(_) => of(
                StatusCode::CONFLICT,
                "bad_request_error",
                "somebody else changed it at the same time: try again",
            ),
            StoreError::Away(why) => {
                error!(why, "the database is away");
                of(StatusCode::SERVICE_UNAVAILABLE, "no_db_connection", "the database cannot be reached now")
            }
            StoreError::Unfit(why) => {
                error!(why, "the database cannot keep a value");
                of(
                    StatusCode::BAD_REQUEST,
                    "bad_request_error",
                    "a value is nothing that the database can keep",
                )
            }
            StoreError::Broken(why) => {
                error!(why, "the database refused");
                of(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal_server_error",
                    "the database refused: the log says why",
                )
            }
        }
    }
}

impl From<gatewright_core::Error> for Failure {
    fn from(err: gatewright_core::Error) -> Self {
        let kind = err.wire_type().unwrap_or_else(|| err.kind().openai_type());
        Self::new(err.status(), kind, err.param(), err.message())
    }
}

/// A JSON document as an answer.
pub(crate) fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
