//! The public API in one table.

use gatewright_core::{Dialect, Operation};
use http::Method;

use crate::About;
use crate::docs::{self, Asset};

/// One row of the API.
#[derive(Clone, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with `{model}` where the model's name stands in it.
    pub path: &'static str,
    /// What answers it.
    pub answers: Answers,
}

/// What answers a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// A call through the stack, in a dialect.
    Call(Operation, Dialect),
    /// How many tokens a conversation has, in LiteLLM's form.
    TokenCounter,
    /// A call in Google's way: what is asked for stands behind the model's name.
    Google,
    /// Something about an answer that is kept.
    Response(About),
    /// The models that the caller may use.
    Models,
    /// One of them.
    Model,
    /// The deployments that the caller may use.
    Deployments,
    /// The same in pages.
    DeploymentPages,
    /// The model groups that the caller may use.
    Groups,
    /// Whether the process lives.
    Liveliness,
    /// Whether it can serve.
    Readiness,
    /// How the deployments do.
    Health,
    /// Figures for Prometheus.
    Metrics,
    /// What this is.
    About,
    /// The API as an OpenAPI document.
    Document,
    /// A file of the page that shows it.
    Page(Asset),
}

/// The public API of the data plane.
pub const ROUTES: &[Route] = &[
    chat("/v1/chat/completions"),
    chat("/chat/completions"),
    chat("/queue/chat/completions"),
    chat("/openai/deployments/{model}/chat/completions"),
    chat("/engines/{model}/chat/completions"),
    response("/v1/responses"),
    response("/responses"),
    response("/openai/v1/responses"),
    about(Method::GET, "/v1/responses/{id}", About::Answer),
    about(Method::GET, "/responses/{id}", About::Answer),
    about(Method::GET, "/openai/v1/responses/{id}", About::Answer),
    about(Method::DELETE, "/v1/responses/{id}", About::Forget),
    about(Method::DELETE, "/responses/{id}", About::Forget),
    about(Method::DELETE, "/openai/v1/responses/{id}", About::Forget),
    about(Method::GET, "/v1/responses/{id}/input_items", About::Input),
    about(Method::GET, "/responses/{id}/input_items", About::Input),
    about(Method::GET, "/openai/v1/responses/{id}/input_items", About::Input),
    about(Method::POST, "/v1/responses/{id}/cancel", About::Cancel),
    about(Method::POST, "/responses/{id}/cancel", About::Cancel),
    about(Method::POST, "/openai/v1/responses/{id}/cancel", About::Cancel),
    completion("/v1/completions"),
    completion("/completions"),
    completion("/openai/deployments/{model}/completions"),
    completion("/engines/{model}/completions"),
    post("/v1/messages", Answers::Call(Operation::Chat, Dialect::AnthropicMessages)),
    post("/v1/messages/count_tokens", Answers::Call(Operation::CountTokens, Dialect::AnthropicMessages)),
    openai("/v1/embeddings", Operation::Embeddings),
    openai("/embeddings", Operation::Embeddings),
    openai("/openai/deployments/{model}/embeddings", Operation::Embeddings),
    openai("/engines/{model}/embeddings", Operation::Embeddings),
    openai("/v1/moderations", Operation::Moderations),
    openai("/moderations", Operation::Moderations),
    openai("/v1/images/generations", Operation::ImageGenerations),
    openai("/images/generations", Operation::ImageGenerations),
    openai("/openai/deployments/{model}/images/generations", Operation::ImageGenerations),
    openai("/v1/images/edits", Operation::ImageEdits),
    openai("/images/edits", Operation::ImageEdits),
    openai("/openai/deployments/{model}/images/edits", Operation::ImageEdits),
    openai("/v1/images/variations", Operation::ImageVariations),
    openai("/images/variations", Operation::ImageVariations),
    openai("/v1/audio/speech", Operation::Speech),
    openai("/audio/speech", Operation::Speech),
    openai("/v1/audio/transcriptions", Operation::Transcriptions),
    openai("/audio/transcriptions", Operation::Transcriptions),
    openai("/openai/deployments/{model}/audio/speech", Operation::Speech),
    openai("/openai/deployments/{model}/audio/transcriptions", Operation::Transcriptions),
    openai("/openai/deployments/{model}/audio/translations", Operation::Translations),
    openai("/v1/audio/translations", Operation::Translations),
    openai("/audio/translations", Operation::Translations),
    post("/utils/token_counter", Answers::TokenCounter),
    post("/v1beta/models/{*model}", Answers::Google),
    post("/v1/models/{*model}", Answers::Google),
    post("/models/{*model}", Answers::Google),
    post("/v2/chat", Answers::Call(Operation::Chat, Dialect::CohereChat)),
    post("/v2/embed", Answers::Call(Operation::Embeddings, Dialect::CohereChat)),
    post("/api/chat", Answers::Call(Operation::Chat, Dialect::OllamaChat)),
    post("/api/embed", Answers::Call(Operation::Embeddings, Dialect::OllamaChat)),
    rerank("/v1/rerank"),
    rerank("/v2/rerank"),
    rerank("/rerank"),
    post("/bedrock/model/{model}/converse", Answers::Call(Operation::Chat, Dialect::BedrockConverse)),
    post("/bedrock/model/{model}/converse-stream", Answers::Call(Operation::Chat, Dialect::BedrockConverse)),
    fetch("/v1/models", Answers::Models),
    fetch("/models", Answers::Models),
    fetch("/v1/models/{*model}", Answers::Model),
    fetch("/models/{*model}", Answers::Model),
    fetch("/model/info", Answers::Deployments),
    fetch("/v1/model/info", Answers::Deployments),
    fetch("/v2/model/info", Answers::DeploymentPages),
    fetch("/model_group/info", Answers::Groups),
    fetch("/health/liveliness", Answers::Liveliness),
    fetch("/health/liveness", Answers::Liveliness),
    fetch("/health/readiness", Answers::Readiness),
    fetch("/health", Answers::Health),
    fetch("/metrics", Answers::Metrics),
    fetch("/", Answers::About),
    fetch("/openapi.json", Answers::Document),
    fetch("/docs", Answers::Page(docs::PAGE)),
    fetch("/docs/start.js", Answers::Page(docs::START)),
    fetch("/docs/swagger-ui-bundle.js", Answers::Page(docs::SCRIPT)),
    fetch("/docs/swagger-ui.css", Answers::Page(docs::STYLE)),
];

