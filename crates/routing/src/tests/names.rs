//! Names: what a model name leads to, and what is told about it.

use std::sync::Arc;

use gatewright_core::{Caller, Dialect, ErrorKind};

use super::fixture::{World, call, deployment, deployments};
use super::mute::Mute;
use crate::{Alias, Deployment, Rule, Settings, Table};

fn alias(name: &str, model: &str, hidden: bool) -> Alias {
    Alias { name: name.into(), model: model.into(), hidden }
}

fn wild(group: &str, id: &str, target: &str) -> Deployment {
    Deployment { target: target.into(), ..deployment(group, id) }
}

fn table() -> Table {
    let deployments = vec![
        wild("gpt-4o", "d1", "openai/gpt-4o"),
        wild("gpt-4o", "d2", "azure/gpt-4o"),
        wild("d2", "odd", "x/named-like-an-id"),
        wild("*", "any", "*"),
        wild("openai/*", "oai", "openai/*"),
        wild("openai/gpt-*", "gpt", "azure/eu-gpt-*"),
        wild("*-via-*", "two", "*/model-*"),
        wild("fixed/*", "fix", "openai/one"),
    ];
    let aliases = vec![
        alias("fast", "gpt-4o", false),
        alias("secret", "openai/gpt-5", true),
        alias("d1", "never", false),
        alias("openai/old", "gpt-4o", false),
    ];
    Table::build(deployments, Settings { aliases, ..Settings::default() }).unwrap()
}

#[test]
fn a_name_leads_to_the_first_that_knows_it() {
    let table = table();
    for (name, group, ids, model) in [
        ("d1", "d1", vec!["d1"], None),
        ("d2", "d2", vec!["d2"], None),
        ("fast", "gpt-4o", vec!["d1", "d2"], None),
        ("openai/old", "gpt-4o", vec!["d1", "d2"], None),
        ("secret", "openai/gpt-5", vec!["gpt"], Some("azure/eu-gpt-5")),
        ("gpt-4o", "gpt-4o", vec!["d1", "d2"], None),
        ("openai/gpt-4o", "openai/gpt-4o", vec!["gpt"], Some("azure/eu-gpt-4o")),
        ("openai/o3", "openai/o3", vec!["oai"], Some("openai/o3")),
        ("azure-via-x", "azure-via-x", vec!["two"], Some("azure/model-x")),
        ("fixed/anything", "fixed/anything", vec!["fix"], None),
        ("mistral/large", "mistral/large", vec!["any"], Some("mistral/large")),
    ] {
        let route = table.resolve(name).unwrap();
        let found: Vec<&str> = route.deployments().map(|d| &*d.id).collect();
        let filled = route.deployments().next().and_then(|d| route.model_for(d));
        assert_eq!((&*route.name, found, filled.as_deref()), (group, ids, model), "{name}");
    }
}

#[test]
fn a_model_is_open_to_whoever_may_use_its_name_what_an_alias_stands_for_or_an_access_group() {
    let of = |group: &str, id: &str, access: &[&str], team: Option<&str>| Deployment {
        access_groups: access.iter().map(|name| Arc::from(*name)).collect(),
        team: team.map(Arc::from),
        ..wild(group, id, group)
    };
    let deployments = vec![
        of("gpt-4o", "d1", &[], None),
        of("gpt-4o", "d2", &["beta"], None),
        of("plain", "d3", &[], None),
        of("openai/*", "d4", &["wild"], None),
        of("secret", "d5", &["ours"], Some("red")),
        of("plain", "d6", &["ours"], Some("red")),
    ];
    let aliases = vec![alias("fast", "gpt-4o", false)];
    let table = Table::build(deployments, Settings { aliases, ..Settings::default() }).unwrap();
    for (allowed, team, model, may) in [
        ("gpt-4o", None, "gpt-4o", true),
        ("gpt-4o", None, "fast", true),
        ("fast", None, "fast", true),
        ("fast", None, "gpt-4o", false),
        ("other", None, "fast", false),
        ("beta", None, "gpt-4o", true),
        ("beta", None, "fast", true),
        ("beta", None, "d2", true),
        ("beta", None, "d1", false),
        ("beta", None, "plain", false),
        ("be*", None, "gpt-4o", false),
        ("wild", None, "openai/o3", true),
        ("ours", Some("red"), "secret", true),
        ("ours", Some("red"), "plain", true),
        ("ours", None, "secret", false),
        ("ours", Some("blue"), "plain", false),
    ] {
        let team = team.map(Arc::from);
        let caller = Caller { models: vec![vec![allowed.into()]], team, ..Caller::new("k") };
        assert_eq!(table.permits(&caller, model), may, "{allowed} {model}");
    }
    let shown = |team| table.access_groups(team).into_iter().map(|name| &**name).collect::<Vec<_>>();
    assert_eq!(shown(None), ["beta", "wild"]);
    assert_eq!(shown(Some("red")), ["beta", "ours", "wild"]);
}

