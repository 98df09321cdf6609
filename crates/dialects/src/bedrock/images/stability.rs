//! Stability AI's models, from words alone.
//!
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-diffusion-3-5-large.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-diffusion-stable-image-core-text-image-request-response.html>,
//! <https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-diffusion-stable-ultra-text-image-request-response.html>

use gatewright_core::{ImageRequest, Losses, Result};
use serde_json::{Map, Value};

use crate::picture;

const RATIOS: [&str; 9] = ["1:1", "2:3", "3:2", "4:5", "5:4", "9:16", "16:9", "9:21", "21:9"];

/// From here on a side is more than a picture of a million pixels has at any ratio that is not narrow.
const LARGE: u32 = 2048;

/// What a client may say in the maker's words.
const OWN: [&str; 3] = ["aspect_ratio", "negative_prompt", "seed"];

/// Writes a request.
pub(super) fn request(asked: &ImageRequest, model: &str, losses: &mut Losses) -> Result<Map<String, Value>> {
    if !asked.images.is_empty() {
        // Changing one takes a strength, for which no client has a word.
        return Err(picture::unsupported(model, "is asked for pictures from words only", "image"));
    }
    picture::lose(asked, &["output_format"], losses);
    losses.add_if(picture::longest(asked).is_some_and(|side| side >= LARGE), "size.resolution");
    let mut fields = Map::new();
    fields.insert("prompt".to_owned(), asked.prompt.as_str().into());
    if let Some(ratio) = picture::ratio(asked, &RATIOS, losses) {
        fields.insert("aspect_ratio".to_owned(), ratio.into());
    }
    match asked.output_format.as_deref() {
        Some(format @ ("png" | "jpeg")) => drop(fields.insert("output_format".to_owned(), format.into())),
        Some(_) => losses.add("output_format"),
        None => {}
    }
    for (key, value) in &asked.extra {
        match OWN.contains(&key.as_str()) {
            true => drop(fields.insert(key.clone(), value.clone())),
            false => losses.add(key.clone()),
        }
    }
    Ok(fields)
}
