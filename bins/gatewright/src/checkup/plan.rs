//! How one deployment is checked: the smallest call that its model answers, and what its answer says.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gatewright_catalogue::Catalogue;
use gatewright_core::{
    AttemptId, Body, Call, CallService, Caller, Controls, Dialect, Error, ErrorKind, FieldWishes, Json,
    JsonLimits, Operation, Origin, Result, Target,
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::Verdict;
use crate::config::Deployment;

/// What a model is asked.
const PROMPT: &str = "test from gatewright";

/// Whom the ledger names.
const CALLER: &str = "health check";

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// How one deployment is checked.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) id: Arc<str>,
    group: Arc<str>,
    /// The upstream's model, where the deployment is a wildcard.
    model: Option<Arc<str>>,
    operation: Operation,
    body: Value,
    patience: Duration,
}

// === impl Plan ===

impl Plan {
    /// Why not, where it cannot be checked.
    pub(super) fn of(deployment: &Deployment, catalogue: &Catalogue) -> std::result::Result<Self, String> {
        let (routing, own) = (&deployment.routing, &deployment.checkup);
        let model = match (&own.model, routing.target.contains('*')) {
            (_, false) => None,
            (Some(model), true) => Some(Arc::from(model.as_str())),
            (None, true) => {
                return Err("a wildcard has no model of its own: name `health_check_model`".to_owned());
            }
        };
        let label = model.as_ref().unwrap_or(&routing.target);
        let mode = own.mode.clone().or_else(|| mode(deployment, label, catalogue));
        let group = &routing.group;
        let (operation, body) = match mode.as_deref() {
            None | Some("" | "chat" | "responses") => {
                let messages = [json!({"role": "user", "content": PROMPT})];
                let most = own.max_tokens.unwrap_or(1);
                (Operation::Chat, json!({"model": group, "messages": messages, "max_tokens": most}))
            }
            Some("embedding") => (Operation::Embeddings, json!({"model": group, "input": [PROMPT]})),
            Some(other) => return Err(format!("models for `{other}` are not checked")),
        };
        let patience = own.timeout.unwrap_or(PATIENCE);
        Ok(Self { id: routing.id.clone(), group: group.clone(), model, operation, body, patience })
    }

    /// Asks the deployment. Where it is `forgiving`, a rate limit and a timeout say nothing.
    pub(super) async fn carry_out(&self, attempts: &impl CallService, forgiving: bool) -> Verdict {
        let answered = async {
            let mut reply = attempts.answer(self.call()?).await?;
            while let Some(frame) = reply.frames.next().await {
                frame?;
            }
            Ok(())
        };
        let result = timeout(self.patience, answered).await;
        let result = result.unwrap_or_else(|_| {
            let words = format!("no answer within {} seconds", self.patience.as_secs_f64());
            Err(Error::new(ErrorKind::Timeout, words).with_provider("upstream"))
        });
        verdict(result, forgiving)
    }

    fn call(&self) -> Result<Call> {
        let body = Body::Json(Json::parse(self.body.to_string().into(), JsonLimits::default())?);
        // What a provider does not know of so little need not be sent.
        let fields = FieldWishes { drop_unknown: Some(true), ..FieldWishes::default() };
        let origin = Origin {
            caller: Arc::new(Caller::new(CALLER)),
            controls: Controls { fields, ..Controls::default() },
            ..Origin::default()
        };
        let codec = gatewright_dialects::of(Dialect::OpenAiChat);
        let target = Target {
            attempt: AttemptId::fresh(),
            deployment: self.id.clone(),
            group: self.group.clone(),
            shown: self.group.clone(),
            model: self.model.clone(),
            first_content: self.patience,
            idle: self.patience,
            deadline: Instant::now() + self.patience,
        };
        let mut call = Call::by(origin, self.operation, codec, self.group.clone(), body);
        call.target = Some(Arc::new(target));
        Ok(call)
    }
}

