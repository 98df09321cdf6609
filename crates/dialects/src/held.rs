//! The unfinished event at the end of what came so far.

/// What is longer lies in pieces.
const LARGE: usize = 256 << 10;

/// How large a piece is at least, but for the last: what comes byte by byte would take many times its size.
const PIECE: usize = 64 * 1024;

/// The largest buffer that is kept from one event to the next.
const KEPT: usize = 64 * 1024;

/// Bytes that wait for what comes. A large event lies in the pieces in which it came until it is whole: grown in one
/// buffer it would be copied again and again, and what is given back of such buffers is not free for others at once.
#[derive(Default)]
pub(crate) struct Held {
    head: Vec<u8>,
    rest: Vec<Vec<u8>>,
    length: usize,
}

// === impl Held ===

impl Held {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// What it begins with.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    pub(crate) fn push(&mut self, more: &[u8]) {
        self.length += more.len();
        if self.length <= LARGE {
            self.head.extend_from_slice(more);
            return;
        }
        match self.rest.last_mut().filter(|last| more.len() <= last.capacity() - last.len()) {
            Some(last) => last.extend_from_slice(more),
            None => {
                let mut piece = Vec::with_capacity(more.len().max(PIECE));
                piece.extend_from_slice(more);
                self.rest.push(piece);
            }
        }
    }

    /// All of it, in one piece.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let length = std::mem::take(&mut self.length);
        let mut whole = std::mem::take(&mut self.head);
        if length > whole.len() {
            whole.reserve_exact(length - whole.len());
            // Each is given back as soon as it is copied.
            std::mem::take(&mut self.rest).into_iter().for_each(|piece| whole.extend_from_slice(&piece));
        }
        whole
    }

    /// Takes a buffer to be used again, unless a rare event has made it large.
    pub(crate) fn reuse(&mut self, mut buffer: Vec<u8>) {
        if self.length == 0 && buffer.capacity() <= KEPT {
            buffer.clear();
            self.head = buffer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_comes_back_whole_however_long_it_is() {
        let mut held = Held::default();
        for length in [0, 1, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE + 7] {
            for piece in [length.max(1), 7, 64 * 1024, 999_983] {
                let wanted: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
                wanted.chunks(piece).for_each(|piece| held.push(piece));
                assert_eq!((held.len(), held.is_empty()), (length, length == 0));
                assert!(held.rest.len() <= length / PIECE + 1, "{length} in pieces of {piece}");
                let taken = held.take();
                assert!(taken == wanted, "{length} in pieces of {piece}");
                held.reuse(taken);
                assert!(held.is_empty() && held.head().is_empty() && held.head.capacity() <= KEPT);
            }
        }
    }
}
