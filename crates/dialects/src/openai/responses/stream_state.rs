//! Which parts of a stream are open, by where they stand in the upstream's answer.

use gatewright_core::chat::{Delta, Event, PartKind};

/// Where a part stands: an item, or one piece of a message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    item: u32,
    content: Option<u32>,
}

/// Parts in the order of their beginnings.
#[derive(Default)]
pub(super) struct Parts(Vec<Open>);

/// One part.
pub(super) struct Open {
    spot: Spot,
    index: u32,
    /// How many deltas it had.
    pub(super) said: u32,
    /// The paragraph of reasoning that was told last.
    pub(super) paragraph: u32,
    /// Whether it is a call with a bare input.
    pub(super) custom: bool,
    pub(super) ended: bool,
}

// === impl Spot ===

impl Spot {
    /// A whole item.
    pub(super) fn item(item: u32) -> Self {
        Self { item, content: None }
    }

    /// A piece of a message.
    pub(super) fn content(item: u32, content: u32) -> Self {
        Self { item, content: Some(content) }
    }
}

// === impl Parts ===

impl Parts {
    pub(super) fn find(&self, spot: Spot) -> Option<&Open> {
        self.0.iter().find(|open| open.spot == spot)
    }

    pub(super) fn find_mut(&mut self, spot: Spot) -> Option<&mut Open> {
        self.0.iter_mut().find(|open| open.spot == spot)
    }

    /// The part there, which begins if there is none yet.
    pub(super) fn open(&mut self, spot: Spot, kind: PartKind, out: &mut Vec<Event>) -> &mut Open {
        let place = self.0.iter().position(|open| open.spot == spot).unwrap_or(self.0.len());
        if place == self.0.len() {
            let index = u32::try_from(place).unwrap_or(u32::MAX);
            out.push(Event::PartStart { choice: 0, index, kind });
            self.0.push(Open { spot, index, said: 0, paragraph: 0, custom: false, ended: false });
        }
        &mut self.0[place]
    }

    /// Ends the part there.
    pub(super) fn end(&mut self, spot: Spot, out: &mut Vec<Event>) {
        if let Some(open) = self.find_mut(spot) {
            open.end(out);
        }
    }

    /// Ends all parts of an item.
    pub(super) fn end_item(&mut self, item: u32, out: &mut Vec<Event>) {
        self.0.iter_mut().filter(|open| open.spot.item == item).for_each(|open| open.end(out));
    }

    /// Ends what is still open.
    pub(super) fn end_all(&mut self, out: &mut Vec<Event>) {
        self.0.iter_mut().for_each(|open| open.end(out));
    }
}

// === impl Open ===

impl Open {
    /// Adds to it; what comes for a part that has ended is too late.
    pub(super) fn tell(&mut self, delta: Delta, out: &mut Vec<Event>) {
        if self.ended {
            return;
        }
        self.said += 1;
        out.push(Event::PartDelta { choice: 0, index: self.index, delta });
    }

    fn end(&mut self, out: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.ended, true) {
            out.push(Event::PartEnd { choice: 0, index: self.index });
        }
    }
}