/// What the catalogue says that a model is for.
fn mode(deployment: &Deployment, label: &str, catalogue: &Catalogue) -> Option<String> {
    let (provider, model) = catalogue.split(label, deployment.params.provider.as_deref()).ok()?;
    let row = match &deployment.params.overrides.base_model {
        Some(base) => catalogue.base_model(provider.name(), base),
        None => catalogue.model(provider.name(), model),
    };
    row.map(|row| row.mode.to_string())
}

fn verdict(result: Result<()>, forgiving: bool) -> Verdict {
    let Err(err) = result else { return Verdict::Well };
    let passes = matches!(err.kind(), ErrorKind::RateLimited | ErrorKind::Timeout);
    let told = err.message().to_owned();
    match err.provider() {
        // A limit of the deployment's, a full journal: nothing was sent.
        None => Verdict::Unknown(told),
        Some(_) if forgiving && passes => Verdict::Unknown(told),
        Some(_) => Verdict::Sick(told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Said};

    fn plan(entry: &str) -> std::result::Result<Plan, String> {
        let text = format!("model_list:\n  - {entry}");
        let config = Config::load(&Said { text: Some(&text), ..Said::default() }, &|_| None);
        Plan::of(&config.deployments[0], config.catalogue)
    }

    #[test]
    fn the_smallest_call_of_its_kind_is_made() {
        let entry = |model: &str, info: &str| {
            plan(&format!(
                "{{model_name: m, litellm_params: {{model: {model}, api_key: k}}, model_info: {{{info}}}}}"
            ))
        };
        let asked = |model: &str, info: &str| entry(model, info).map(|plan| (plan.operation, plan.body));
        let chat = |most: u64| {
            let message = json!({"role": "user", "content": PROMPT});
            Ok((Operation::Chat, json!({"model": "m", "messages": [message], "max_tokens": most})))
        };
        assert_eq!(asked("openai/gpt-4o", ""), chat(1));
        assert_eq!(asked("openai/nobody-knows", ""), chat(1));
        assert_eq!(asked("openai/gpt-4o", "health_check_max_tokens: 16"), chat(16));
        let embeddings = Ok((Operation::Embeddings, json!({"model": "m", "input": [PROMPT]})));
        assert_eq!(asked("openai/text-embedding-3-small", ""), embeddings);
        assert_eq!(asked("openai/nobody-knows", "mode: embedding"), embeddings);
        assert!(asked("openai/gpt-image-1", "").is_err_and(|why| why.contains("image_generation")));
        assert!(asked("openai/*", "").is_err_and(|why| why.contains("health_check_model")));
        let wildcard = entry("openai/*", "health_check_model: openai/gpt-4o-mini, health_check_timeout: 7");
        let wildcard = wildcard.map(|plan| (plan.model.as_deref().map(str::to_owned), plan.patience));
        assert_eq!(wildcard, Ok((Some("openai/gpt-4o-mini".to_owned()), Duration::from_secs(7))));
        assert_eq!(asked("openai/*", "health_check_model: openai/text-embedding-3-small"), embeddings);
    }

    #[test]
    fn what_is_no_failure_of_the_deployment_says_nothing() {
        let upstream = |kind| Error::new(kind, "no").with_provider("openai");
        let sick = || Verdict::Sick("no".to_owned());
        let unknown = || Verdict::Unknown("no".to_owned());
        for (result, strict, forgiving) in [
            (Ok(()), Verdict::Well, Verdict::Well),
            (Err(upstream(ErrorKind::Upstream)), sick(), sick()),
            (Err(upstream(ErrorKind::InvalidRequest)), sick(), sick()),
            (Err(upstream(ErrorKind::QuotaExhausted)), sick(), sick()),
            (Err(upstream(ErrorKind::RateLimited)), sick(), unknown()),
            (Err(upstream(ErrorKind::Timeout)), sick(), unknown()),
            (Err(Error::new(ErrorKind::LimitReached, "no")), unknown(), unknown()),
            (Err(Error::new(ErrorKind::Unavailable, "no")), unknown(), unknown()),
        ] {
            assert_eq!(verdict(result.clone(), false), strict, "{result:?}");
            assert_eq!(verdict(result.clone(), true), forgiving, "{result:?}");
        }
    }
}
