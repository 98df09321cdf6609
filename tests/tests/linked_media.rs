//! Pictures and documents at an address, for providers that fetch nothing: the gateway fetches them, within bounds.

use gatewright_tests::client::{Client, Response};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup};
use gatewright_tests::upstream::{Answer, Script, Seen, Upstream};
use serde_json::{Value, json};

/// Files of this machine may be fetched.
const OWN_HOST: &str = "user_url_allowed_hosts: ['HOST']";

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n a picture";
const IN_BASE64: &str = "iVBORw0KGgogYSBwaWN0dXJl";

/// A provider, and another host with files.
struct Scene {
    provider: Upstream,
    files: Upstream,
    gateway: Gateway,
}

impl Scene {
    fn new(litellm: &str, general: &str) -> Self {
        let (provider, files) = (Upstream::start(), Upstream::start());
        files.choose(|seen| Some(file(seen)));
        let deployment = |name: &str, model: &str| {
            let params = json!({"model": model, "api_base": provider.base(), "api_key": "k"});
            format!("  - {}\n", json!({"model_name": name, "litellm_params": params}))
        };
        let list = deployment("bedrock", "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0")
            + &deployment("invoke", "bedrock/invoke/anthropic.claude-3-5-sonnet-20240620-v1:0")
            + &deployment("ollama", "ollama_chat/llava")
            + &deployment("lm", "lm_studio/qwen-vl")
            + &deployment("openai", "openai/gpt-4o");
        let litellm = litellm.replace("HOST", &files.addr().to_string());
        let settings = format!(
            "router_settings: {{num_retries: 0}}\nlitellm_settings: {{{litellm}}}\ngeneral_settings: {{master_key: {MASTER_KEY}{general}}}"
        );
        let gateway = Setup::new(format!("{settings}\nmodel_list:\n{list}")).start();
        Self { provider, files, gateway }
    }

    fn asked(&self, model: &str, paths: &[&str]) -> Response {
        let url = |path: &&str| {
            let url = format!("{}{path}", self.files.base());
            json!({"type": "image_url", "image_url": {"url": url}})
        };
        let parts: Vec<Value> = paths.iter().map(url).collect();
        let body = json!({"model": model, "messages": [{"role": "user", "content": parts}]});
        Client::of(&self.gateway).post("/v1/chat/completions", &body)
    }
}

fn file(seen: &Seen) -> Script {
    let told = |kind: &str, body: &'static [u8]| {
        let answer = Answer::Raw { content_type: kind.to_owned(), body: body.into() };
        Script { answer, ..Script::default() }
    };
    match seen.path.split('?').next().unwrap() {
        "/a.png" => told("image/png", PNG),
        "/nameless.png" => told("application/octet-stream", PNG),
        "/page" => told("text/html", b"<html>"),
        "/big.png" => told("image/png", &[7; (1 << 20) + 1]),
        "/near.png" => told("image/png", &[7; 900 << 10]),
        "/moved.png" => Script { status: 302, ..told("text/plain", b"") }.header("location", "/a.png"),
        "/endless.png" => {
            Script { status: 302, ..told("text/plain", b"") }.header("location", "/endless.png")
        }
        _ => Script::fails(404, "no such file"),
    }
}

#[test]
fn providers_that_fetch_nothing_are_sent_the_bytes() {
    let scene = Scene::new(OWN_HOST, "");
    let sent = |model: &str, path: &str| {
        let answer = scene.asked(model, &[path]);
        assert_eq!(answer.status, 200, "{model} {path}: {}", answer.text());
        assert_eq!(answer.header("x-gatewright-dropped-params"), "", "{model}");
        scene.provider.last().json()
    };
    for path in ["/a.png?token=t-1", "/nameless.png", "/moved.png"] {
        let image = &sent("bedrock", path)["messages"][0]["content"][0]["image"];
        assert_eq!(image, &json!({"format": "png", "source": {"bytes": IN_BASE64}}), "{path}");
    }
    let source = &sent("invoke", "/a.png")["messages"][0]["content"][0]["source"];
    assert_eq!(source, &json!({"type": "base64", "media_type": "image/png", "data": IN_BASE64}));
    assert_eq!(sent("ollama", "/a.png")["messages"][0]["images"], json!([IN_BASE64]));
    let url = &sent("lm", "/a.png")["messages"][0]["content"][0]["image_url"]["url"];
    assert_eq!(url, &json!(format!("data:image/png;base64,{IN_BASE64}")));
    let fetched = scene.files.count();
    let url = &sent("openai", "/a.png")["messages"][0]["content"][0]["image_url"]["url"];
    assert_eq!((url, scene.files.count()), (&json!(format!("{}/a.png", scene.files.base())), fetched));
}

#[test]
fn each_address_is_fetched_once_and_shown_to_the_host_alone() {
    let scene = Scene::new(OWN_HOST, "");
    let answer = scene.asked("bedrock", &["/a.png?1", "/a.png?1", "/a.png?2"]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut paths: Vec<String> = scene.files.seen().into_iter().map(|seen| seen.path).collect();
    paths.sort();
    assert_eq!(paths, ["/a.png?1", "/a.png?2"]);
    let seen = scene.files.last();
    assert!(seen.header("authorization").is_empty() && seen.method == "GET", "{seen:?}");
}

#[test]
fn what_cannot_be_fetched_refuses_the_request_and_tells_no_secret() {
    let scene = Scene::new(OWN_HOST, ", max_linked_media_mb: 1, max_linked_media: 3");
    for (paths, words) in [
        (&["/none.png?token=secret-1"][..], "answered 404"),
        (&["/page"], "not what the request says"),
        (&["/big.png"], "could not be fetched"),
        (&["/near.png?1", "/near.png?2", "/near.png?3"], "too large together"),
        (&["/endless.png"], "without end"),
        (&["/a.png?1", "/a.png?2", "/a.png?3", "/a.png?4"], "at most 3"),
    ] {
        let answer = scene.asked("bedrock", paths);
        assert_eq!(answer.status, 400, "{paths:?}: {}", answer.text());
        assert!(answer.text().contains(words), "{paths:?}: {}", answer.text());
        assert!(!answer.text().contains("secret-1"), "{}", answer.text());
    }
    assert_eq!(scene.provider.count(), 0, "nothing was sent");
    assert!(!scene.gateway.log().contains("secret-1"), "{}", scene.gateway.log());
}

#[test]
fn a_clients_address_reaches_nothing_inside_unless_the_operator_says_so() {
    let scene = Scene::new("", "");
    let answer = scene.asked("bedrock", &["/a.png"]);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!((scene.files.count(), scene.provider.count()), (0, 0));
    let open = Scene::new("user_url_validation: false", "");
    assert_eq!(open.asked("bedrock", &["/a.png"]).status, 200);
}
