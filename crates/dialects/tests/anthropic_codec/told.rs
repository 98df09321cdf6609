//! What is lost on the way from a client of this dialect to an upstream of OpenAI's, and told.

use gatewright_core::{Losses, ModelFacts, ReasoningControl};
use serde_json::{Value, json};

use super::pairs::openai;
use super::{codec, json};

#[test]
fn a_document_by_its_address_goes_only_where_addresses_are_opened() {
    let request = json!({
        "model": "m", "max_tokens": 9,
        "messages": [{ "role": "user", "content": [
            { "type": "document", "source": { "type": "url", "url": "https://x/a.pdf" }, "title": "a.pdf" },
            { "type": "text", "text": "so?" },
        ] }],
    });
    let chat = codec().decode_request(&json(&request)).unwrap();
    for (document_links, part, lost) in [
        (
            true,
            json!({ "type": "file", "file": { "filename": "a.pdf", "file_data": "https://x/a.pdf" } }),
            &[][..],
        ),
        (
            false,
            json!({ "type": "text", "text": "[This document could not be attached: https://x/a.pdf]" }),
            &["document_url"],
        ),
    ] {
        let model = ModelFacts { name: "mistral-x".into(), document_links, ..ModelFacts::default() };
        let mut losses = Losses::default();
        let body = openai().encode_request(&chat, &model, &mut losses).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["messages"][0]["content"][0], part);
        assert_eq!(losses.into_fields(), lost);
    }
}

#[test]
fn what_openai_has_no_word_for_is_told() {
    let mark = json!({ "type": "ephemeral" });
    let citation = json!({ "type": "page_location", "cited_text": "c" });
    let text = |text: &str| json!({ "type": "text", "text": text, "cache_control": mark });
    let request = json!({
        "model": "m", "max_tokens": 9000, "thinking": { "type": "enabled", "budget_tokens": 2000, "display": "omitted" },
        "tools": [
            { "name": "f", "input_schema": { "type": "object" }, "cache_control": mark },
            { "type": "web_search_20250305", "name": "web_search", "max_uses": 2, "allowed_domains": ["a.com"],
              "blocked_domains": null,
              "user_location": { "type": "approximate", "city": "Rome", "region": null } },
        ],
        "messages": [
            { "role": "user", "content": [text("a"), { "type": "document", "title": "t", "context": "c",
                "citations": { "enabled": true }, "source": { "type": "text", "media_type": "text/plain", "data": "d" } }] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "w", "signature": "s" },
                { "type": "redacted_thinking", "data": "r" },
                { "type": "text", "text": "b", "citations": [citation] },
                { "type": "server_tool_use", "id": "x", "name": "web_search", "input": {} },
            ] },
            { "role": "user", "content": [text("so?")] },
        ],
    });
    let chat = codec().decode_request(&json(&request)).unwrap();
    let facts =
        ModelFacts { name: "gpt-5".into(), reasoning: ReasoningControl::Effort, ..ModelFacts::default() };
    let mut losses = Losses::default();
    let body = openai().encode_request(&chat, &facts, &mut losses).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let place = json!({ "user_location": { "type": "approximate", "approximate": { "city": "Rome" } } });
    assert_eq!((&body["web_search_options"], &body["reasoning_effort"]), (&place, &json!("low")));
    let said = json!({ "role": "assistant", "content": [{ "type": "text", "text": "b" }] });
    assert_eq!(body["messages"][1], said);
    assert_eq!(
        losses.into_fields(),
        [
            "messages.cache_control",
            "messages.document.title",
            "messages.document.context",
            "messages.document.citations",
            "messages.citations",
            "server_tool_blocks",
            "messages.thinking",
            "messages.thinking.signature",
            "messages.redacted_thinking",
            "tools.cache_control",
            "tools.web_search.allowed_domains",
            "tools.web_search.max_uses",
            "thinking.budget_tokens",
            "thinking.display",
        ]
    );
}
