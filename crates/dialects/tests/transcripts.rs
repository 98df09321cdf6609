//! Transcripts of the golden answers: what every dialect's clients were told, read again.

#![expect(clippy::unwrap_used, reason = "a test; helpers of one are not seen as such")]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use gatewright_core::chat::{Answer, Finish, Part};
use gatewright_core::{Dialect, Frame, Operation};
use gatewright_dialects::{Said, Told, Transcript};
use serde_json::{Value, json};

const DIALECTS: [(&str, Dialect, &str); 8] = [
    ("openai", Dialect::OpenAiChat, "sse"),
    ("openai_responses", Dialect::OpenAiResponses, "sse"),
    ("openai_completions", Dialect::OpenAiCompletions, "sse"),
    ("anthropic", Dialect::AnthropicMessages, "sse"),
    ("gemini", Dialect::Gemini, "sse"),
    ("bedrock", Dialect::BedrockConverse, "eventstream"),
    ("cohere", Dialect::CohereChat, "sse"),
    ("ollama", Dialect::OllamaChat, "ndjson"),
];

const PLENTY: usize = 1 << 24;

#[test]
fn a_streams_transcript_says_what_its_client_was_told() {
    for (name, dialect, extension) in DIALECTS {
        let file = golden(&format!("anthropic/stream-of-text/out.{name}.{extension}"));
        let Told { said: Said::Answer(answer), whole: true } = told(dialect, true, &file, 7) else {
            panic!("{name}: not whole")
        };
        assert_eq!(text(&answer), "Hello 東京!", "{name}");
    }
}

#[test]
fn a_tools_arguments_are_put_together() {
    for (name, dialect, extension) in DIALECTS {
        // The older completions have text alone.
        if dialect == Dialect::OpenAiCompletions {
            continue;
        }
        let file = golden(&format!("anthropic/stream-of-tool-use/out.{name}.{extension}"));
        let Told { said: Said::Answer(answer), whole: true } = told(dialect, true, &file, 64) else {
            panic!("{name}: not whole")
        };
        let [choice] = &*answer.choices else { panic!("{name}: {answer:?}") };
        let calls: Vec<(String, Value)> = choice.parts.iter().filter_map(call).collect();
        let weather = ("get_weather".to_owned(), json!({"location": "San Francisco, CA"}));
        assert_eq!(calls, [weather, ("get_time".to_owned(), json!({}))], "{name}");
        assert_eq!(choice.finish, Finish::ToolCalls, "{name}");
    }
}

#[test]
fn a_whole_answer_is_read_as_it_stands() {
    let file = golden("openai/text/out.openai.json");
    let Told { said: Said::Answer(answer), whole: true } = told(Dialect::OpenAiChat, false, &file, PLENTY)
    else {
        panic!("not whole")
    };
    assert!(!text(&answer).is_empty());
    assert!(answer.usage.is_some());
}

#[test]
fn a_server_tools_input_is_what_its_pieces_say() {
    let file = golden("anthropic/stream-of-web-search/out.anthropic.sse");
    let Told { said: Said::Answer(answer), whole: true } = told(Dialect::AnthropicMessages, true, &file, 100)
    else {
        panic!("not whole")
    };
    let used = answer.choices[0].parts.iter().find_map(|part| match part {
        Part::Other(value) if value["type"] == "server_tool_use" => Some(value),
        _ => None,
    });
    assert!(used.unwrap()["input"]["query"].is_string(), "{used:?}");
}

#[test]
fn a_stream_that_is_cut_off_gives_what_came() {
    let file = golden("anthropic/stream-of-text/out.anthropic.sse");
    let half = file.windows(2).enumerate().filter(|(_, two)| two == b"\n\n").map(|(at, _)| at + 2).nth(3);
    let Told { said: Said::Answer(answer), whole } =
        told(Dialect::AnthropicMessages, true, &file[..half.unwrap()], 9)
    else {
        panic!("nothing")
    };
    assert!(!whole);
    assert_eq!(text(&answer), "Hello");
}

#[test]
fn what_is_too_much_is_left_out_and_told() {
    let file = golden("anthropic/stream-of-text/out.anthropic.sse");
    let mut transcript = Transcript::new(1000);
    for event in file.split_inclusive(|byte| *byte == b'\n') {
        transcript.take(&frame(event));
    }
    assert!(transcript.is_truncated());
    assert!(transcript.held() <= 1000);
    let told = transcript.read(codec(Dialect::AnthropicMessages), Operation::Chat, true);
    assert!(matches!(told, Told { said: Said::Answer(_), whole: false }), "{told:?}");
    // Of a whole answer that did not fit there is nothing to read.
    let mut transcript = Transcript::new(10);
    transcript.take(&frame(&golden("openai/text/out.openai.json")));
    let told = transcript.read(codec(Dialect::OpenAiChat), Operation::Chat, false);
    assert_eq!(told, Told { said: Said::Nothing, whole: false });
}

#[test]
fn other_operations_are_told_as_they_stand() {
    let body = br#"{"object":"list","data":[{"embedding":[0.5]}]}"#;
    let mut transcript = Transcript::new(PLENTY);
    transcript.take(&frame(body));
    let told = transcript.read(codec(Dialect::OpenAiChat), Operation::Embeddings, false);
    let json = serde_json::from_slice(body).unwrap();
    assert_eq!(told, Told { said: Said::Json(json), whole: true });
    let mut sound = Transcript::new(PLENTY);
    sound.take(&frame(&[0xff, 0xfb, 0x90]));
    let told = sound.read(codec(Dialect::OpenAiChat), Operation::Speech, false);
    assert_eq!(told, Told { said: Said::Nothing, whole: false });
    let mut stream = Transcript::new(PLENTY);
    stream.take(&frame(b"data: {\"type\":\"transcript.text.delta\",\"delta\":\"hi\"}\n\n"));
    let told = stream.read(codec(Dialect::OpenAiChat), Operation::Transcriptions, true);
    let events = json!([{"type": "transcript.text.delta", "delta": "hi"}]);
    assert_eq!(told, Told { said: Said::Json(events), whole: true });
}

fn told(dialect: Dialect, streams: bool, bytes: &[u8], size: usize) -> Told {
    let mut transcript = Transcript::new(PLENTY);
    bytes.chunks(size).for_each(|chunk| transcript.take(&frame(chunk)));
    transcript.read(codec(dialect), Operation::Chat, streams)
}

fn frame(bytes: &[u8]) -> Frame {
    Frame { data: Bytes::copy_from_slice(bytes), ..Frame::default() }
}

fn codec(dialect: Dialect) -> &'static dyn gatewright_core::Codec {
    gatewright_dialects::of(dialect)
}

fn text(answer: &Answer) -> String {
    let text = |part: &Part| match part {
        Part::Text { text, .. } => Some(text.clone()),
        _ => None,
    };
    answer.choices.iter().flat_map(|choice| &choice.parts).filter_map(text).collect()
}

fn call(part: &Part) -> Option<(String, Value)> {
    match part {
        Part::ToolCall(call) => Some((call.name.clone(), serde_json::from_str(&call.arguments).unwrap())),
        _ => None,
    }
}

fn golden(path: &str) -> Vec<u8> {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/replies");
    fs::read(root.join(path)).unwrap()
}
