//! One reply that several read: each sees all frames from the first on, and whoever is ahead fetches the next one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use crate::watch::Watchers;
use crate::{End, Error, Frame, Frames, Result};

/// Lets others read a reply too, as long as somebody does. Nobody left: the reply is dropped.
#[derive(Clone)]
pub struct Sharing(Weak<Shared>);

/// Why a reply cannot be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// It is too large to be kept whole.
    Large,
    /// It is over: it failed, or nobody reads it any more.
    Over,
}

/// One of those who read.
pub(crate) struct Reader {
    shared: Arc<Shared>,
    number: usize,
    /// On whose account the reply is: if it leaves before the others, it is settled when the reply ends.
    pays: bool,
}

struct Shared {
    state: Mutex<State>,
    waiting: Arc<Waiting>,
}

struct State {
    /// Where frames come from; `None` when it has ended. Dropped before those who settle with it.
    source: Option<Frames>,
    end: Option<Result<()>>,
    kept: VecDeque<Frame>,
    /// Frames before those that are kept.
    gone: usize,
    /// Bytes of what is kept, and how many there may be.
    bytes: usize,
    most: usize,
    /// Where each reader is; `None` for one that left.
    readers: Vec<Option<usize>>,
    /// Those of whoever pays and has left.
    left: Vec<Watchers>,
}

/// Those who wait for a frame, by number. A source knows only one waker: this one wakes all of them.
#[derive(Default)]
struct Waiting(Mutex<Vec<Option<Waker>>>);

/// Lets several read `frames`. The answered ones are those of whoever pays; others join as long as all frames are kept,
/// which they are until they have more than `most` bytes. From then on the readers wait for the slowest of them, so that
/// no more than that is ever kept.
pub fn share(frames: Frames, most: usize) -> (Frames, Sharing) {
    let state = State {
        source: Some(frames),
        end: None,
        kept: VecDeque::new(),
        gone: 0,
        bytes: 0,
        most,
        readers: vec![Some(0)],
        left: Vec::new(),
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), waiting: Arc::default() });
    let sharing = Sharing(Arc::downgrade(&shared));
    (Frames::shared(Reader { shared, number: 0, pays: true }), sharing)
}

// === impl Sharing ===

impl Sharing {
    /// All frames from the first on, as long as they are kept and somebody reads them.
    pub fn join(&self) -> Result<Frames, Missed> {
        let shared = self.0.upgrade().ok_or(Missed::Over)?;
        let number = shared.state().join()?;
        Ok(Frames::shared(Reader { shared, number, pays: false }))
    }
}

// === impl Reader ===

