//! Pictures through `invoke`, in Amazon's words and in Stability AI's.

use gatewright_core::{
    ErrorKind, ImageCodec, ImageRequest, Images, InputImage, Losses, ReasoningControl, Usage,
};
use serde_json::{Value, json};

use super::{codec, facts};

const NOVA: &str = "us.amazon.nova-canvas-v1:0";
const TITAN: &str = "amazon.titan-image-generator-v2:0";
const SD: &str = "stability.sd3-5-large-v1:0";

fn pictures() -> &'static dyn ImageCodec {
    codec().images().unwrap()
}

/// A request that says whatever a client can.
fn everything() -> ImageRequest {
    let text = |word: &str| Some(word.to_owned());
    let extra = json!({"seed": 7, "cfgScale": 6.5, "negativeText": "dogs", "negative_prompt": "dogs", "mood": "calm"});
    ImageRequest {
        prompt: "a cat".to_owned(),
        n: Some(3),
        size: text("1280x720"),
        quality: text("hd"),
        style: text("vivid"),
        output_format: text("jpeg"),
        extra: extra.as_object().unwrap().clone(),
        ..ImageRequest::default()
    }
}

fn words() -> ImageRequest {
    ImageRequest { prompt: "a cat".to_owned(), ..ImageRequest::default() }
}

fn image(data: &str) -> InputImage {
    InputImage { media_type: "image/png".to_owned(), data: data.to_owned() }
}

fn sent(model: &str, asked: &ImageRequest) -> (Value, Vec<String>) {
    let mut losses = Losses::default();
    let model = facts(model, ReasoningControl::None);
    let body = pictures().encode_request(asked, &model, &mut losses).unwrap();
    (serde_json::from_slice(&body).unwrap(), losses.into_fields().into_iter().map(Into::into).collect())
}

fn read(body: &Value) -> gatewright_core::Result<Images> {
    pictures().decode_reply(body.to_string().as_bytes())
}

#[test]
fn amazons_models_are_given_a_task() {
    for model in [NOVA, TITAN] {
        let plain = json!({
            "taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a cat"},
            "imageGenerationConfig": {"numberOfImages": 1},
        });
        assert_eq!(sent(model, &words()), (plain, vec![]));
        let full = json!({
            "taskType": "TEXT_IMAGE", "textToImageParams": {"text": "a cat", "negativeText": "dogs"},
            "imageGenerationConfig": {
                "numberOfImages": 3, "width": 1280, "height": 720, "quality": "premium", "seed": 7, "cfgScale": 6.5,
            },
        });
        let lost = ["style", "output_format", "mood", "negative_prompt"].map(str::to_owned).to_vec();
        let (body, mut losses) = sent(model, &everything());
        losses.sort_by_key(|field| lost.iter().position(|own| own == field));
        assert_eq!((body, losses), (full, lost));
    }
    let own =
        json!({"imageGenerationConfig": {"cfgScale": 3}, "textToImageParams": {"style": "PHOTOREALISM"}});
    let (body, lost) = sent(NOVA, &ImageRequest { extra: own.as_object().unwrap().clone(), ..words() });
    assert_eq!(body["imageGenerationConfig"]["cfgScale"], 3);
    assert_eq!(body["textToImageParams"], json!({"text": "a cat", "style": "PHOTOREALISM"}));
    assert!(lost.is_empty());
}

#[test]
fn a_picture_is_varied_or_painted_over_where_a_mask_says() {
    let edit = ImageRequest { images: vec![image("QQ=="), image("Qg==")], ..words() };
    let (body, lost) = sent(NOVA, &edit);
    assert_eq!(body["taskType"], "IMAGE_VARIATION");
    assert_eq!(body["imageVariationParams"], json!({"text": "a cat", "images": ["QQ==", "Qg=="]}));
    assert!(lost.is_empty());

    let (body, _) = sent(NOVA, &ImageRequest { prompt: String::new(), ..edit.clone() });
    assert_eq!(body["imageVariationParams"], json!({"images": ["QQ==", "Qg=="]}));

    let masked = ImageRequest { mask: Some(image("Qw==")), size: Some("512x512".to_owned()), ..edit.clone() };
    let (body, lost) = sent(NOVA, &masked);
    assert_eq!(body["taskType"], "INPAINTING");
    let parameters = json!({"text": "a cat", "image": "QQ==", "maskImage": "Qw=="});
    assert_eq!(body["inPaintingParams"], parameters);
    assert_eq!(body["imageGenerationConfig"], json!({"numberOfImages": 1}));
    assert_eq!(lost, ["image", "size"]);

    let words = json!({"maskPrompt": "the hat"});
    let (body, _) = sent(NOVA, &ImageRequest { extra: words.as_object().unwrap().clone(), ..edit });
    let parameters = json!({"text": "a cat", "image": "QQ==", "maskPrompt": "the hat"});
    assert_eq!((&body["taskType"], &body["inPaintingParams"]), (&json!("INPAINTING"), &parameters));
}

