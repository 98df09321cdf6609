//! Replays recorded traffic through the codecs. The recordings are not part of the repository: `RECORDINGS` names their
//! directory, and without it there is nothing to replay.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use gatewright_core::chat::Answer;
use http::StatusCode;
use serde_json::Value;

use super::facts::{differences, facts};
use super::whole::whole;
use super::{completions, decode, decoded, encode, encoded, relayed, responses, style, told};

#[test]
fn recorded_responses_keep_their_facts() {
    replay(&["openai.responses", "xai.responses", "azure.responses"], check_response);
}

#[test]
fn recorded_completions_keep_their_texts() {
    replay(&["openai.completion", "together.completion"], check_completion);
}

fn replay(files: &[&str], check: fn(&Value) -> Vec<String>) {
    let Some(directory) = std::env::var_os("RECORDINGS") else { return };
    let (mut cases, mut misses) = (0, Vec::new());
    for name in files {
        let file = File::open(Path::new(&directory).join(format!("{name}.jsonl.gz"))).unwrap();
        for line in BufReader::new(MultiGzDecoder::new(file)).lines() {
            let case: Value = serde_json::from_str(&line.unwrap()).unwrap();
            cases += 1;
            misses.extend(check(&case).into_iter().map(|miss| format!("{name} {}: {miss}", case["id"])));
        }
    }
    assert!(misses.is_empty(), "{} misses in {cases} cases:\n{}", misses.len(), misses.join("\n"));
}

/// Ends of chunks of this size.
fn cuts(body: &[u8], size: usize) -> Vec<usize> {
    (size..body.len()).step_by(size).collect()
}

fn body(case: &Value) -> &[u8] {
    case["upstream_response"]["body"]["text"].as_str().unwrap_or_default().as_bytes()
}

fn check_response(case: &Value) -> Vec<String> {
    let (codec, body, want) = (responses(), body(case), &case["expect"]);
    let status = case["upstream_response"]["status"].as_u64().unwrap();
    if status != 200 {
        let fault = codec.decode_error(StatusCode::from_u16(status as u16).unwrap(), body);
        let same = want["error"]["message"] == fault.message.as_str();
        return if same { Vec::new() } else { vec![format!("error {:?}", fault.message)] };
    }
    // A recording shows the beginning of long reasoning.
    let shown = |answer: &Answer| {
        let mut got = facts(answer);
        let cut = want["reasoning"].as_str().and_then(|text| text.strip_suffix("..."));
        if let Some(cut) = cut.filter(|cut| got["reasoning"].as_str().unwrap().starts_with(cut)) {
            got["reasoning"] = format!("{cut}...").into();
        }
        got
    };
    let asked = &case["client_request"]["body"];
    let mut misses = check_request(asked);
    if case["stream"] != true {
        let answer = codec.decode_reply(body).unwrap();
        misses.extend(differences("decoded", &shown(&answer), want));
        let frame = codec.relay_reply(Bytes::copy_from_slice(body), &style(None)).unwrap();
        let relayed = codec.decode_reply(&frame.data).unwrap();
        assert_eq!((relayed.model.as_str(), frame.usage), ("the-alias", answer.usage));
        misses.extend(differences("relayed", &shown(&relayed), want));
        let written = codec.encode_reply(&answer, &style(Some(asked)));
        misses.extend(differences("written", &shown(&codec.decode_reply(&written).unwrap()), want));
        return misses;
    }
    for size in [1, 7, 100_000] {
        let events = decoded(codec.decoder(), body, &cuts(body, size)).unwrap();
        misses.extend(differences("decoded", &shown(&whole(&events)), want));
        let same = relayed(codec.relay(&style(None)), body, &cuts(body, size)).unwrap();
        if plain(&same) != plain(body) {
            misses.push("relayed: other events".to_owned());
        }
        let written = encoded(codec.encoder(&style(Some(asked))), &events);
        let again = whole(&decoded(codec.decoder(), &written, &[]).unwrap());
        misses.extend(differences("written", &shown(&again), want));
    }
    misses
}

/// The events without the names of models.
fn plain(stream: &[u8]) -> Vec<Value> {
    let mut events = told(stream);
    for event in &mut events {
        if let Some(response) = event.get_mut("response") {
            response["model"] = Value::Null;
        }
    }
    events
}

/// A recorded request that is read, written and read again says the same.
fn check_request(asked: &Value) -> Vec<String> {
    let Ok(once) = decode(responses(), asked) else {
        // What only the provider keeps is carried by itself alone.
        return if asked["previous_response_id"].is_string() { vec![] } else { vec!["refused".to_owned()] };
    };
    let (written, _) = encode(responses(), &once);
    let twice = decode(responses(), &written).unwrap();
    let (again, _) = encode(responses(), &twice);
    if written == again { vec![] } else { vec![format!("request\n    once  {written}\n    twice {again}")] }
}

fn check_completion(case: &Value) -> Vec<String> {
    let (codec, body) = (completions(), body(case));
    let text = |events: &[Value]| -> String {
        let choices = events.iter().flat_map(|event| event["choices"].as_array().into_iter().flatten());
        choices.filter_map(|choice| choice["text"].as_str()).collect()
    };
    let (want, got) = match case["stream"] == true {
        true => {
            let events = decoded(codec.decoder(), body, &cuts(body, 7)).unwrap();
            let same = relayed(codec.relay(&style(None)), body, &cuts(body, 7)).unwrap();
            let written = encoded(codec.encoder(&style(None)), &events);
            (text(&told(body)), [text(&told(&same)), text(&told(&written))])
        }
        false => {
            let answer = codec.decode_reply(body).unwrap();
            let frame = codec.relay_reply(Bytes::copy_from_slice(body), &style(None)).unwrap();
            assert_eq!(frame.usage, answer.usage);
            let read = |bytes: &[u8]| text(&[serde_json::from_slice(bytes).unwrap()]);
            (read(body), [read(&frame.data), read(&codec.encode_reply(&answer, &style(None)))])
        }
    };
    let other = got.into_iter().filter(|got| *got != want || want.is_empty());
    other.map(|got| format!("{got:?} for {want:?}")).collect()
}
