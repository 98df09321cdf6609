//! When windows end.

use std::time::{Duration, Instant, SystemTime};

use gatewright_core::Clock;

use crate::rule::Window;

/// A moment on both clocks: windows that roll end by the one, periods of the calendar by the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) at: Instant,
    wall: SystemTime,
}

/// When a window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    At(Instant),
    On(SystemTime),
    Never,
}

/// What a window lasts that is longer than the clock can tell.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

// === impl Now ===

impl Now {
    pub(crate) fn of(clock: &dyn Clock) -> Self {
        Self { at: clock.now(), wall: clock.wall() }
    }
}

// === impl Ends ===

impl Ends {
    /// The end of a window that is entered now.
    pub(crate) fn of(window: &Window, now: Now) -> Self {
        match window {
            Window::Rolling(length) => Self::At(now.at.checked_add(*length).unwrap_or(now.at + LONGEST)),
            Window::Period { ends, .. } => Self::On(*ends),
            Window::Forever => Self::Never,
        }
    }

    pub(crate) fn has_passed(self, now: Now) -> bool {
        match self {
            Self::At(end) => end <= now.at,
            Self::On(end) => end <= now.wall,
            Self::Never => false,
        }
    }

    /// How long until it ends.
    pub(crate) fn left(self, now: Now) -> Option<Duration> {
        match self {
            Self::At(end) => Some(end.saturating_duration_since(now.at)),
            Self::On(end) => Some(end.duration_since(now.wall).unwrap_or_default()),
            Self::Never => None,
        }
    }

    /// Whether a window that is entered now begins anew. A rule that was made in an earlier period names no later
    /// end: what it says counts on in the period that is here.
    pub(crate) fn gives_way_to(self, next: Self, now: Now) -> bool {
        self.has_passed(now) && !next.has_passed(now)
    }
}
