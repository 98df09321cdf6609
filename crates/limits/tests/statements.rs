//! What replicas say of a budget may come late, twice, and in any order.
#![cfg(test)]

use gatewright_tests::redis::Redis;

const TELL: &str = concat!(include_str!("../src/redis/counts.lua"), include_str!("../src/redis/tell.lua"));

/// What a replica says of itself: it has settled, released, ended, holds, runs and waits so much, in this version of it.
#[derive(Clone, Copy)]
struct Said([u64; 7]);

/// A budget of one life and epoch that was never reset.
fn tell(redis: &Redis, key: &str, epoch: u64, Said(said): Said) {
    let [settled, released, ended, held, running, waiting, version] = said.map(|number| number.to_string());
    let epoch = epoch.to_string();
    let who = ["one", &epoch, "60000", "0", "0"];
    let budget = ["index", "0", "0", "0", "600000", "0", "0", "0", "1"];
    let own = [&*settled, &released, &ended, &held, &running, &waiting, &version];
    let script = ["EVAL", TELL, "1", key];
    redis.ask(&[&script[..], &who, &budget, &own].concat());
}

/// What is settled, held, running and waiting.
fn figures(redis: &Redis, key: &str) -> String {
    redis.ask(&["HMGET", key, "s", "h", "n", "w"]).replace('\n', " ")
}

/// Three calls of 100 each run while one waits, then end one by one, having cost 60, 70 and 80.
const STORY: [Said; 4] = [
    Said([0, 0, 0, 300, 3, 1, 1]),
    Said([60, 100, 1, 200, 2, 2, 3]),
    Said([130, 200, 2, 100, 1, 1, 4]),
    Said([210, 300, 3, 0, 0, 0, 6]),
];

/// All orders of four.
fn orders() -> Vec<[usize; 4]> {
    let all = (0..256).map(|number| [number / 64, number / 16 % 4, number / 4 % 4, number % 4]);
    all.filter(|order| (0..4).all(|place| order.contains(&place))).collect()
}

#[test]
fn in_whatever_order_it_is_heard_the_end_is_the_same() {
    let redis = Redis::start();
    assert_eq!(orders().len(), 24);
    for order in orders() {
        let key = format!("{order:?}");
        for place in order {
            tell(&redis, &key, 1, STORY[place]);
        }
        assert_eq!(figures(&redis, &key), "210 0 0 0", "{order:?}");
        // Again, and the first of all once more.
        tell(&redis, &key, 1, STORY[order[3]]);
        tell(&redis, &key, 1, STORY[0]);
        assert_eq!(figures(&redis, &key), "210 0 0 0", "{order:?} and again");
    }
}

#[test]
fn what_was_said_before_contact_was_lost_is_heard_no_more_after_it() {
    let redis = Redis::start();
    tell(&redis, "k", 1, STORY[0]);
    assert_eq!(figures(&redis, "k"), "0 300 3 1");
    // One call was let in by an answer that never came: the replica does not hold what it took.
    tell(&redis, "k", 2, Said([60, 100, 1, 100, 1, 0, 5]));
    assert_eq!(figures(&redis, "k"), "60 100 1 0");
    tell(&redis, "k", 1, STORY[1]);
    assert_eq!(figures(&redis, "k"), "60 100 1 0");
}
