//! The golden matrix: every case of one dialect against what each dialect must make of it.
//!
//! The walker demands an outcome for every target, so that the matrix is complete by construction. `UPDATE_GOLDEN=1`
//! writes what the codecs say now; what changed is then read and judged in the diff.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use gatewright_core::{
    AttemptId, Codec, Dialect, Error, Framing, Json, JsonLimits, Losses, ModelFacts, Peek, ReasoningControl,
    Relay, ReplyStyle, Translate, Usage,
};
use gatewright_dialects::Splitter;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// The dialects by their folders' names.
const DIALECTS: [(&str, Dialect); 8] = [
    ("openai", Dialect::OpenAiChat),
    ("openai_responses", Dialect::OpenAiResponses),
    ("openai_completions", Dialect::OpenAiCompletions),
    ("anthropic", Dialect::AnthropicMessages),
    ("gemini", Dialect::Gemini),
    ("bedrock", Dialect::BedrockConverse),
    ("cohere", Dialect::CohereChat),
    ("ollama", Dialect::OllamaChat),
];

/// How large an event may be.
const MAX_EVENT: usize = 1 << 20;

/// One case: its folder, and the dialect it is in.
struct Case {
    dir: PathBuf,
    dialect: Dialect,
}

#[test]
fn requests_become_what_each_upstream_takes() {
    walk("requests", |case, name, target| {
        let body = Json::parse(case.read("in.json").into(), JsonLimits::default()).unwrap();
        let (text, losses) = match request(case, body, target) {
            Ok(done) => done,
            Err(err) => {
                case.expect_none(&format!("out.{name}.json"));
                return case.expect(&format!("out.{name}.unsupported"), &format!("{err}\n"));
            }
        };
        case.expect(&format!("out.{name}.json"), &pretty(&text));
        match losses.is_empty() {
            true => case.expect_none(&format!("out.{name}.losses")),
            false => case.expect(&format!("out.{name}.losses"), &format!("{}\n", losses.join("\n"))),
        }
    });
}

#[test]
fn replies_become_what_each_client_expects() {
    walk("replies", |case, name, target| {
        if case.streams() {
            let (bytes, usage) = stream(case, target, usize::MAX);
            case.expect_bytes(&format!("out.{name}.{}", extension(target)), &bytes);
            return case.expect("meter.json", &pretty(&json!(usage).to_string().into()));
        }
        let (body, usage) = whole(case, target);
        case.expect(&format!("out.{name}.json"), &pretty(&body));
        case.expect("meter.json", &pretty(&json!(usage).to_string().into()));
    });
}

#[test]
fn streams_say_the_same_wherever_their_bytes_are_cut() {
    walk("replies", |case, _, target| {
        if case.streams() {
            let whole = stream(case, target, usize::MAX);
            for size in [1, 2, 3, 7, 64] {
                assert_eq!(stream(case, target, size), whole, "{} in pieces of {size}", case.dir.display());
            }
        }
    });
}

#[test]
fn errors_become_what_each_client_expects() {
    walk("errors", |case, name, target| {
        let file = if case.dir.join("in.json").exists() { "in.json" } else { "in.txt" };
        let status: u16 = case.read("status").trim().parse().unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let fault = codec(case.dialect).decode_refusal(status, &case.headers(), case.read(file).as_bytes());
        let mut error = Error::new(fault.kind, fault.message).with_status(status);
        if let Some(param) = fault.param {
            error = error.with_param(param);
        }
        let told = pretty(&codec(target).encode_error(&error));
        case.expect(&format!("out.{name}.json"), &told);
        case.expect("kind", &format!("{:?}\n", fault.kind));
    });
}

#[test]
fn every_case_names_its_source() {
    for kind in ["requests", "replies", "errors"] {
        for case in cases(kind) {
            let sources = case.read("source");
            assert!(!sources.is_empty(), "{}", case.dir.display());
            assert!(sources.lines().all(|line| line.starts_with("https://")), "{}", case.dir.display());
        }
    }
}

#[test]
fn a_request_that_is_written_and_read_again_is_the_same() {
    walk("requests", |case, _, target| {
        let Ok(first) = Json::parse(case.read("in.json").into(), JsonLimits::default())
            .and_then(|body| codec(case.dialect).decode_request(&body))
        else {
            return;
        };
        let mut losses = Losses::default();
        let Ok(bytes) = codec(target).encode_request(&first, &case.facts(target), &mut losses) else {
            return;
        };
        let second =
            codec(target).decode_request(&Json::parse(bytes, JsonLimits::default()).unwrap()).unwrap();
        let bytes =
            codec(target).encode_request(&second, &case.facts(target), &mut Losses::default()).unwrap();
        let third =
            codec(target).decode_request(&Json::parse(bytes, JsonLimits::default()).unwrap()).unwrap();
        assert_eq!(second, third, "{}", case.dir.display());
    });
}

fn request(case: &Case, mut body: Json, target: Dialect) -> Result<(Bytes, Vec<String>), Error> {
    if case.dialect == target {
        codec(target).readdress(&mut body, "up-model");
        return Ok((body.to_bytes(), Vec::new()));
    }
    let chat = codec(case.dialect).decode_request(&body)?;
    let mut losses = Losses::default();
    let bytes = codec(target).encode_request(&chat, &case.facts(target), &mut losses)?;
    Ok((bytes, losses.into_fields().into_iter().map(Into::into).collect()))
}