#[test]
fn a_bare_name_leads_to_the_wildcard_of_its_provider() {
    let settings = Settings {
        provider_of: Arc::new(|model| model.starts_with("gpt-").then(|| "openai".into())),
        aliases: vec![alias("fast", "gpt-4o-mini", false)],
        ..Settings::default()
    };
    let wilds = vec![wild("openai/*", "oai", "openai/*"), wild("mini/*", "m", "openai/gpt-4o-mini")];
    let table = Table::build(
        [wilds.clone(), vec![wild("gpt-5", "five", "x/five"), wild("other", "t", "gpt-target")]].concat(),
        settings.clone(),
    )
    .unwrap();
    for (name, found) in [
        ("gpt-4o", Some(("gpt-4o", "oai", Some("openai/gpt-4o")))),
        ("fast", Some(("gpt-4o-mini", "oai", Some("openai/gpt-4o-mini")))),
        ("gpt-5", Some(("gpt-5", "five", None))),
        ("gpt-target", Some(("gpt-target", "oai", Some("openai/gpt-target")))),
        ("claude-x", None),
    ] {
        let route = table.resolve(name);
        let route = route.as_ref().map(|route| (route, route.deployments().next().unwrap()));
        let told = route.map(|(route, d)| (&*route.name, &*d.id, route.model_for(d)));
        assert_eq!(told, found.map(|(name, id, model)| (name, id, model.map(Into::into))), "{name}");
    }
    // A wildcard that takes every name comes first.
    let all = Table::build([wilds, vec![wild("*", "any", "*")]].concat(), settings).unwrap();
    assert_eq!(&*all.resolve("gpt-4o").unwrap().deployments().next().unwrap().id, "any");
}

#[test]
fn a_target_is_a_name_where_nothing_else_matches() {
    let table = Table::build(deployments(&[("m", "a"), ("n", "b")]), Settings::default()).unwrap();
    assert_eq!(table.resolve("up/b").unwrap().deployments().next().unwrap().id, "b".into());
    assert!(table.resolve("up/c").is_none());
}

#[test]
fn an_alias_stands_for_its_target_unless_a_deployment_has_its_name() {
    let table = table();
    assert_eq!(table.alias("fast").map(|target| &**target), Some("gpt-4o"));
    assert_eq!([table.alias("d1"), table.alias("gpt-4o")], [None, None]);
}

#[test]
fn lists_name_groups_and_patterns_and_open_aliases() {
    let names =
        ["gpt-4o", "d2", "*", "openai/*", "openai/gpt-*", "*-via-*", "fixed/*", "fast", "d1", "openai/old"];
    assert_eq!(table().names().iter().map(|name| &**name).collect::<Vec<_>>(), names);
}

#[test]
fn every_mistake_is_told_at_once() {
    let mut bad = vec![
        wild("", "a", "x/y"),
        wild("m", "a", "x/y"),
        wild("m", "b", ""),
        wild("m", "", "x/y"),
        wild("m", "c", "x/*"),
        wild("m", "d", "x/y"),
    ];
    bad[5].weight = Some(-1.0);
    let problems = Table::build(bad, Settings::default()).err().unwrap();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "a: it has no model name",
            "b: it has no model",
            ": a deployment of m has no id",
            "c: its model x/* has more wildcards than its model name m",
            "d: its weight is not a number of at least 0",
            "a: two deployments have this id",
        ]
    );
}

