//! The questions of one class: their vectors side by side in pieces that are shared with whoever looks at them.

use std::sync::Arc;
use std::time::Instant;

use crate::entry::Entry;
use crate::key::Key;
use crate::similar::Vector;
use crate::similar::vector::similarity;

/// So many questions stand in one piece: what is copied at most where one is changed while somebody looks at it.
const PIECE: usize = 64;

/// What a question takes besides its vector and its answer.
const OVERHEAD: usize = 512;

/// The questions of one class, all of one length. All pieces but the last one are full.
#[derive(Default)]
pub(super) struct Pile {
    pieces: Vec<Arc<Piece>>,
}

/// Some questions.
#[derive(Clone, Default)]
pub(super) struct Piece {
    /// Their vectors, one after the other.
    numbers: Vec<f32>,
    items: Vec<Item>,
}

/// A question.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) id: u64,
    pub(super) key: Key,
    pub(super) entry: Arc<Entry>,
    pub(super) until: Instant,
}

// === impl Pile ===

impl Pile {
    /// As it is now.
    pub(super) fn pieces(&self) -> Vec<Arc<Piece>> {
        self.pieces.clone()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn put(&mut self, vector: &Vector, item: Item) {
        match self.pieces.last_mut() {
            Some(last) if last.items.len() < PIECE => Arc::make_mut(last).put(vector.numbers(), item),
            _ => {
                let mut piece = Piece::default();
                piece.put(vector.numbers(), item);
                self.pieces.push(Arc::new(piece));
            }
        }
    }

    /// The last question takes its place.
    pub(super) fn take(&mut self, id: u64) {
        let at = |piece: &Arc<Piece>| piece.items.iter().position(|item| item.id == id);
        let Some((piece, at)) = self.pieces.iter().enumerate().find_map(|(n, piece)| Some((n, at(piece)?)))
        else {
            return;
        };
        let Some(last) = self.pieces.last_mut() else { return };
        let moved = Arc::make_mut(last).pop();
        if last.items.is_empty() {
            self.pieces.pop();
        }
        if let Some((numbers, item)) = moved
            && item.id != id
            && let Some(piece) = self.pieces.get_mut(piece)
        {
            Arc::make_mut(piece).replace(at, &numbers, item);
        }
    }
}

// === impl Piece ===

impl Piece {
    /// The nearest question that is still to be kept and is `nearer` than what was found elsewhere.
    pub(super) fn nearest(
        &self,
        vector: &Vector,
        nearer: impl Fn(f32) -> bool,
        now: Instant,
    ) -> Option<(f32, Item)> {
        let rows = self.numbers.chunks_exact(vector.dimensions()).zip(&self.items);
        let alive = rows.filter(|(_, item)| item.until > now);
        let compared = alive.map(|(numbers, item)| (similarity(vector.numbers(), numbers), item));
        let best = compared.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
        Some((best.0, best.1.clone())).filter(|(similarity, _)| nearer(*similarity))
    }

    fn put(&mut self, numbers: &[f32], item: Item) {
        self.numbers.extend_from_slice(numbers);
        self.items.push(item);
    }

    fn pop(&mut self) -> Option<(Vec<f32>, Item)> {
        let dimensions = self.numbers.len() / self.items.len().max(1);
        let item = self.items.pop()?;
        Some((self.numbers.split_off(self.items.len() * dimensions), item))
    }

    fn replace(&mut self, at: usize, numbers: &[f32], item: Item) {
        let place = at * numbers.len()..(at + 1) * numbers.len();
        if let (Some(row), Some(old)) = (self.numbers.get_mut(place), self.items.get_mut(at)) {
            row.copy_from_slice(numbers);
            *old = item;
        }
    }
}

// === impl Item ===

impl Item {
    /// What it takes with its vector.
    pub(super) fn bytes(&self, vector: &Vector) -> usize {
        self.entry.size() + size_of_val(vector.numbers()) + OVERHEAD
    }
}
