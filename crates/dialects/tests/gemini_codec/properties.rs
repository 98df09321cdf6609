//! What holds for every request and every stream.

use bytes::BytesMut;
use gatewright_core::chat::Event;
use gatewright_core::{RawEvent, Result};
use gatewright_dialects::sse::Splitter;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{codec, decode, encode, style};

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9\u{e9}\u{1F600}\"\\\\]{1,8}"
}

fn asked() -> impl Strategy<Value = Value> {
    let media = [
        json!({ "inlineData": { "mimeType": "image/png", "data": "QQ==" } }),
        json!({ "fileData": { "mimeType": "application/pdf", "fileUri": "https://x/y.pdf" } }),
        json!({ "fileData": { "mimeType": "video/mp4", "fileUri": "files/abc" } }),
        json!({ "functionResponse": { "id": "c1", "name": "f", "response": { "output": "w" } } }),
        json!({ "functionResponse": { "name": "f", "response": { "error": "w" } } }),
        json!({ "functionResponse": { "name": "g", "response": { "a": [1] } } }),
    ];
    prop_oneof![word().prop_map(|text| json!({ "text": text })), select(media.to_vec())]
}

fn said() -> impl Strategy<Value = Value> {
    let others = [
        json!({ "executableCode": { "language": "PYTHON", "code": "1" }, "thoughtSignature": "c2ln" }),
        json!({ "functionCall": { "id": "c1", "name": "f", "args": { "a": 1 } }, "thoughtSignature": "c2ln" }),
        json!({ "functionCall": { "name": "f", "args": {} } }),
        json!({ "functionCall": { "name": "g" } }),
    ];
    prop_oneof![
        word().prop_map(|text| json!({ "text": text })),
        word().prop_map(|text| json!({ "text": text, "thoughtSignature": "c2ln" })),
        word().prop_map(|text| json!({ "text": text, "thought": true })),
        word().prop_map(|text| json!({ "text": text, "thought": true, "thoughtSignature": "c2ln" })),
        select(others.to_vec()),
    ]
}

fn contents() -> impl Strategy<Value = Value> {
    let pair = (prop::collection::vec(asked(), 1..4), prop::collection::vec(said(), 1..5), any::<bool>());
    prop::collection::vec(pair, 1..3).prop_map(|pairs| {
        let speak = |(asked, mut said, signed): (Vec<Value>, Vec<Value>, bool)| {
            // Gemini signs an answer that was streamed in a last part without text.
            said.extend(signed.then(|| json!({ "text": "", "thoughtSignature": "c2ln" })));
            [json!({ "role": "user", "parts": asked }), json!({ "role": "model", "parts": said })]
        };
        pairs.into_iter().flat_map(speak).collect()
    })
}

