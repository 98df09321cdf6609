//! Who may call what, asked over HTTP: each route by each standing, and what each may reach.

use crate::world::{MASTER, World, text};
use gatewright_admin::{ROUTES, Standing};
use serde_json::{Value, json};

/// One key of each standing. The team `red` is in the organization `acme`.
async fn everybody(world: &World) -> Vec<(Standing, String)> {
    world.told("POST", "/organization/new", json!({"organization_id": "acme"})).await;
    world.told("POST", "/team/new", json!({"team_id": "red", "organization_id": "acme"})).await;
    world.told("POST", "/team/new", json!({"team_id": "blue"})).await;
    let mut keys = vec![(Standing::ProxyAdmin, world.user("boss", "proxy_admin").await)];
    keys.push((Standing::ProxyAdminViewer, world.user("watcher", "proxy_admin_viewer").await));
    keys.push((Standing::OrgAdmin, world.user("chief", "internal_user").await));
    keys.push((Standing::TeamAdmin, world.user("lead", "internal_user").await));
    keys.push((Standing::InternalUser, world.user("ann", "internal_user").await));
    keys.push((Standing::InternalUserViewer, world.user("eve", "internal_user_viewer").await));
    let nobody = world.told("POST", "/key/generate", json!({})).await;
    keys.push((Standing::Keyholder, text(&nobody, "key")));
    let chief = json!({"organization_id": "acme", "member": {"user_id": "chief", "role": "org_admin"}});
    world.told("POST", "/organization/member_add", chief).await;
    for (user, role) in [("lead", "admin"), ("ann", "user")] {
        let member = json!({"team_id": "red", "member": {"user_id": user, "role": role}});
        world.told("POST", "/team/member_add", member).await;
    }
    keys
}

fn of(keys: &[(Standing, String)], standing: Standing) -> &str {
    keys.iter().find(|(one, _)| *one == standing).map(|(_, key)| key.as_str()).unwrap()
}

