//! Sources that an upstream of OpenAI's dialect lists beside its answer.

use serde_json::{Value, json};

use super::pairs::{openai, streamed};
use super::{codec, raw_events, style};

#[test]
fn sources_beside_an_answer_become_its_citations() {
    let results = json!([{ "title": "T", "url": "https://a", "date": null }]);
    let cited = |url: &str, title: Value| json!({ "type": "web_search_result_location", "url": url, "title": title, "encrypted_index": "", "cited_text": "" });
    for (extra, want) in [
        (json!({ "citations": ["https://b"] }), vec![cited("https://b", Value::Null)]),
        (
            json!({ "citations": ["https://a"], "search_results": results }),
            vec![cited("https://a", json!("T"))],
        ),
        (json!({ "citations": null, "search_results": "?" }), vec![]),
    ] {
        let choice = json!({ "index": 0, "message": { "role": "assistant", "content": "a [1]" }, "finish_reason": "stop" });
        let mut body = json!({ "id": "x", "model": "m", "choices": [choice] });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let answer = openai().decode_reply(body.to_string().as_bytes()).unwrap();
        let reply: Value = serde_json::from_slice(&codec().encode_reply(&answer, &style())).unwrap();
        let told = reply["content"][0]["citations"].as_array().cloned().unwrap_or_default();
        assert_eq!(told, want, "{extra}");

        let chunk = |delta: Value, finish: Value| {
            let mut chunk = json!({ "id": "x", "model": "m", "choices": [{ "index": 0, "delta": delta, "finish_reason": finish }] });
            chunk.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            ("", chunk)
        };
        let events = [chunk(json!({ "content": "a [1]" }), Value::Null), chunk(json!({}), json!("stop"))];
        let told = streamed(openai(), codec(), &events);
        let citations: Vec<Value> = raw_events(&told)
            .iter()
            .filter_map(|event| serde_json::from_slice::<Value>(event.data).ok())
            .filter_map(|data| data["delta"].get("citation").cloned())
            .collect();
        assert_eq!(citations, want, "{told}");
    }
}