/// The call that a fixed path stands for.
pub(crate) fn call_at(method: &Method, path: &str) -> Option<(Operation, Dialect)> {
    let route = ROUTES.iter().find(|route| route.path == path && route.method == method)?;
    match route.answers {
        Answers::Call(operation, dialect) => Some((operation, dialect)),
        _ => None,
    }
}

const fn chat(path: &'static str) -> Route {
    openai(path, Operation::Chat)
}

const fn openai(path: &'static str, operation: Operation) -> Route {
    post(path, Answers::Call(operation, Dialect::OpenAiChat))
}

/// In Cohere's form, as LiteLLM answers it under every path.
const fn rerank(path: &'static str) -> Route {
    post(path, Answers::Call(Operation::Rerank, Dialect::CohereChat))
}

const fn response(path: &'static str) -> Route {
    post(path, Answers::Call(Operation::Chat, Dialect::OpenAiResponses))
}

const fn completion(path: &'static str) -> Route {
    post(path, Answers::Call(Operation::Chat, Dialect::OpenAiCompletions))
}

const fn about(method: Method, path: &'static str, about: About) -> Route {
    Route { method, path, answers: Answers::Response(about) }
}

const fn post(path: &'static str, answers: Answers) -> Route {
    Route { method: Method::POST, path, answers }
}

const fn fetch(path: &'static str, answers: Answers) -> Route {
    Route { method: Method::GET, path, answers }
}
