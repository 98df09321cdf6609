//! What holds for a line whatever comes and goes.

use proptest::prelude::*;

use super::*;

/// What happens to a line.
#[derive(Clone, Debug)]
enum Event {
    Comes(i64, u8),
    /// The first one is let in.
    Served,
    /// The nth of those that wait leaves.
    Leaves(usize),
}

/// A call that waits.
#[derive(Clone)]
struct One {
    number: usize,
    /// Its priority and its tenant.
    of: (i64, u8),
    spot: Spot,
}

/// A line, and those that wait in it as they came.
struct Model {
    line: Line<usize>,
    length: usize,
    waiting: Vec<One>,
    came: usize,
    /// How often each other tenant was served since a call was the first of its own.
    turns: HashMap<usize, HashMap<u8, usize>>,
}

// === impl Model ===

impl Model {
    fn happens(&mut self, event: &Event) {
        match *event {
            Event::Comes(priority, tenant) => self.comes((priority, tenant)),
            Event::Served => self.served(),
            Event::Leaves(nth) if !self.waiting.is_empty() => {
                let one = self.waiting.remove(nth % self.waiting.len());
                assert_eq!(self.line.leave(&one.spot, false), Some(one.number));
                assert_eq!(self.line.leave(&one.spot, false), None, "who left is gone");
            }
            Event::Leaves(_) => {}
        }
        assert!(self.waiting.len() <= self.length);
        assert_eq!(self.line.is_empty(), self.waiting.is_empty(), "nothing is left of those that left");
        assert!(self.waiting.iter().all(|one| self.line.has(&one.spot)));
    }

    fn comes(&mut self, of: (i64, u8)) {
        self.came += 1;
        let last = self.waiting.iter().map(|one| one.of.0).max();
        let full = self.waiting.len() == self.length;
        let who = (of.0, tenant(&of.1.to_string()));
        let Some((spot, yielded)) = self.line.join(who, self.length, self.came) else {
            assert!(full && last <= Some(of.0), "there was room");
            let most = (0..4).map(|tenant| self.count((of.0, tenant))).max();
            assert!(last < Some(of.0) || most <= Some(self.count(of) + 1), "somebody has more");
            return;
        };
        assert_eq!(full, yielded.is_some(), "one yields where there is no room");
        if let Some(number) = yielded {
            let at = self.waiting.iter().position(|one| one.number == number).unwrap();
            let gone = self.waiting.remove(at);
            assert!(Some(gone.of.0) == last && of.0 <= gone.of.0, "only one of the last priority yields");
            assert!(self.of(gone.of).all(|one| one.number < number), "the newest one does");
            assert!(of.0 < gone.of.0 || self.count(gone.of) > self.count(of), "one of the tenant with most");
        }
        self.waiting.push(One { number: self.came, of, spot });
    }

    fn served(&mut self) {
        let Some(number) = self.line.head().copied() else { return assert!(self.waiting.is_empty()) };
        let at = self.waiting.iter().position(|one| one.number == number).unwrap();
        let (priority, tenant) = self.waiting[at].of;
        assert!(self.waiting.iter().all(|one| one.of.0 >= priority), "lower numbers are first");
        assert!(self.of((priority, tenant)).all(|one| one.number >= number), "as they came");
        for other in (0..4).filter(|other| *other != tenant) {
            if let Some(first) = self.of((priority, other)).map(|one| one.number).min() {
                let turns = self.turns.entry(first).or_default().entry(tenant).or_default();
                *turns += 1;
                assert_eq!(*turns, 1, "no tenant has two turns before another one has its own");
            }
        }
        let one = self.waiting.remove(at);
        assert!(self.line.is_head(&one.spot));
        let served = if number % 2 == 0 { self.line.serve() } else { self.line.leave(&one.spot, true) };
        assert_eq!(served, Some(number));
    }

    fn of(&self, of: (i64, u8)) -> impl Iterator<Item = &One> {
        self.waiting.iter().filter(move |one| one.of == of)
    }

    fn count(&self, of: (i64, u8)) -> usize {
        self.of(of).count()
    }
}

fn tenant(name: &str) -> Tenant {
    Tenant::Team(name.into())
}

#[test]
fn tenants_take_turns_and_their_calls_keep_their_order() {
    let mut line = Line::default();
    for call in ["a1", "a2", "a3", "a4", "b1", "a5", "c1", "b2"] {
        line.join((0, tenant(&call[..1])), 100, call);
    }
    let served: Vec<_> = std::iter::from_fn(|| line.serve()).collect();
    assert_eq!(served, ["a1", "b1", "c1", "a2", "b2", "a3", "a4", "a5"]);
    assert!(line.is_empty());
}

#[test]
fn a_full_line_drops_the_newest_call_of_whoever_has_most() {
    let mut line = Line::default();
    let mut join = |call: &'static str| match line.join((0, tenant(&call[..1])), 4, call) {
        Some((_, None)) => "waits",
        Some((_, Some(other))) => other,
        None => "full",
    };
    for (call, came) in [
        ("a1", "waits"),
        ("a2", "waits"),
        ("a3", "waits"),
        ("a4", "waits"),
        ("a5", "full"),
        ("b1", "a4"),
        // Two against two is fair already, and a swap would only cost somebody a wait.
        ("b2", "a3"),
        ("b3", "full"),
        ("a6", "full"),
        ("c1", "b2"),
        ("d1", "a2"),
        ("e1", "full"),
    ] {
        assert_eq!(join(call), came, "{call}");
    }
    let served: Vec<_> = std::iter::from_fn(|| line.serve()).collect();
    assert_eq!(served, ["a1", "b1", "c1", "d1"]);
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (-1..2i64, 0..4u8).prop_map(|(priority, tenant)| Event::Comes(priority, tenant)),
        2 => Just(Event::Served),
        1 => any::<usize>().prop_map(Event::Leaves),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_is_in_order_fair_and_bounded(length in 1..12usize, events in prop::collection::vec(event(), 0..200)) {
        let (line, waiting, turns) = (Line::default(), Vec::new(), HashMap::new());
        let mut model = Model { line, length, waiting, came: 0, turns };
        events.iter().for_each(|event| model.happens(event));
        while !model.waiting.is_empty() {
            model.happens(&Event::Served);
        }
    }
}
