//! Rows that administrators make, on both databases and behind a pooler.
#![cfg(test)]

mod support;

use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::join_all;
use gatewright_core::{Clock, Money, SystemClock};
use gatewright_store::{
    AuditQuery, Column, Draft, Error, Filter, Kind, Object, Order, Parents, Query, Scope, Step, Store,
};
use serde_json::json;
use support::{Base, on_all};

on_all!(
    a_row_comes_back_as_it_was_stored,
    the_same_id_or_alias_is_refused,
    of_two_who_change_a_row_one_is_told,
    of_changes_that_belong_together_all_happen_or_none,
    many_rows_are_made_at_once_or_none_of_them,
    what_is_deleted_is_kept,
    every_change_is_noted_with_it,
    a_list_is_walked_page_by_page,
    filters_find_what_they_say,
    of_several_starters_one_makes_the_schema,
);

fn draft(alias: &str) -> Draft {
    let json = json!({"models": ["a", "b"], "max_budget": 1.5, "metadata": {"ü": null, "nul": "a\u{1}b"}});
    Draft {
        alias: Some(alias.to_owned()),
        parents: Parents { team: Some("red".to_owned()), ..Parents::default() },
        blocked: false,
        expires_at: Some(UNIX_EPOCH + Duration::from_micros(1_800_000_000_000_001)),
        fields: json.as_object().unwrap().clone(),
    }
}

async fn a_row_comes_back_as_it_was_stored(base: Base) {
    let store = base.open().await;
    for kind in Kind::ALL {
        let made = store.objects(kind).insert("id", draft("name"), "me").await.unwrap();
        assert_eq!(store.objects(kind).find("id").await.unwrap(), Some(made.clone()), "{kind:?}");
        assert_eq!((made.version, &*made.created_by, made.draft), (1, "me", draft("name")));
        assert_eq!(store.objects(kind).find("other").await.unwrap(), None);
    }
    let again = base.open().await;
    assert!(again.objects(Kind::Key).find("id").await.unwrap().is_some(), "it is there after a restart");
}

async fn the_same_id_or_alias_is_refused(base: Base) {
    let store = base.open().await;
    let keys = store.objects(Kind::Key);
    keys.insert("1", draft("one"), "me").await.unwrap();
    for (id, alias) in [("1", "two"), ("2", "one")] {
        let refused = keys.insert(id, draft(alias), "me").await;
        assert!(matches!(refused, Err(Error::Taken(_))), "{refused:?}");
    }
    let nameless = Draft { alias: None, ..draft("") };
    for id in ["3", "4"] {
        keys.insert(id, nameless.clone(), "me").await.unwrap();
    }
    let third = keys.find("3").await.unwrap().unwrap();
    let renamed = keys.update("3", third.version, draft("one"), "me").await;
    assert!(matches!(renamed, Err(Error::Taken(_))), "{renamed:?}");
    assert_eq!(keys.find("3").await.unwrap(), Some(third), "and nothing of it is done");
    let teams = store.objects(Kind::Team);
    for id in ["1", "2"] {
        teams.insert(id, draft("same"), "me").await.unwrap();
    }
}

async fn of_two_who_change_a_row_one_is_told(base: Base) {
    let store = base.open().await;
    let teams = store.objects(Kind::Team);
    teams.insert("t", draft("first"), "me").await.unwrap();
    let changes = (0..8).map(|n| {
        let store = store.clone();
        async move {
            let by = format!("user-{n}");
            store.objects(Kind::Team).update("t", 1, draft(&by), &by).await
        }
    });
    let results = join_all(changes).await;
    let won: Vec<&Object> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(won.len(), 1, "{results:?}");
    assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(Error::Stale(_)))), "{results:?}");
    assert_eq!(teams.find("t").await.unwrap().as_ref(), Some(won[0]));
    assert_eq!(won[0].version, 2);
    let missing = teams.update("none", 1, draft(""), "me").await;
    assert!(matches!(missing, Err(Error::Missing(_))), "{missing:?}");
}

async fn of_changes_that_belong_together_all_happen_or_none(base: Base) {
    let store = base.open().await;
    let keys = store.objects(Kind::Key);
    keys.insert("old", draft("name"), "me").await.unwrap();
    let make = |id: &str, alias: &str| Step::Make { kind: Kind::Key, id: id.into(), draft: draft(alias) };
    let remove = |version| Step::Remove { kind: Kind::Key, id: "old".into(), version };
    let change = |version| Step::Change { kind: Kind::Key, id: "old".into(), version, draft: draft("other") };
    let spend = |to| Step::Spend { scope: Scope::Key, id: "old".into(), to: Money(to) };
    store.together(vec![change(1), spend(5)], "me").await.unwrap();
    for steps in [
        vec![spend(9), change(1)],
        vec![change(1), spend(9)],
        vec![make("new", "name"), spend(9), remove(1)],
        vec![make("new", "name"), spend(9), make("new", "again")],
        vec![remove(2), spend(9), make("third", "name"), make("fourth", "name")],
    ] {
        let failed = store.together(steps.clone(), "me").await;
        assert!(matches!(failed, Err(Error::Stale(_) | Error::Taken(_))), "{steps:?}: {failed:?}");
        let rows = keys.list(&Query::default()).await.unwrap();
        assert_eq!(rows.iter().map(|row| &*row.id).collect::<Vec<_>>(), ["old"], "{steps:?}");
        let spent = store.balances().of(Scope::Key, "old").await.unwrap();
        assert_eq!(spent[0].spent, Money(5), "{steps:?}");
        let query = AuditQuery { limit: 10, ..AuditQuery::default() };
        assert_eq!(store.audits(&query).await.unwrap().len(), 2, "{steps:?}");
    }
    let done = store.together(vec![remove(2), make("new", "other"), spend(7)], "me").await.unwrap();
    assert_eq!((done.len(), &*done[0].id), (1, "new"), "the alias is free by then");
}

