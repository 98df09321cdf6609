//! Which traces are recorded.

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampler {
    /// All of them.
    Always,
    /// None: contexts still travel.
    Never,
    /// This share, chosen by the trace's id.
    Ratio(f64),
    /// As the client says; what has no client's word, in this share.
    Parent(f64),
}

// === impl Sampler ===

impl Sampler {
    /// Whether a span of this trace is recorded; `parent` is what was decided above it.
    pub(crate) fn takes(self, parent: Option<bool>, trace: [u8; 16]) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Ratio(share) => is_below(share, trace),
            Self::Parent(share) => parent.unwrap_or_else(|| is_below(share, trace)),
        }
    }
}

/// Everybody who has this share and sees this trace comes to the same answer: 63 bits of its id are the number that is drawn,
/// the same ones as in OpenTelemetry's own libraries.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of all numbers is a number"
)]
fn is_below(share: f64, trace: [u8; 16]) -> bool {
    const ALL: u64 = 1 << 63;
    let drawn = u64::from_be_bytes(trace.last_chunk().copied().unwrap_or_default()) >> 1;
    share >= 1.0 || drawn < (share.max(0.0) * ALL as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(drawn: u64) -> [u8; 16] {
        let mut trace = [0xff; 16];
        trace[8..].copy_from_slice(&(drawn << 1).to_be_bytes());
        trace
    }

    #[test]
    fn a_trace_is_taken_by_its_id_and_by_what_was_decided_above() {
        let (low, high) = (trace(1 << 60), trace((1 << 63) - 1));
        for (sampler, parent, low_is_taken, high_is_taken) in [
            (Sampler::Always, Some(false), true, true),
            (Sampler::Never, Some(true), false, false),
            (Sampler::Ratio(0.25), None, true, false),
            (Sampler::Ratio(0.25), Some(true), true, false),
            (Sampler::Ratio(0.0), None, false, false),
            (Sampler::Ratio(1.0), None, true, true),
            (Sampler::Parent(0.25), None, true, false),
            (Sampler::Parent(0.25), Some(true), true, true),
            (Sampler::Parent(1.0), Some(false), false, false),
        ] {
            let taken = (sampler.takes(parent, low), sampler.takes(parent, high));
            assert_eq!(taken, (low_is_taken, high_is_taken), "{sampler:?} below {parent:?}");
        }
    }
}