impl Reader {
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let waiting = &self.shared.waiting;
        let mut state = self.shared.state();
        loop {
            if let Some(next) = state.next(self.number) {
                let freed = state.trim();
                drop(state);
                if freed {
                    waiting.wake_all();
                }
                return Poll::Ready(next);
            }
            // Before the source is asked, so that no frame comes in between.
            waiting.enter(self.number, cx.waker());
            if state.is_full() || state.fetch(&Waker::from(Arc::clone(waiting))).is_pending() {
                return Poll::Pending;
            }
            // Not under the lock: whoever is woken may be anything.
            drop(state);
            waiting.leave(self.number);
            waiting.wake_all();
            state = self.shared.state();
        }
    }

    /// Leaves, and leaves its observers behind where they have to see how the reply ends.
    pub(crate) fn leave(&mut self, watchers: &mut Watchers) {
        let mut state = self.shared.state();
        let others = state.readers.iter().enumerate().any(|(n, at)| n != self.number && at.is_some());
        if self.pays && others && state.source.is_some() {
            state.left.push(std::mem::take(watchers));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        if let Some(at) = state.readers.get_mut(self.number) {
            *at = None;
        }
        state.trim();
        drop(state);
        // One of them goes on with the source, whose waker was perhaps this one's.
        self.shared.waiting.leave(self.number);
        self.shared.waiting.wake_all();
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

// === impl State ===

impl State {
    fn join(&mut self) -> Result<usize, Missed> {
        match self.end {
            Some(Err(_)) => return Err(Missed::Over),
            _ if self.gone > 0 || self.is_full() => return Err(Missed::Large),
            _ => self.readers.push(Some(0)),
        }
        Ok(self.readers.len() - 1)
    }

    /// What a reader gets without waiting.
    fn next(&mut self, number: usize) -> Option<Option<Result<Frame>>> {
        let at = self.readers.get_mut(number)?.as_mut()?;
        if let Some(frame) = self.kept.get(*at - self.gone) {
            *at += 1;
            return Some(Some(Ok(frame.clone())));
        }
        let end = self.end.as_ref()?;
        Some(end.clone().err().map(Err))
    }

    fn is_full(&self) -> bool {
        self.bytes > self.most
    }

    /// Asks the source for one more frame.
    fn fetch(&mut self, waker: &Waker) -> Poll<()> {
        let Some(source) = &mut self.source else { return Poll::Ready(()) };
        match source.poll_frame(&mut Context::from_waker(waker)) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => {
                for watchers in &mut self.left {
                    // Whoever left cannot end the reply of those who stayed.
                    let _ = watchers.frame(&frame);
                }
                self.bytes += frame.data.len();
                let last = frame.last;
                self.kept.push_back(frame);
                if last {
                    self.close(Ok(()));
                }
                self.trim();
            }
            Poll::Ready(Some(Err(err))) => self.close(Err(err)),
            Poll::Ready(None) => self.close(Ok(())),
        }
        Poll::Ready(())
    }

    fn close(&mut self, end: Result<(), Error>) {
        self.source = None;
        self.end = Some(end);
        for mut watchers in self.left.drain(..) {
            watchers.settle(End::Abandoned);
        }
    }

    /// Lets go of what all have read, once it is too much to be kept whole. Answers whether there is room again.
    fn trim(&mut self) -> bool {
        if self.gone == 0 && !self.is_full() {
            return false;
        }
        let full = self.is_full();
        let slowest = self.readers.iter().flatten().min().copied().unwrap_or(self.gone);
        while self.gone < slowest {
            let Some(frame) = self.kept.pop_front() else { break };
            self.bytes -= frame.data.len();
            self.gone += 1;
        }
        full && !self.is_full()
    }
}

// === impl Waiting ===

impl Waiting {
    fn enter(&self, number: usize, waker: &Waker) {
        let mut all = lock(&self.0);
        if all.len() <= number {
            all.resize(number + 1, None);
        }
        if let Some(place) = all.get_mut(number) {
            *place = Some(waker.clone());
        }
    }

    fn leave(&self, number: usize) {
        if let Some(place) = lock(&self.0).get_mut(number) {
            *place = None;
        }
    }

    fn wake_all(&self) {
        let all = std::mem::take(&mut *lock(&self.0));
        all.into_iter().flatten().for_each(Waker::wake);
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_core::Stream;

    use super::*;
    use crate::{ErrorKind, Observer, Outcome};

    /// What a source gives, as soon as it is handed in.
    #[derive(Clone, Default)]
    struct Tap(Arc<Mutex<Tapping>>);

    #[derive(Default)]
    struct Tapping {
        given: VecDeque<Result<Frame>>,
        waker: Option<Waker>,
    }

    /// Its end is seen by whoever counts what it holds.
    struct Tapped(Tap, #[expect(dead_code, reason = "held, not read")] Arc<()>);

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    /// Writes down how it was settled.
    struct Seen(&'static str, Arc<Mutex<Vec<String>>>);

    impl Tap {
        fn give(&self, next: Result<Frame>) {
            let mut tap = lock(&self.0);
            tap.given.push_back(next);
            if let Some(waker) = tap.waker.take() {
                waker.wake();
            }
        }
    }

    impl Stream for Tapped {
        type Item = Result<Frame>;

        fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            let mut tap = lock(&self.0.0);
            match tap.given.pop_front() {
                Some(next) => Poll::Ready(Some(next)),
                None => {
                    tap.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        }
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Observer for Seen {
        fn settle(self: Box<Self>, outcome: &Outcome<'_>) {
            let end = match outcome.end {
                End::Complete => "complete",
                End::Failed(_) => "failed",
                End::Abandoned => "abandoned",
            };
            lock(&self.1).push(format!("{} {end} {}", self.0, outcome.content));
        }
    }

    fn frame(text: &'static str, last: bool) -> Result<Frame> {
        Ok(Frame { data: text.into(), content: 1, last, ..Frame::default() })
    }

    /// The texts that come without waiting; `!` for an error, `.` for the end.
    fn read(frames: &mut Frames, waker: &Waker) -> String {
        let mut all = String::new();
        while let Poll::Ready(next) = frames.poll_frame(&mut Context::from_waker(waker)) {
            match next {
                Some(Ok(frame)) => all.push_str(std::str::from_utf8(&frame.data).unwrap()),
                Some(Err(_)) => all.push('!'),
                None => {
                    all.push('.');
                    break;
                }
            }
        }
        all
    }

    fn shared(most: usize) -> (Tap, std::sync::Weak<()>, Frames, Sharing) {
        let (tap, alive) = (Tap::default(), Arc::new(()));
        let weak = Arc::downgrade(&alive);
        let (own, sharing) = share(Frames::many(Tapped(tap.clone(), alive)), most);
        (tap, weak, own, sharing)
    }

    #[test]
    fn all_see_all_frames_from_the_first_on() {
        let (tap, _, mut own, sharing) = shared(100);
        let waker = Waker::noop();
        tap.give(frame("a", false));
        assert_eq!(read(&mut own, waker), "a");
        let mut late = sharing.join().unwrap();
        tap.give(frame("b", false));
        assert_eq!(read(&mut late, waker), "ab");
        tap.give(frame("c", true));
        assert_eq!((read(&mut own, waker), read(&mut late, waker)), ("bc.".into(), "c.".into()));
        // As long as anybody holds it, it can still be read.
        assert_eq!(read(&mut sharing.join().unwrap(), waker), "abc.");
        drop((own, late));
        assert_eq!(sharing.join().err(), Some(Missed::Over));
    }

    #[test]
    fn whoever_waits_is_woken_though_another_one_asked_last() {
        let (tap, _, mut own, sharing) = shared(100);
        let mut other = sharing.join().unwrap();
        let (one, two) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
        assert_eq!(read(&mut own, &Waker::from(one.clone())), "");
        assert_eq!(read(&mut other, &Waker::from(two.clone())), "");
        drop(other);
        assert_eq!(
            one.0.load(Ordering::Relaxed),
            1,
            "it goes on with the source in place of the one that left"
        );
        assert_eq!(read(&mut own, &Waker::from(one.clone())), "");
        tap.give(frame("a", true));
        assert_eq!(one.0.load(Ordering::Relaxed), 2);
        assert_eq!(read(&mut own, Waker::noop()), "a.");
    }

    #[test]
    fn nobody_left_ends_the_source() {
        let (_tap, alive, own, sharing) = shared(100);
        let other = sharing.join().unwrap();
        drop(own);
        assert_eq!(alive.strong_count(), 1, "somebody reads on");
        drop(other);
        assert_eq!(alive.strong_count(), 0);
    }

    #[test]
    fn whoever_pays_and_leaves_is_settled_when_the_reply_ends() {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let (tap, _, mut own, sharing) = shared(100);
        let mut other = sharing.join().unwrap();
        for (frames, name) in [(&mut own, "payer"), (&mut other, "other")] {
            frames.watchers().follow(Box::new(Seen(name, told.clone())), None);
        }
        tap.give(frame("a", false));
        read(&mut own, Waker::noop());
        drop(own);
        assert!(lock(&told).is_empty());
        tap.give(frame("b", true));
        read(&mut other, Waker::noop());
        assert_eq!(*lock(&told), ["payer abandoned 2", "other complete 2"]);
    }

    #[test]
    fn the_last_to_leave_is_settled_at_once() {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let (_tap, _, mut own, _sharing) = shared(100);
        own.watchers().follow(Box::new(Seen("payer", told.clone())), None);
        drop(own);
        assert_eq!(*lock(&told), ["payer abandoned 0"]);
    }

    #[test]
    fn an_error_is_everybodys_and_is_not_joined() {
        let (tap, _, mut own, sharing) = shared(100);
        let mut other = sharing.join().unwrap();
        tap.give(frame("a", false));
        tap.give(Err(Error::new(ErrorKind::Upstream, "x")));
        assert_eq!(
            (read(&mut own, Waker::noop()), read(&mut other, Waker::noop())),
            ("a!.".into(), "a!.".into())
        );
        assert_eq!(sharing.join().err(), Some(Missed::Over));
    }

    #[test]
    fn no_more_is_kept_than_was_said() {
        let (tap, _, mut own, sharing) = shared(3);
        let mut slow = sharing.join().unwrap();
        for _ in 0..9 {
            tap.give(frame("ab", false));
        }
        let woken = Arc::new(Woken::default());
        assert_eq!(read(&mut own, &Waker::from(woken.clone())), "abab", "it waits for the slow one");
        assert_eq!(sharing.join().err(), Some(Missed::Large));
        let one = slow.poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(one.is_ready());
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(read(&mut own, &Waker::from(woken.clone())), "ab");
        drop(slow);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2, "nobody waits for one that left");
        assert_eq!(read(&mut own, Waker::noop()).len(), 12);
    }
}