/// More than one statement holds, of two kinds in turn.
async fn many_rows_are_made_at_once_or_none_of_them(base: Base) {
    let store = base.open().await;
    let make = |kind, n: usize| Step::Make { kind, id: format!("{n:04}"), draft: draft(&n.to_string()) };
    let kind = |n| if n == 600 { Kind::Team } else { Kind::Key };
    let many: Vec<Step> = (0..1200).map(|n| make(kind(n), n)).collect();
    let twice = many.iter().cloned().chain([make(Kind::Key, 7)]).collect();
    let failed = store.together(twice, "me").await;
    assert!(matches!(failed, Err(Error::Taken(_))), "{failed:?}");
    let query = AuditQuery { limit: 2000, ..AuditQuery::default() };
    assert_eq!(
        (store.objects(Kind::Key).list(&Query::default()).await, store.audits(&query).await),
        (Ok(vec![]), Ok(vec![]))
    );

    let made = store.together(many, "me").await.unwrap();
    let ids: Vec<String> = (0..1200).map(|n| format!("{n:04}")).collect();
    assert_eq!(made.iter().map(|row| &row.id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    let keys = store.objects(Kind::Key).find_many(&ids).await.unwrap();
    assert_eq!(keys, made.iter().filter(|row| row.id != "0600").cloned().collect::<Vec<_>>());
    assert_eq!(store.objects(Kind::Team).list(&Query::default()).await.unwrap(), made[600..=600]);
    let noted: Vec<String> =
        store.audits(&query).await.unwrap().into_iter().map(|line| line.object_id).collect();
    assert_eq!(noted, ids.into_iter().rev().collect::<Vec<_>>(), "each has its line, in their order");
}

async fn what_is_deleted_is_kept(base: Base) {
    let store = base.open().await;
    let keys = store.objects(Kind::Key);
    for round in 0..2 {
        keys.insert("k", draft("name"), "me").await.unwrap();
        let gone = keys.delete("k", "boss").await.unwrap().unwrap();
        assert_eq!(gone.draft, draft("name"));
        assert_eq!(keys.find("k").await.unwrap(), None);
        assert_eq!(keys.delete("k", "boss").await.unwrap(), None);
        let kept = store.archived(Kind::Key, "k").await.unwrap();
        assert_eq!((kept.len(), &*kept[0].by), (round + 1, "boss"));
        let document: serde_json::Value = serde_json::from_str(&kept[0].document).unwrap();
        assert_eq!((&document["id"], &document["fields"]["max_budget"]), (&json!("k"), &json!(1.5)));
    }
    assert_eq!(store.archived(Kind::Team, "k").await.unwrap(), []);
    let ids = ["other", "k"].map(str::to_owned);
    assert_eq!(store.archived_of(Kind::Key, &ids).await, Ok(["k".to_owned()].into()));
    assert_eq!(store.archived_of(Kind::Team, &ids).await, Ok([].into()));
    assert_eq!(store.archived_of(Kind::Key, &[]).await, Ok([].into()));
}

async fn every_change_is_noted_with_it(base: Base) {
    let store = base.open().await;
    let keys = store.objects(Kind::Key);
    let made = keys.insert("k", draft("a"), "ann").await.unwrap();
    let _ = keys.insert("k", draft("a"), "eve").await.unwrap_err();
    keys.update("k", made.version, draft("b"), "bob").await.unwrap();
    keys.delete("k", "cid").await.unwrap();
    store.objects(Kind::Team).insert("k", draft("a"), "ann").await.unwrap();
    let query = AuditQuery { kind: Some(Kind::Key), limit: 10, ..AuditQuery::default() };
    let told = store.audits(&query).await.unwrap();
    let alias = |json: &Option<String>| {
        let row: serde_json::Value = serde_json::from_str(json.as_deref()?).unwrap();
        Some(row["alias"].as_str().unwrap().to_owned())
    };
    let lines: Vec<_> = told
        .iter()
        .map(|line| (&*line.actor, &*line.action, alias(&line.before), alias(&line.after)))
        .collect();
    let name = |text: &str| Some(text.to_owned());
    let want = [
        ("cid", "deleted", name("b"), None),
        ("bob", "updated", name("a"), name("b")),
        ("ann", "created", None, name("a")),
    ];
    assert_eq!(lines, want);
    let by_ann = AuditQuery { actor: Some("ann".into()), limit: 1, ..AuditQuery::default() };
    let first = store.audits(&by_ann).await.unwrap();
    assert_eq!((first.len(), &*first[0].kind), (1, "team"));
    let next = AuditQuery { before: Some(first[0].id), ..by_ann };
    assert_eq!(store.audits(&next).await.unwrap()[0].kind, "key");
}

async fn a_list_is_walked_page_by_page(base: Base) {
    let store = base.open().await;
    let users = store.objects(Kind::User);
    for n in 0..23 {
        users.insert(&format!("user-{:02}", n * 7 % 23), draft("x"), "me").await.unwrap();
    }
    for order in [Order::Id, Order::Oldest, Order::Newest] {
        let mut seen: Vec<Object> = Vec::new();
        let mut query = Query { order, limit: 5, ..Query::default() };
        loop {
            let page = users.list(&query).await.unwrap();
            let Some(last) = page.last() else { break };
            query.after = Some(last.cursor());
            seen.extend(page);
        }
        assert_eq!(seen.len(), 23, "{order:?}");
        let in_order = seen.windows(2).all(|pair| match order {
            Order::Id => pair[0].id < pair[1].id,
            Order::Oldest => (pair[0].created_at, &pair[0].id) < (pair[1].created_at, &pair[1].id),
            Order::Newest => (pair[0].created_at, &pair[0].id) > (pair[1].created_at, &pair[1].id),
        });
        assert!(in_order, "{order:?}");
        let third = Query { order, skip: 10, limit: 5, ..Query::default() };
        assert_eq!(users.list(&third).await.unwrap(), seen[10..15]);
        assert_eq!(users.count(&third).await.unwrap(), 23);
    }
}

async fn filters_find_what_they_say(base: Base) {
    let store = base.open().await;
    let now = SystemClock.wall();
    let hour = Duration::from_secs(3600);
    let rows = [
        ("1", "Alpha", Some("red"), false, None),
        ("2", "beta_x", Some("blue"), true, Some(now + hour)),
        ("3", "beta%x", None, false, Some(now - hour)),
    ];
    for (id, alias, team, blocked, expires_at) in rows {
        let parents = Parents { team: team.map(str::to_owned), ..Parents::default() };
        let draft = Draft { alias: Some(alias.into()), parents, blocked, expires_at, ..Draft::default() };
        store.objects(Kind::Key).insert(id, draft, "me").await.unwrap();
    }
    let text = str::to_owned;
    for (filter, want) in [
        (Filter::Is(Column::Team, text("red")), "1"),
        (Filter::Is(Column::Alias, text("alpha")), ""),
        (Filter::In(Column::Team, vec![text("red"), text("blue"), text("no")]), "12"),
        (Filter::In(Column::Id, vec![]), ""),
        (Filter::Empty(Column::Team), "3"),
        (Filter::Contains(Column::Alias, text("ALPH")), "1"),
        (Filter::Contains(Column::Alias, text("a_x")), "2"),
        (Filter::Contains(Column::Alias, text("a%x")), "3"),
        (Filter::Contains(Column::Alias, text("'; DROP TABLE keys; --")), ""),
        (Filter::Is(Column::CreatedBy, text("me")), "123"),
        (Filter::Blocked(true), "2"),
        (Filter::ExpiresBefore(now), "3"),
        (Filter::LivesAt(now), "12"),
        (Filter::Created(now - hour, now + hour), "123"),
        (Filter::Created(now - hour, now - hour), ""),
    ] {
        check(&store, filter, want).await;
    }
    let both = Query::of([Filter::Blocked(false), Filter::Is(Column::CreatedBy, text("me"))]);
    assert_eq!(store.objects(Kind::Key).count(&both).await.unwrap(), 2);
}

async fn check(store: &Store, filter: Filter, want: &str) {
    let query = Query::of([filter]);
    let found = store.objects(Kind::Key).list(&query).await.unwrap();
    let ids: String = found.iter().map(|row| &*row.id).collect();
    assert_eq!(ids, want, "{query:?}");
    assert_eq!(store.objects(Kind::Key).count(&query).await.unwrap(), want.len() as u64);
}

async fn of_several_starters_one_makes_the_schema(base: Base) {
    let starters = (0..4).map(|n| {
        let settings = base.settings();
        async move {
            let store = Store::open(settings, std::sync::Arc::new(SystemClock)).await.unwrap();
            store.ready().await.unwrap();
            store.objects(Kind::Tag).insert(&n.to_string(), Draft::default(), "me").await.unwrap();
        }
    });
    join_all(starters).await;
    let store = base.open().await;
    assert_eq!(store.objects(Kind::Tag).count(&Query::default()).await.unwrap(), 4);
}
