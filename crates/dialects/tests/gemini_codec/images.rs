//! Pictures: Imagen's `predict`, and `generateContent` where the answer is one.

use gatewright_core::{
    Body, ErrorKind, ImageCodec, ImageRequest, Images, InputImage, Json, JsonLimits, Losses, Usage,
};
use gatewright_dialects::of;
use serde_json::{Value, json};

use super::{codec, model};

fn pictures() -> &'static dyn ImageCodec {
    codec().images().unwrap()
}

/// A client's request.
fn asked(body: Value) -> ImageRequest {
    let body = Body::Json(Json::parse(body.to_string().into(), JsonLimits::default()).unwrap());
    of(gatewright_core::Dialect::OpenAiChat).image_client().unwrap().decode_request(&body).unwrap()
}

/// What is sent to this model, and what is lost.
fn sent(name: &str, asked: &ImageRequest) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let body = pictures().encode_request(asked, &model(name), &mut losses).unwrap();
    let lost = losses.into_fields().into_iter().map(|field| field.into_owned()).collect();
    (serde_json::from_slice(&body).unwrap(), lost)
}

fn read(body: &Value) -> gatewright_core::Result<Images> {
    pictures().decode_reply(body.to_string().as_bytes())
}

#[test]
fn imagen_is_asked_for_predictions() {
    let everything = json!({
        "prompt": "a cat", "n": 3, "size": "1792x1024", "quality": "hd", "style": "vivid", "user": "u",
        "response_format": "url", "output_format": "jpeg", "output_compression": 80,
        "negative_prompt": "dogs", "personGeneration": "allow_adult", "moderation": "low",
    });
    for (body, parameters, lost) in [
        (json!({"prompt": "a cat"}), json!({"sampleCount": 1, "includeRaiReason": true}), vec![]),
        (
            everything,
            json!({
                "sampleCount": 3, "includeRaiReason": true, "aspectRatio": "16:9",
                "outputOptions": {"mimeType": "image/jpeg", "compressionQuality": 80},
                "negativePrompt": "dogs", "personGeneration": "allow_adult",
            }),
            vec!["quality", "style", "user", "response_format.url", "moderation"],
        ),
        (
            json!({"prompt": "a cat", "size": "2048x2048"}),
            json!({"sampleCount": 1, "includeRaiReason": true, "aspectRatio": "1:1", "sampleImageSize": "2K"}),
            vec![],
        ),
    ] {
        let want = json!({"instances": [{"prompt": "a cat"}], "parameters": parameters});
        let got = sent("imagen-4.0-generate-001", &asked(body));
        assert_eq!(got, (want, lost.into_iter().map(str::to_owned).collect()));
    }
    let large = asked(json!({"prompt": "a cat", "size": "2048x2048", "output_format": "webp"}));
    let (body, lost) = sent("imagen-4.0-fast-generate-001", &large);
    assert_eq!(body["parameters"]["sampleImageSize"], Value::Null);
    assert_eq!(lost, ["size.resolution", "output_format"]);
}

#[test]
fn a_gemini_model_is_asked_for_a_picture_in_its_answer() {
    let image = InputImage { media_type: "image/jpeg".to_owned(), data: "QQ==".to_owned() };
    let edit = ImageRequest {
        images: vec![image],
        ..asked(json!({"prompt": "a hat", "size": "1536x1024", "seed": 7, "background": "transparent"}))
    };
    let parts = json!([{"inlineData": {"mimeType": "image/jpeg", "data": "QQ=="}}, {"text": "a hat"}]);
    let want = json!({
        "contents": [{"role": "user", "parts": parts}],
        "generationConfig": {
            "responseModalities": ["TEXT", "IMAGE"], "seed": 7, "imageConfig": {"aspectRatio": "3:2"},
        },
    });
    assert_eq!(sent("gemini-2.5-flash-image", &edit), (want, vec!["background".to_owned()]));
    let large = asked(json!({"prompt": "a cat", "size": "4096x4096"}));
    let (body, lost) = sent("gemini-3-pro-image", &large);
    assert_eq!(body["generationConfig"]["imageConfig"], json!({"aspectRatio": "1:1", "imageSize": "4K"}));
    assert!(lost.is_empty());
    let (body, lost) = sent("gemini-2.5-flash-image", &large);
    assert_eq!(body["generationConfig"]["imageConfig"], json!({"aspectRatio": "1:1"}));
    assert_eq!(lost, ["size.resolution"]);
    let own = asked(json!({
        "prompt": "a cat", "aspect_ratio": "21:9", "imageConfig": {"imageSize": "2K"},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    }));
    let (body, lost) = sent("gemini-3-pro-image", &own);
    assert_eq!(body["generationConfig"]["imageConfig"], json!({"aspectRatio": "21:9", "imageSize": "2K"}));
    assert_eq!(body["safetySettings"][0]["threshold"], "BLOCK_NONE");
    assert!(lost.is_empty());
}

