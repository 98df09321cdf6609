//! Fallbacks: where a call goes when its group fails.

use std::sync::Arc;

use gatewright_core::ErrorKind::{self, *};
use gatewright_core::{Call, Caller, Detour};

use super::fixture::{Step, World, call, deployments, error, fail};
use crate::{Alias, Rule, Settings};

fn rule(group: &str, fallbacks: &[&str]) -> Rule {
    Rule { group: group.into(), fallbacks: fallbacks.iter().map(|name| (*name).into()).collect() }
}

/// Groups a to f and x/g with one deployment of the same name each; `failing` fail with `kind`.
fn world(fallbacks: Vec<Rule>, failing: &[&'static str], kind: ErrorKind) -> World {
    with(Settings { fallbacks, num_retries: 0, ..Settings::default() }, failing, kind)
}

fn with(settings: Settings, failing: &[&'static str], kind: ErrorKind) -> World {
    let list: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h", "x/g"].map(|name| (name, name)).to_vec();
    World::new(deployments(&list), settings, failing.iter().map(|id| (*id, vec![fail(kind)])))
}

async fn check(world: World, call: Call, expected: &[&str]) {
    let (_, tried) = world.ask_with(call).await;
    assert_eq!(tried, expected);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_fails_is_replaced_by_its_fallback() {
    let world = world(vec![rule("a", &["b"])], &["a"], Upstream);
    let head = world.ask("a").await.0.unwrap();
    assert_eq!((head.retries, head.fallbacks), (0, 1));
    let target = world.upstream.attempts().remove(1).target;
    assert_eq!((&*target.group, &*target.shown), ("b", "b"));
}

#[tokio::test(start_paused = true)]
async fn rules_are_found_by_name_then_bare_name_then_pattern() {
    let rules = || vec![rule("*", &["f"]), rule("x/*", &["e"]), rule("g", &["d"]), rule("a", &["b"])];
    for (asked, then) in [("a", "b"), ("c", "f"), ("x/g", "d")] {
        check(world(rules(), &[asked], Upstream), call(asked), &[asked, then]).await;
    }
    check(
        world(vec![rule("*", &["f"]), rule("x/*", &["e"])], &["x/g"], Upstream),
        call("x/g"),
        &["x/g", "e"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_clients_wishes_come_first_and_the_defaults_last() {
    let settings = Settings {
        fallbacks: vec![rule("a", &["c"]), rule("c", &["d"])],
        default_fallbacks: vec!["e".into()],
        num_retries: 0,
        ..Settings::default()
    };
    let mut call = call("a");
    call.controls.fallbacks = vec!["b".into()];
    check(with(settings, &["a", "b", "c", "d", "e"], Upstream), call, &["a", "b", "c", "d", "e"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_may_refuse_fallbacks() {
    let mut call = call("a");
    call.controls.disable_fallbacks = true;
    check(world(vec![rule("a", &["b"])], &["a"], Upstream), call, &["a"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_cycle_ends_with_the_error_of_the_group_asked_for() {
    let rules = vec![rule("a", &["b"]), rule("b", &["c"]), rule("c", &["a", "b"])];
    let list = deployments(&[("a", "a"), ("b", "b"), ("c", "c")]);
    let world = World::new(
        list,
        Settings { fallbacks: rules, num_retries: 1, ..Settings::default() },
        [
            ("a", vec![fail(Upstream), Step::Fail(error(Unavailable).with_message("the last of a"))]),
            ("b", vec![fail(BadGateway)]),
            ("c", vec![fail(InvalidRequest)]),
        ],
    );
    let (reply, tried) = world.ask("a").await;
    assert_eq!(tried, ["a", "a", "b", "b", "c"]);
    let err = reply.unwrap_err();
    assert_eq!((err.kind(), err.message()), (Unavailable, "the last of a"));
}

#[tokio::test(start_paused = true)]
async fn at_most_five_fallbacks_are_tried() {
    let rules = vec![rule("a", &["b", "c", "d", "e", "f", "g", "h"])];
    let failing = ["a", "b", "c", "d", "e", "f", "g", "h"];
    check(world(rules, &failing, Upstream), call("a"), &["a", "b", "c", "d", "e", "f"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_at_fault_does_not_fall_back() {
    for kind in [InvalidRequest, Unprocessable, BudgetExceeded, TooLarge, Internal] {
        check(world(vec![rule("a", &["b"])], &["a"], kind), call("a"), &["a"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_refuses_the_request_is_not_the_last_word() {
    let settings =
        Settings { fallbacks: vec![rule("a", &["b", "c"])], num_retries: 0, ..Settings::default() };
    let world = World::new(
        deployments(&[("a", "a"), ("b", "b"), ("c", "c")]),
        settings,
        [("a", vec![fail(Upstream)]), ("b", vec![fail(InvalidRequest)])],
    );
    assert_eq!(world.ask("a").await.1, ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_covers_no_fallback_is_the_last_word() {
    let settings =
        Settings { fallbacks: vec![rule("a", &["b", "c"])], num_retries: 0, ..Settings::default() };
    let world = World::new(
        deployments(&[("a", "a"), ("b", "b"), ("c", "c")]),
        settings,
        [("a", vec![fail(Upstream)]), ("b", vec![fail(BudgetExceeded)])],
    );
    let (result, asked) = world.ask("a").await;
    assert_eq!(
        (result.err().map(|err| err.kind()), asked),
        (Some(BudgetExceeded), vec!["a".into(), "b".into()])
    );
}

#[tokio::test(start_paused = true)]
async fn what_one_model_cannot_do_another_may() {
    for kind in [Unsupported, ContextWindow, ContentPolicy, NotFound, UpstreamAuth, LimitReached] {
        check(world(vec![rule("a", &["b"])], &["a"], kind), call("a"), &["a", "b"]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn some_kinds_have_rules_of_their_own() {
    for (kind, expected) in [(ContextWindow, "c"), (ContentPolicy, "d"), (Upstream, "b")] {
        let settings = Settings {
            fallbacks: vec![rule("a", &["b"])],
            context_window_fallbacks: vec![rule("a", &["c"])],
            content_policy_fallbacks: vec![rule("a", &["d"])],
            num_retries: 0,
            ..Settings::default()
        };
        check(with(settings, &["a"], kind), call("a"), &["a", expected]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_has_rules_of_its_own_for_some_kinds() {
    let detour = |kind, group: &str, to: &str| Detour {
        kind,
        group: group.into(),
        fallbacks: vec![to.into(), "b".into()],
    };
    let mut asks = call("a");
    asks.controls.detours = vec![
        detour(ContextWindow, "a", "c"),
        detour(ContentPolicy, "*", "d"),
        detour(ContextWindow, "b", "a"),
    ];
    let settings = || Settings {
        fallbacks: vec![rule("a", &["b"])],
        context_window_fallbacks: vec![rule("a", &["d"])],
        num_retries: 0,
        ..Settings::default()
    };
    for (kind, then) in [(ContextWindow, "c"), (ContentPolicy, "d"), (Upstream, "b")] {
        check(with(settings(), &["a"], kind), asks.clone(), &["a", then]).await;
    }
    let mut limited = asks.clone();
    limited.caller = Arc::new(Caller { models: vec![vec!["a".into(), "b".into()]], ..Caller::new("k") });
    check(with(settings(), &["a"], ContextWindow), limited, &["a", "b"]).await;
    asks.controls.disable_fallbacks = true;
    let alone = with(settings(), &["a"], ContextWindow).ask_with(asks).await;
    assert_eq!((alone.0.unwrap_err().kind(), alone.1), (ContextWindow, vec!["a".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_the_caller_may_not_use_is_passed_over() {
    let mut call = call("a");
    call.caller = Arc::new(Caller { models: vec![vec!["a".into(), "c".into()]], ..Caller::new("k") });
    check(world(vec![rule("a", &["b", "c"])], &["a"], Upstream), call.clone(), &["a", "c"]).await;
    let settings = Settings {
        fallbacks: vec![rule("a", &["of-b", "of-c"])],
        aliases: ["b", "c"]
            .map(|model| Alias { name: format!("of-{model}").into(), model: model.into(), hidden: false })
            .into(),
        num_retries: 0,
        ..Settings::default()
    };
    check(with(settings, &["a"], Upstream), call, &["a", "c"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_model_goes_to_a_default_fallback_that_its_caller_may_use() {
    let settings = || Settings { default_fallbacks: vec!["b".into(), "c".into()], ..Settings::default() };
    let world = with(settings(), &[], Upstream);
    let head = world.ask("nope").await.0.unwrap();
    assert_eq!((head.fallbacks, &*world.upstream.attempts()[0].target.shown), (1, "b"));

    let caller = |models: &[&str]| {
        let mut call = call("nope");
        let models = models.iter().map(|name| (*name).into()).collect();
        call.caller = Arc::new(Caller { models: vec![models], ..Caller::new("k") });
        call
    };
    check(with(settings(), &[], Upstream), caller(&["nope", "c"]), &["c"]).await;
    let refused = with(settings(), &[], Upstream).ask_with(caller(&["nope"])).await;
    assert_eq!(refused.0.unwrap_err().kind(), UnknownModel);
}

#[tokio::test(start_paused = true)]
async fn each_fallback_group_has_retries_of_its_own() {
    let settings = Settings { fallbacks: vec![rule("a", &["b"])], num_retries: 1, ..Settings::default() };
    check(with(settings, &["a", "b"], Upstream), call("a"), &["a", "a", "b", "b"]).await;
}

#[tokio::test(start_paused = true)]
async fn an_alias_has_its_own_rules_or_else_those_of_its_group() {
    let alias = |name: &str| Alias { name: name.into(), model: "a".into(), hidden: false };
    let settings = Settings {
        aliases: vec![alias("x"), alias("y")],
        fallbacks: vec![rule("x", &["b"]), rule("a", &["c"])],
        num_retries: 0,
        ..Settings::default()
    };
    for (asked, then) in [("x", "b"), ("y", "c"), ("a", "c")] {
        check(with(settings.clone(), &["a"], Upstream), call(asked), &["a", then]).await;
    }
    let only = Settings { fallbacks: vec![rule("x", &["b"])], ..settings };
    check(with(only, &["a"], Upstream), call("x"), &["a", "b"]).await;
}
