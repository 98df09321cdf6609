//! How long a call and each of its attempts may take.

use std::time::Duration;

use gatewright_core::Call;
use tokio::time::Instant;

use crate::table::Group;
use crate::{Deployment, Settings};

/// No client waits longer; a larger number must not overflow a point in time.
const FOREVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long one call may take.
///
/// What a timeout limits depends on the answer: of a whole answer it limits the attempt, of a stream the wait for its
/// first content; a stream that flows is cut only by the idle time and by the total. A client's own timeout limits
/// the call with all its attempts and waits; a configured one limits each attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// When the call must have reached its first content, through whatever attempts.
    pub(crate) content_by: Instant,
    /// When the call must be over.
    pub(crate) end: Instant,
    /// What the client asked for.
    pub(crate) asked: Option<Duration>,
    stream: bool,
}

/// How long one attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) first_content: Duration,
    pub(crate) idle: Duration,
    pub(crate) deadline: Instant,
}

// === impl Patience ===

impl Patience {
    pub(crate) fn of(call: &Call, settings: &Settings, group: Option<&Group>) -> Self {
        let controls = &call.controls;
        let asked: Option<Duration> = match call.stream {
            true => controls.stream_timeout.or(controls.timeout),
            false => controls.timeout,
        };
        let asked = asked.map(|asked| asked.min(FOREVER));
        let configured = [settings.timeout, settings.stream_timeout, group.map(|group| group.longest)];
        let longest = configured.into_iter().flatten().fold(settings.total, Duration::max).min(FOREVER);
        let received = Instant::from_std(call.received);
        let content_by = received + asked.unwrap_or(longest);
        let end = if call.stream { received + longest.max(asked.unwrap_or_default()) } else { content_by };
        Self { content_by, end, asked, stream: call.stream }
    }

    /// What is left to a stream that came to its first content in time and has to go on elsewhere.
    pub(crate) fn past_content(self) -> Self {
        Self { content_by: self.end, ..self }
    }

    pub(crate) fn times(&self, deployment: &Deployment, settings: &Settings, now: Instant) -> Times {
        let whole = self.asked.or(deployment.timeout).or(settings.timeout);
        let left = self.content_by.saturating_duration_since(now);
        if !self.stream {
            let length = whole.map_or(left, |length| length.min(left));
            return Times { first_content: length, idle: length, deadline: now + length };
        }
        let first = match self.asked {
            Some(asked) => Some(asked),
            None => deployment
                .stream_timeout
                .or(deployment.timeout)
                .or(settings.stream_timeout)
                .or(settings.timeout),
        };
        let first_content = first.unwrap_or(settings.first_content).min(left);
        Times { first_content, idle: deployment.idle.unwrap_or(settings.idle), deadline: self.end }
    }
}
