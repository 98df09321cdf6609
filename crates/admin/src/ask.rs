//! One request to the management API, read.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Query as Pairs, RawPathParams};
use gatewright_store::{Objects, Parents, Store};
use http::StatusCode;
use http::request::Parts;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::access::Access;
use crate::actor::Actor;
use crate::calendar::Times;
use crate::failure::{Failure, Result};
use crate::table::{Table, Wishes};
use crate::{Admin, form};

/// The largest body.
const MOST_BYTES: usize = 10 << 20;

/// The longest that a body may take.
const BODY_TIME: Duration = Duration::from_secs(30);

/// What is asked, and by whom.
pub(crate) struct Ask {
    pub(crate) admin: Arc<Admin>,
    pub(crate) actor: Actor,
    pub(crate) access: Access,
    pub(crate) route: &'static str,
    pub(crate) body: Map<String, Value>,
    pairs: Vec<(String, String)>,
    /// Fields of the body that nobody knows.
    pub(crate) ignored: Vec<String>,
}

// === impl Ask ===

impl Ask {
    pub(crate) fn new(admin: Arc<Admin>, actor: Actor, route: (&'static str, Access)) -> Self {
        let (route, access) = route;
        Self { admin, actor, access, route, body: Map::new(), pairs: Vec::new(), ignored: Vec::new() }
    }

    /// Takes what stands in the path and in the query.
    pub(crate) fn with_pairs(mut self, parts: &Parts, path: &RawPathParams) -> Self {
        let query = Pairs::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|pairs| pairs.0);
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.pairs = path.chain(query.unwrap_or_default()).collect();
        self
    }

    /// Takes the body: an object, or nothing.
    pub(crate) async fn with_body(mut self, body: Body) -> Result<Self> {
        let wrong = |words: &'static str| Failure::form(&[], ("json_invalid", words), &Value::Null);
        let bytes = whole(body).await?.map_err(|_| wrong("the body is too large or broken"))?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(self);
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(body)) => self.body = body,
            Ok(_) => return Err(wrong("Input should be a valid dictionary")),
            Err(_) => return Err(wrong("JSON decode error")),
        }
        Ok(self)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.admin.store
    }

    pub(crate) fn rows(&self, table: &Table) -> Objects<'_> {
        self.store().objects(table.kind)
    }

    pub(crate) fn times(&self) -> Times<'_> {
        Times { now: self.now(), calendar: &self.admin.calendar }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.admin.clock.wall()
    }

    /// Whoever acts may do this to what belongs to these, or is refused.
    pub(crate) fn check(&self, parents: &Parents) -> Result<()> {
        self.actor.check(self.access, parents)
    }

    /// A value of the path or the query; an empty one counts as absent.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(other, value)| other == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// All values of a parameter; a list may come as one text with commas.
    pub(crate) fn params(&self, name: &str) -> Vec<String> {
        let values = self.pairs.iter().filter(|(other, _)| other == name);
        let items = values.flat_map(|(_, value)| value.split(','));
        items.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        matches!(self.param(name), Some("true" | "True" | "1"))
    }

    /// A parameter that must be there.
    pub(crate) fn required_param(&self, name: &str) -> Result<&str> {
        let words = ("missing", "Field required");
        self.param(name).ok_or_else(|| {
            let mut failure = Failure::form(&[name.into()], words, &Value::Null);
            failure.body["detail"][0]["loc"][0] = "query".into();
            failure
        })
    }

    /// A text of the body that must be there.
    pub(crate) fn required(&self, name: &str) -> Result<&str> {
        form::required(&self.body, name)
    }

    /// The body read by a table; what it does not know, and `known` does not name, is told.
    pub(crate) fn read(&mut self, table: &Table, known: &[&str]) -> Result<Map<String, Value>> {
        let Wishes { values, unknown } = table.read(&self.body, self.actor.is_admin())?;
        self.ignored.extend(unknown.into_iter().filter(|name| !known.contains(&name.as_str())));
        Ok(values)
    }
}

/// All of a body. The connection waits as long as it is being answered, so the time is kept here.
async fn whole(body: Body) -> Result<std::result::Result<Bytes, axum::Error>> {
    timeout(BODY_TIME, to_bytes(body, MOST_BYTES)).await.map_err(|_| {
        let words = "the request's body did not come in time";
        Failure::new(StatusCode::REQUEST_TIMEOUT, "timeout_error", None, words)
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::response::IntoResponse;
    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_not_waited_for() {
        let stalled = Body::from_stream(stream::pending::<std::result::Result<Bytes, Infallible>>());
        let failure = whole(stalled).await.err().unwrap();
        assert_eq!(failure.into_response().status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(whole(Body::from("{}")).await.ok().unwrap().unwrap(), "{}");
    }
}
