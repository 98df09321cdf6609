//! Estimates against true counts.

use gatewright_core::chat::{Chat, Extra, Media, MediaKind, MediaSource, Part, Role, Tool, Turn};
use gatewright_tokens::{estimate, estimate_bytes, estimate_text, input};
use proptest::prelude::*;
use serde_json::json;

/// Texts with the larger of their counts by cl100k and o200k, as tiktoken counts them.
const TEXTS: &[(&str, u64)] = &[
    (
        "The quick brown fox jumps over the lazy dog. It was not the first time, and it would not be the last.",
        25,
    ),
    (
        "fn main() {\n    let total: u64 = (1..=10).filter(|n| n % 2 == 0).map(|n| n * n).sum();\n    println!(\"total = {total}\");\n}",
        48,
    ),
    (
        "def fetch(url: str, *, timeout: float = 5.0) -> bytes:\n    \"\"\"Return the body, or raise if the server does not answer in time.\"\"\"\n    with urllib.request.urlopen(url, timeout=timeout) as reply:\n        return reply.read()",
        55,
    ),
    (
        "{\"id\": 17, \"name\": \"Ada\", \"tags\": [\"a\", \"b\"], \"score\": 0.75, \"active\": true, \"parent\": null}",
        39,
    ),
    ("人工智能正在改变我们的生活方式。请用三句话总结这篇文章的主要观点。", 33),
    ("東京は日本の首都であり、世界でも有数の大都市です。明日の天気を教えてください。", 36),
    ("인공지능은 우리의 삶을 바꾸고 있습니다. 이 글의 요점을 세 문장으로 요약해 주세요.", 41),
    ("Быстрая коричневая лиса перепрыгивает через ленивую собаку.", 30),
    ("550e8400-e29b-41d4-a716-446655440000", 18),
    ("2026-11-24T18:52:10Z 203.0.113.7 \"GET /v1/models HTTP/1.1\" 200 1532 0.004", 42),
    ("🎉 Release day! 🚀 All tests are green ✅", 16),
];

#[test]
fn an_estimate_is_not_below_the_true_count_and_not_twice_it() {
    for (text, count) in TEXTS {
        let estimate = estimate_text(text);
        assert!((*count..=count * 9 / 5).contains(&estimate), "{estimate} for {count}: {text}");
    }
}

#[test]
fn a_long_text_costs_what_its_lines_cost() {
    for (text, _) in TEXTS {
        let many = vec![*text; 50].join("\n");
        let (one, all) = (estimate_text(text), estimate_text(&many));
        assert!(all.abs_diff(50 * one) <= 50 * one / 10 + 50, "{all} for 50 times {one}");
    }
}

#[test]
fn a_conversation_is_its_texts_and_what_frames_them() {
    let text = TEXTS[0].0;
    let chat = |turns: usize| Chat {
        turns: vec![Turn::new(Role::User, vec![Part::text(text)]); turns],
        ..Chat::default()
    };
    let framed = estimate(&chat(1)) - estimate_text(text);
    assert!((7..=24).contains(&framed), "{framed}");
    let more = estimate(&chat(101)) - estimate(&chat(1));
    assert!((100 * estimate_text(text)..=100 * (estimate_text(text) + 5)).contains(&more), "{more}");
}

#[test]
fn tools_count_with_their_schemas() {
    let tool = |description: &str| Tool::Function {
        name: "weather".into(),
        description: Some(description.into()),
        parameters: Some(json!({"type": "object", "properties": {"city": {"type": "string"}}})),
        strict: None,
        cache: None,
        extra: Extra::new(),
    };
    let tokens = |tools: Vec<Tool>| estimate(&Chat { tools, ..Chat::default() });
    let (none, one, two) = (tokens(vec![]), tokens(vec![tool("d")]), tokens(vec![tool("d"), tool("d")]));
    assert!(one - none > 346, "the instructions for tools");
    assert!((20..100).contains(&(two - one)), "{two} {one}");
    let long = tokens(vec![tool(&"Tells the weather of a city. ".repeat(50))]);
    assert!(long - one > 300);
}