fn settings() -> impl Strategy<Value = Value> {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] });
    let settings = [
        json!({ "systemInstruction": { "parts": [{ "text": "s" }] } }),
        json!({ "generationConfig": { "maxOutputTokens": 9, "temperature": 0.5, "topK": 3.0, "stopSequences": ["x"] } }),
        json!({ "generationConfig": { "thinkingConfig": { "thinkingBudget": 1024, "includeThoughts": true } } }),
        json!({ "generationConfig": { "thinkingConfig": { "thinkingLevel": "HIGH" } } }),
        json!({ "generationConfig": { "responseMimeType": "application/json", "responseJsonSchema": schema } }),
        json!({ "generationConfig": { "responseModalities": ["TEXT", "IMAGE"], "mediaResolution": "LOW" } }),
        json!({ "tools": [{ "functionDeclarations": [{ "name": "f", "parameters": { "type": "OBJECT", "nullable": true } }] }],
                "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["f"] } } }),
        json!({ "tools": [{ "googleSearch": {} }, { "urlContext": {} }], "safetySettings": [], "labels": { "a": "b" } }),
    ];
    select(settings.to_vec())
}

/// Events with anything in them that a stream may hold.
const STREAM: &str = concat!(
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Let \u{e9}\", \"thought\": true}]}}], \"responseId\": \"r\"}\r\n\r\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"a\u{1F600}\"}, {\"text\": \"b\"}]}, \"index\": 0}],\ndata: \"modelVersion\": \"m\"}\n\n",
    ": comment\n\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"functionCall\": {\"name\": \"f\", \"args\": {\"a\": 1}}, \"thoughtSignature\": \"c2ln\"}]}}]}\n\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"functionCall\": {\"name\": \"g\", \"willContinue\": true}}]}}]}\n\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"functionCall\": {\"partialArgs\": [{\"jsonPath\": \"$.x\", \"stringValue\": \"y\"}]}}]}}]}\n\n",
    "data: {\"candidates\": [{\"content\": {\"parts\": [{\"executableCode\": {\"code\": \"1\"}}, {\"inlineData\": {\"mimeType\": \"image/png\", \"data\": \"QQ==\"}}]}}]}\n\n",
    "data: {\"candidates\": [{\"content\": {}, \"finishReason\": \"STOP\", \"groundingMetadata\": {\"groundingChunks\": [{\"web\": {\"uri\": \"u\", \"title\": \"t\"}}]}}], \"usageMetadata\": {\"promptTokenCount\": 3, \"candidatesTokenCount\": 2}}\n\n",
);

fn events(stream: &[u8], chunk: usize) -> Result<Vec<Event>> {
    let (mut splitter, mut decoder, mut out) = (Splitter::new(1 << 20), codec().decoder(), Vec::new());
    for piece in stream.chunks(chunk) {
        splitter.feed(piece, &mut |event| decoder.event(event, &mut out))?;
    }
    splitter.close(&mut |event| decoder.event(event, &mut out))?;
    decoder.close(&mut out)?;
    Ok(out)
}

fn relayed(stream: &[u8], chunk: usize) -> Result<Vec<u8>> {
    let (mut splitter, mut relay, mut out) =
        (Splitter::new(1 << 20), codec().relay(&style()), BytesMut::new());
    let mut each = |event: RawEvent<'_>| relay.event(event, &mut out).map(drop);
    for piece in stream.chunks(chunk) {
        splitter.feed(piece, &mut each)?;
    }
    splitter.close(&mut each)?;
    relay.close(&mut out)?;
    Ok(out.to_vec())
}

proptest! {
    #[test]
    fn a_request_that_is_written_and_read_again_is_the_same(contents in contents(), more in settings()) {
        let mut request = json!({ "contents": contents });
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        for name in ["gemini-2.5-flash", "gemini-3-flash"] {
            let first = decode(&request).unwrap();
            let second = decode(&encode(&first, name)).unwrap();
            let third = decode(&encode(&second, name)).unwrap();
            prop_assert_eq!(&second, &third);
        }
    }

    #[test]
    fn a_stream_says_the_same_wherever_its_bytes_are_cut(chunk in 1usize..200) {
        let whole = STREAM.len();
        prop_assert_eq!(events(STREAM.as_bytes(), chunk).unwrap(), events(STREAM.as_bytes(), whole).unwrap());
        prop_assert_eq!(relayed(STREAM.as_bytes(), chunk).unwrap(), relayed(STREAM.as_bytes(), whole).unwrap());
    }

    #[test]
    fn a_stream_that_breaks_off_ends_in_an_error(at in 0usize..STREAM.len() - 2) {
        prop_assert!(events(STREAM.as_bytes().get(..at).unwrap(), 64).is_err());
        prop_assert!(relayed(STREAM.as_bytes().get(..at).unwrap(), 64).is_err());
    }

    #[test]
    fn what_is_written_for_a_client_is_read_as_what_it_was(chunk in 1usize..50) {
        let read = events(STREAM.as_bytes(), STREAM.len()).unwrap();
        let (mut encoder, mut out) = (codec().encoder(&style()), BytesMut::new());
        read.iter().for_each(|event| encoder.event(event, &mut out));
        let again = events(&out, chunk).unwrap();
        prop_assert_eq!(told(&again), told(&read));
    }
}

/// What a stream says, however it is cut into parts.
fn told(events: &[Event]) -> Vec<String> {
    use gatewright_core::chat::{Delta, PartKind};
    let mut all: Vec<String> = Vec::new();
    for event in events {
        let (kind, text) = match event {
            Event::PartStart { kind: PartKind::ToolCall { name, .. }, .. } => ("call", name.clone()),
            Event::PartDelta { delta: Delta::Text(text), .. } => ("text", text.clone()),
            Event::PartDelta { delta: Delta::Reasoning(text), .. } => ("thought", text.clone()),
            Event::PartDelta { delta: Delta::Signature(text), .. } => ("signature", text.clone()),
            Event::PartDelta { delta: Delta::Arguments(text), .. } => ("arguments", text.replace(' ', "")),
            Event::Finish { reason, .. } => ("finish", format!("{reason:?}")),
            Event::Usage(usage) => ("usage", format!("{usage:?}")),
            _ => continue,
        };
        match all.last_mut().filter(|last| last.starts_with(kind) && matches!(kind, "text" | "thought")) {
            Some(last) => last.push_str(&text),
            None => all.push(format!("{kind} {text}")),
        }
    }
    all
}
