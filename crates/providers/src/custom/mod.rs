//! Providers with behaviour of their own: one file each. Nowhere else is a provider told by its id.

mod azure;
mod bedrock;
mod continuation;
mod fim;
mod gigachat;
mod huggingface;
pub(crate) mod mock;
mod replicate;
mod sagemaker;
mod sap;
mod tgi;
mod vertex;
mod watsonx;
mod wire;

use std::borrow::Cow;

use gatewright_catalogue::ProviderRow;
use gatewright_core::{Codec, Result};

use crate::fill::Fill;
use crate::{HeaderKey, Params};

use sagemaker::{Container, Sagemaker};
pub(crate) use wire::{Asked, Next, Wire};

/// A provider's row, and the base URL that the operator gave, as they hold for one deployment.
pub(crate) fn adapted<'a>(
    (row, model): (&'a ProviderRow, &str),
    base: Option<String>,
    fill: &Fill<'_>,
) -> (Cow<'a, ProviderRow>, Option<String>) {
    match row.id.as_str() {
        "azure" | "azure_text" => {
            let version = fill.value("api_version").unwrap_or_default();
            (azure::row(row, &version), base.map(|base| azure::resource(&base).to_owned()))
        }
        "bedrock" => bedrock::runtime(row, base, model),
        "replicate" => (replicate::row(row, model), base),
        "azure_ai" => {
            let base = base.map(|base| azure::foundry(&base).to_owned());
            (azure::ranker(row, base.as_deref(), model), base)
        }
        _ => (Cow::Borrowed(row), base),
    }
}

/// Whether what a provider speaks besides its own dialect is spoken at this host.
pub(crate) fn answers(provider: &str, host: &str) -> bool {
    match provider {
        "azure_ai" => azure::is_foundry(host),
        _ => true,
    }
}

/// A model's name at the provider, where that is not the name behind the `/`.
pub(crate) fn model(row: &ProviderRow, model: &str, known: &Fill<'_>) -> Option<String> {
    match row.id.as_str() {
        "bedrock" => bedrock::ranker(model, known.known("aws_region_name").as_deref()),
        "huggingface" => huggingface::model(model),
        _ => None,
    }
}

/// How a model's wire differs from its dialect's, where the provider's row cannot say it.
pub(crate) fn wire(row: &ProviderRow, model: &str, fill: &Fill<'_>) -> Result<Option<Box<dyn Wire>>> {
    Ok(match &*row.id {
        "gigachat" => Some(Box::new(gigachat::GigaChat)),
        "replicate" => Some(Box::new(replicate::Replicate::new(model))),
        "sagemaker" => Some(Box::new(Sagemaker(Container::Tgi))),
        "sagemaker_chat" => Some(Box::new(Sagemaker(Container::OpenAi))),
        "sagemaker_nova" => Some(Box::new(Sagemaker(Container::Nova))),
        "sap" => Some(Box::new(sap::Sap)),
        "text-completion-codestral" => Some(Box::new(fim::Fim)),
        "vertex_ai" => Some(Box::new(vertex::Vertex)),
        "watsonx" => Some(Box::new(watsonx::Watsonx::new(model, fill)?)),
        _ => None,
    })
}

/// What proves a deployment before its key does, where its provider knows such proofs.
pub(crate) fn proof(row: &ProviderRow, fill: &Fill<'_>) -> Option<HeaderKey> {
    match &*row.id {
        "watsonx" => watsonx::proof(fill),
        _ => None,
    }
}

/// A value of an address that follows from others; `known` looks those up.
pub(crate) fn value(provider: &str, name: &str, known: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    match provider {
        "sap" => sap::value(name, known),
        "vertex_ai" => vertex::value(name, known),
        _ => None,
    }
}

/// What a deployment means where its provider does not take its words as they stand.
pub(crate) struct Special<'a> {
    /// The model's name.
    pub(crate) model: &'a str,
    /// What stands in addresses instead of it.
    pub(crate) addressed: Option<String>,
    /// The deployment's parameters.
    pub(crate) params: Cow<'a, Params>,
    /// How the provider is spoken to, where the row does not say it.
    pub(crate) codec: Option<&'static dyn Codec>,
}

// === impl Special ===

impl<'a> Special<'a> {
    /// Reads a deployment of this provider.
    pub(crate) fn of(row: &ProviderRow, params: &'a Params, model: &'a str) -> Self {
        match &*row.id {
            "bedrock" => bedrock::special(params, model),
            "sagemaker" | "sagemaker_chat" | "sagemaker_nova" => {
                Self { params: sagemaker::told(params), ..Self::plain(params, model) }
            }
            "sap" => Self { params: sap::told(params), ..Self::plain(params, model) },
            "watsonx" => Self { params: watsonx::told(params), ..Self::plain(params, model) },
            _ => Self::plain(params, model),
        }
    }
    fn plain(params: &'a Params, model: &'a str) -> Self {
        Self { model, addressed: None, params: Cow::Borrowed(params), codec: None }
    }
}
