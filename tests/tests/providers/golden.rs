//! What a provider was sent and what it cost, against the file that says so.
//!
//! One file a dialect says all; the others say only in what their provider differs. `UPDATE_GOLDEN=1` writes what is sent
//! now.

use std::collections::BTreeMap;
use std::fs;

use gatewright_tests::upstream::Seen;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::ask::FILES;
use crate::seat::{Seat, read, whole_of};

/// What every HTTP request has, or what differs from call to call.
const NOT_SHOWN: &[&str] =
    &["host", "content-length", "user-agent", "traceparent", "accept", "accept-encoding", "x-amz-date"];

/// What stands in the files for the model's name, which the top of a file tells.
const MODEL: &str = "{model}";

/// How a file says that something is not there which its dialect's others have.
const ABSENT: &str = "(absent)";

/// What a request was, below the row's base URL, with files of this host.
pub fn sent((seat, files): (&Seat, &str), seen: &Seen, dropped: &str) -> Value {
    let base = seat.base();
    let below = base.path().trim_end_matches('/');
    let path = seen.path.strip_prefix(below).map_or_else(|| format!("/..{}", seen.path), str::to_owned);
    let headers: BTreeMap<&str, String> = seen
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), shown(value.to_str().unwrap())))
        .filter(|(name, _)| !NOT_SHOWN.contains(name))
        .collect();
    json!({
        "request": format!("{} {}", seen.method, path.replace(&encoded(seat.bare()), MODEL)),
        "headers": headers,
        "dropped": dropped.split(", ").filter(|name| !name.is_empty()).collect::<Vec<_>>(),
        "body": serde_json::from_str::<Value>(&body(seat, seen).to_string().replace(files, FILES)).unwrap(),
    })
}

/// The headers that all requests of a seat have, taken out of them.
fn common_headers(asked: &mut Map<String, Value>) -> Map<String, Value> {
    let all = || asked.values().filter_map(|ask| ask["headers"].as_object());
    let mut common = all().next().cloned().unwrap_or_default();
    for headers in all() {
        common.retain(|name, value| headers.get(name) == Some(value));
    }
    for ask in asked.values_mut() {
        strip(ask, &common);
        if let Some(streamed) = ask.get_mut("streamed") {
            strip(streamed, &common);
        }
    }
    common
}

fn strip(ask: &mut Value, common: &Map<String, Value>) {
    if let Some(headers) = ask.get_mut("headers").and_then(Value::as_object_mut) {
        headers.retain(|name, value| common.get(name) != Some(value));
    }
}

/// Compares what a seat was asked, by the names of the asks, with its file.
pub fn expect(seat: &Seat, mut asked: Map<String, Value>) {
    let mut told = json!({"base": seat.base().to_string().trim_end_matches('/'), "model": seat.bare()});
    told["headers"] = common_headers(&mut asked).into();
    let path = seat.file();
    let is_shared = path.parent().is_some_and(|folder| folder.ends_with("compatible"));
    if is_shared {
        told["base"] = json!("{base_url}");
    }
    let asked = Value::Object(asked);
    match seat.is_whole() {
        true => told["asked"] = asked,
        false => {
            let whole: Value = serde_json::from_str(&read(&whole_of(seat.dialect()))).unwrap();
            let mut differs = Map::new();
            differences(&whole["asked"], &asked, String::new(), &mut differs);
            told["differs"] = Value::Object(differs);
        }
    }
    let text = format!("{}\n", serde_json::to_string_pretty(&told).unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return fs::write(path, text).unwrap();
    }
    let wanted = read(&path);
    assert!(text == wanted, "{} at {}:\n{}", seat.name(), path.display(), first_difference(&wanted, &text));
}

/// Every place in which `is` is not what it `was`.
fn differences(was: &Value, is: &Value, at: String, out: &mut Map<String, Value>) {
    match (was, is) {
        (Value::Object(before), Value::Object(now)) => {
            let names: std::collections::BTreeSet<&String> = before.keys().chain(now.keys()).collect();
            let absent = json!(ABSENT);
            for name in names {
                let place = if at.is_empty() { name.clone() } else { format!("{at} / {name}") };
                let of =
                    |side: &Map<String, Value>| side.get(name).cloned().unwrap_or_else(|| absent.clone());
                differences(&of(before), &of(now), place, out);
            }
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            for (place, (was, is)) in before.iter().zip(now).enumerate() {
                differences(was, is, format!("{at} / {place}"), out);
            }
        }
        _ if was == is => {}
        _ => drop(out.insert(at, is.clone())),
    }
}

/// JSON, or the parts of a form.
fn body(seat: &Seat, seen: &Seen) -> Value {
    let boundary =
        seen.header("content-type").split_once("boundary=").map(|(_, boundary)| boundary.to_owned());
    let Some(boundary) = boundary else {
        let mut body = seen.json();
        if let Some(name) = body["model"].as_str() {
            body["model"] = json!(name.replace(seat.bare(), MODEL));
        }
        return body;
    };
    let text = String::from_utf8_lossy(&seen.body).replace(&boundary, "{boundary}").replace("\r\n", "\n");
    json!(text.replace(&format!("\n{}\n", seat.bare()), &format!("\n{MODEL}\n")))
}

/// A name as it stands in a path.
fn encoded(name: &str) -> String {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// A header without what differs from call to call: a form's boundary, and all of a signature but its scheme.
fn shown(value: &str) -> String {
    let signed = value.split_once(" Credential=").map(|(scheme, _)| scheme.to_owned());
    let bounded = || value.split_once("boundary=").map(|(kind, _)| format!("{kind}boundary={{boundary}}"));
    signed.or_else(bounded).unwrap_or_else(|| value.to_owned())
}

fn first_difference(wanted: &str, text: &str) -> String {
    let differs = |(_, (wanted, text)): &(usize, (&str, &str))| wanted != text;
    match wanted.lines().zip(text.lines()).enumerate().find(differs) {
        Some((line, (wanted, text))) => format!("line {}: wanted {wanted}\n     but it is {text}", line + 1),
        None => "one of them is longer".to_owned(),
    }
}