#[test]
fn what_leads_nowhere_is_only_a_warning() {
    let settings = Settings {
        aliases: vec![alias("x", "gone", false)],
        fallbacks: vec![Rule { group: "m".into(), fallbacks: vec!["m".into(), "lost".into()] }],
        default_fallbacks: vec!["away".into()],
        ..Settings::default()
    };
    let table = Table::build(deployments(&[("m", "a")]), settings).unwrap();
    let told: Vec<String> = table.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "x: stands for the unknown model gone",
            "m: falls back to the unknown model lost",
            "away: is a default fallback, but an unknown model",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_upstream_gets_the_model_that_the_wildcard_stood_for() {
    let world = World::new(vec![wild("openai/gpt-*", "gpt", "azure/eu-gpt-*")], Settings::default(), []);
    world.ask("openai/gpt-4o").await.0.unwrap();
    let target = world.upstream.attempts().remove(0).target;
    assert_eq!(target.model.as_deref(), Some("azure/eu-gpt-4o"));
    assert_eq!((&*target.group, &*target.shown), ("openai/gpt-4o", "openai/gpt-4o"));
}

#[tokio::test(start_paused = true)]
async fn a_client_sees_the_alias_that_it_asked_for() {
    let settings = Settings { aliases: vec![alias("fast", "m", false)], ..Settings::default() };
    let world = World::new(deployments(&[("m", "a")]), settings, []);
    world.ask("fast").await.0.unwrap();
    let target = world.upstream.attempts().remove(0).target;
    assert_eq!((&*target.group, &*target.shown), ("m", "fast"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_model_is_told_in_the_words_of_the_route() {
    let world = World::new(deployments(&[("m", "a")]), Settings::default(), []);
    let mut anthropic = call("nope");
    anthropic.codec = &Mute(Dialect::AnthropicMessages);
    for (call, route) in [(call("nope"), "/chat/completions"), (anthropic, "anthropic_messages")] {
        let err = world.ask_with(call).await.0.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::UnknownModel);
        assert_eq!(
            err.message(),
            format!(
                "{route}: Invalid model name passed in model=nope. \
                 Call `/v1/models` to view available models for your key."
            )
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_health_of_deployments_that_stay() {
    use super::fixture::fail;
    let list = [("m", "a"), ("m", "b")];
    let world =
        World::new(deployments(&list), Settings::default(), [("a", vec![fail(ErrorKind::RateLimited)])]);
    world.ask("m").await.0.unwrap();
    let old = world.table.load();
    world.table.swap(old.rebuild(deployments(&[("m", "a"), ("m", "c")]), Settings::default()).unwrap());
    let now = tokio::time::Instant::now();
    let cooling = |id: &str| world.table.load().health(id).map(|health| health.is_cooling(now));
    assert_eq!([cooling("a"), cooling("b"), cooling("c")], [Some(true), None, Some(false)]);
}

#[test]
fn what_a_team_has_for_itself_is_found_by_its_callers_first_and_by_nobody_else() {
    let of =
        |team: &str, group, id, target| Deployment { team: Some(team.into()), ..wild(group, id, target) };
    let deployments = vec![
        wild("fast", "all", "openai/a"),
        of("red", "fast", "reds", "openai/b"),
        of("red", "red/*", "redwild", "openai/*"),
        of("blue", "own", "blues", "openai/a"),
    ];
    let aliases = vec![alias("short", "own", false)];
    let table = Table::build(deployments, Settings { aliases, ..Settings::default() }).unwrap();
    for (team, name, ids) in [
        (None, "fast", vec!["all"]),
        (Some("blue"), "fast", vec!["all"]),
        (Some("red"), "fast", vec!["reds"]),
        (Some("red"), "red/x", vec!["redwild"]),
        (None, "red/x", vec![]),
        (Some("red"), "own", vec![]),
        (Some("blue"), "own", vec!["blues"]),
        // Neither its id, nor what it calls upstream, nor an alias opens it to others.
        (Some("blue"), "reds", vec![]),
        (Some("red"), "reds", vec!["reds"]),
        (None, "openai/b", vec![]),
        (Some("red"), "openai/b", vec!["reds"]),
        (None, "openai/a", vec!["all"]),
        (None, "short", vec![]),
    ] {
        let route = table.resolve_for(team, name);
        let found: Vec<&str> = route.iter().flat_map(|route| route.deployments()).map(|d| &*d.id).collect();
        assert_eq!(found, ids, "{team:?} {name}");
    }
    let own: Vec<&str> = table.names_of("red").iter().map(|name| &**name).collect();
    assert_eq!((own, table.names()), (vec!["fast", "red/*"], &["fast".into(), "short".into()][..]));
    assert!(table.health("reds").is_some());
}

#[tokio::test]
async fn a_call_that_only_one_deployment_can_serve_goes_there_alone() {
    let bound = |model: &str, id: &str| {
        let mut call = call(model);
        call.controls.deployment = Some(id.into());
        call
    };
    let list = deployments(&[("a", "a1"), ("a", "a2"), ("b", "b1")]);
    let world = World::new(list, Settings::default(), []);
    for id in ["a1", "a2", "a1"] {
        assert_eq!(world.ask_with(bound("a", id)).await.1, [id]);
    }
    let (refused, tried) = world.ask_with(bound("a", "b1")).await;
    assert_eq!(refused.err().map(|err| err.kind()), Some(ErrorKind::InvalidRequest));
    assert!(tried.is_empty(), "nobody is asked: {tried:?}");
}
