//! What a stream had said when it broke off, for the attempt that goes on from there.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Encode, Usage};

/// Kept beside a call whose stream another attempt may go on with. Attempts follow one another, so that it is locked for
/// a moment at the begin and at the end of one.
pub struct SoFar {
    stage: Mutex<Stage>,
    most_text: usize,
}

/// What the client was told by a stream that broke off.
pub struct Said {
    /// The text of the answer.
    pub text: String,
    /// What the attempts that said it used, as their providers counted it, else as it was estimated.
    pub used: Usage,
    /// Writes the client's events, and has written all that the client has.
    pub encoder: Box<dyn Encode>,
    /// The part of the text that is not whole.
    pub open: Option<u32>,
    /// The index of the next part.
    pub next: u32,
}

#[derive(Default)]
enum Stage {
    /// The client was told nothing yet, or is being told.
    #[default]
    Fresh,
    /// A stream broke off.
    Left(Said),
    /// An attempt goes on with it; those before it used so much.
    Taken(Usage),
}

// === impl SoFar ===

impl SoFar {
    /// Nothing yet. An answer with more bytes of text than `most_text` is not gone on with.
    pub fn new(most_text: usize) -> Self {
        Self { stage: Mutex::default(), most_text }
    }

    /// Bytes of text that are kept at most.
    pub fn most_text(&self) -> usize {
        self.most_text
    }

    /// Leaves what was said to whoever goes on.
    pub fn leave(&self, said: Said) {
        *self.stage() = Stage::Left(said);
    }

    /// Takes what was said, to go on with it.
    pub fn take(&self) -> Option<Said> {
        let mut stage = self.stage();
        match std::mem::take(&mut *stage) {
            Stage::Left(said) => {
                *stage = Stage::Taken(said.used);
                Some(said)
            }
            other => {
                *stage = other;
                None
            }
        }
    }

    /// Whether there is something to go on with.
    pub fn is_left(&self) -> bool {
        matches!(&*self.stage(), Stage::Left(_))
    }

    /// Whether the client was told something by an attempt that broke off: nothing begins anew for it then.
    pub fn is_begun(&self) -> bool {
        !matches!(&*self.stage(), Stage::Fresh)
    }

    /// The text that is to go on, where there is some.
    pub fn text(&self) -> Option<String> {
        match &*self.stage() {
            Stage::Left(said) => Some(said.text.clone()),
            Stage::Fresh | Stage::Taken(_) => None,
        }
    }

    /// Bytes of that text.
    pub fn text_len(&self) -> usize {
        match &*self.stage() {
            Stage::Left(said) => said.text.len(),
            Stage::Fresh | Stage::Taken(_) => 0,
        }
    }

    /// What the attempts used that broke off.
    pub fn used(&self) -> Usage {
        match &*self.stage() {
            Stage::Left(said) => said.used,
            Stage::Taken(used) => *used,
            Stage::Fresh => Usage::default(),
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SoFar {
    /// What was said is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoFar").field("most_text", &self.most_text).finish_non_exhaustive()
    }
}