fn whole(case: &Case, target: Dialect) -> (Bytes, Option<Usage>) {
    let body = Bytes::from(case.read("in.json"));
    if case.dialect == target {
        let frame = codec(target).relay_reply(body, &style()).unwrap();
        return (frame.data, frame.usage);
    }
    let answer = codec(case.dialect).decode_reply(&body).unwrap();
    (codec(target).encode_reply(&answer, &style()), answer.usage)
}

/// Cuts the stream into pieces of `size` bytes and joins what the client gets.
fn stream(case: &Case, target: Dialect, size: usize) -> (Vec<u8>, Option<Usage>) {
    let mut relay: Box<dyn Relay> = match case.dialect == target {
        true => codec(target).relay(&style()),
        false => Box::new(Translate::new(codec(case.dialect).decoder(), codec(target).encoder(&style()))),
    };
    let input = case.read_bytes(&format!("in.{}", extension(case.dialect)));
    let mut splitter = Splitter::new(codec(case.dialect).framing(), MAX_EVENT);
    let (mut out, mut usage) = (BytesMut::new(), None);
    let note = |peek: Peek, usage: &mut Option<Usage>| *usage = peek.usage.or(*usage);
    for piece in input.chunks(size.min(input.len())) {
        splitter
            .feed(piece, &mut |event| {
                note(relay.event(event, &mut out)?, &mut usage);
                Ok(())
            })
            .unwrap();
    }
    splitter
        .close(&mut |event| {
            note(relay.event(event, &mut out)?, &mut usage);
            Ok(())
        })
        .unwrap();
    note(relay.close(&mut out).unwrap(), &mut usage);
    (out.to_vec(), usage)
}

/// Shows every case of a kind with every target dialect to `check`.
fn walk(kind: &str, check: impl Fn(&Case, &str, Dialect)) {
    for case in cases(kind) {
        for (name, target) in DIALECTS {
            check(&case, name, target);
        }
    }
}

fn cases(kind: &str) -> Vec<Case> {
    let mut found = Vec::new();
    for (name, dialect) in DIALECTS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(kind).join(name);
        for entry in fs::read_dir(folder).unwrap() {
            found.push(Case { dir: entry.unwrap().path(), dialect });
        }
    }
    found.sort_by(|a, b| a.dir.cmp(&b.dir));
    found
}

// === impl Case ===

impl Case {
    /// Whether the case's answer is a stream.
    fn streams(&self) -> bool {
        self.dir.join(format!("in.{}", extension(self.dialect))).exists()
    }

    /// What the head of an error's answer says, where its body does not say all.
    fn headers(&self) -> HeaderMap {
        let told = fs::read(self.dir.join("headers.json"));
        let told: BTreeMap<String, String> =
            told.map_or_else(|_| BTreeMap::new(), |text| serde_json::from_slice(&text).unwrap());
        told.iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<HeaderMap>()
    }

    fn read(&self, file: &str) -> String {
        String::from_utf8(self.read_bytes(file)).unwrap()
    }

    fn read_bytes(&self, file: &str) -> Vec<u8> {
        let path = self.dir.join(file);
        fs::read(&path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
    }

    fn expect(&self, file: &str, actual: &str) {
        self.expect_bytes(file, actual.as_bytes());
    }

    fn expect_bytes(&self, file: &str, actual: &[u8]) {
        let path = self.dir.join(file);
        if updates() {
            return fs::write(path, actual).unwrap();
        }
        assert!(path.exists(), "{} is missing: every target needs an outcome", path.display());
        let wanted = self.read_bytes(file);
        let [actual, wanted] = [actual, &wanted].map(String::from_utf8_lossy);
        assert_eq!(actual, wanted, "{}", path.display());
    }

    fn expect_none(&self, file: &str) {
        let path = self.dir.join(file);
        if updates() {
            let _ = fs::remove_file(&path);
        }
        assert!(!path.exists(), "{} is there, but nothing makes it any more", path.display());
    }

    /// What is known of the model: a usual one of the target's, changed by the case.
    fn facts(&self, target: Dialect) -> ModelFacts {
        let told: Value = fs::read(self.dir.join("facts.json"))
            .map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap());
        let reasoning = match (target, told["reasoning"].as_str()) {
            (Dialect::AnthropicMessages | Dialect::BedrockConverse, Some("adaptive")) => {
                ReasoningControl::Adaptive
            }
            (Dialect::AnthropicMessages | Dialect::BedrockConverse | Dialect::CohereChat, _) => {
                ReasoningControl::Budget
            }
            _ => ReasoningControl::Effort,
        };
        ModelFacts {
            name: "up-model".into(),
            max_output: Some(64_000),
            reasoning,
            structured_output: told["structured_output"] != false,
            document_links: told["document_links"] == true,
        }
    }
}

/// What files of streams in this dialect end in.
fn extension(dialect: Dialect) -> &'static str {
    match codec(dialect).framing() {
        Framing::Sse => "sse",
        Framing::Bytes => "bytes",
        Framing::Ndjson => "ndjson",
        Framing::AwsEvents => "eventstream",
    }
}

fn codec(dialect: Dialect) -> &'static dyn Codec {
    gatewright_dialects::of(dialect)
}

fn style() -> ReplyStyle {
    ReplyStyle {
        model: "alias".into(),
        include_usage: true,
        created: 1_700_000_000,
        attempt: AttemptId::from_bytes([0; 16]),
        older_functions: false,
        asked: None,
    }
}

fn pretty(body: &Bytes) -> String {
    let value: Value = serde_json::from_slice(body).unwrap();
    format!("{}\n", serde_json::to_string_pretty(&value).unwrap())
}

fn updates() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}
