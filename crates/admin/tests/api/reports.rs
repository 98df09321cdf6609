//! Spend reports and balances: what the ledger says, in the forms that LiteLLM's clients read.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use gatewright_admin::{Times, document, spent, table};
use gatewright_core::{AttemptId, CallId, Clock, Money, SystemClock, Usage};
use gatewright_limits::Calendar;
use gatewright_spend::{Batch, Begin, Certainty, Ending, Entry, Ledger, Spared, State, Tenant};
use gatewright_store::{Kind, Scope};
use serde_json::{Value, json};

use crate::world::{MASTER, World, text};

/// An attempt of a key, for a user, a team and with tags, that cost so much.
fn entry(key: &str, tenant: Tenant, cost: i64) -> Entry {
    let now = SystemClock.wall().duration_since(UNIX_EPOCH).unwrap();
    let begin = Begin {
        attempt: AttemptId::fresh(),
        call: CallId::fresh(),
        caller: key.into(),
        tenant,
        group: "smart".into(),
        deployment: "d".into(),
        provider: "openai".into(),
        model: "gpt-4o".into(),
        started: u64::try_from(now.as_micros()).unwrap(),
        input_estimate: 0,
        output_cap: 0,
        floor: Money::ZERO,
        bound: Money(cost),
        spared: None,
    };
    Entry {
        begin,
        state: State::Ended(Ending::Complete),
        certainty: Certainty::Exact,
        usage: Usage { input: 5, output: 2, ..Usage::default() },
        cost: Money(cost),
        bound: Money(cost),
        first_content: None,
        duration: None,
        response: Some("chatcmpl-1".into()),
    }
}

fn tenant(team: Option<&str>, user: Option<&str>, tags: &[&str]) -> Tenant {
    let name = |name: Option<&str>| name.map(Arc::from);
    Tenant {
        team: name(team),
        user: name(user),
        tags: tags.iter().map(|tag| (*tag).into()).collect(),
        customer: Some("c9".into()),
        ..Tenant::default()
    }
}

async fn booked(world: &World, entries: Vec<Entry>) {
    world.store.apply(&Batch { entries, applied: Vec::new() }).await.unwrap();
}

async fn told(world: &World, path: &str) -> Value {
    let path = path.replace("{dates}", "start_date=2020-01-01&end_date=2100-01-01");
    let (method, path) = path.split_once(' ').unwrap_or(("GET", &path));
    world.told(method, path, Value::Null).await
}