#[test]
fn media_count_by_kind_and_size_and_not_as_text() {
    let media = |kind, source| {
        let part = Part::Media(Media { kind, source, name: None, cache: None, extra: Extra::new() });
        estimate(&Chat { turns: vec![Turn::new(Role::User, vec![part])], ..Chat::default() })
    };
    let base64 =
        |bytes: usize| MediaSource::Base64 { media_type: String::new(), data: "A".repeat(bytes / 3 * 4) };
    for (kind, source, least, most) in [
        (MediaKind::Image, base64(3_000_000), 1_600, 1_700),
        (MediaKind::Image, MediaSource::Url("https://example.com/a.png".into()), 1_600, 1_700),
        (MediaKind::Document, base64(160_000), 10_000, 10_100),
        (MediaKind::Document, base64(300), 3_000, 3_100),
        (MediaKind::Document, base64(90_000_000), 300_000, 300_100),
        (MediaKind::Document, MediaSource::Text("Some words of text.".into()), 20, 40),
        (MediaKind::Audio, base64(480_000), 480, 700),
        (MediaKind::Video, MediaSource::File("file-1".into()), 10_000, 10_100),
    ] {
        let tokens = media(kind, source);
        assert!((least..=most).contains(&tokens), "{tokens} for {kind:?}");
    }
}

#[test]
fn a_body_counts_as_its_conversation_does() {
    for (text, count) in TEXTS {
        let text = vec![*text; 40].join("\n");
        let body = json!({"model": "m", "max_tokens": 10, "messages": [
            {"role": "user", "content": [{"type": "text", "text": text}]}]});
        let tokens = estimate_bytes(body.to_string().as_bytes());
        let chat = Chat { turns: vec![Turn::new(Role::User, vec![Part::text(&*text)])], ..Chat::default() };
        assert!(tokens >= count * 40, "{tokens} for 40 times {count}: {}", &text[..20.min(text.len())]);
        assert!(tokens.abs_diff(estimate(&chat)) <= 60, "{tokens} {}", estimate(&chat));
    }
}

#[test]
fn escapes_count_as_what_they_stand_for() {
    for (plain, escaped) in [
        ("\"你好世界，再见\"", r#""\u4f60\u597d\u4e16\u754c\uff0c\u518d\u89c1""#),
        ("\"a/b\"", r#""a\/b""#),
        ("\"🎉\"", r#""\ud83c\udf89""#),
    ] {
        let (plain, escaped) = (estimate_bytes(plain.as_bytes()), estimate_bytes(escaped.as_bytes()));
        assert!(plain.abs_diff(escaped) <= 1, "{plain} {escaped}");
    }
}

#[test]
fn media_in_a_body_are_found_in_every_dialects_form() {
    let png = format!("iVBORw0KGgo{}", "Ab3+".repeat(50_000));
    for body in [
        json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{png}")}}]),
        json!([{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": png}}]),
        json!([{"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]),
        json!([{"type": "image_url", "image_url": "https://example.com/cat.png"}]),
        json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/cat.png"}}]),
    ] {
        let tokens = estimate_bytes(body.to_string().as_bytes());
        assert!((1_600..1_700).contains(&tokens), "{tokens} {}", &body.to_string()[..80]);
    }
    let text = json!(["Ab3+".repeat(1_000)]).to_string();
    assert!(estimate_bytes(text.as_bytes()) > 2_000, "other base64 is text");
}

#[test]
fn what_is_billed_at_rates_of_its_own_is_seen() {
    for (body, beside_text) in [
        (json!({"messages": [{"role": "user", "content": "input_audio and \"cache_control\""}]}), false),
        (json!([{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]), true),
        (json!([{"type": "input_audio", "input_audio": {"data": "UklGRg=="}}]), true),
        (json!({"modalities": ["text", "audio"]}), true),
    ] {
        assert_eq!(input(body.to_string().as_bytes()).beside_text, beside_text, "{body}");
    }
}

proptest! {
    #[test]
    fn any_bytes_can_be_estimated(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        estimate_bytes(&bytes);
    }

    #[test]
    fn any_broken_json_can_be_estimated(pieces in prop::collection::vec(
        prop::sample::select(vec!["\"", "\\", "\\u", "d83c", "data:image/png;base64,", "iVBORw0KGgo", "url", "http", "é", ":", "tools"]), 0..60)) {
        estimate_bytes(pieces.concat().as_bytes());
    }
}
