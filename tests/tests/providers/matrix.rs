//! Every row × every operation × every feature: what is sent is what the files say, and the client is told what the
//! provider said, used and cost.
//!
//! A row without a file fails, so that none stands untried.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex};

use gatewright_catalogue::Catalogue;
use gatewright_tests::answer::Got;
use gatewright_tests::client::{Client, Response, chat};
use gatewright_tests::gateway::Gateway;
use gatewright_tests::upstream::{Answer, Ends, Guise, Said, Script, Seen, Upstream};
use serde_json::{Map, Value, json};

use crate::ask::{self, Ask, COUNT, Reads};
use crate::golden::{expect, sent};
use crate::seat::{Seat, folder, folders, read};

/// What a provider may answer in place of an answer.
const FAILURES: [u16; 7] = [400, 401, 403, 404, 429, 500, 503];

/// What a token server answers.
const TOKEN: &str = r#"{"access_token": "t-fake", "expires_in": 3600}"#;

/// The tool through which an object is asked for where nothing else serves.
const OBJECT_TOOL: &str = "json_tool_call";

const CHAT: &str = "/v1/chat/completions";

/// The gateway with every seat, and the provider that plays all of them.
struct Scene {
    upstream: Upstream,
    gateway: Gateway,
    client: Client,
    /// What the next requests get.
    next: Arc<Mutex<Option<Script>>>,
    /// What each call was to cost in nano-dollars, by its id.
    costs: HashMap<String, u64>,
    /// How many calls there were.
    calls: usize,
}

#[test]
fn every_row_is_asked_for_everything_as_its_file_says() {
    let seats = Seat::all();
    let mut scene = Scene::new(&seats);
    // Those first that the others are compared with.
    let (whole, rest): (Vec<_>, Vec<_>) = seats.iter().partition(|seat| seat.is_whole());
    for seat in whole.into_iter().chain(rest) {
        let mut asked = Map::new();
        for ask in ask::all().iter().filter(|ask| seat.is_asked_for(ask.operation)) {
            asked.insert(ask.name.to_owned(), scene.outcome(seat, ask));
        }
        if seat.is_asked_for("chat") {
            asked.insert("chat: failures".to_owned(), scene.failures(seat));
        }
        expect(seat, asked);
    }
    scene.expect_ledger();
}

#[test]
fn every_case_has_a_row_and_names_its_source() {
    for entry in
        fs::read_dir(folders()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir())
    {
        let id = entry.file_name().unwrap().to_str().unwrap();
        assert!(id == "compatible" || Catalogue::builtin().provider(id).is_some(), "{id} has no row");
        assert!(read(&entry.join("source")).lines().all(|line| line.starts_with("https://")), "{id}");
    }
}

#[test]
fn whatever_a_row_says_of_some_models_is_tried_with_one_of_them() {
    for row in Catalogue::builtin().providers() {
        let models = read(&folder(row).join("models"));
        let names: Vec<&str> = models.lines().filter_map(|line| line.split(' ').next()).collect();
        for some in &row.models {
            let fits = |name: &&str| {
                some.names.iter().any(|own| own == name)
                    || some.prefixes.iter().any(|own| name.starts_with(&**own))
            };
            assert!(names.iter().any(fits), "{}: none of {names:?} is one of {some:?}", row.id);
        }
    }
}

// === impl Scene ===

impl Scene {
    fn new(seats: &[Seat]) -> Self {
        let upstream = Upstream::start();
        let next: Arc<Mutex<Option<Script>>> = Arc::default();
        let played = next.clone();
        upstream.choose(move |seen| match seen.path.rsplit('/').next() {
            Some("a.png") => Some(raw("image/png", "a picture")),
            Some("oauth" | "token") => Some(raw("application/json", TOKEN)),
            _ => played.lock().unwrap().clone().map(|script| fitted(script, seen)),
        });
        let list: String = seats.iter().map(|seat| seat.deployments(&upstream)).collect();
        let file = format!(
            "router_settings: {{num_retries: 0, disable_cooldowns: true}}\n\
             litellm_settings: {{drop_params: true, user_url_allowed_hosts: ['{}']}}\nmodel_list:\n{list}",
            upstream.addr(),
        );
        let gateway = Gateway::start(&file);
        let client = Client::of(&gateway);
        Self { upstream, gateway, client, next, costs: HashMap::new(), calls: 0 }
    }

