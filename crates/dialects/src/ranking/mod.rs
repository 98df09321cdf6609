//! Rankings in forms that belong to no dialect. Clients never speak them.

mod bedrock;
mod nvidia;
mod tei;
mod vertex;

use gatewright_core::{Error, ErrorKind, Losses, Rank, RankingForm, Rerank};

use crate::cohere;
use crate::json::tells;

/// How rankings are asked for in this form.
pub(crate) fn of(form: RankingForm) -> &'static dyn Rank {
    match form {
        RankingForm::Cohere => &cohere::Reranking,
        RankingForm::Bedrock => &bedrock::Bedrock,
        RankingForm::Tei => &tei::Tei,
        RankingForm::Nvidia => &nvidia::Nvidia,
        RankingForm::Vertex => &vertex::Vertex,
    }
}

/// Tells what a form has no word for: limits of a document's length, and fields besides its own.
fn lose(asked: &Rerank, own: &[&str], losses: &mut Losses) {
    losses.add_if(asked.max_chunks_per_doc.is_some(), "max_chunks_per_doc");
    losses.add_if(asked.max_tokens_per_doc.is_some(), "max_tokens_per_doc");
    for (key, value) in &asked.extra {
        if !own.contains(&key.as_str()) && tells(value) {
            losses.add(key.clone());
        }
    }
}

fn unreadable() -> Error {
    Error::new(ErrorKind::BadGateway, "the provider's ranking could not be read")
}