#[tokio::test]
async fn each_route_is_open_to_whom_its_row_says() {
    let world = World::new().await;
    let keys = everybody(&world).await;
    let mut wrong = Vec::new();
    for route in ROUTES {
        for (standing, key) in &keys {
            let path = filled(route.path);
            let (status, told) = world.ask(key, route.method.as_str(), &path, json!({})).await;
            let says = |words: &str| told.to_string().contains(words);
            let refused = (status == 401 && says("Only proxy admin can be used"))
                || (status == 403 && says("permission to make this model call"));
            // Whoever leads a team or an organization is a user besides.
            let user = matches!(standing, Standing::OrgAdmin | Standing::TeamAdmin);
            let open = route.access.is_open_to(*standing)
                || (user && route.access.is_open_to(Standing::InternalUser));
            if refused == open {
                wrong.push(format!("{standing:?} {} {}: {status} {told}", route.method, route.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A path with something in each of its places.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "none" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

/// What somebody asks, and whether it is theirs to ask.
async fn check(world: &World, key: &str, asked: (&str, &str, Value), may: bool) {
    let (method, path, body) = asked;
    let (status, told) = world.ask(key, method, path, body.clone()).await;
    assert_eq!(status == 200, may, "{method} {path} {body}: {status} {told}");
    assert!(may || matches!(status, 401 | 403), "{method} {path} {body}: {status} {told}");
}

#[tokio::test]
async fn everybody_reaches_what_is_theirs_and_nothing_else() {
    let world = World::new().await;
    let keys = everybody(&world).await;
    let make = |key: Value| world.told("POST", "/key/generate", key);
    let reds = text(&make(json!({"team_id": "red"})).await, "key");
    let blues = text(&make(json!({"team_id": "blue"})).await, "key");
    let chief = of(&keys, Standing::OrgAdmin);
    let lead = of(&keys, Standing::TeamAdmin);
    let ann = of(&keys, Standing::InternalUser);
    let eve = of(&keys, Standing::InternalUserViewer);
    let watcher = of(&keys, Standing::ProxyAdminViewer);
    let info = |key: &str| format!("/key/info?key={key}");
    for (key, asked, may) in [
        // Those who see everything change nothing.
        (watcher, ("GET", &*info(&blues), json!(null)), true),
        (watcher, ("POST", "/key/delete", json!({"keys": [blues]})), false),
        (watcher, ("POST", "/key/generate", json!({})), false),
        // A team is its admin's; another one is not.
        (lead, ("POST", "/key/generate", json!({"team_id": "red"})), true),
        (lead, ("POST", "/key/generate", json!({"team_id": "blue"})), false),
        (lead, ("POST", "/key/update", json!({"key": reds, "rpm_limit": 5})), true),
        (lead, ("POST", "/key/update", json!({"key": blues, "rpm_limit": 5})), false),
        (lead, ("POST", "/key/update", json!({"key": reds, "team_id": "blue"})), false),
        (lead, ("GET", "/team/info?team_id=blue", json!(null)), false),
        (lead, ("POST", "/team/update", json!({"team_id": "red", "team_alias": "Red"})), true),
        (lead, ("POST", "/team/update", json!({"team_id": "red", "max_budget": 1000})), false),
        (lead, ("POST", "/team/update", json!({"team_id": "red", "organization_id": "other"})), false),
        (
            lead,
            ("POST", "/team/member_add", json!({"team_id": "blue", "member": {"user_id": "lead"}})),
            false,
        ),
        (lead, ("POST", "/user/new", json!({"user_id": "x"})), false),
        // So is an organization.
        (chief, ("POST", "/team/update", json!({"team_id": "red", "max_budget": 1000})), true),
        (chief, ("POST", "/team/new", json!({"organization_id": "acme"})), true),
        (chief, ("POST", "/team/new", json!({})), false),
        (chief, ("POST", "/team/delete", json!({"team_ids": ["blue"]})), false),
        (
            chief,
            ("PATCH", "/organization/update", json!({"organization_id": "acme", "max_budget": 9})),
            false,
        ),
        // Users have their own keys; members of a team what it permits.
        (ann, ("POST", "/key/generate", json!({})), true),
        (ann, ("POST", "/key/generate", json!({"user_id": "boss"})), false),
        (ann, ("POST", "/key/generate", json!({"team_id": "red"})), false),
        (ann, ("POST", "/key/generate", json!({"organization_id": "acme"})), false),
        (ann, ("GET", "/user/info?user_id=ann", json!(null)), true),
        (ann, ("GET", "/user/info?user_id=boss", json!(null)), false),
        (ann, ("POST", "/user/update", json!({"user_id": "ann", "user_role": "proxy_admin"})), false),
        (ann, ("POST", "/user/update", json!({"user_id": "ann", "max_budget": 9})), false),
        (ann, ("POST", "/user/update", json!({"user_id": "ann", "user_alias": "Ann"})), true),
        (ann, ("POST", "/user/update", json!({"user_id": "eve", "user_alias": "Eve"})), false),
        // Viewers look.
        (eve, ("GET", "/user/info", json!(null)), true),
        (eve, ("POST", "/key/generate", json!({})), false),
    ] {
        check(&world, key, asked, may).await;
    }
    let permit = json!({"team_id": "red", "team_member_permissions": ["/key/generate"]});
    world.told("POST", "/team/permissions_update", permit).await;
    check(&world, ann, ("POST", "/key/generate", json!({"team_id": "red"})), true).await;
    check(&world, ann, ("POST", "/key/generate", json!({"team_id": "blue"})), false).await;
    let list = world.told("GET", "/key/list?team_id=red&user_id=ann", Value::Null).await;
    assert_eq!(list["total_count"], 1, "what a member makes in a team is the member's");
}

#[tokio::test]
async fn nobody_becomes_more_through_a_key_that_they_make() {
    let world = World::new().await;
    let keys = everybody(&world).await;
    let lead = of(&keys, Standing::TeamAdmin);
    let join = json!({"team_id": "red", "member": {"user_id": "boss"}});
    world.told("POST", "/team/member_add", join).await;
    // A key of the proxy's administrator, made by whoever leads a team of theirs, opens models and nothing else.
    let (status, made) =
        world.ask(lead, "POST", "/key/generate", json!({"team_id": "red", "user_id": "boss"})).await;
    assert_eq!((status, &made["allowed_routes"]), (200, &json!(["llm_api_routes"])));
    let theirs = text(&made, "key");
    let (status, told) = world.ask(&theirs, "POST", "/user/new", json!({})).await;
    assert_eq!(status, 403, "{told}");
    let wider = json!({"key": theirs, "allowed_routes": ["/user/new"]});
    assert_eq!(world.ask(lead, "POST", "/key/update", wider).await.0, 403);
    // The same where a member's key is made anew; a limit of it is changed without narrowing it.
    let permit = json!({"team_id": "red", "team_member_permissions": ["/key/generate"]});
    world.told("POST", "/team/permissions_update", permit).await;
    let (_, anns) = world
        .ask(
            of(&keys, Standing::InternalUser),
            "POST",
            "/key/generate",
            json!({"team_id": "red", "user_id": "ann"}),
        )
        .await;
    let anns = text(&anns, "key");
    let (_, told) = world.ask(lead, "POST", "/key/update", json!({"key": anns, "rpm_limit": 5})).await;
    assert_eq!((&told["rpm_limit"], &told["allowed_routes"]), (&json!(5), &json!([])), "{told}");
    let (_, told) = world.ask(lead, "POST", "/key/regenerate", json!({"key": anns})).await;
    assert_eq!(told["allowed_routes"], json!(["llm_api_routes"]), "{told}");
    // A narrow key makes narrow keys.
    let ann = json!({"user_id": "ann", "models": ["a"], "max_budget": 1, "duration": "1h"});
    let narrow = text(&world.told("POST", "/key/generate", ann).await, "key");
    let (_, child) = world.ask(&narrow, "POST", "/key/generate", json!({})).await;
    assert_eq!((&child["models"], &child["max_budget"]), (&json!(["a"]), &json!(1.0)));
    assert!(child["expires"].is_string(), "it ends with its giver");
    for more in [json!({"models": ["b"]}), json!({"max_budget": 2}), json!({"duration": "2h"})] {
        assert_eq!(world.ask(&narrow, "POST", "/key/generate", more.clone()).await.0, 403, "{more}");
        let mut own = more;
        own["key"] = narrow.clone().into();
        assert_eq!(world.ask(&narrow, "POST", "/key/update", own.clone()).await.0, 403, "{own}");
    }
    // Neither does a new key in its place begin anew.
    let (_, next) = world.ask(&narrow, "POST", "/key/regenerate", json!({"key": narrow})).await;
    let hash = text(&next, "token");
    let row = world.store.objects(gatewright_store::Kind::Key).find(&hash).await.unwrap().unwrap();
    assert!(row.draft.fields.contains_key("counts_as"));
}

#[tokio::test]
async fn a_key_that_another_replica_took_away_changes_nothing_any_more() {
    let world = World::new().await;
    let boss = world.user("boss", "proxy_admin").await;
    assert_eq!(world.ask(&boss, "GET", "/key/list", Value::Null).await.0, 200);
    let keys = world.store.objects(gatewright_store::Kind::Key);
    let row = keys.list(&gatewright_store::Query::default()).await.unwrap().pop().unwrap();
    let blocked = gatewright_store::Draft { blocked: true, ..row.draft.clone() };
    keys.update(&row.id, row.version, blocked, "elsewhere").await.unwrap();
    assert_eq!(world.ask(&boss, "GET", "/key/list", Value::Null).await.0, 401);
    keys.delete(&row.id, "elsewhere").await.unwrap();
    assert_eq!(world.ask(&boss, "GET", "/key/list", Value::Null).await.0, 401);
}

#[tokio::test]
async fn lists_are_narrowed_to_what_is_theirs() {
    let world = World::new().await;
    let keys = everybody(&world).await;
    for team in ["red", "blue"] {
        world.told("POST", "/key/generate", json!({"team_id": team})).await;
    }
    let count = async |key: &str, path: &str, list: &str| {
        let (status, told) = world.ask(key, "GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {told}");
        told[list].as_array().or(told.as_array()).unwrap().len()
    };
    let all = count(MASTER, "/key/list?size=100", "keys").await;
    assert_eq!(all, 9, "one of each user, one of nobody, one of each team");
    for (standing, own, reds) in [
        (Standing::ProxyAdminViewer, all, 1),
        (Standing::OrgAdmin, 1, 0),
        (Standing::TeamAdmin, 1, 1),
        (Standing::InternalUser, 1, 0),
        (Standing::Keyholder, 1, 0),
    ] {
        let key = of(&keys, standing);
        assert_eq!(count(key, "/key/list?size=100", "keys").await, own, "{standing:?}");
        assert_eq!(count(key, "/key/list?team_id=red", "keys").await, reds, "{standing:?}");
    }
    let lead = of(&keys, Standing::TeamAdmin);
    assert_eq!(count(lead, "/team/list", "").await, 1);
    assert_eq!(count(lead, "/v2/team/list", "teams").await, 1);
    assert_eq!(count(of(&keys, Standing::Keyholder), "/team/list", "").await, 0);
}
