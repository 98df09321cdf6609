//! Nova Canvas and Titan Image Generator: a task, its own parameters, and a configuration that all tasks share.
//!
//! <https://docs.aws.amazon.com/nova/latest/userguide/image-gen-access.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-image.html>

use gatewright_core::{ImageRequest, Losses};
use serde_json::{Map, Value};

use crate::picture;

/// How many pictures one request may want.
pub(super) const MOST: u64 = 5;

/// What a client may say of the configuration, and of the task, in the makers' words.
const OF_CONFIGURATION: [&str; 2] = ["cfgScale", "seed"];
const OF_TASK: [&str; 3] = ["negativeText", "similarityStrength", "maskPrompt"];

/// Writes a request.
pub(super) fn request(asked: &ImageRequest, losses: &mut Losses) -> Map<String, Value> {
    picture::lose(asked, &["quality"], losses);
    let (task, name, mut parameters) = task(asked, losses);
    let mut configuration = Map::new();
    configuration.insert("numberOfImages".to_owned(), asked.n.unwrap_or(1).into());
    match (asked.dimensions(), asked.size.as_deref()) {
        // A picture that is painted over keeps its size.
        (Some(_), _) if task == "INPAINTING" => losses.add("size"),
        (Some((width, height)), _) => {
            configuration.insert("width".to_owned(), width.into());
            configuration.insert("height".to_owned(), height.into());
        }
        (None, None | Some("" | "auto")) => {}
        (None, Some(_)) => losses.add("size"),
    }
    match asked.quality.as_deref() {
        Some("hd" | "high" | "premium") => drop(configuration.insert("quality".to_owned(), "premium".into())),
        Some("standard" | "medium" | "low") => {
            configuration.insert("quality".to_owned(), "standard".into());
        }
        None | Some("" | "auto") => {}
        Some(_) => losses.add("quality"),
    }
    for (key, value) in &asked.extra {
        match (key.as_str(), value) {
            (key, _) if OF_CONFIGURATION.contains(&key) => {
                configuration.insert(key.to_owned(), value.clone());
            }
            (key, _) if OF_TASK.contains(&key) => drop(parameters.insert(key.to_owned(), value.clone())),
            ("imageGenerationConfig", Value::Object(own)) => configuration.extend(own.clone()),
            (key, Value::Object(own)) if key == name => parameters.extend(own.clone()),
            _ => losses.add(key.clone()),
        }
    }
    let mut body = Map::new();
    body.insert("taskType".to_owned(), task.into());
    body.insert(name.to_owned(), parameters.into());
    body.insert("imageGenerationConfig".to_owned(), configuration.into());
    body
}

/// The task, the name of its parameters, and those of them that every request says.
fn task(asked: &ImageRequest, losses: &mut Losses) -> (&'static str, &'static str, Map<String, Value>) {
    let mut parameters = Map::new();
    let mut set = |name: &str, value: Value| drop(parameters.insert(name.to_owned(), value));
    // A variation needs no words, and none are no text.
    if !asked.prompt.is_empty() {
        set("text", asked.prompt.as_str().into());
    }
    let masked = asked.mask.is_some() || asked.extra.contains_key("maskPrompt");
    let (task, name) = match asked.images.as_slice() {
        [] => ("TEXT_IMAGE", "textToImageParams"),
        [first, rest @ ..] if masked => {
            losses.add_if(!rest.is_empty(), "image");
            set("image", first.data.as_str().into());
            // Black where the picture changes.
            if let Some(mask) = &asked.mask {
                set("maskImage", mask.data.as_str().into());
            }
            ("INPAINTING", "inPaintingParams")
        }
        images => {
            set("images", images.iter().map(|image| Value::from(image.data.as_str())).collect());
            ("IMAGE_VARIATION", "imageVariationParams")
        }
    };
    (task, name, parameters)
}
