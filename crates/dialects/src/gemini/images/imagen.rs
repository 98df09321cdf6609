//! Imagen's `predict`: the prompt is an instance, all else a parameter.
//!
//! <https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/imagen-api>

use bytes::Bytes;
use gatewright_core::{Image, ImageRequest, Images, Losses, Result, Usage};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::gemini::wire::read;
use crate::json::object;
use crate::picture;

/// How many pictures one request may want.
pub(super) const MOST: u64 = 4;

const RATIOS: [&str; 5] = ["1:1", "3:4", "4:3", "9:16", "16:9"];

/// From here on a side is more than the usual thousand pixels, and some more, that every ratio has.
const LARGE: u32 = 2048;

/// The API's own parameters that a client may say, and how the API's libraries write them.
const OWN: [(&str, &[&str]); 11] = [
    ("aspectRatio", &["aspectRatio", "aspect_ratio"]),
    ("sampleImageSize", &["sampleImageSize", "imageSize", "image_size"]),
    ("negativePrompt", &["negativePrompt", "negative_prompt"]),
    ("personGeneration", &["personGeneration", "person_generation"]),
    ("safetySetting", &["safetySetting", "safety_setting"]),
    ("addWatermark", &["addWatermark", "add_watermark"]),
    ("enhancePrompt", &["enhancePrompt", "enhance_prompt"]),
    ("guidanceScale", &["guidanceScale", "guidance_scale"]),
    ("outputOptions", &["outputOptions", "output_options"]),
    ("language", &["language"]),
    ("seed", &["seed"]),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    predictions: Vec<Prediction>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Prediction {
    bytes_base64_encoded: Option<String>,
    mime_type: String,
    /// The prompt as the service wrote it anew.
    prompt: Option<String>,
    rai_filtered_reason: Option<String>,
}

/// Writes a request.
pub(super) fn request(asked: &ImageRequest, model: &str, losses: &mut Losses) -> Result<Bytes> {
    if !asked.images.is_empty() {
        return Err(picture::unsupported(model, "makes pictures from words only", "image"));
    }
    picture::lose(asked, &["output_format", "output_compression"], losses);
    let mut parameters = Map::new();
    // The API makes four where nothing is said.
    parameters.insert("sampleCount".to_owned(), asked.n.unwrap_or(1).into());
    // Else a picture that was filtered is missing without a word.
    parameters.insert("includeRaiReason".to_owned(), true.into());
    if let Some(ratio) = picture::ratio(asked, &RATIOS, losses) {
        parameters.insert("aspectRatio".to_owned(), ratio.into());
    }
    if picture::longest(asked).is_some_and(|side| side >= LARGE) {
        match model.starts_with("imagen-4") && !model.contains("fast") {
            true => drop(parameters.insert("sampleImageSize".to_owned(), "2K".into())),
            false => losses.add("size.resolution"),
        }
    }
    if let Some(options) = output(asked, losses) {
        parameters.insert("outputOptions".to_owned(), options);
    }
    for (key, value) in &asked.extra {
        match OWN.iter().find(|(_, names)| names.contains(&key.as_str())) {
            Some((own, _)) => drop(parameters.insert((*own).to_owned(), value.clone())),
            None => losses.add(key.clone()),
        }
    }
    let body = json!({ "instances": [{ "prompt": asked.prompt }], "parameters": parameters });
    Ok(object(body.as_object().unwrap_or(&Map::new())))
}

/// The format of the files, which is PNG where nothing is said.
fn output(asked: &ImageRequest, losses: &mut Losses) -> Option<Value> {
    let mut options = Map::new();
    match asked.output_format.as_deref() {
        Some(format @ ("png" | "jpeg")) => {
            options.insert("mimeType".to_owned(), format!("image/{format}").into());
        }
        Some(_) => losses.add("output_format"),
        None => {}
    }
    if let Some(percent) = asked.output_compression {
        options.insert("compressionQuality".to_owned(), percent.into());
    }
    (!options.is_empty()).then_some(Value::Object(options))
}

/// Reads an answer. Pictures that were filtered are told only where none is left.
pub(super) fn reply(body: &[u8]) -> Result<Images> {
    let reply: Reply = read(body)?;
    let mut why = None;
    let mut images = Vec::new();
    for prediction in reply.predictions {
        why = why.or(prediction.rai_filtered_reason);
        images.extend(prediction.bytes_base64_encoded.map(|data| Image {
            media_type: prediction.mime_type,
            data,
            revised_prompt: prediction.prompt,
        }));
    }
    if images.is_empty() {
        return Err(picture::filtered(why.as_deref().unwrap_or("the provider filtered all of them")));
    }
    let usage = Usage { images: images.len() as u64, ..Usage::default() };
    Ok(Images { images, usage: Some(usage) })
}
