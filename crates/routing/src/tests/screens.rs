//! Who may serve a call, by its tags, its region, its needs and what may be paid.

use std::sync::Arc;

use gatewright_core::{Call, ErrorKind, Price};
use http::HeaderMap;
use http::header::USER_AGENT;

use super::fixture::{call, deployment};
use crate::screen::screen;
use crate::settings::Agents;
use crate::{Abilities, Checks, Deployment, Know, Model, Settings, Table, TagRules};

/// The ids of those that may serve `call`, or why nobody may.
fn left(list: &[Deployment], checks: Checks, call: &Call) -> Result<Vec<String>, ErrorKind> {
    let settings = Settings { checks, know: Arc::new(Wants), ..Settings::default() };
    let table = Table::build(list.to_vec(), settings).unwrap();
    let route = table.resolve("m").unwrap();
    let screened = futures_util::FutureExt::now_or_never(screen(call, &route, &table.settings, &mut None));
    let list = screened.unwrap().map_err(|err| err.kind())?;
    let ids = route.deployments().enumerate().filter(|(place, _)| list.has(*place));
    Ok(ids.map(|(_, one)| one.id.to_string()).collect())
}

/// Every call needs eyes.
struct Wants;

impl Know for Wants {
    fn model(&self, deployment: &Deployment, _: &str) -> Model {
        deployment.model
    }

    fn needs(&self, _: &Call) -> Abilities {
        Abilities::VISION
    }
}

/// What a call says of itself.
#[derive(Default)]
struct Said {
    tags: &'static [&'static str],
    /// Those of whoever makes it.
    of_caller: &'static [&'static str],
    agent: Option<&'static str>,
}

fn words(words: &[&str]) -> Vec<Arc<str>> {
    words.iter().map(|word| (*word).into()).collect()
}

fn tagged(id: &str, tags: &[&str]) -> Deployment {
    Deployment { tags: words(tags), ..deployment("m", id) }
}

fn check_tags(list: &[Deployment], rules: &TagRules, said: Said, expected: Result<&[&str], ErrorKind>) {
    let mut call = call("m");
    call.controls.tags = words(said.tags);
    Arc::make_mut(&mut call.caller).tags = words(said.of_caller);
    let mut headers = HeaderMap::new();
    headers.extend(said.agent.map(|agent| (USER_AGENT, agent.parse().unwrap())));
    call.headers = headers;
    let checks = Checks { tags: Some(rules.clone()), ..Checks::default() };
    let expected = expected.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
    assert_eq!(left(list, checks, &call), expected, "{:?} and {:?}", said.tags, said.of_caller);
}

#[test]
fn tags_say_who_serves() {
    let agents = vec![Agents::parse("^User-Agent: claude-code/").unwrap()];
    let list = [
        tagged("a", &["x", "y"]),
        tagged("b", &["x", "!secret"]),
        tagged("spare", &["default"]),
        Deployment { agents, ..deployment("m", "code") },
        deployment("m", "plain"),
    ];
    let check = |said, expected| check_tags(&list, &TagRules::default(), said, expected);
    let tags = |tags| Said { tags, ..Said::default() };
    check(tags(&["x"]), Ok(&["a", "b"]));
    check(tags(&["y"]), Ok(&["a"]));
    check(tags(&["z"]), Ok(&["spare"]));
    check(tags(&[]), Ok(&["spare"]));
    check(tags(&["x", "!y"]), Ok(&["b"]));
    check(tags(&["x", "secret"]), Ok(&["a"]));
    check(tags(&["!default"]), Ok(&["a", "b", "code", "plain"]));
    check(Said { of_caller: &["y"], ..Said::default() }, Ok(&["a"]));
    check(Said { agent: Some("claude-code/2"), ..Said::default() }, Ok(&["code"]));
    check(Said { agent: Some("claude-code/2"), ..tags(&["x"]) }, Ok(&["a", "b", "code"]));
    check(Said { agent: Some("curl"), ..Said::default() }, Ok(&["spare"]));
    check_tags(&list[..2], &TagRules::default(), tags(&["z"]), Err(ErrorKind::Forbidden));
    check_tags(&list[..2], &TagRules::default(), tags(&[]), Ok(&["a", "b"]));
}

