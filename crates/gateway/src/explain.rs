//! How a call was routed, told in a header to a client that asks.

use std::sync::Arc;

use gatewright_core::{Decision, Decisions};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

/// Asks in a request, and tells in its answer: a JSON list of steps.
pub(crate) const ROUTE: HeaderName = HeaderName::from_static("x-gatewright-route");

/// The longest header, in bytes: clients and proxies take few more than 8 KB of all headers together.
const LONGEST: usize = 4096;

/// Where the steps are kept, if the client asks for them.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Arc<Decisions>> {
    let value = headers.get(ROUTE)?;
    (!matches!(value.as_bytes(), b"false" | b"0" | b"")).then(Arc::default)
}

/// Tells the steps.
pub(crate) fn tell(headers: &mut HeaderMap, decisions: &Decisions) {
    let (steps, more) = decisions.steps();
    if let Ok(value) = HeaderValue::try_from(text(&steps, more)) {
        headers.insert(ROUTE, value);
    }
}

/// As many steps as there is room for, and how many more there were.
fn text(steps: &[Decision], more: usize) -> String {
    let mut text = "[".to_owned();
    for (told, step) in steps.iter().enumerate() {
        let Some(step) = shown(step) else { continue };
        let step = in_ascii(&step.to_string());
        if text.len() + step.len() > LONGEST {
            return finished(text, more + steps.len() - told);
        }
        if text.len() > 1 {
            text.push(',');
        }
        text.push_str(&step);
    }
    finished(text, more)
}

fn finished(mut text: String, more: usize) -> String {
    if more > 0 {
        text.push_str(&format!(",{}", json!({"more": more})));
    }
    text.push(']');
    text
}

/// Nothing of what is no step of the router's.
fn shown(step: &Decision) -> Option<Value> {
    Some(match step {
        Decision::Group { name, deployments } => json!({"group": &**name, "deployments": deployments}),
        Decision::LeftOut { deployment, why } => json!({"left_out": &**deployment, "why": why}),
        Decision::Attempt { deployment } => json!({"attempt": &**deployment}),
        Decision::Failed { kind, status } => json!({"failed": kind.word(), "status": status}),
        Decision::Waited { millis, what } => json!({"waited_ms": millis, "why": what}),
        Decision::GivenUp { why } => json!({"given_up": true, "why": why}),
        Decision::Answered => json!({"answered": true}),
        Decision::Held(_) | Decision::Refused { .. } => return None,
    })
}

/// Other letters as JSON escapes: a header has none.
fn in_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0; 2];
    for letter in json.chars() {
        match letter {
            ' '..='~' => text.push(letter),
            other => {
                for unit in other.encode_utf16(&mut units) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use gatewright_core::ErrorKind;

    use super::*;

    #[test]
    fn steps_are_one_line_of_ascii() {
        let steps = [
            Decision::Group { name: "modèle".into(), deployments: 2 },
            Decision::Failed { kind: ErrorKind::RateLimited, status: 429 },
            Decision::Answered,
        ];
        assert_eq!(
            text(&steps, 0),
            r#"[{"group":"mod\u00e8le","deployments":2},{"failed":"rate_limited","status":429},{"answered":true}]"#
        );
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let steps = vec![Decision::Attempt { deployment: "d".repeat(1000).into() }; 9];
        let told: Value = serde_json::from_str(&text(&steps, 5)).unwrap();
        let told = told.as_array().unwrap();
        assert_eq!((told.len(), &told[told.len() - 1]), (5, &json!({"more": 10})));
    }
}
