//! Stability AI's models, which make pictures from words, and its services, each of which changes one in its own way.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-diffusion-3-5-large.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-diffusion-stable-image-core-text-image-request-response.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-diffusion-stable-ultra-text-image-request-response.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/stable-image-services.html>

use gatewright_core::{ImageRequest, Losses, Result};
use serde_json::{Map, Value};

use crate::picture;

const RATIOS: [&str; 9] = ["1:1", "2:3", "3:2", "4:5", "5:4", "9:16", "16:9", "9:21", "21:9"];

/// From here on a side is more than a picture of a million pixels has at any ratio that is not narrow.
const LARGE: u32 = 2048;

/// What a client may say in the maker's words, of any model and of those that change pictures.
const OWN: [&str; 4] = ["aspect_ratio", "negative_prompt", "seed", "style_preset"];
const OF_CHANGES: [&str; 14] = [
    "change_strength",
    "composition_fidelity",
    "control_strength",
    "creativity",
    "down",
    "fidelity",
    "grow_mask",
    "left",
    "right",
    "search_prompt",
    "select_prompt",
    "strength",
    "style_strength",
    "up",
];

/// Writes a request.
pub(super) fn request(asked: &ImageRequest, model: &str, losses: &mut Losses) -> Result<Map<String, Value>> {
    picture::lose(asked, &["output_format"], losses);
    let mut fields = match asked.images.is_empty() {
        true => made(asked, model, losses)?,
        false => changed(asked, model, losses)?,
    };
    if !asked.prompt.is_empty() {
        fields.insert("prompt".to_owned(), asked.prompt.as_str().into());
    }
    match asked.output_format.as_deref() {
        Some(format @ ("png" | "jpeg")) => drop(fields.insert("output_format".to_owned(), format.into())),
        Some(_) => losses.add("output_format"),
        None => {}
    }
    for (key, value) in &asked.extra {
        let own = OWN.contains(&key.as_str());
        match own || (!asked.images.is_empty() && OF_CHANGES.contains(&key.as_str())) {
            true => drop(fields.insert(key.clone(), value.clone())),
            false => losses.add(key.clone()),
        }
    }
    Ok(fields)
}

/// Whether the model makes pictures from words; the others change what they are given.
fn makes(model: &str) -> bool {
    ["stability.sd3", "stable-image-core", "stable-image-ultra"].iter().any(|word| model.contains(word))
}

/// What is said of a picture from words.
fn made(asked: &ImageRequest, model: &str, losses: &mut Losses) -> Result<Map<String, Value>> {
    if !makes(model) {
        return Err(picture::unsupported(model, "changes pictures and makes none from words", "image"));
    }
    losses.add_if(picture::longest(asked).is_some_and(|side| side >= LARGE), "size.resolution");
    let ratio = picture::ratio(asked, &RATIOS, losses);
    Ok(ratio.map(|ratio| ("aspect_ratio".to_owned(), ratio.into())).into_iter().collect())
}

/// What is said of a picture that is changed.
fn changed(asked: &ImageRequest, model: &str, losses: &mut Losses) -> Result<Map<String, Value>> {
    let mut fields = Map::new();
    if makes(model) {
        // How much of the picture is kept must be said, and no client has a word for that.
        if !model.contains("stability.sd3") || !asked.extra.contains_key("strength") {
            let what = "changes no pictures, or only with a `strength`";
            return Err(picture::unsupported(model, what, "image"));
        }
        fields.insert("mode".to_owned(), "image-to-image".into());
    }
    match model.contains("style-guide") {
        true => fields.extend(
            picture::ratio(asked, &RATIOS, losses).map(|ratio| ("aspect_ratio".to_owned(), ratio.into())),
        ),
        false => losses.add_if(asked.size.as_deref().is_some_and(|size| size != "auto"), "size"),
    }
    // Of two pictures the second is the style of the first.
    let names: &[&str] = match model.contains("style-transfer") {
        true => &["init_image", "style_image"],
        false => &["image"],
    };
    losses.add_if(asked.images.len() > names.len(), "image");
    let images = names.iter().zip(&asked.images);
    let images = images.chain([&"mask"].into_iter().zip(&asked.mask));
    fields.extend(images.map(|(name, image)| ((*name).to_owned(), image.data.as_str().into())));
    Ok(fields)
}
