//! A key and all that stands above it come in one answer.
#![cfg(test)]

mod support;

use gatewright_store::{Draft, Kind, Parents, Root, Store};
use support::{Base, on_all};

async fn made(store: &Store, kind: Kind, id: &str, parents: Parents) {
    let draft = Draft { parents, ..Draft::default() };
    store.objects(kind).insert(id, draft, "me").await.unwrap();
}

fn some(id: &str) -> Option<String> {
    Some(id.to_owned())
}

async fn a_key_comes_with_all_that_it_belongs_to(base: Base) {
    let store = base.open().await;
    let none = Parents::default();
    for kind in [Kind::Team, Kind::User, Kind::Project, Kind::Organization, Kind::Key] {
        made(&store, kind, "another", none.clone()).await;
    }
    for (id, kind) in [("small", Kind::Budget), ("large", Kind::Budget), ("acme", Kind::Organization)] {
        made(&store, kind, id, none.clone()).await;
    }
    let of_acme = Parents { organization: some("acme"), budget: some("large"), ..none.clone() };
    made(&store, Kind::Team, "red", of_acme).await;
    made(&store, Kind::User, "ann", none.clone()).await;
    made(&store, Kind::Project, "site", none.clone()).await;
    let membership = Parents { team: some("red"), user: some("ann"), ..none.clone() };
    made(&store, Kind::Membership, "ann in red", membership.clone()).await;
    let other = Parents { user: some("bob"), ..membership.clone() };
    made(&store, Kind::Membership, "bob in red", other).await;
    let above = Parents { project: some("site"), budget: some("small"), ..membership };
    made(&store, Kind::Key, "k", above.clone()).await;
    for (root, key) in [(Root::Key("k"), some("k")), (Root::Parents(&above), None)] {
        let lineage = store.lineage(root).await.unwrap();
        let id = |kind| lineage.row(kind).map(|row| row.id.clone());
        assert_eq!(id(Kind::Key), key);
        let kinds = [Kind::Team, Kind::Membership, Kind::User, Kind::Project, Kind::Organization];
        assert_eq!(kinds.map(id), ["red", "ann in red", "ann", "site", "acme"].map(some), "{root:?}");
        let budget = |kind| Some(lineage.budget(lineage.row(kind)?)?.id.clone());
        assert_eq!((budget(Kind::Team), budget(Kind::User)), (some("large"), None));
        assert_eq!(budget(Kind::Key), key.and(some("small")));
    }
    made(&store, Kind::Key, "alone", none.clone()).await;
    let alone = store.lineage(Root::Key("alone")).await.unwrap();
    assert!(alone.row(Kind::Key).is_some() && alone.row(Kind::Team).is_none());
    assert!(store.lineage(Root::Key("none")).await.unwrap().row(Kind::Key).is_none());
}

on_all!(a_key_comes_with_all_that_it_belongs_to);
