//! Hugging Face: the inference provider stands before the model in configurations, and behind it on the wire.

/// `together/deepseek-ai/DeepSeek-R1` is `deepseek-ai/DeepSeek-R1:together` to the router (its page "Inference Providers",
/// "Provider selection"). Names of two parts leave the choice to the router.
pub(super) fn model(name: &str) -> Option<String> {
    let (provider, model) = name.split_once('/')?;
    model.contains('/').then(|| format!("{model}:{provider}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inference_provider_goes_behind_the_model() {
        for (name, expected) in [
            ("together/deepseek-ai/DeepSeek-R1", Some("deepseek-ai/DeepSeek-R1:together")),
            ("deepseek-ai/DeepSeek-R1", None),
            ("gpt2", None),
        ] {
            assert_eq!(model(name).as_deref(), expected, "{name}");
        }
    }
}
