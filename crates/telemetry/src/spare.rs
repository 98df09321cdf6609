//! Buffers for spans that are used again: what a thread has just written lies nearer than what it would be given.

use std::cell::RefCell;

/// Most spans are no longer, so that they stay where they began.
const USUAL: usize = 1024;

/// What is longer is given back, and what a thread has beside so many: as many spans as it may have open at once.
const LONGEST: usize = 4 * USUAL;
const MOST: usize = 64;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty one.
pub(crate) fn take() -> Vec<u8> {
    // A thread that ends has none left.
    let spare = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
    spare.unwrap_or_else(|| Vec::with_capacity(USUAL))
}

/// For whoever needs one next.
pub(crate) fn give(mut buffer: Vec<u8>) {
    if !(USUAL..=LONGEST).contains(&buffer.capacity()) {
        return;
    }
    buffer.clear();
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MOST {
            spare.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_without_what_it_held() {
        let mut first = take();
        first.extend_from_slice(b"a span");
        let place = first.as_ptr();
        give(first);
        let again = take();
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        give(Vec::with_capacity(LONGEST + 1));
        give(Vec::new());
        assert_eq!(take().capacity(), USUAL, "neither a long one nor none");
        (0..=MOST).map(|_| Vec::with_capacity(USUAL)).for_each(give);
        assert_eq!(SPARE.with_borrow(Vec::len), MOST);
    }
}