#[tokio::test]
async fn reports_are_the_sums_of_what_was_booked() {
    let world = World::new().await;
    let key = world.told("POST", "/key/generate", json!({"key_alias": "ci"})).await;
    let team = world.told("POST", "/team/new", json!({"team_id": "red", "team_alias": "Red"})).await;
    let (key, hash) = (text(&key, "key"), text(&key, "token"));
    let ours = entry(&hash, tenant(Some("red"), Some("ann"), &["a", "b"]), 30_000);
    let others = entry("other", tenant(None, None, &["a"]), 2_500);
    booked(&world, vec![ours, others]).await;
    assert_eq!(team["spend"], 0.0);
    for (path, pointer, expected) in [
        ("/global/spend", "/spend", json!(0.0000325)),
        (&*format!("/global/spend?api_key={key}"), "/spend", json!(0.00003)),
        ("/global/spend?model=smart", "/spend", json!(0.0000325)),
        ("/global/spend?model=other", "/spend", json!(0.0)),
        ("/global/spend/logs", "/0/spend", json!(0.0000325)),
        ("/global/spend/keys", "/0/key_alias", json!("ci")),
        ("/global/spend/keys", "/1/total_spend", json!(0.0000025)),
        ("/global/spend/teams", "/teams", json!(["Red", "Unassigned"])),
        ("/global/spend/teams", "/daily_spend/0/Red", json!(0.00003)),
        ("/global/spend/models", "/0", json!({"model": "openai/gpt-4o", "total_spend": 0.0000325})),
        ("/global/spend/provider", "/0", json!({"provider": "openai", "spend": 0.0000325})),
        ("POST /global/spend/end_users", "/0/total_count", json!(2)),
        (
            "/global/spend/tags?{dates}",
            "/spend_per_tag/0",
            json!({"name": "a", "spend": 0.0000325, "log_count": 2}),
        ),
        ("/spend/tags", "/1/individual_request_tag", json!("b")),
        ("/global/spend/report?{dates}&group_by=api_key", "/0/api_keys/0/metadata/0/total_tokens", json!(7)),
        ("/global/activity?{dates}", "/sum_total_tokens", json!(14)),
        ("/global/activity/model?{dates}", "/0/daily_data/0/api_requests", json!(2)),
        (&*format!("/spend/logs?{{dates}}&api_key={key}&summarize=false"), "/0/spend", json!(0.00003)),
        ("/spend/logs?{dates}&summarize=false&user_id=ann", "/0/request_tags", json!(["a", "b"])),
        ("/spend/logs?request_id=chatcmpl-1", "/1/end_user", json!("c9")),
        ("/spend/logs/v2?page_size=1", "/total", json!(2)),
        ("/user/daily/activity?{dates}", "/metadata/total_spend", json!(0.0000325)),
        ("/user/daily/activity?{dates}", "/results/0/breakdown/entities/ann/metrics/api_requests", json!(1)),
        ("/team/daily/activity?{dates}&team_ids=red", "/results/0/metrics/spend", json!(0.00003)),
        (
            "/tag/daily/activity?{dates}",
            "/results/0/breakdown/entities/a/metrics/successful_requests",
            json!(2),
        ),
        (&*format!("/key/info?key={key}"), "/info/spend", json!(0.00003)),
        (&*format!("/key/info?key={key}"), "/info/total_spend", json!(0.00003)),
        ("/team/info?team_id=red", "/team_info/spend", json!(0.00003)),
    ] {
        let answer = told(&world, path).await;
        assert_eq!(answer.pointer(pointer), Some(&expected), "{path}: {answer}");
    }
    for path in ["/global/spend/tags", "/global/activity", "/global/spend/report"] {
        let (status, told) = world.ask(MASTER, "GET", path, Value::Null).await;
        assert_eq!((status, &told["error"]["type"]), (400, &json!("bad_request")), "{path}");
    }
    let (status, _) =
        world.ask(MASTER, "GET", "/spend/logs?start_date=soon&end_date=later", Value::Null).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn what_the_cache_gave_is_told_as_litellm_tells_it() {
    let world = World::new().await;
    let key = world.told("POST", "/key/generate", json!({"key_alias": "ci"})).await;
    let hash = text(&key, "token");
    let spared = |mut entry: Entry, whole: bool| {
        entry.begin.spared = Some(Spared { key: "ns:ab".into(), saved: Money(700), whole });
        entry
    };
    let asked = entry(&hash, tenant(None, None, &[]), 30_000);
    let part = spared(entry(&hash, tenant(None, None, &[]), 500), false);
    let hit = spared(entry(&hash, tenant(None, None, &[]), 0), true);
    booked(&world, vec![asked, part, hit]).await;
    for (path, pointer, expected) in [
        ("/spend/logs/v2?cache_hit_filter=hit", "/total", json!(1)),
        ("/spend/logs/v2?cache_hit_filter=hit", "/data/0/cache_hit", json!("True")),
        ("/spend/logs/v2?cache_hit_filter=hit", "/data/0/cache_key", json!("ns:ab")),
        ("/spend/logs/v2?cache_hit_filter=hit", "/data/0/spend", json!(0.0)),
        ("/spend/logs/v2?cache_hit_filter=hit", "/data/0/prompt_tokens", json!(5)),
        ("/spend/logs/v2?cache_hit_filter=hit", "/data/0/metadata/saved_cache_cost", json!(0.0000007)),
        ("/spend/logs/v2?cache_hit_filter=miss", "/total", json!(2)),
        ("/spend/logs/v2?cache_hit_filter=miss", "/data/0/cache_hit", json!("False")),
        ("/spend/logs/v2?cache_hit_filter=miss", "/data/0/metadata/cache_partial_hit", json!(true)),
        ("/spend/logs/v2?cache_hit_filter=miss", "/data/1/cache_hit", json!("None")),
        ("/spend/logs/v2?cache_hit_filter=miss", "/data/1/cache_key", json!("Cache OFF")),
        ("/global/activity?{dates}", "/sum_api_requests", json!(3)),
        ("/user/daily/activity?{dates}", "/metadata/total_spend", json!(0.0000305)),
        (
            "/global/activity/cache_hits?{dates}",
            "",
            json!([{
                "api_key": "ci", "call_type": "acompletion", "model": "openai/gpt-4o", "total_rows": 3,
                "cache_hit_true_rows": 1, "failed_rows": 0, "cached_completion_tokens": 2,
                "generated_completion_tokens": 4, "saved_spend": 0.0000014,
            }]),
        ),
    ] {
        let answer = told(&world, path).await;
        assert_eq!(answer.pointer(pointer), Some(&expected), "{path}: {answer}");
    }
    for path in ["/spend/logs/v2?cache_hit_filter=maybe", "/global/activity/cache_hits"] {
        let (status, _) = world.ask(MASTER, "GET", path, Value::Null).await;
        assert_eq!(status, 400, "{path}");
    }
}

#[tokio::test]
async fn pages_of_reports_add_up_to_everything() {
    let world = World::new().await;
    for n in 0..3 {
        world.told("POST", "/team/new", json!({"team_id": format!("team-{n}")})).await;
        let tenant = tenant(Some(&format!("team-{n}")), None, &[]);
        booked(&world, vec![entry("k", tenant.clone(), 1_000), entry("k", tenant, 500)]).await;
    }
    world.told("POST", "/team/delete", json!({"team_ids": ["team-1"]})).await;
    let (mut spent, mut ids) = (0.0, Vec::new());
    for page in 1..=3 {
        let activity = told(&world, &format!("/team/daily/activity?{{dates}}&page_size=1&page={page}")).await;
        let metadata = &activity["metadata"];
        assert_eq!((&metadata["total_pages"], &metadata["has_more"]), (&json!(3), &json!(page < 3)));
        spent += metadata["total_spend"].as_f64().unwrap();
        let logs = told(&world, &format!("/spend/logs/v2?{{dates}}&page_size=2&page={page}")).await;
        assert_eq!((&logs["total"], &logs["total_pages"]), (&json!(6), &json!(3)));
        ids.extend(logs["data"].as_array().unwrap().iter().map(|log| text(log, "request_id")));
        let made = told(
            &world,
            &format!("/audit?table_name=LiteLLM_TeamTable&action=created&page_size=1&page={page}"),
        )
        .await;
        assert_eq!(
            (&made["total"], &made["audit_logs"][0]["object_id"]),
            (&json!(3), &json!(format!("team-{}", 3 - page)))
        );
        let id = text(&made["audit_logs"][0], "id");
        assert_eq!(told(&world, &format!("/audit/{id}")).await, made["audit_logs"][0]);
    }
    assert!((spent - 0.0000045).abs() < 1e-12, "{spent}");
    assert!(ids.len() == 6 && ids.is_sorted_by(|one, next| one > next), "{ids:?}");
    let (status, _) = world.ask(MASTER, "GET", "/audit/nothing", Value::Null).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_call_is_priced_before_and_after_it_is_made() {
    let world = World::new().await;
    let answer = json!({"model": "smart", "usage": {"prompt_tokens": 8, "completion_tokens": 2}});
    let told = world.told("POST", "/spend/calculate", json!({"completion_response": answer})).await;
    assert_eq!(told, json!({"cost": 0.00000001}));
    let messages = json!([{"role": "user", "content": "hi"}]);
    let told = world.told("POST", "/spend/calculate", json!({"model": "smart", "messages": messages})).await;
    assert!(told["cost"].as_f64().is_some_and(|cost| cost > 0.0), "{told}");
    for wrong in [json!({}), json!({"model": "smart"}), json!({"model": "x", "messages": messages})] {
        assert_eq!(world.ask(MASTER, "POST", "/spend/calculate", wrong.clone()).await.0, 400, "{wrong}");
    }
}

#[tokio::test]
async fn each_sees_the_attempts_that_are_its_own() {
    let world = World::new().await;
    let ann = world.user("ann", "internal_user").await;
    let key = world.told("POST", "/key/generate", json!({})).await;
    let nobody = text(&key, "key");
    let own = entry(&text(&key, "token"), tenant(None, None, &[]), 7);
    booked(
        &world,
        vec![
            entry("x", tenant(None, Some("ann"), &[]), 5),
            entry("y", tenant(None, Some("bob"), &[]), 6),
            own,
        ],
    )
    .await;
    for (key, count) in [(MASTER, 3), (&*ann, 1), (&*nobody, 1)] {
        for path in ["/spend/logs", "/spend/logs?user_id=ann"] {
            let (_, told) = world.ask(key, "GET", path, Value::Null).await;
            let expected = if path.contains("ann") && key != MASTER && key != ann { 0 } else { count };
            let expected = if path.contains("ann") { expected.min(1) } else { expected };
            assert_eq!(told.as_array().map(Vec::len), Some(expected), "{path}: {told}");
        }
    }
    let dates = "start_date=2020-01-01&end_date=2100-01-01";
    let (_, told) =
        world.ask(&ann, "GET", &format!("/user/daily/activity?{dates}&user_id=bob"), Value::Null).await;
    assert_eq!(told["metadata"]["total_spend"], 0.000000005, "{told}");
    assert_eq!(world.ask(&ann, "GET", &format!("/team/daily/activity?{dates}"), Value::Null).await.0, 403);
    assert_eq!(world.ask(&ann, "GET", "/global/spend", Value::Null).await.0, 401);
}

#[tokio::test]
async fn a_budget_begins_anew_when_its_time_is_over() {
    let world = World::new().await;
    let limits = json!({
        "max_budget": 1, "budget_duration": "1d", "budget_limits": [{"budget_duration": "7d", "max_budget": 5}],
        "model_max_budget": {"smart": {"budget_limit": 1, "time_period": "1d"}},
    });
    let key = world.told("POST", "/key/generate", limits).await;
    let hash = text(&key, "token");
    let object = world.store.objects(Kind::Key).find(&hash).await.unwrap().unwrap();
    let fields = document(table(Kind::Key).unwrap(), &object);
    let now = SystemClock.wall();
    let calendar = Calendar::default();
    let look = async |now| {
        let times = Times { now, calendar: &calendar };
        spent(&world.store, &[(Kind::Key, &object, &fields)], times).await.unwrap().remove(0)
    };
    let before = look(now).await;
    assert_eq!((before.now, before.within.len()), (Money::ZERO, 2));
    booked(&world, vec![entry(&hash, Tenant::default(), 9)]).await;
    let after = look(now).await;
    assert_eq!((after.now, after.ever), (Money(9), Money(9)));
    assert_eq!(after.within, [("7d".into(), Money(9)), ("smart".into(), Money(9))]);
    let tomorrow = after.ends.unwrap();
    let next = look(tomorrow).await;
    assert_eq!((next.now, next.ever), (Money::ZERO, Money(9)), "the next day");
    assert!(next.ends.unwrap() > tomorrow);
    let rows = world.store.balances().of(Scope::Key, &hash).await.unwrap();
    assert_eq!(rows.iter().map(|row| &*row.period).collect::<Vec<_>>(), ["", "7d"]);
}
