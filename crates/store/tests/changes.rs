//! Whoever follows the changes is told each of them once, also one that was written early and committed late.
#![cfg(test)]

mod support;

use std::sync::Arc;

use gatewright_core::{Secret, SystemClock};
use gatewright_store::{Change, Changes, Draft, Kind, News, Place, Settings, Store};
use gatewright_tests::postgres::Postgres;
use support::{Base, on_all};

/// What is told next, as kind, id and action; `None` where anything may have happened.
async fn told(changes: &mut Changes) -> Option<Vec<(Kind, String, String)>> {
    match changes.next().await.unwrap() {
        News::Anything => None,
        News::Changes(list) => {
            let short = |Change { kind, object, action, .. }| (kind, object, action);
            Some(list.into_iter().map(short).collect())
        }
    }
}

fn change(kind: Kind, object: &str, action: &str) -> (Kind, String, String) {
    (kind, object.to_owned(), action.to_owned())
}

async fn made(store: &Store, kind: Kind, id: &str) {
    store.objects(kind).insert(id, Draft::default(), "me").await.unwrap();
}

async fn each_change_is_told_once_to_each_replica(base: Base) {
    let (one, other) = (base.open().await, base.open().await);
    made(&one, Kind::Team, "before").await;
    let (mut of_one, mut of_other) = (one.changes(), other.changes());
    for changes in [&mut of_one, &mut of_other] {
        assert_eq!(told(changes).await, None, "what was before is not told");
        assert_eq!(told(changes).await, Some(vec![]));
    }
    made(&one, Kind::Key, "k").await;
    one.objects(Kind::Key).update("k", 1, Draft::default(), "me").await.unwrap();
    other.objects(Kind::Team).delete("before", "me").await.unwrap();
    let want = [
        change(Kind::Key, "k", "created"),
        change(Kind::Key, "k", "updated"),
        change(Kind::Team, "before", "deleted"),
    ];
    for changes in [&mut of_one, &mut of_other] {
        assert_eq!(told(changes).await.as_deref(), Some(&want[..]));
        assert_eq!(told(changes).await, Some(vec![]));
    }
}

async fn after_too_many_changes_anything_may_have_happened(base: Base) {
    let store = base.open().await;
    let mut changes = store.changes();
    told(&mut changes).await;
    for n in 0..501 {
        made(&store, Kind::Tag, &n.to_string()).await;
    }
    assert_eq!(told(&mut changes).await, None);
    made(&store, Kind::Tag, "one more").await;
    assert_eq!(told(&mut changes).await, Some(vec![change(Kind::Tag, "one more", "created")]));
}

on_all!(each_change_is_told_once_to_each_replica, after_too_many_changes_anything_may_have_happened);

/// A line of the audit log, written by hand.
fn line(id: u32, object: &str) -> String {
    format!(
        "INSERT INTO audit (id, at, actor, action, kind, object_id) \
            VALUES ('00000000-0000-7000-8000-{id:012}', 0, 'me', 'updated', 'key', '{object}')"
    )
}

#[tokio::test]
async fn what_is_committed_late_is_told_late_and_once() {
    let server = Postgres::start();
    let store = open(&server).await;
    let mut changes = store.changes();
    told(&mut changes).await;
    // The first transaction takes its number and its place in the log, and ends after the second.
    let mut slow = server.session();
    slow.run(&format!("BEGIN; {}", line(1, "early")));
    server.sql(&line(2, "late")).unwrap();
    assert_eq!(told(&mut changes).await, Some(vec![change(Kind::Key, "late", "updated")]));
    assert_eq!(told(&mut changes).await, Some(vec![]));
    slow.run("COMMIT");
    assert_eq!(told(&mut changes).await, Some(vec![change(Kind::Key, "early", "updated")]));
    assert_eq!(told(&mut changes).await, Some(vec![]));
}

#[tokio::test]
async fn another_database_in_the_place_of_the_first_is_noticed_and_what_a_dump_brings_is_not_told() {
    let mut server = Postgres::start();
    let store = open(&server).await;
    let mut changes = store.changes();
    (0..50).for_each(|_| drop(server.sql("SELECT pg_current_xact_id()").unwrap()));
    told(&mut changes).await;
    server.replace();
    let store = open(&server).await;
    store.ready().await.unwrap();
    server.sql(&line(1, "old")).unwrap();
    server.sql("UPDATE audit SET written = 9000000000").unwrap();
    // The connections of the first are dead, and are found to be one by one.
    let mut next = changes.next().await;
    while next.as_ref().is_err_and(gatewright_store::Error::is_away) {
        next = changes.next().await;
    }
    assert_eq!(next, Ok(News::Anything), "its transactions have smaller numbers");
    assert_eq!(told(&mut changes).await, Some(vec![]));
}

async fn open(server: &Postgres) -> Store {
    let place = Place::Postgres(Secret::from(server.url()));
    Store::open(Settings::at(place), Arc::new(SystemClock)).await.unwrap()
}
