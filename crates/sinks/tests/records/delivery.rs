//! Batches, retries, the spool, and the end. The clock is moved by hand.

use std::time::Duration;

use gatewright_core::SinkFigures;
use gatewright_sinks::QueueLimits;
use tokio::time::{advance, sleep};

use super::fake::{Does, Fake, settings, start, succeed};

const SECOND: Duration = Duration::from_secs(1);

fn figures(sinks: &gatewright_sinks::Sinks) -> SinkFigures {
    sinks.figures().swap_remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_batch_goes_when_it_is_full_or_has_waited_long_enough() {
    let fake = Fake::new("f", Does::Take);
    let sinks = start(settings(), &[&fake]);
    let first = succeed(&sinks, 9).await;
    sleep(4 * SECOND).await;
    assert_eq!(fake.deliveries(), 0);
    assert_eq!(figures(&sinks).queued, 9);
    let last = succeed(&sinks, 1).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(fake.ids(), [first, last].concat(), "it was full");
    let one = succeed(&sinks, 1).await;
    sleep(5 * SECOND).await;
    assert_eq!((fake.ids()[10..].to_vec(), fake.deliveries()), (one, 2));
    let told = SinkFigures { name: "f".into(), sent: 11, up: true, ..SinkFigures::default() };
    assert_eq!(figures(&sinks), told);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_away_for_a_minute_gets_everything_once_and_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new("f", Does::NotNow);
    let sinks =
        start(gatewright_sinks::Settings { folder: Some(folder.path().into()), ..settings() }, &[&fake]);
    let mut ids = Vec::new();
    for _ in 0..60 {
        ids.extend(succeed(&sinks, 25).await);
        sleep(SECOND).await;
        let figures = figures(&sinks);
        assert!(figures.queued <= 30, "{figures:?}");
    }
    assert_eq!(fake.ids(), [""; 0]);
    assert!(figures(&sinks).spooled > 1400 && !figures(&sinks).up, "{:?}", figures(&sinks));
    assert!(fake.deliveries() < 9, "it is asked less and less often: {}", fake.deliveries());
    fake.then(Does::Take);
    sleep(40 * SECOND).await;
    assert!(fake.ids() == ids);
    let figures = figures(&sinks);
    assert_eq!(
        (figures.sent, figures.dropped, figures.failed, figures.spooled, figures.up),
        (1500, 0, 0, 0, true)
    );
    assert_eq!(std::fs::read_dir(folder.path().join("f")).unwrap().count(), 0, "nothing is left on the disk");
}

#[tokio::test(start_paused = true)]
async fn a_wait_doubles_up_to_its_bound_unless_the_target_names_one() {
    let fake = Fake::new("f", Does::NotNow);
    let sinks = start(settings(), &[&fake]);
    succeed(&sinks, 10).await;
    let mut at = Vec::new();
    for second in 0..140 {
        sleep(SECOND).await;
        if fake.deliveries() > at.len() {
            at.push(second);
        }
    }
    // After 1, 2, 4, 8, 16, 30, 30 …
    assert_eq!(at, [0, 1, 3, 7, 15, 31, 61, 91, 121]);
    fake.first(&[Does::NotFor(100 * SECOND)]);
    sleep(12 * SECOND).await;
    let before = fake.deliveries();
    fake.then(Does::Take);
    sleep(98 * SECOND).await;
    assert_eq!((fake.deliveries(), figures(&sinks).sent), (before, 0), "it is left alone");
    sleep(3 * SECOND).await;
    assert_eq!(figures(&sinks).sent, 10);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_hangs_holds_no_memory_and_harms_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (hung, well) = (Fake::new("hung", Does::Hang), Fake::new("well", Does::Take));
    let settings = gatewright_sinks::Settings { folder: Some(folder.path().into()), ..settings() };
    let sinks = start(settings, &[&hung, &well]);
    let mut ids = Vec::new();
    for _ in 0..100 {
        ids.extend(succeed(&sinks, 20).await);
        sleep(Duration::from_millis(100)).await;
        let [hung, well] = &*sinks.figures() else { panic!("two") };
        assert!(hung.queued <= 80, "{hung:?}");
        assert_eq!(well.dropped, 0);
    }
    sleep(5 * SECOND).await;
    assert!(well.ids() == ids);
    let told = sinks.figures().swap_remove(0);
    assert_eq!((told.sent, told.dropped, told.queued + told.spooled), (0, 0, 2000), "{told:?}");
    hung.then(Does::Take);
    sleep(60 * SECOND).await;
    assert!(hung.ids() == ids, "once each and in their order: what hung was never taken");
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_is_dropped_and_counted() {
    let fake = Fake::new("f", Does::Take);
    let queue = QueueLimits { records: 100, bytes: 20_000 };
    let sinks = start(gatewright_sinks::Settings { queue, ..settings() }, &[&fake]);
    // All in one go: the task has no turn in between.
    let ids = succeed(&sinks, 50).await;
    let dropped = figures(&sinks).dropped;
    assert!(dropped > 30, "a record holds more than a kilobyte: {dropped}");
    sleep(10 * SECOND).await;
    assert_eq!(fake.ids(), ids[..50 - usize::try_from(dropped).unwrap()]);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_make_room_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::new("f", Does::NotNow);
    let settings =
        gatewright_sinks::Settings { folder: Some(folder.path().into()), spool_bytes: 60_000, ..settings() };
    let sinks = start(settings, &[&fake]);
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.extend(succeed(&sinks, 10).await);
        sleep(SECOND).await;
    }
    let told = figures(&sinks);
    assert!(told.dropped > 0 && told.spooled_bytes <= 60_000, "{told:?}");
    assert_eq!(told.dropped + told.spooled, 100, "{told:?}");
    fake.then(Does::Take);
    sleep(60 * SECOND).await;
    assert!(ids.ends_with(&fake.ids()[10..]), "the latest are there");
}

#[tokio::test(start_paused = true)]
async fn what_a_target_refuses_for_good_is_not_sent_again() {
    let fake = Fake::new("f", Does::Take);
    fake.first(&[Does::Never]);
    let sinks = start(settings(), &[&fake]);
    succeed(&sinks, 10).await;
    sleep(SECOND).await;
    let ids = succeed(&sinks, 10).await;
    sleep(60 * SECOND).await;
    assert_eq!((fake.ids(), fake.deliveries()), (ids, 2));
    let told = figures(&sinks);
    assert_eq!((told.sent, told.failed, told.dropped, told.up), (10, 10, 0, true));
}

#[tokio::test(start_paused = true)]
async fn a_stop_sends_what_waits_and_keeps_what_cannot_be_sent() {
    let folder = tempfile::tempdir().unwrap();
    let place = || gatewright_sinks::Settings { folder: Some(folder.path().into()), ..settings() };
    let (well, hung) = (Fake::new("well", Does::Take), Fake::new("hung", Does::Hang));
    let sinks = start(place(), &[&well, &hung]);
    let ids = succeed(&sinks, 25).await;
    sinks.stop(SECOND).await;
    assert_eq!(well.ids(), ids);
    assert_eq!(hung.ids(), [""; 0]);
    drop(sinks);
    let next = Fake::new("hung", Does::Take);
    let sinks = start(place(), &[&next]);
    let more = succeed(&sinks, 10).await;
    sleep(10 * SECOND).await;
    assert_eq!(next.ids(), [ids, more].concat(), "the next process goes on where this one ended");
    sinks.stop(SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_folder_a_little_is_kept_in_memory() {
    let fake = Fake::new("f", Does::NotNow);
    let sinks = start(settings(), &[&fake]);
    let ids = succeed(&sinks, 30).await;
    advance(SECOND).await;
    fake.then(Does::Take);
    sleep(60 * SECOND).await;
    assert_eq!(fake.ids(), ids);
}