    /// What became of an ask: what was sent and what the client was told of its cost, or why nothing was sent.
    fn outcome(&mut self, seat: &Seat, ask: &Ask) -> Value {
        *self.next.lock().unwrap() = Some(seat.writes(Script::says(ask.said.clone())));
        let before = self.upstream.count();
        let group = if matches!(ask.reads, Reads::Whole(_)) && ask.operation != "embeddings" {
            seat.by_unit()
        } else {
            seat.name()
        };
        let answer = ask.ask(&self.client, &group, (false, &self.upstream.base()));
        self.calls += usize::from(ask.path != COUNT);
        let mut seen = self.asked_since(before);
        // Those of one call go out side by side.
        seen.sort_by(|a, b| a.body.cmp(&b.body));
        let Some(first) = seen.first() else {
            if answer.status == 200 && ask.path == COUNT {
                return json!({"counted": answer.header("x-gatewright-token-count")});
            }
            assert_eq!(answer.status, 400, "{} {}: {}", seat.name(), ask.name, answer.text());
            return json!({"refused": message(&answer)});
        };
        assert_eq!(answer.status, 200, "{} {}: {}", seat.name(), ask.name, answer.text());
        let dropped = answer.header("x-gatewright-dropped-params");
        let mut outcome = sent((seat, &self.upstream.base()), first, dropped);
        if seen.len() > 1 {
            outcome["requests"] = json!(seen.len());
        }
        self.understood(seat, ask, (&answer, first), false);
        if ask.streams {
            let before = self.upstream.count();
            let answer = ask.ask(&self.client, &group, (true, &self.upstream.base()));
            self.calls += 1;
            assert_eq!(answer.status, 200, "{} {} streamed: {}", seat.name(), ask.name, answer.text());
            let seen = self.asked_since(before).swap_remove(0);
            self.understood(seat, ask, (&answer, &seen), true);
            if ask.name == "chat: a text" {
                outcome["streamed"] = sent((seat, &self.upstream.base()), &seen, "");
            }
        } else {
            outcome["cost"] = json!(answer.header("x-litellm-response-cost"));
        }
        outcome
    }

    fn asked_since(&self, before: usize) -> Vec<Seen> {
        let mut seen = self.upstream.seen_from(before);
        seen.retain(asks);
        seen
    }

    /// Checks that the client reads what the provider said.
    fn understood(&mut self, seat: &Seat, ask: &Ask, (answer, seen): (&Response, &Seen), stream: bool) {
        let name = format!("{} {}{}", seat.name(), ask.name, if stream { " streamed" } else { "" });
        if let Reads::Whole(pointer) = ask.reads {
            let has =
                pointer.is_empty() || answer.json().pointer(pointer).is_some_and(|value| !value.is_null());
            return assert!(has, "{name}: {}", answer.text());
        }
        let got = ask.reads.read(answer, stream);
        assert!(got.faults.is_empty(), "{name}: {:?}\n{}", got.faults, answer.text());
        let playing = sayable(&ask.said, seen, seat.guise());
        said(&playing, &got, &name);
        if !seat.tells_usage(stream) {
            return;
        }
        let used = playing.used;
        let usage = got.usage.unwrap_or_else(|| panic!("{name}: no usage\n{}", answer.text()));
        let told = seat.tells(used);
        assert_eq!((usage.input, usage.output), (told.input, told.output), "{name}\n{}", answer.text());
        let cost = seat.cost(&used);
        if !stream {
            let told = answer.header("x-litellm-response-cost").parse::<f64>().unwrap();
            assert_eq!((told * 1e9).round() as u64, cost, "{name}: {told}");
        }
        self.costs.insert(answer.header("x-litellm-call-id").to_owned(), cost);
    }

