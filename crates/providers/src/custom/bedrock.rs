//! Amazon Bedrock: what its models' names say besides the model, as LiteLLM writes them.
//!
//! `bedrock/converse/…` and `bedrock/invoke/…` choose the operation, `bedrock/us-east-1/…` and an ARN name the region.

use std::borrow::Cow;

use gatewright_catalogue::ProviderRow;
use gatewright_core::Codec;

use super::Special;
use crate::Params;

/// The parameter that names the region.
const REGION: &str = "aws_region_name";

/// Reads a model's name, and the deployment's parameters that only Bedrock has.
pub(super) fn special<'a>(params: &'a Params, name: &'a str) -> Special<'a> {
    let Named { model, region, way, arn } = Named::read(name);
    let mut params = Cow::Borrowed(params);
    if let Some(region) = region.filter(|_| !params.access.contains_key(REGION)) {
        params.to_mut().access.insert(REGION.to_owned(), region.into());
    }
    if params.api_base.is_none()
        && let Some(endpoint) = params.access.get("aws_bedrock_runtime_endpoint").cloned()
    {
        params.to_mut().api_base = Some(endpoint.reveal().to_owned());
    }
    // A profile of the operator's own stands in for the model in the address, and in nothing else.
    let addressed = params.access.get("model_id").map(|id| id.reveal()).or(arn).map(str::to_owned);
    Special { model, addressed, params, codec: codec(model, way) }
}

/// Claude's own API behind `invoke`; all other models of Bedrock's speak Converse, whichever of the two is asked for.
fn codec(model: &str, way: Way) -> Option<&'static dyn Codec> {
    let is_claude = model.contains("anthropic") || model.contains("claude");
    match way {
        Way::Invoke if is_claude => Some(gatewright_dialects::claude_on_bedrock()),
        Way::Chat => Some(gatewright_dialects::chat_on_bedrock()),
        Way::Invoke | Way::Converse => None,
    }
}

/// How a model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Converse,
    Invoke,
    /// In OpenAI's form, through `invoke`.
    Chat,
}

/// The agent runtime in place of the runtime, for models that rank. It takes no keys of Bedrock's
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html>).
pub(super) fn runtime<'a>(
    row: &'a ProviderRow,
    base: Option<String>,
    model: &str,
) -> (Cow<'a, ProviderRow>, Option<String>) {
    if !ranks(model) {
        return (Cow::Borrowed(row), base);
    }
    let mut row = row.clone();
    row.key_env.clear();
    (Cow::Owned(row), base.map(|base| base.replacen("bedrock-runtime", "bedrock-agent-runtime", 1)))
}

/// The ARN of a model that ranks: the agent runtime knows models by nothing else.
pub(super) fn ranker(model: &str, region: Option<&str>) -> Option<String> {
    let region = region.filter(|_| ranks(model))?;
    let partition = match region.split_once('-') {
        Some(("cn", _)) => "aws-cn",
        Some(("us", rest)) if rest.starts_with("gov-") => "aws-us-gov",
        _ => "aws",
    };
    Some(format!("arn:{partition}:bedrock:{region}::foundation-model/{model}"))
}

fn ranks(model: &str) -> bool {
    model.contains(".rerank-")
}

struct Named<'a> {
    model: &'a str,
    region: Option<&'a str>,
    way: Way,
    /// What names the model by itself, and stands in its address.
    arn: Option<&'a str>,
}

// === impl Named ===

impl<'a> Named<'a> {
    fn read(name: &'a str) -> Self {
        let mut named = Self { model: name, region: None, way: Way::Converse, arn: None };
        while let Some((first, rest)) = named.model.split_once('/') {
            match first {
                "converse" => {}
                "invoke" => named.way = Way::Invoke,
                // LiteLLM's words for the architecture of a model that was imported. Converse takes all but these two:
                // https://docs.aws.amazon.com/bedrock/latest/userguide/invoke-imported-model.html
                "openai" | "qwen2" => named.way = Way::Chat,
                "llama" | "deepseek_r1" | "qwen3" | "nova" => {}
                _ if is_region(first) => named.region = Some(first),
                _ => break,
            }
            named.model = rest;
        }
        // `arn:aws:bedrock:<region>:<account>:…`
        let of_arn = named.model.strip_prefix("arn:").and_then(|arn| arn.split(':').nth(2));
        named.region = named.region.or(of_arn.filter(|region| is_region(region)));
        if let Some((_, model)) = named.model.split_once("::foundation-model/").filter(|_| of_arn.is_some()) {
            named.arn = Some(std::mem::replace(&mut named.model, model));
        }
        named
    }
}

