//! Keys: who shares one, and that nobody else does.

use std::collections::HashMap;
use std::sync::Arc;

use gatewright_cache::{Key, Scope, Settings};
use gatewright_core::{Body, Call, Caller, Controls, Dialect, Form, FormField, Operation};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::stage::{call, call_in, with};

/// A caller of a small world, where ids of keys, teams and organizations are often the same text.
fn somebody(random: &mut StdRng) -> Caller {
    let mut name = || -> Arc<str> {
        const NAMES: [&str; 8] = ["a", "b", "ab", "team", "team:a", "key", "", "a\0b"];
        NAMES[random.random_range(0..NAMES.len())].into()
    };
    let (id, team, organization) = (name(), name(), name());
    Caller {
        team: random.random_bool(0.5).then_some(team),
        organization: random.random_bool(0.5).then_some(organization),
        ..Caller::new(id)
    }
}

/// Who may share with whom, said the long way.
fn boundary(caller: &Caller, scope: Scope) -> (u8, Arc<str>) {
    let key = || (0, caller.id.clone());
    let team = || caller.team.clone().map(|team| (1, team));
    match scope {
        Scope::Key => key(),
        Scope::Team => team().unwrap_or_else(key),
        Scope::Organization => {
            let organization = caller.organization.clone().map(|organization| (2, organization));
            organization.or_else(team).unwrap_or_else(key)
        }
        Scope::Global => (3, "".into()),
    }
}