    /// What a client is told of each failure of the provider's, and that a stream that fails says so.
    fn failures(&mut self, seat: &Seat) -> Value {
        let mut told = Map::new();
        for status in FAILURES {
            let script =
                Script { guise: seat.guise(), ..Script::fails(status, "the fake provider's own words") };
            *self.next.lock().unwrap() = Some(script);
            let answer = self.client.chat(&seat.name(), "hi");
            assert!(answer.text().contains("own words"), "{} {status}: {}", seat.name(), answer.text());
            let kind = answer.json()["error"]["type"].clone();
            told.insert(
                status.to_string(),
                json!(format!("{} {}", answer.status, kind.as_str().unwrap_or("null"))),
            );
        }
        let script = Script::says(Said::words(4)).stopping(3, Ends::Error("it broke".to_owned()));
        *self.next.lock().unwrap() = Some(seat.writes(script));
        let stream = self.client.post(CHAT, &chat(&seat.name(), "hi", json!({"stream": true})));
        assert!(stream.text().contains("it broke"), "{} in a stream: {}", seat.name(), stream.text());
        self.calls += FAILURES.len() + 1;
        Value::Object(told)
    }

    /// Checks that the ledger has an entry for every request, and the costs that were to be.
    fn expect_ledger(&self) {
        let entries = self
            .gateway
            .journal_when("all ended", |entries| entries.iter().all(|entry| entry.ending() != "running"));
        assert_eq!(entries.len(), self.calls, "each call was one attempt and has its entry");
        let booked: HashMap<&str, u64> = entries
            .iter()
            .map(|entry| (entry.call(), (entry.0["cost"].as_f64().unwrap() * 1e9).round() as u64))
            .collect();
        for (call, cost) in &self.costs {
            assert_eq!(booked.get(call.as_str()), Some(cost), "{call}");
        }
    }
}

fn raw(content_type: &str, body: &'static str) -> Script {
    let answer = Answer::Raw { content_type: content_type.to_owned(), body: body.into() };
    Script { answer, ..Script::default() }
}

/// Whether it asks for an answer, and not for a file, a token, or what else stands before or behind one.
fn asks(seen: &Seen) -> bool {
    seen.method == "POST" && !seen.path.ends_with("/oauth") && !seen.path.ends_with("/token")
}

/// What a model says that was asked this: one that was offered no tool calls none, one that only continues a text shows no
/// thoughts, and not every API tells what its cache gave.
fn sayable(said: &Said, seen: &Seen, guise: Option<Guise>) -> Said {
    let mut said = said.clone();
    if !holds(seen, r#""look""#) && !said.tools.is_empty() {
        said = Said { used: said.used, ..Said::words(3) };
    }
    let path = seen.path.split('?').next().unwrap_or_default();
    let texts = matches!(guise, Some(Guise::Tgi | Guise::Replicate | Guise::Fim));
    let continues = texts || (path.ends_with("/completions") && !path.ends_with("/chat/completions"));
    if continues {
        said.reasoning.clear();
    }
    if guise == Some(Guise::GigaChat) {
        said.tools.truncate(1);
    }
    if continues || seen.path.ends_with("/api/chat") || seen.path.ends_with("/v2/chat") {
        said.used.cached = 0;
    }
    said
}

/// The script as a provider plays it: an object that is asked for by a tool is the tool's arguments.
fn fitted(mut script: Script, seen: &Seen) -> Script {
    if let Answer::Said(said) = &mut script.answer {
        *said = sayable(said, seen, script.guise);
        if holds(seen, OBJECT_TOOL) {
            let pieces = std::mem::take(&mut said.text);
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            *said = std::mem::take(said).tool("call_1", OBJECT_TOOL, &pieces);
        }
    }
    script
}

fn holds(seen: &Seen, text: &str) -> bool {
    seen.body.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Checks that a client got what was said.
fn said(said: &Said, got: &Got, name: &str) {
    assert_eq!(got.text, said.text.concat(), "{name}");
    assert_eq!(got.tools.len(), said.tools.len(), "{name}");
    for (got, said) in got.tools.iter().zip(&said.tools) {
        let arguments: Value = serde_json::from_str(&got.arguments).unwrap();
        assert_eq!((&got.name, arguments), (&said.name, said.input()), "{name}");
    }
    assert_eq!(got.reasoning, said.reasoning.concat(), "{name}");
}

/// The words of a refusal.
fn message(answer: &Response) -> String {
    let told = answer.json();
    let words = told["error"]["message"].as_str().or(told["message"].as_str());
    words.unwrap_or_else(|| panic!("no words: {told}")).to_owned()
}
