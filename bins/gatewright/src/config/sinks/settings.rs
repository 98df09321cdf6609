//! How records are kept and sent, and what is left out of them.

use std::time::Duration;

use gatewright_core::Secret;
use gatewright_sinks::{ContentLimits, Pace, Privacy, QueueLimits, Settings};
use serde_json::Value;

use super::known::Kind;
use crate::config::file::Env;
use crate::config::problem::Problems;
use crate::config::read::Section;

/// What holds for all sinks.
pub(super) fn delivery(
    (litellm, general): (&Section<'_>, &Section<'_>),
    problems: &mut Problems,
) -> Settings {
    let defaults = Settings::default();
    let (queue, content) = (defaults.queue, defaults.content);
    let flag = |key: &str, problems: &mut Problems| litellm.flag(key, problems).unwrap_or(false);
    let privacy = Privacy {
        redact: flag("turn_off_message_logging", problems),
        anonymous: flag("redact_user_api_key_info", problems),
        excluded: litellm.texts("standard_logging_payload_excluded_fields", problems),
        ignore_no_log: flag("global_disable_no_log_param", problems),
        no_addresses: general.flag("disable_requester_ip_address_logging", problems).unwrap_or(false),
        key_header: general.text("litellm_key_header_name", problems).and_then(|name| name.parse().ok()),
        client_disables: litellm.flag("allow_dynamic_callback_disabling", problems).unwrap_or(true),
    };
    let kilobytes = |key: &str, default: usize, problems: &mut Problems| {
        general.count(key, problems).map_or(default, |kb| whole(kb).saturating_mul(1 << 10))
    };
    let most = kilobytes("callback_content_kb", content.asked, problems);
    Settings {
        privacy,
        content: ContentLimits { asked: most, answered: most },
        queue: QueueLimits {
            records: general.count("callback_queue_records", problems).map_or(queue.records, whole),
            bytes: kilobytes("callback_queue_kb", queue.bytes, problems),
        },
        deadline: general.deadline("callback_timeout", problems).unwrap_or(defaults.deadline),
        spool_bytes: general
            .count("callback_spool_mb", problems)
            .map_or(defaults.spool_bytes, |mb| mb.saturating_mul(1 << 20)),
        own_sinks: general.count("callback_own_limit", problems).map_or(defaults.own_sinks, whole),
        ..defaults
    }
}

/// LiteLLM's variables for how many records are sent together, and how often.
pub(super) fn pace(kind: Kind, env: Env<'_>, problems: &mut Problems) -> Pace {
    let defaults = Pace::default();
    let (batch, every, interval) = match kind {
        Kind::S3 => ("DEFAULT_S3_BATCH_SIZE", "DEFAULT_S3_FLUSH_INTERVAL_SECONDS", Duration::from_secs(10)),
        _ => ("DEFAULT_BATCH_SIZE", "DEFAULT_FLUSH_INTERVAL_SECONDS", defaults.every),
    };
    let mut number = |name: &str| {
        let text = env(name).filter(|text| !text.is_empty())?;
        let number = text.trim().parse().ok().filter(|number| *number > 0.0);
        if number.is_none() {
            problems.error(name, "expected a positive number");
        }
        number
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of records"
    )]
    let batch = number(batch).map_or(defaults.batch, |number: f64| number as usize);
    let every = number(every).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Pace { batch, every: every.unwrap_or(interval) }
}

/// Headers of a webhook: the environment's, the section's, its own. The last one of a name counts.
pub(super) fn headers(
    own: &Section<'_>,
    litellm: &Section<'_>,
    env: Env<'_>,
    problems: &mut Problems,
) -> Vec<(String, Secret)> {
    let mut all = env("GENERIC_LOGGER_HEADERS").map(|text| listed(&text)).unwrap_or_default();
    for (section, key) in [(litellm, "generic_logger_headers"), (own, "headers")] {
        match section.value(key) {
            Some(Value::Object(map)) => {
                let pairs = map.iter().filter_map(|(name, value)| Some((name.clone(), plain(value)?.into())));
                all.extend(pairs);
            }
            Some(_) => drop(section.wrong::<()>(key, "names and values of headers", problems)),
            None => {}
        }
    }
    all
}

/// `a=b,c=d`.
pub(super) fn listed(text: &str) -> Vec<(String, Secret)> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().into())).collect()
}

/// A text, a number or a switch, as a text.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

pub(super) fn whole(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
