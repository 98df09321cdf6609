//! Pictures that a Gemini model makes itself: `generateContent`, whose parts are pictures then.
//!
//! <https://ai.google.dev/gemini-api/docs/image-generation>

use bytes::Bytes;
use gatewright_core::{Image, ImageRequest, Images, Losses, Result, Usage};
use serde_json::{Map, Value, json};

use crate::gemini::wire::{Candidate, Piece, Response, malformed, read};
use crate::gemini::words;
use crate::json::object;
use crate::picture;

const RATIOS: [&str; 10] = ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9"];

/// Sizes above the usual one, by the longer side.
const SIZES: [(u32, &str); 2] = [(4096, "4K"), (2048, "2K")];

/// Writes a request.
pub(super) fn request(asked: &ImageRequest, model: &str, losses: &mut Losses) -> Result<Bytes> {
    if asked.mask.is_some() {
        return Err(picture::unsupported(model, "takes no mask", "mask"));
    }
    picture::lose(asked, &[], losses);
    let picture = |image: &gatewright_core::InputImage| json!({"inlineData": {"mimeType": image.media_type, "data": image.data}});
    let mut parts: Vec<Value> = asked.images.iter().map(picture).collect();
    parts.push(json!({ "text": asked.prompt }));
    let mut body = Map::new();
    body.insert("contents".to_owned(), json!([{ "role": "user", "parts": parts }]));
    // Some of the models refuse to leave words out.
    let mut config = json!({ "responseModalities": ["TEXT", "IMAGE"] });
    let mut form = Map::new();
    if let Some(ratio) = picture::ratio(asked, &RATIOS, losses) {
        form.insert("aspectRatio".to_owned(), ratio.into());
    }
    if let Some(size) = size(asked) {
        // The models before the third version have one size.
        match model.contains("gemini-2.") {
            true => losses.add("size.resolution"),
            false => drop(form.insert("imageSize".to_owned(), size.into())),
        }
    }
    for (key, value) in &asked.extra {
        match (key.as_str(), value) {
            ("imageConfig" | "image_config", Value::Object(own)) => form.extend(own.clone()),
            ("aspectRatio" | "aspect_ratio", _) => drop(form.insert("aspectRatio".to_owned(), value.clone())),
            ("imageSize" | "image_size", _) => drop(form.insert("imageSize".to_owned(), value.clone())),
            ("seed", _) => config["seed"] = value.clone(),
            ("safetySettings" | "safety_settings", _) => {
                body.insert("safetySettings".to_owned(), value.clone());
            }
            _ => losses.add(key.clone()),
        }
    }
    if !form.is_empty() {
        config["imageConfig"] = Value::Object(form);
    }
    body.insert("generationConfig".to_owned(), config);
    Ok(object(&body))
}

fn size(asked: &ImageRequest) -> Option<&'static str> {
    let longest = picture::longest(asked)?;
    SIZES.iter().find(|(from, _)| longest >= *from).map(|(_, size)| *size)
}

/// Reads an answer.
pub(super) fn reply(body: &[u8]) -> Result<Images> {
    let response: Response<'_> = read(body)?;
    let mut images = Vec::new();
    for candidate in &response.candidates {
        collect(candidate, &mut images)?;
    }
    if images.is_empty() {
        return Err(picture::filtered(&why(&response)));
    }
    let made = images.len() as u64;
    let told = response.usage_metadata.and_then(|usage| usage.usage(0)).unwrap_or_default();
    let image_output = match told.image_output {
        // Where the parts of the output are not told, it is the picture.
        0 => told.output.saturating_sub(told.reasoning),
        tokens => tokens,
    };
    Ok(Images { images, usage: Some(Usage { images: made, image_output, ..told }) })
}

/// The candidate's pictures, but for those that it thought of on the way.
fn collect(candidate: &Candidate<'_>, images: &mut Vec<Image>) -> Result<()> {
    for raw in candidate.content.iter().flat_map(|content| &content.parts) {
        let piece: Piece<'_> = serde_json::from_str(raw.get()).map_err(|err| malformed(&err))?;
        let made = piece.inline_data.filter(|_| !piece.thought);
        images.extend(made.map(|made| Image {
            media_type: made.mime_type.into_owned(),
            data: made.data.into_owned(),
            revised_prompt: None,
        }));
    }
    Ok(())
}

/// The provider's word for why there is no picture.
fn why(response: &Response<'_>) -> String {
    let blocked = response.prompt_feedback.as_ref().and_then(|feedback| feedback.block_reason.as_deref());
    let finish = response.candidates.iter().filter_map(|candidate| candidate.finish_reason.as_ref());
    match blocked.or_else(|| finish.filter_map(words::finish_word).next()) {
        None | Some("STOP") => "the model answered in words".to_owned(),
        Some(word) => word.to_owned(),
    }
}
