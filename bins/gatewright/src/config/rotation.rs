//! Keys that are replaced by themselves: where the new ones go, and LiteLLM's variables for how often and how.

use std::path::PathBuf;
use std::time::Duration;

use gatewright_admin::Period;

use super::file::Env;
use super::is_on;
use super::problem::Problems;
use super::read::Section;

/// How keys are replaced by themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationSettings {
    /// Where new keys are put.
    pub folder: PathBuf,
    /// How often it is looked whether a key is due.
    pub every: Duration,
    /// How long an old key goes on.
    pub grace: Option<Period>,
}

const FOLDER: &str = "rotated_keys_dir";
const ENABLED: &str = "LITELLM_KEY_ROTATION_ENABLED";
const EVERY: &str = "LITELLM_KEY_ROTATION_CHECK_INTERVAL_SECONDS";
const GRACE: &str = "LITELLM_KEY_ROTATION_GRACE_PERIOD";

const EVERY_DEFAULT: Duration = Duration::from_secs(600);

/// Nothing where nobody says where new keys go.
pub(super) fn settings(
    general: &Section<'_>,
    env: Env<'_>,
    problems: &mut Problems,
) -> Option<RotationSettings> {
    let Some(folder) = general.text(FOLDER, problems).map(PathBuf::from) else {
        if is_on(env(ENABLED)) {
            let words =
                format!("no key is replaced by itself: say where new keys go with `{}`", general.at(FOLDER));
            problems.warn(ENABLED, words);
        }
        return None;
    };
    if !folder.is_dir() {
        problems.error(general.at(FOLDER), format!("there is no folder {}", folder.display()));
    }
    let seconds = env(EVERY).map(|text| text.trim().parse::<u64>().ok().filter(|seconds| *seconds > 0));
    let every = match seconds {
        None => EVERY_DEFAULT,
        Some(Some(seconds)) => Duration::from_secs(seconds),
        Some(None) => {
            problems.error(EVERY, "expected seconds");
            EVERY_DEFAULT
        }
    };
    let grace = match env(GRACE).filter(|text| !text.is_empty()).as_deref() {
        None => Period::parse("24h"),
        Some("0" | "0s") => None,
        Some(text) => Period::parse(text).or_else(|| {
            problems.error(GRACE, "expected a span of time as `24h`, or `0s`");
            None
        }),
    };
    Some(RotationSettings { folder, every, grace })
}