/// `us-east-1`, `us-gov-west-1`.
fn is_region(text: &str) -> bool {
    let mut parts = text.rsplit('-');
    let number =
        parts.next().is_some_and(|part| matches!(part.as_bytes(), [digit] if digit.is_ascii_digit()));
    let words = parts.clone().count();
    number && (2..=3).contains(&words) && parts.all(|part| part.bytes().all(|byte| byte.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use gatewright_catalogue::Catalogue;

    use super::*;

    #[test]
    fn a_name_says_operation_region_and_model() {
        let arn = "arn:aws:bedrock:eu-west-3:123456789012:application-inference-profile/abc";
        for (name, model, region, way) in [
            ("amazon.nova-pro-v1:0", "amazon.nova-pro-v1:0", None, Way::Converse),
            ("converse/us.amazon.nova-pro-v1:0", "us.amazon.nova-pro-v1:0", None, Way::Converse),
            ("us-gov-west-1/amazon.titan", "amazon.titan", Some("us-gov-west-1"), Way::Converse),
            ("invoke/us-east-1/anthropic.claude-v2", "anthropic.claude-v2", Some("us-east-1"), Way::Invoke),
            (arn, arn, Some("eu-west-3"), Way::Converse),
            ("arn:aws:bedrock:us-east-1::foundation-model/x", "x", Some("us-east-1"), Way::Converse),
            ("llama/arn:x", "arn:x", None, Way::Converse),
            ("openai/us-east-1/arn:x", "arn:x", Some("us-east-1"), Way::Chat),
            ("openai.gpt-oss-20b-1:0", "openai.gpt-oss-20b-1:0", None, Way::Converse),
        ] {
            let named = Named::read(name);
            assert_eq!((named.model, named.region, named.way), (model, region, way), "{name}");
        }
    }

    #[test]
    fn the_deployments_region_wins_over_the_names() {
        let mut params = Params::default();
        assert_eq!(special(&params, "us-east-1/m").params.access[REGION].reveal(), "us-east-1");
        params.access.insert(REGION.to_owned(), "eu-west-1".into());
        assert_eq!(special(&params, "us-east-1/m").params.access[REGION].reveal(), "eu-west-1");
    }

    #[test]
    fn a_model_of_amazons_own_is_addressed_by_its_arn_and_known_by_its_name() {
        let arn = "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0";
        let params = Params::default();
        let special = special(&params, arn);
        assert_eq!((special.model, special.addressed.as_deref()), ("amazon.nova-pro-v1:0", Some(arn)));
    }

    #[test]
    fn a_model_that_ranks_is_named_by_its_arn() {
        let arn = |region| ranker("cohere.rerank-v3-5:0", Some(region));
        for (region, partition) in
            [("us-west-2", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")]
        {
            let wanted = format!("arn:{partition}:bedrock:{region}::foundation-model/cohere.rerank-v3-5:0");
            assert_eq!(arn(region), Some(wanted));
        }
        assert_eq!(ranker("amazon.nova-pro-v1:0", Some("us-west-2")), None);
    }

    #[test]
    fn models_that_rank_are_at_the_agent_runtime() {
        let bedrock = Catalogue::builtin().provider("bedrock").unwrap();
        let own = "https://vpce-1.bedrock-runtime.eu-west-1.vpce.amazonaws.com";
        for (model, host, keyed) in [
            (
                "amazon.rerank-v1%3A0",
                "https://vpce-1.bedrock-agent-runtime.eu-west-1.vpce.amazonaws.com",
                false,
            ),
            ("amazon.nova-pro-v1%3A0", own, true),
        ] {
            let (row, base) = runtime(bedrock, Some(own.to_owned()), model);
            assert_eq!((base.as_deref(), !row.key_env.is_empty()), (Some(host), keyed));
        }
    }
}
