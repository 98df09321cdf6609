//! Identities of calls and attempts: UUIDv7, so that they sort by time and name their own day.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Names one call of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(Uuid);

/// Names one attempt of a call at one deployment: the key of a ledger entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptId(Uuid);

macro_rules! ids {
    ($($id:ident),*) => {$(
        impl $id {
            /// A new identity with the current time in it.
            pub fn fresh() -> Self {
                Self(Uuid::now_v7())
            }

            /// The 16 bytes that a binary record keeps.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.into_bytes()
            }

            /// Reads back what [`Self::to_bytes`] wrote.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// What [`Self::to_string`] makes, written into `room`.
            pub fn text(self, room: &mut [u8; 36]) -> &str {
                self.0.hyphenated().encode_lower(room)
            }

            /// When it was made, in milliseconds since the Unix epoch.
            pub fn unix_millis(self) -> u64 {
                let b = self.0.as_bytes();
                u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]])
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    )*};
}

ids!(CallId, AttemptId);

/// A client may have a name for its call that is one.
impl FromStr for CallId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}
