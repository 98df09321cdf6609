//! Providers whose wire differs from their dialect's: what they are sent, and what clients get for their answers.

mod continuations;
mod gigachat;
mod replicate;
mod sagemaker;
mod sap;
mod watsonx;

use gatewright_tests::client::Client;
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup};
use gatewright_tests::upstream::{Answer, Script, Upstream};
use serde_json::{Value, json};

/// A gateway with these deployments, by their names.
fn gateway(deployments: &[(&str, Value)]) -> Gateway {
    let list: Vec<Value> = deployments
        .iter()
        .map(|(name, params)| json!({"model_name": name, "litellm_params": params}))
        .collect();
    let file = json!({"general_settings": {"master_key": MASTER_KEY}, "model_list": list});
    Setup::new(file.to_string()).start()
}

/// An answer of these bytes.
fn raw(content_type: &str, body: impl Into<bytes::Bytes>) -> Script {
    let answer = Answer::Raw { content_type: content_type.to_owned(), body: body.into() };
    Script { answer, ..Script::default() }
}

fn whole(body: &Value) -> Script {
    raw("application/json", body.to_string())
}

fn events(events: &[&str]) -> Script {
    raw("text/event-stream", events.concat())
}
