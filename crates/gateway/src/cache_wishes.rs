//! What a client asks of the cache: the field `cache`, and the header that HTTP has for it.

use std::sync::Arc;
use std::time::Duration;

use gatewright_core::{CacheWishes, Caller, Controls, Error, ErrorKind, Json, Result};
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde_json::{Map, Value};

use crate::controls::seconds;

const FIELD: &str = "cache";

/// A name stands before a key, which Redis keeps and a header tells.
const LONGEST_NAMESPACE: usize = 128;

/// Reads the field. What LiteLLM does not know in it has no meaning here either.
pub(crate) fn lift(body: &Json, controls: &mut Controls) -> Result<()> {
    let Some(Value::Object(wishes)) = body.get::<Value>(FIELD)? else { return Ok(()) };
    let names = wishes.keys().map(|name| Arc::from(name.as_str()));
    controls.cache = CacheWishes {
        ttl: time(&wishes, "ttl"),
        max_age: time(&wishes, "s-maxage").or_else(|| time(&wishes, "s-max-age")),
        no_cache: flag(&wishes, "no-cache"),
        no_store: flag(&wishes, "no-store"),
        use_cache: flag(&wishes, "use-cache"),
        namespace: namespace(&wishes)?,
        said: names.collect(),
    };
    Ok(())
}

/// Adds what `Cache-Control` says. LiteLLM reads `s-maxage` of it as the time that the answer is kept.
pub(crate) fn read_header(headers: &HeaderMap, wishes: &mut CacheWishes) {
    let all = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    for directive in all.flat_map(|value| value.split(',')).map(str::trim) {
        let said = if directive.eq_ignore_ascii_case("no-cache") {
            wishes.no_cache = true;
            "no-cache"
        } else if directive.eq_ignore_ascii_case("no-store") {
            wishes.no_store = true;
            "no-store"
        } else if let Some(("s-maxage", age)) = directive.split_once('=') {
            wishes.ttl = wishes.ttl.or(age.parse().ok().and_then(seconds));
            "s-maxage"
        } else {
            continue;
        };
        wishes.said.push(said.into());
    }
}

/// Whether a caller may say what it says.
pub(crate) fn permit(wishes: &CacheWishes, caller: &Caller) -> Result<()> {
    let allowed = &caller.cache_controls;
    match wishes.said.iter().find(|name| !allowed.is_empty() && !allowed.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let words =
                format!("Not allowed to set {name} as a cache control. Contact admin to change permissions.");
            Err(Error::new(ErrorKind::Forbidden, words).with_param(FIELD))
        }
    }
}

fn flag(wishes: &Map<String, Value>, name: &str) -> bool {
    wishes.get(name) == Some(&Value::Bool(true))
}

/// A number of seconds; also one in quotes.
fn time(wishes: &Map<String, Value>, name: &str) -> Option<Duration> {
    let value = wishes.get(name)?;
    seconds(value.as_f64().or_else(|| value.as_str()?.parse().ok())?)
}

fn namespace(wishes: &Map<String, Value>) -> Result<Option<Arc<str>>> {
    let Some(name) = wishes.get("namespace").and_then(Value::as_str).filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    match name.len() <= LONGEST_NAMESPACE && name.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(Some(name.into())),
        false => {
            let words = format!(
                "'cache.namespace' must be at most {LONGEST_NAMESPACE} printable characters of ASCII without spaces"
            );
            Err(Error::new(ErrorKind::InvalidRequest, words).with_param(FIELD))
        }
    }
}