#[test]
fn all_tags_may_have_to_be_met_and_only_those_that_begin_so_count() {
    let list = [tagged("a", &["x", "y"]), tagged("b", &["x"]), tagged("spare", &["default", "team-z"])];
    let all = TagRules { all: true, ..TagRules::default() };
    let tags = |tags| Said { tags, ..Said::default() };
    check_tags(&list, &all, tags(&["x", "y"]), Ok(&["a"]));
    check_tags(&list, &all, tags(&["x", "z"]), Ok(&["spare"]));
    let prefixed = TagRules { prefix: "team-".to_owned(), ..TagRules::default() };
    check_tags(&list, &prefixed, tags(&["x"]), Ok(&["spare"]));
    check_tags(&list, &prefixed, tags(&["y", "team-z"]), Ok(&["spare"]));
    check_tags(&list[..2], &prefixed, tags(&["x"]), Ok(&["a", "b"]));
    check_tags(&list[..2], &prefixed, tags(&["!x"]), Ok(&["a", "b"]));
}

#[test]
fn who_is_bound_to_a_region_is_served_there() {
    let of =
        |id: &str, region: Option<&str>| Deployment { region: region.map(Into::into), ..deployment("m", id) };
    let list = [of("a", Some("eu")), of("b", Some("us")), of("c", None)];
    let bound = |region: Option<&str>, before_call| {
        let mut call = call("m");
        Arc::make_mut(&mut call.caller).region = region.map(Into::into);
        left(&list, Checks { before_call, ..Checks::default() }, &call)
    };
    let ids = |ids: &[&str]| Ok(ids.iter().map(|id| (*id).to_owned()).collect());
    assert_eq!(bound(Some("eu"), true), ids(&["a"]));
    assert_eq!(bound(Some("asia"), true), Err(ErrorKind::Unsupported));
    assert_eq!(bound(None, true), ids(&["a", "b", "c"]));
    assert_eq!(bound(Some("eu"), false), ids(&["a", "b", "c"]));
}

#[test]
fn who_cannot_do_it_or_costs_too_much_is_left_out() {
    let of = |id: &str, (input, output): (Option<u64>, Option<u64>), lacks| Deployment {
        model: Model { input: input.map(Price), output: output.map(Price), lacks, ..Model::default() },
        ..deployment("m", id)
    };
    let list = [
        of("cheap", (Some(1), Some(2)), Abilities::VISION),
        of("dear", (Some(3), Some(9)), Abilities::AUDIO),
        of("unknown", (None, None), Abilities::NONE),
    ];
    let ids = |ids: &[&str]| Ok(ids.iter().map(|id| (*id).to_owned()).collect());
    let most = |input: Option<u64>, output: Option<u64>| Checks {
        max_input_price: input.map(Price),
        max_output_price: output.map(Price),
        ..Checks::default()
    };
    let asked = |checks| left(&list, checks, &call("m"));
    assert_eq!(asked(most(None, None)), ids(&["cheap", "dear", "unknown"]));
    assert_eq!(asked(most(Some(1), None)), ids(&["cheap"]));
    assert_eq!(asked(most(Some(3), Some(9))), ids(&["cheap", "dear"]));
    assert_eq!(asked(most(None, Some(8))), ids(&["cheap"]));
    assert_eq!(asked(most(Some(0), None)), Err(ErrorKind::Unsupported));
    assert_eq!(asked(Checks { abilities: true, ..Checks::default() }), ids(&["dear", "unknown"]));
    assert_eq!(asked(Checks { abilities: true, ..most(Some(1), None) }), Err(ErrorKind::Unsupported));
}
