//! What is embedded: texts, pictures, or both, each in a field of its own.

use std::borrow::Cow;

use gatewright_core::{EmbeddingInput, Error, ErrorKind, Json, Result};
use serde::{Deserialize, Serialize};

use super::embedding::unsupported;

/// Texts alone, pictures alone, or both.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Given<'a> {
    Texts(Vec<&'a str>),
    Images(Vec<&'a str>),
    Inputs(Vec<Mixed<'a>>),
}

/// An input of blocks, which have one vector together.
#[derive(Deserialize, Serialize)]
pub(super) struct Mixed<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text {
        #[serde(borrow)]
        text: Cow<'a, str>,
    },
    ImageUrl {
        #[serde(borrow)]
        image_url: ImageUrl<'a>,
    },
}

#[derive(Deserialize, Serialize)]
struct ImageUrl<'a> {
    #[serde(borrow)]
    url: Cow<'a, str>,
}

// === impl Given ===

impl<'a> Given<'a> {
    /// What is embedded, in the fields for it.
    pub(super) fn new(inputs: &'a [EmbeddingInput]) -> Result<Self> {
        let (mut texts, mut images) = (Vec::new(), Vec::new());
        for input in inputs {
            match input {
                EmbeddingInput::Text(text) => texts.push(text.as_str()),
                EmbeddingInput::Image(url) => images.push(url.as_str()),
                EmbeddingInput::Tokens(_) => {
                    return Err(unsupported("the provider embeds texts, not tokens of another model"));
                }
            }
        }
        match (texts.is_empty(), images.is_empty()) {
            (_, true) => Ok(Self::Texts(texts)),
            (true, false) => Ok(Self::Images(images)),
            (false, false) => Ok(Self::Inputs(inputs.iter().filter_map(Mixed::new).collect())),
        }
    }
}

impl<'a> Mixed<'a> {
    fn new(input: &'a EmbeddingInput) -> Option<Self> {
        let block = match input {
            EmbeddingInput::Text(text) => Block::Text { text: text.into() },
            EmbeddingInput::Image(url) => Block::ImageUrl { image_url: ImageUrl { url: url.into() } },
            EmbeddingInput::Tokens(_) => return None,
        };
        Some(Self { content: vec![block] })
    }

    /// One vector stands for all blocks; another dialect has one for each.
    fn read(self) -> Result<EmbeddingInput> {
        let mut blocks = self.content.into_iter();
        match (blocks.next(), blocks.next()) {
            (Some(Block::Text { text }), None) => Ok(EmbeddingInput::Text(text.into_owned())),
            (Some(Block::ImageUrl { image_url }), None) => {
                Ok(EmbeddingInput::Image(image_url.url.into_owned()))
            }
            _ => Err(unsupported("the provider embeds no mixtures of texts and pictures")),
        }
    }
}

/// What a client wants embedded.
pub(super) fn read(body: &Json) -> Result<Vec<EmbeddingInput>> {
    let texts: Vec<String> = body.get("texts")?.unwrap_or_default();
    let images: Vec<String> = body.get("images")?.unwrap_or_default();
    let mixed: Vec<Mixed<'_>> = body.get("inputs")?.unwrap_or_default();
    let mut inputs: Vec<_> = texts.into_iter().map(EmbeddingInput::Text).collect();
    inputs.extend(images.into_iter().map(EmbeddingInput::Image));
    for input in mixed {
        inputs.push(input.read()?);
    }
    if inputs.is_empty() {
        let words = "one of 'texts', 'images' and 'inputs' must hold something";
        return Err(Error::new(ErrorKind::InvalidRequest, words).with_param("texts"));
    }
    Ok(inputs)
}
