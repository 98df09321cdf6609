//! How the model shall choose its words, within what Anthropic's models take.

use gatewright_core::Losses;
use gatewright_core::chat::Chat;
use serde_json::Value;

/// Anthropic's scale ends at 1, and a thinking model takes no other value.
pub(crate) fn temperature(chat: &Chat, thinks: bool, losses: &mut Losses) -> Option<f64> {
    let wanted = chat.sampling.temperature?;
    let fits = if thinks { wanted == 1.0 } else { (0.0..=1.0).contains(&wanted) };
    losses.add_if(!fits, "temperature");
    match (fits, thinks) {
        (true, _) => Some(wanted),
        (false, true) => None,
        (false, false) => Some(wanted.clamp(0.0, 1.0)),
    }
}

/// A thinking model takes values from 0.95.
pub(crate) fn top_p(chat: &Chat, thinks: bool, losses: &mut Losses) -> Option<f64> {
    let wanted = chat.sampling.top_p?;
    let fits = !thinks || wanted >= 0.95;
    losses.add_if(!fits, "top_p");
    fits.then_some(wanted)
}

/// A thinking model takes none.
pub(crate) fn top_k(chat: &Chat, thinks: bool, losses: &mut Losses) -> Option<u64> {
    let wanted = chat.sampling.top_k.or_else(|| chat.extra.get("top_k").and_then(Value::as_u64))?;
    losses.add_if(thinks, "top_k");
    (!thinks).then_some(wanted)
}

/// What the API has no word for. A value that asks for nothing is no loss.
pub(crate) fn report(chat: &Chat, losses: &mut Losses) {
    let sampling = &chat.sampling;
    let asks = |penalty: Option<f64>| penalty.is_some_and(|penalty| penalty != 0.0);
    losses.add_if(chat.n.is_some_and(|n| n > 1), "n");
    losses.add_if(asks(sampling.frequency_penalty), "frequency_penalty");
    losses.add_if(asks(sampling.presence_penalty), "presence_penalty");
    losses.add_if(sampling.seed.is_some(), "seed");
    losses.add_if(sampling.logprobs == Some(true), "logprobs");
    losses.add_if(sampling.top_logprobs.is_some_and(|n| n > 0), "top_logprobs");
    let biases = sampling.logit_bias.as_ref().and_then(Value::as_object);
    losses.add_if(biases.is_some_and(|biases| !biases.is_empty()), "logit_bias");
}
