//! Providers whose wire is OpenAI's in clothes of their own, as they write it.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Said, Script, Seen, UsageForm, converse, openai, vectors};

/// Whose clothes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guise {
    /// IBM watsonx.ai: streams at a path of their own, vectors and rankings in IBM's words.
    Watsonx,
    /// GigaChat: one function a message, vectors with their usage each.
    GigaChat,
    /// SAP AI Core: answers inside the orchestration's.
    Sap,
    /// A container at SageMaker that speaks OpenAI's chat: streams in parts.
    Sagemaker,
    /// One that generates text in Hugging Face's form.
    Tgi,
    /// Replicate: predictions, followed at an address of their own.
    Replicate,
    /// Codestral's continuations, which are answered as chats.
    Fim,
}

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
const AWS_EVENTS: &str = "application/vnd.amazon.eventstream";

// === impl Guise ===

impl Guise {
    /// The content type and the events.
    pub(super) fn write(self, id: &str, seen: &Seen, script: &Script, said: &Said) -> (String, Vec<Bytes>) {
        let answer = Answer { guise: self, id, seen, script, said };
        let (kind, events) = match answer.streams() {
            true => answer.stream(),
            false => (JSON, vec![answer.whole().to_string().into()]),
        };
        (kind.to_owned(), events)
    }

    /// An error body.
    pub(super) fn error(self, status: u16, message: &str) -> Bytes {
        let told = match self {
            Self::Watsonx => json!({"errors": [{"code": "fake", "message": message}], "status_code": status}),
            Self::GigaChat => json!({"status": status, "message": message}),
            Self::Sap => {
                json!({"error": {"request_id": "r", "code": status, "message": message, "location": "LLM Module"}})
            }
            Self::Sagemaker | Self::Tgi => json!({
                "ErrorCode": "CLIENT_ERROR_FROM_MODEL", "Message": "Received client error from primary",
                "OriginalMessage": json!({"error": {"message": message}}).to_string(),
                "OriginalStatusCode": status,
            }),
            Self::Replicate => json!({"title": "fake", "detail": message, "status": status}),
            Self::Fim => return openai::error(status, message),
        };
        told.to_string().into()
    }

    /// An error in place of an event.
    pub(super) fn error_event(self, message: &str) -> Bytes {
        let body = String::from_utf8_lossy(&self.error(500, message)).into_owned();
        match self {
            Self::Watsonx | Self::Replicate => format!("event: error\ndata: {body}\n\n").into(),
            Self::Sagemaker | Self::Tgi => {
                let told =
                    json!({"Message": message, "ErrorCode": "ModelInvocationTimeExceeded"}).to_string();
                converse::message(&[(":exception-type", "ModelStreamError")], told.as_bytes())
            }
            Self::Sap => format!("data: {body}\n\n").into(),
            // Of these no more is known than that they speak OpenAI's dialect.
            Self::GigaChat | Self::Fim => openai::error_event(message),
        }
    }
}

struct Answer<'a> {
    guise: Guise,
    id: &'a str,
    seen: &'a Seen,
    script: &'a Script,
    said: &'a Said,
}

// === impl Answer ===

