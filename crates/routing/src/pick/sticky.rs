//! The same deployment for calls that belong together, in the shares that are configured, without a memory: every
//! replica chooses the same, and one that rests or goes away moves nobody but its own.

use gatewright_core::Call;

use super::Pool;
use crate::Settings;

/// Which calls belong together. None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// Those of a session, by the name that the client gives it.
    pub session: bool,
    /// Those that begin alike, where that is worth a provider's cache.
    pub prefix: bool,
    /// Those of a caller.
    pub caller: bool,
}

/// What a call is known again by at a group: its session, else its beginning, else its caller.
pub(crate) fn key(call: &Call, group: &str, settings: &Settings) -> Option<u64> {
    let own = || settings.group_affinity.get(group);
    let own = (!settings.group_affinity.is_empty()).then(own).flatten();
    let Affinity { session, prefix, caller } = *own.unwrap_or(&settings.affinity);
    let session = call.controls.trace_id.as_deref().filter(|_| session).map(|name| digest("session", name));
    session
        .or_else(|| prefix.then(|| settings.know.prefix(call)).flatten())
        .or_else(|| (caller && !call.caller.is_anonymous()).then(|| digest("caller", &call.caller.id)))
}

/// The fit one with the least draw, where each draws by the key and by its own name, the less the larger its share:
/// that leaves each its share of all keys. Without shares, or where no fit one has any, all are alike.
pub(crate) fn pick(key: u64, pool: &Pool<'_>) -> Option<usize> {
    let least = |share: &dyn Fn(usize) -> f64| {
        let draws = pool.fits().filter(|nth| share(*nth) > 0.0);
        let draws = draws.map(|nth| (nth, draw(key, pool.mark(nth)) / share(nth)));
        draws.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(nth, _)| nth)
    };
    least(&|nth| pool.share(nth)).or_else(|| least(&|_| 1.0))
}

/// A number for a text, the same in every process.
pub(crate) fn digest(kind: &str, text: &str) -> u64 {
    let bytes = kind.bytes().chain([0]).chain(text.bytes());
    mixed(
        bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
    )
}

/// A draw from an exponential distribution: of several, each is the least as often as its share says.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
fn draw(key: u64, mark: u64) -> f64 {
    let bits = mixed(key ^ mixed(mark)) >> 11;
    -((bits as f64 + 0.5) / (1_u64 << 53) as f64).ln()
}

/// Spreads what differs in few bits over all of them.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}
