//! How long the last answers of one deployment took: here, and at the other replicas on the average.

use std::sync::atomic::Ordering::Relaxed;

use crate::words::Words;

/// The last answers of one deployment: whole ones and streams.
#[derive(Default)]
pub(crate) struct Latencies {
    whole: Answers,
    streams: Answers,
}

/// What answers took on the average, as replicas tell each other: for streams the time to the first content, for whole
/// answers the time a token of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// The average in nanoseconds.
    pub nanos: u64,
    /// Of how many answers; none at zero.
    pub answers: u32,
}

/// Answers of one kind.
#[derive(Default)]
struct Answers {
    /// In seconds, and until when each counts, in milliseconds.
    own: Vec<(f64, u64)>,
    /// What the other replicas have together, for as long as they tell it.
    elsewhere: Pace,
}

/// An average that is there for all to read; zero where there is none. Below it stands the second from which it must be taken
/// anew, turned over: so what is not there is never stale, and one comparison tells.
#[derive(Clone, Copy)]
pub(super) struct Average(pub(super) u64);

// === impl Latencies ===

impl Latencies {
    /// Takes an answer in, in seconds, that counts until `until`; of those before it only the last stay, `remembered` in all.
    pub(super) fn learn(&mut self, stream: bool, seconds: f64, until: u64, remembered: usize) {
        let own = &mut self.of(stream).own;
        let many = (own.len() + 1).saturating_sub(remembered.max(1));
        own.drain(..many);
        own.push((seconds, until));
    }

    /// Takes the average anew, for all to read.
    pub(super) fn renew(&mut self, stream: bool, at: u64, words: Words<'_>) -> Average {
        let average = self.of(stream).average(at);
        words.average(stream).store(average.0, Relaxed);
        average
    }

    /// What was seen here, of whole answers and of streams.
    pub(crate) fn own(&self, at: u64) -> (Pace, Pace) {
        (self.whole.own(at), self.streams.own(at))
    }

    /// Takes what the other replicas have together, of whole answers and of streams.
    pub(crate) fn put_elsewhere(&mut self, (whole, streams): (Pace, Pace), at: u64, words: Words<'_>) {
        for (stream, told) in [(false, whole), (true, streams)] {
            if std::mem::replace(&mut self.of(stream).elsewhere, told) != told {
                self.renew(stream, at, words);
            }
        }
    }

    fn of(&mut self, stream: bool) -> &mut Answers {
        if stream { &mut self.streams } else { &mut self.whole }
    }
}

// === impl Pace ===

impl Pace {
    /// The average of these and those, each by how many there are.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        let answers = self.answers.saturating_add(other.answers);
        let sum = self.sum() + other.sum();
        let nanos = sum.checked_div(u128::from(self.answers) + u128::from(other.answers)).unwrap_or_default();
        Self { nanos: u64::try_from(nanos).unwrap_or(u64::MAX), answers }
    }

    fn sum(self) -> u128 {
        u128::from(self.nanos) * u128::from(self.answers)
    }
}

// === impl Answers ===

impl Answers {
    /// Of what is still fresh here and what others told.
    fn average(&mut self, at: u64) -> Average {
        self.own.retain(|(_, until)| at < *until);
        let Pace { nanos, answers } = self.own(at).with(self.elsewhere);
        let stale_at = self.own.iter().map(|(_, until)| *until).min().unwrap_or(u64::MAX);
        match answers {
            0 => Average(0),
            _ => Average::new(nanos, stale_at),
        }
    }

    fn own(&self, at: u64) -> Pace {
        let fresh = self.own.iter().filter(|(_, until)| at < *until);
        let (sum, answers) =
            fresh.fold((0.0, 0_u32), |(sum, count), (seconds, _)| (sum + seconds, count + 1));
        Pace { nanos: nanos(sum / f64::from(answers.max(1))), answers }
    }
}

// === impl Average ===

impl Average {
    /// Of one that may not be chosen; larger than any other.
    pub(super) const NONE: Self = Self((u32::MAX as u64) << 32);

    #[expect(clippy::cast_precision_loss, reason = "an average need not be exact")]
    fn new(nanos: u64, stale_at: u64) -> Self {
        let stale_at = u32::try_from(stale_at / 1000).unwrap_or(u32::MAX);
        Self(u64::from((nanos as f32 / 1e9).to_bits()) << 32 | u64::from(!stale_at))
    }

    /// Whether it must be taken anew at this time, in milliseconds.
    #[expect(clippy::cast_possible_truncation, reason = "no gateway runs for a century")]
    pub(super) fn is_stale(self, at: u64) -> bool {
        self.0 as u32 >= !((at / 1000) as u32)
    }

    /// Its bits, which compare as it does.
    pub(super) fn bits(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an average need not be exact")]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}