impl Answer<'_> {
    fn streams(&self) -> bool {
        let (path, body) = (&self.seen.path, self.seen.json());
        match self.guise {
            Guise::Watsonx => path.contains("/chat_stream"),
            Guise::Sap => body["config"]["stream"]["enabled"] == true,
            Guise::Sagemaker | Guise::Tgi => path.ends_with("-response-stream"),
            Guise::Replicate => path.contains("/streams/"),
            Guise::GigaChat | Guise::Fim => body["stream"] == true,
        }
    }

    fn whole(&self) -> Value {
        let asked = self.seen.json();
        let path = self.seen.path.split('?').next().unwrap_or_default();
        match self.guise {
            Guise::Watsonx if path.ends_with("/embeddings") => vectors::of_ibm(&asked, &self.said.used),
            Guise::Watsonx if path.ends_with("/rerank") => vectors::ranking_of_ibm(&asked, &self.said.used),
            Guise::GigaChat if path.ends_with("/embeddings") => {
                let mut told = read(&openai::embeddings(&asked));
                told.as_object_mut().unwrap().remove("usage");
                let items = told["data"].as_array_mut().unwrap();
                items.iter_mut().for_each(|item| item["usage"] = json!({"prompt_tokens": 2}));
                told
            }
            Guise::Sap if path.ends_with("/embeddings") => {
                let asked = json!({"input": asked["input"]["text"]});
                json!({"request_id": "r", "final_result": read(&openai::embeddings(&asked))})
            }
            Guise::Tgi => json!([{"generated_text": self.said.text.concat()}]),
            Guise::Replicate => self.prediction(asked["stream"] == true),
            _ => self.dressed(read(&openai::whole(self.id, "fake", &self.plain(), self.script))),
        }
    }

    fn stream(&self) -> (&'static str, Vec<Bytes>) {
        let part = |payload: &[u8]| converse::message(&[(":event-type", "PayloadPart")], payload);
        match self.guise {
            Guise::Tgi => {
                let last = self.said.text.len().saturating_sub(1);
                let token = |(at, text): (usize, &String)| {
                    let whole = (at == last).then(|| self.said.text.concat());
                    let token =
                        json!({"token": {"id": at, "text": text, "special": false}, "generated_text": whole});
                    part(format!("data:{token}\n\n").as_bytes())
                };
                (AWS_EVENTS, self.said.text.iter().enumerate().map(token).collect())
            }
            Guise::Replicate => {
                let output = |text: &String| Bytes::from(format!("event: output\ndata: {text}\n\n"));
                let done = Bytes::from_static(b"event: done\ndata: {}\n\n");
                (EVENTS, self.said.text.iter().map(output).chain([done]).collect())
            }
            Guise::Sagemaker => (AWS_EVENTS, self.chunks().iter().map(|chunk| part(chunk)).collect()),
            Guise::Watsonx => {
                let named = |(at, chunk): (usize, Bytes)| {
                    format!("id: {at}\nevent: message\n{}", String::from_utf8_lossy(&chunk)).into()
                };
                let chunks = self.chunks().into_iter().filter(|chunk| !chunk.ends_with(b"[DONE]\n\n"));
                (EVENTS, chunks.enumerate().map(named).collect())
            }
            Guise::GigaChat | Guise::Sap | Guise::Fim => {
                let dressed = |chunk: Bytes| match chunk.strip_prefix(b"data: {") {
                    Some(_) => format!("data: {}\n\n", self.dressed(read(&chunk[6..]))).into(),
                    None => chunk,
                };
                (EVENTS, self.chunks().into_iter().map(dressed).collect())
            }
        }
    }

    /// OpenAI's events, with usage where the provider tells it unasked.
    fn chunks(&self) -> Vec<Bytes> {
        let usage = match self.guise {
            Guise::Sap | Guise::Sagemaker => self.script.usage,
            _ => UsageForm::Always,
        };
        let params = &self.seen.json()["config"]["modules"]["prompt_templating"]["model"]["params"];
        let own = &self.seen.json()["stream_options"];
        let asked = [own, &params["stream_options"]].iter().any(|options| options["include_usage"] == true);
        let script = Script { usage, ..self.script.clone() };
        openai::stream(self.id, "fake", &self.plain(), &script, asked)
    }

    /// Calls whose arguments come at once.
    fn plain(&self) -> Said {
        let mut said = self.said.clone();
        said.tools.iter_mut().for_each(|tool| tool.arguments = vec![tool.arguments()]);
        said
    }

    /// OpenAI's answer, or event, as the provider writes it.
    fn dressed(&self, mut told: Value) -> Value {
        match self.guise {
            Guise::Sap => return json!({"request_id": "r", "final_result": told}),
            Guise::Watsonx => told["model_id"] = told["model"].clone(),
            Guise::GigaChat => {
                told["choices"].as_array_mut().into_iter().flatten().for_each(call_a_function);
                if let Some(cached) = told["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64() {
                    let read = told["usage"]["prompt_tokens"].as_u64().unwrap_or_default();
                    told["usage"]["prompt_tokens"] = (read - cached).into();
                    told["usage"]["precached_prompt_tokens"] = cached.into();
                    told["usage"].as_object_mut().unwrap().remove("prompt_tokens_details");
                }
            }
            _ => {}
        }
        told
    }

    /// A prediction that has ended, or that is to be followed.
    fn prediction(&self, follows: bool) -> Value {
        let host = self.seen.header("host");
        let urls = json!({
            "get": format!("http://{host}/v1/predictions/p1"), "stream": format!("http://{host}/v1/streams/s1"),
        });
        match follows {
            true => json!({"id": "p1", "status": "starting", "output": null, "error": null, "urls": urls}),
            false => {
                json!({"id": "p1", "status": "succeeded", "output": self.said.text, "error": null, "urls": urls})
            }
        }
    }
}

fn call_a_function(choice: &mut Value) {
    if choice["finish_reason"] == "tool_calls" {
        choice["finish_reason"] = json!("function_call");
    }
    let field = if choice.get("delta").is_some() { "delta" } else { "message" };
    let Some(calls) = choice[field].as_object_mut().and_then(|message| message.remove("tool_calls")) else {
        return;
    };
    let function = &calls[0]["function"];
    let arguments = read(function["arguments"].as_str().unwrap_or_default().as_bytes());
    choice[field]["function_call"] = json!({"name": function["name"], "arguments": arguments});
    choice[field]["functions_state_id"] = calls[0]["id"].clone();
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}