#[test]
fn what_a_model_cannot_do_is_refused_before_it_is_asked() {
    let picture = || InputImage { media_type: "image/png".to_owned(), data: "QQ==".to_owned() };
    let edit = ImageRequest { images: vec![picture()], ..asked(json!({"prompt": "a hat"})) };
    let masked = ImageRequest { mask: Some(picture()), ..edit.clone() };
    for (name, asked, param) in
        [("imagen-4.0-generate-001", edit, "image"), ("gemini-2.5-flash-image", masked, "mask")]
    {
        let err = pictures().encode_request(&asked, &model(name), &mut Losses::default()).unwrap_err();
        assert_eq!((err.kind(), err.param()), (ErrorKind::Unsupported, Some(param)), "{name}");
    }
    let most = |name| pictures().most_images(name);
    assert_eq!((most("imagen-4.0-generate-001"), most("gemini-2.5-flash-image")), (4, 1));
}

#[test]
fn pictures_are_read_with_what_they_used() {
    let filtered = json!({"raiFilteredReason": "a face"});
    let made = json!({"mimeType": "image/png", "bytesBase64Encoded": "aGk=", "prompt": "a fine cat"});
    let answer = read(&json!({"predictions": [filtered, made]})).unwrap();
    assert_eq!(answer.usage, Some(Usage { images: 1, ..Usage::default() }));
    let image = &answer.images[0];
    assert_eq!((&*image.media_type, &*image.data), ("image/png", "aGk="));
    assert_eq!(image.revised_prompt.as_deref(), Some("a fine cat"));

    let blob = |data: &str| json!({"mimeType": "image/png", "data": data});
    let parts = json!([
        {"thought": true, "inlineData": blob("QQ==")}, {"text": "Here it is"}, {"inlineData": blob("aGk=")},
    ]);
    let mut answer = json!({
        "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 1298, "thoughtsTokenCount": 2},
    });
    let told = read(&answer).unwrap();
    assert_eq!(told.images.len(), 1, "what it thought of on the way is not the picture");
    assert_eq!(told.images[0].data, "aGk=");
    let used = |image_output| Usage {
        input: 9,
        output: 1300,
        reasoning: 2,
        images: 1,
        image_output,
        cache_in_input: true,
        ..Usage::default()
    };
    assert_eq!(told.usage, Some(used(1298)));
    answer["usageMetadata"]["candidatesTokensDetails"] = json!([{"modality": "IMAGE", "tokenCount": 1290}]);
    assert_eq!(read(&answer).unwrap().usage, Some(used(1290)));
    answer["usageMetadata"] = Value::Null;
    assert_eq!(read(&answer).unwrap().usage, Some(Usage { images: 1, ..Usage::default() }));
}

#[test]
fn no_picture_is_an_error_that_says_why() {
    let finished =
        |word: &str| json!({"candidates": [{"content": {"parts": [{"text": "no"}]}, "finishReason": word}]});
    for (answer, kind, words) in [
        (json!({"predictions": [{"raiFilteredReason": "a face"}]}), ErrorKind::ContentPolicy, "a face"),
        (json!({}), ErrorKind::ContentPolicy, "filtered"),
        (finished("SAFETY"), ErrorKind::ContentPolicy, "SAFETY"),
        (finished("NO_IMAGE"), ErrorKind::ContentPolicy, "NO_IMAGE"),
        (finished("STOP"), ErrorKind::ContentPolicy, "in words"),
        (
            json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
            ErrorKind::ContentPolicy,
            "PROHIBITED_CONTENT",
        ),
        (json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}), ErrorKind::RateLimited, ""),
        (json!("what"), ErrorKind::BadGateway, "could not be read"),
    ] {
        let err = read(&answer).unwrap_err();
        assert_eq!(err.kind(), kind, "{answer}");
        assert!(err.message().contains(words), "{answer}: {}", err.message());
    }
}
