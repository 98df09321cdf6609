//! Whether a conversation fits into a model's context window.

use gatewright_core::{Error, ErrorKind, Result};

use super::Screening;

/// Counts only where the estimate, which seldom is too low, does not fit everywhere.
pub(super) async fn check(screening: &mut Screening<'_>) -> Result<()> {
    let windows = || screening.members().filter_map(|member| screening.model(member).max_input);
    let (Some(smallest), Some(largest)) = (windows().min(), windows().max()) else { return Ok(()) };
    let (call, know) = (screening.call, &screening.settings.know);
    let tokens = match *screening.tokens {
        Some(tokens) => tokens,
        None if know.estimate(call) <= smallest => return Ok(()),
        None => *screening.tokens.insert(know.count(call).await),
    };
    let fits = |window: u64| tokens <= window;
    screening.retain(
        "context window",
        |screening, member| screening.model(member).max_input.is_none_or(fits),
        || too_long(tokens, largest),
    )
}

/// In the words of the providers, which clients look for.
fn too_long(tokens: u64, largest: u64) -> Error {
    let words = format!(
        "litellm.ContextWindowExceededError: This model's maximum context length is {largest} tokens; the input of \
         this call has about {tokens}."
    );
    Error::new(ErrorKind::ContextWindow, words)
}
