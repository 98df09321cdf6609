//! Pictures for OpenAI's clients: what they ask, as JSON or as a form, and what they read.

#![cfg(test)]

use std::sync::Arc;

use bytes::Bytes;
use gatewright_core::{
    AttemptId, Body, Dialect, ErrorKind, Form, FormField, Image, ImageClient, ImageRequest, Images, Json,
    JsonLimits, ReplyStyle, Result, Usage,
};
use serde_json::{Value, json};

fn client() -> &'static dyn ImageClient {
    gatewright_dialects::of(Dialect::OpenAiChat).image_client().unwrap()
}

fn style() -> ReplyStyle {
    ReplyStyle {
        model: Arc::from("painter"),
        include_usage: false,
        created: 7,
        attempt: AttemptId::fresh(),
        older_functions: false,
        asked: None,
    }
}

fn asked(body: Value) -> Result<ImageRequest> {
    let json = Json::parse(body.to_string().into(), JsonLimits::default()).unwrap();
    client().decode_request(&Body::Json(json))
}

fn file(name: &str, kind: Option<&str>, data: &'static [u8]) -> FormField {
    FormField {
        name: name.to_owned(),
        file_name: Some("a".to_owned()),
        content_type: kind.map(str::to_owned),
        data: Bytes::from_static(data),
    }
}

fn two(usage: Usage) -> Images {
    let image = |data: &str, revised: Option<&str>| Image {
        media_type: "image/png".to_owned(),
        data: data.to_owned(),
        revised_prompt: revised.map(str::to_owned),
    };
    Images { images: vec![image("QQ==", Some("a fine cat")), image("Qg==", None)], usage: Some(usage) }
}

#[test]
fn a_request_in_json_is_read() {
    let read = asked(json!({
        "model": "m", "prompt": "a cat", "n": 2, "size": "1024x1024", "user": null, "seed": 7, "stream": true,
    }));
    let want = ImageRequest {
        prompt: "a cat".to_owned(),
        n: Some(2),
        size: Some("1024x1024".to_owned()),
        extra: json!({"seed": 7}).as_object().unwrap().clone(),
        ..ImageRequest::default()
    };
    assert_eq!(read.unwrap(), want);
    for (field, value) in [("n", json!(0)), ("n", json!(11)), ("n", json!("many")), ("size", json!(5))] {
        let mut body = json!({"prompt": "a cat"});
        body[field] = value;
        let err = asked(body).unwrap_err();
        assert_eq!((err.kind(), err.param()), (ErrorKind::InvalidRequest, Some(field)));
    }
}

#[test]
fn a_form_brings_its_pictures() {
    let mut form = Form::default();
    for (name, text) in [("model", "m"), ("prompt", "3"), ("n", "2"), ("seed", "7"), ("mood", "calm")] {
        form.set_text(name, text);
    }
    form.fields.push(file("image[]", Some("image/webp"), b"one"));
    form.fields.push(file("image[]", Some("application/octet-stream"), &[0xff, 0xd8, 1]));
    form.fields.push(file("mask", None, b"\x89PNG"));
    let read = client().decode_request(&Body::Form(form)).unwrap();
    assert_eq!((&*read.prompt, read.n), ("3", Some(2)), "a prompt stays one, whatever it looks like");
    let kinds: Vec<&str> = read.images.iter().map(|image| &*image.media_type).collect();
    assert_eq!(kinds, ["image/webp", "image/jpeg"]);
    assert_eq!(read.images[0].data, "b25l");
    assert_eq!(read.mask.unwrap().media_type, "image/png");
    assert_eq!(Value::Object(read.extra), json!({"seed": 7, "mood": "calm"}));
}

#[test]
fn an_answer_is_what_the_client_reads() {
    let tokens = Usage { input: 9, output: 20, image_output: 18, cache_in_input: true, ..Usage::default() };
    let written = client().encode_reply(&two(tokens), &style());
    let told: Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(
        told,
        json!({
            "created": 7, "output_format": "png",
            "data": [{"b64_json": "QQ==", "revised_prompt": "a fine cat"}, {"b64_json": "Qg=="}],
            "usage": {
                "input_tokens": 9, "input_tokens_details": {"text_tokens": 9, "image_tokens": 0},
                "output_tokens": 20, "output_tokens_details": {"text_tokens": 2, "image_tokens": 18},
                "total_tokens": 29,
            },
        })
    );
    assert_eq!(client().decode_reply(&written).unwrap().images, two(tokens).images);
    let by_piece = client().encode_reply(&two(Usage { images: 2, ..Usage::default() }), &style());
    assert_eq!(serde_json::from_slice::<Value>(&by_piece).unwrap().get("usage"), None);
}

#[test]
fn a_stream_has_an_event_a_picture_and_the_usage_in_the_last() {
    let tokens = Usage { input: 9, output: 20, ..Usage::default() };
    for (edited, kind) in [(false, "image_generation.completed"), (true, "image_edit.completed")] {
        let events = client().encode_events(&two(tokens), edited, &style());
        let events = String::from_utf8(events.to_vec()).unwrap();
        let data: Vec<Value> = events
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert_eq!(events.matches(&format!("event: {kind}\n")).count(), 2, "{events}");
        assert_eq!(data[0]["usage"], Value::Null);
        assert_eq!((&data[1]["type"], &data[1]["b64_json"]), (&json!(kind), &json!("Qg==")));
        assert_eq!((&data[1]["usage"]["total_tokens"], &data[1]["created_at"]), (&json!(29), &json!(7)));
    }
}
