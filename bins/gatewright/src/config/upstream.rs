//! What is taken of a provider, from `general_settings`.

use gatewright_providers::Settings;

use super::problem::Problems;
use super::read::Section;
use super::settings::Sections;

impl Sections<'_> {
    /// How large what a provider sends may be.
    pub(super) fn upstream(&self, problems: &mut Problems) -> Settings {
        const AT_ONCE: &str = "max_large_upstream_events";
        let (general, defaults) = (&self.general, Settings::default());
        let large_events = match general.count(AT_ONCE, problems) {
            None => defaults.large_events,
            Some(0) => general.wrong(AT_ONCE, "at least 1", problems).unwrap_or(defaults.large_events),
            Some(most) => usize::try_from(most).unwrap_or(usize::MAX),
        };
        let idle = general.deadline("large_upstream_event_timeout", problems);
        Settings {
            max_reply_bytes: megabytes(general, "max_response_size_mb", problems)
                .unwrap_or(defaults.max_reply_bytes),
            max_error_bytes: megabytes(general, "max_upstream_error_mb", problems)
                .unwrap_or(defaults.max_error_bytes),
            max_event_bytes: megabytes(general, "max_upstream_event_mb", problems)
                .unwrap_or(defaults.max_event_bytes),
            large_events,
            large_event_idle: idle.unwrap_or(defaults.large_event_idle),
        }
    }
}

/// A number of megabytes, which may be a fraction, in bytes.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a positive number of bytes")]
fn megabytes(section: &Section<'_>, key: &str, problems: &mut Problems) -> Option<usize> {
    let number = section.number(key, problems)?;
    let bytes = (number * 1_048_576.0) as usize;
    (bytes > 0).then_some(bytes).or_else(|| section.wrong(key, "a positive number of megabytes", problems))
}