/// Each of the calls against all that came before it: some 300 million pairs a scope.
#[test]
fn no_two_tenants_have_a_key_in_common() {
    let mut random = StdRng::seed_from_u64(7);
    let scopes = [Scope::Key, Scope::Team, Scope::Organization, Scope::Global];
    let bodies = [r#"{"messages":[]}"#, r#"{"messages":[],"user":"u"}"#, r#"{"messages":[1]}"#];
    let calls = bodies.map(|body| call("", body));
    let mut seen: HashMap<[u8; 32], (u8, Arc<str>, usize)> = HashMap::new();
    for scope in scopes {
        let settings = Settings { scope, ..Settings::default() };
        seen.clear();
        for _ in 0..25_000 {
            let caller = somebody(&mut random);
            let which = random.random_range(0..calls.len());
            let (kind, name) = boundary(&caller, scope);
            let asked = with(calls[which].clone(), |call| call.caller = Arc::new(caller));
            let key = Key::of(&asked, &settings);
            // The end user decides nothing.
            let owner = (kind, name, if which == 1 { 0 } else { which });
            let known = seen.entry(key.digest).or_insert_with(|| owner.clone());
            assert_eq!(*known, owner, "{scope:?}");
        }
        let owners: std::collections::HashSet<_> = seen.values().collect();
        assert_eq!(owners.len(), seen.len(), "{scope:?}: one owner, one key");
    }
}

/// A million pairs by chance of some thousand calls, a quarter in each scope: they have a key in common where, and only where,
/// they ask the same within one boundary.
#[test]
fn of_a_million_random_pairs_none_meets_across_a_boundary() {
    const PAIRS: usize = 1_000_000;
    const CALLS: usize = 8_000;
    let mut random = StdRng::seed_from_u64(11);
    let scopes = [Scope::Key, Scope::Team, Scope::Organization, Scope::Global];
    let bodies = [r#"{"messages":[]}"#, r#"{"messages":[1]}"#].map(|body| call("", body));
    let (mut pairs, mut shared) = (0, 0);
    for scope in scopes {
        let settings = Settings { scope, ..Settings::default() };
        let calls: Vec<_> = (0..CALLS)
            .map(|_| {
                let (caller, which) = (somebody(&mut random), random.random_range(0..bodies.len()));
                let owner = (boundary(&caller, scope), which);
                let asked = with(bodies[which].clone(), |call| call.caller = Arc::new(caller));
                (owner, Key::of(&asked, &settings).digest)
            })
            .collect();
        for _ in 0..PAIRS / scopes.len() {
            let [one, other] = [(); 2].map(|()| &calls[random.random_range(0..CALLS)]);
            assert_eq!(one.0 == other.0, one.1 == other.1, "{scope:?}: {:?} {:?}", one.0, other.0);
            pairs += 1;
            shared += usize::from(one.1 == other.1);
        }
    }
    println!("{pairs} pairs, of which {shared} share an answer as they may");
    assert!(pairs == PAIRS && shared > PAIRS / 100, "{pairs} {shared}");
}

#[test]
fn a_key_tells_apart_what_answers_differ_by() {
    let chat = |body| call("k", body);
    let settings = Settings::default();
    let key = |call: &Call| Key::of(call, &settings).digest;
    let plain = chat(r#"{"messages":[],"temperature":1}"#);
    let mut others = vec![
        chat(r#"{"messages":[]}"#),
        chat(r#"{"messages":[],"temperature":1.0}"#),
        chat(r#"{"messages":[],"temperature":1,"seed":1}"#),
        chat(r#"{"messages":[],"temperature":1,"stream":true}"#),
        chat(r#"{"messages":[],"temperature":1,"stream_options":{"include_usage":true}}"#),
        call_in(Dialect::AnthropicMessages, Operation::Chat, "k", r#"{"messages":[],"temperature":1}"#),
        call_in(Dialect::OpenAiChat, Operation::Rerank, "k", r#"{"messages":[],"temperature":1}"#),
        with(plain.clone(), |call| call.model = "other".into()),
    ];
    let mut other = plain.clone();
    other.caller = Arc::new(Caller { region: Some("eu".into()), ..Caller::new("k") });
    others.push(other);
    let mut other = plain.clone();
    other.headers.insert("anthropic-beta", "x".parse().unwrap());
    others.push(other);
    let changes: [fn(&mut Controls); 6] = [
        |controls| controls.fallbacks = vec!["f".into()],
        |controls| controls.upstream_name = true,
        |controls| controls.include_usage = true,
        |controls| controls.mock_response = Some("x".into()),
        |controls| controls.fields.drop_unknown = Some(true),
        |controls| controls.deployment = Some("d".into()),
    ];
    for change in changes {
        let mut other = plain.clone();
        change(&mut other.controls);
        others.push(other);
    }
    let mut keys: Vec<_> = others.iter().chain([&plain]).map(&key).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), others.len() + 1);
    for same in [
        r#"{"temperature":1,"messages":[]}"#,
        r#"{"messages":[],"temperature":1,"stream":false,"user":"u","metadata":{"a":"b"}}"#,
        r#"{"messages":[],"temperature":1,"litellm_session":"s","prompt_cache_key":"p"}"#,
    ] {
        assert_eq!(key(&chat(same)), key(&plain), "{same}");
    }
}

#[test]
fn answers_that_repeat_what_was_asked_are_told_apart_by_all_of_it() {
    let settings = Settings::default();
    let key = |body| Key::of(&call_in(Dialect::OpenAiResponses, Operation::Chat, "k", body), &settings);
    assert_ne!(key(r#"{"input":"x","metadata":{"a":"b"}}"#), key(r#"{"input":"x","metadata":{"a":"c"}}"#));
}

#[test]
fn tags_count_where_they_decide_who_serves() {
    for by_tags in [false, true] {
        let settings = Settings { by_tags, ..Settings::default() };
        let plain = call("k", "{}");
        let mut tagged = plain.clone();
        tagged.controls.tags = vec!["t".into()];
        assert_eq!(Key::of(&plain, &settings) != Key::of(&tagged, &settings), by_tags);
    }
}

#[test]
fn models_of_a_caching_group_are_one() {
    let groups = vec![vec!["m".into(), "n".into()], vec!["o".into()]];
    let settings = Settings { groups, ..Settings::default() };
    let key = |model: &str| Key::of(&with(call("k", "{}"), |call| call.model = model.into()), &settings);
    assert_eq!(key("m"), key("n"));
    assert!(key("m") != key("o") && key("o") != key("x"));
}

#[test]
fn files_count_by_their_bytes() {
    let settings = Settings::default();
    let key = |name: &str, data: &'static [u8], language: &str| {
        let file = FormField {
            name: "file".into(),
            file_name: Some(name.into()),
            data: data.into(),
            ..FormField::default()
        };
        let mut form = Form { fields: vec![file] };
        form.set_text("language", language);
        let asked = Call::new(
            Operation::Transcriptions,
            gatewright_dialects::of(Dialect::OpenAiChat),
            "m",
            Body::Form(form),
        );
        Key::of(&asked, &settings).digest
    };
    let plain = key("a.mp3", b"sound", "en");
    assert_eq!(plain, key("tmp_1234.mp3", b"sound", "en"), "the name says nothing");
    for other in [key("a.wav", b"sound", "en"), key("a.mp3", b"other", "en"), key("a.mp3", b"sound", "de")] {
        assert_ne!(plain, other);
    }
}

#[test]
fn keys_are_told_and_read_again() {
    let settings = Settings { namespace: Some("ns:x".into()), ..Settings::default() };
    let key = Key::of(&call("k", "{}"), &settings);
    assert!(key.text.starts_with("ns:x:"));
    assert_eq!(Key::parse(&key.text), Some(key));
    for nonsense in ["", "ns", "ns:", &"g".repeat(64), &"é".repeat(32)] {
        assert_eq!(Key::parse(nonsense), None, "{nonsense}");
    }
}