#[test]
fn stabilitys_models_are_given_a_prompt_and_a_ratio() {
    for model in [SD, "stability.stable-image-core-v1:1", "stability.stable-image-ultra-v1:1"] {
        assert_eq!(sent(model, &words()), (json!({"prompt": "a cat"}), vec![]), "{model}");
        let (body, mut lost) = sent(model, &everything());
        let want = json!({
            "prompt": "a cat", "aspect_ratio": "16:9", "output_format": "jpeg", "seed": 7, "negative_prompt": "dogs",
        });
        assert_eq!(body, want, "{model}");
        lost.sort_unstable();
        assert_eq!(lost, ["cfgScale", "mood", "negativeText", "quality", "style"]);
    }
    let large = ImageRequest {
        size: Some("2048x2048".to_owned()),
        output_format: Some("webp".to_owned()),
        ..words()
    };
    assert_eq!(sent(SD, &large).1, ["size.resolution", "output_format"]);
}

#[test]
fn stabilitys_services_are_given_a_picture_and_their_own_fields() {
    let said = |more: Value| ImageRequest {
        images: vec![image("QQ=="), image("Qg==")],
        mask: Some(image("Qw==")),
        extra: more.as_object().unwrap().clone(),
        ..ImageRequest::default()
    };
    let sized =
        ImageRequest { size: Some("1024x1024".to_owned()), prompt: "a hat".to_owned(), ..said(json!({})) };
    for (model, asked, want, lost) in [
        (
            "us.stability.stable-image-search-replace-v1:0",
            said(json!({"search_prompt": "cap", "seed": 7, "cfgScale": 6})),
            json!({"image": "QQ==", "mask": "Qw==", "search_prompt": "cap", "seed": 7}),
            vec!["image", "cfgScale"],
        ),
        (
            "us.stability.stable-style-transfer-v1:0",
            said(json!({"style_strength": 0.5})),
            json!({"init_image": "QQ==", "style_image": "Qg==", "mask": "Qw==", "style_strength": 0.5}),
            vec![],
        ),
        (
            "us.stability.stable-image-style-guide-v1:0",
            sized.clone(),
            json!({"image": "QQ==", "mask": "Qw==", "aspect_ratio": "1:1", "prompt": "a hat"}),
            vec!["image"],
        ),
        (
            "us.stability.stable-outpaint-v1:0",
            ImageRequest { extra: json!({"left": 64}).as_object().unwrap().clone(), ..sized },
            json!({"image": "QQ==", "mask": "Qw==", "prompt": "a hat", "left": 64}),
            vec!["size", "image"],
        ),
        (
            SD,
            ImageRequest { mask: None, ..said(json!({"strength": 0.7})) },
            json!({"image": "QQ==", "mode": "image-to-image", "strength": 0.7}),
            vec!["image"],
        ),
    ] {
        assert_eq!(sent(model, &asked), (want, lost.into_iter().map(str::to_owned).collect()), "{model}");
    }
    let words = ImageRequest { extra: json!({"strength": 0.7}).as_object().unwrap().clone(), ..words() };
    assert_eq!(sent(SD, &words).1, ["strength"]);
}

#[test]
fn what_a_model_cannot_do_is_refused_before_it_is_asked() {
    let edit = ImageRequest { images: vec![image("QQ==")], ..words() };
    for (model, asked, param) in [
        (SD, &edit, "image"),
        ("amazon.nova-pro-v1:0", &words(), "model"),
        ("stability.stable-diffusion-xl-v1", &words(), "model"),
        ("stability.stable-image-core-v1:1", &edit, "image"),
        ("stability.stable-fast-upscale-v1:0", &words(), "image"),
    ] {
        let model = facts(model, ReasoningControl::None);
        let err = pictures().encode_request(asked, &model, &mut Losses::default()).unwrap_err();
        assert_eq!((err.kind(), err.param()), (ErrorKind::Unsupported, Some(param)), "{}", model.name);
    }
    assert_eq!([NOVA, TITAN, SD].map(|model| pictures().most_images(model)), [5, 5, 1]);
}

#[test]
fn answers_are_pictures_or_say_why_there_are_none() {
    let some = [
        json!({"images": ["QQ==", "Qg=="], "error": "one was blocked"}),
        json!({"seeds": [1, 2], "finish_reasons": [null, null], "images": ["QQ==", "Qg=="]}),
    ];
    for answer in some {
        let read = read(&answer).unwrap();
        let data: Vec<&str> = read.images.iter().map(|image| &*image.data).collect();
        assert_eq!(data, ["QQ==", "Qg=="]);
        assert_eq!(read.usage, Some(Usage { images: 2, ..Usage::default() }));
    }
    for (answer, kind, words) in [
        (json!({"images": [], "error": "content filters"}), ErrorKind::ContentPolicy, "content filters"),
        (json!({"finish_reasons": ["Filter reason: prompt"]}), ErrorKind::ContentPolicy, "reason: prompt"),
        (json!({"finish_reasons": ["Inference error"]}), ErrorKind::Upstream, "Inference error"),
        (json!({}), ErrorKind::BadGateway, "no pictures"),
        (json!("what"), ErrorKind::BadGateway, ""),
    ] {
        let err = read(&answer).unwrap_err();
        assert_eq!(err.kind(), kind, "{answer}");
        assert!(err.message().contains(words), "{answer}: {}", err.message());
    }
}
