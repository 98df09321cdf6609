//! Clients that ask for everything at once: streams and whole answers, in both dialects, some of them to leave early, some
//! to be failed.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use gatewright_tests::books::Database;
use gatewright_tests::client::{Client, Live, Response, chat, message};
use gatewright_tests::gateway::{Gateway, MASTER_KEY, Setup, deployment};
use gatewright_tests::upstream::{Ends, Pause, Said, Script, Seen, Upstream, Used};
use serde_json::{Value, json};

/// The most tokens that a call asks for.
const CAP: u64 = 64;

/// Nano-dollars a token of input.
pub const INPUT_PRICE: i64 = 1_000;

/// Nano-dollars a token of output.
pub const OUTPUT_PRICE: i64 = 10_000;

/// What all clients share. Each call asks for a model of its own, so that its attempt is known by name everywhere.
#[derive(Default)]
pub struct Load {
    /// The number of the next call.
    pub next: AtomicU64,
    stop: AtomicBool,
    /// Calls whose clients saw the end of a good answer.
    pub whole: Mutex<Vec<u64>>,
    /// Calls that were accepted, and then neither answered whole nor refused, by no fault of the provider's.
    pub cut: Mutex<Vec<(u64, String)>>,
}

/// What becomes of a call; its number decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Whole,
    LeftBeforeTheHead,
    LeftInTheMiddle,
    Refused,
    Cut,
}

/// Tells all clients that their call is the last.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A small generator, so that a run can be repeated.
pub struct Random(pub u64);

/// An upstream that serves any load, and a gateway with keys before it; `more` is for its `general_settings`.
pub fn world(database: &Database, more: &str) -> (Upstream, Gateway, Vec<Client>) {
    world_with(database, more, |setup| setup)
}

/// The same with a gateway that is set up in another way.
pub fn world_with(
    database: &Database,
    more: &str,
    set_up: impl FnOnce(Setup) -> Setup,
) -> (Upstream, Gateway, Vec<Client>) {
    let upstream = upstream();
    let gateway = set_up(Setup::new(config(&upstream, database, more))).start();
    let clients = keys(&Client::of(&gateway));
    (upstream, gateway, clients)
}

/// An upstream that serves any load.
pub fn upstream() -> Upstream {
    let upstream = Upstream::start();
    upstream.choose(|seen| Some(script(seen)));
    upstream
}

/// The configuration of a gateway before it.
pub fn config(upstream: &Upstream, database: &Database, more: &str) -> String {
    let prices = "input_cost_per_token: 0.000001, output_cost_per_token: 0.00001";
    let models = ["openai/*", "anthropic/*"]
        .map(|model| deployment(&format!("\"{model}\""), &format!("\"{model}\""), upstream, prices));
    format!(
        "router_settings: {{num_retries: 0, disable_cooldowns: true}}\nmodel_list:\n{}{}",
        models.concat(),
        database.settings(more)
    )
}

/// A key of everything that a key can belong to, one that belongs to nobody, and the master key.
pub fn keys(admin: &Client) -> Vec<Client> {
    let made = |path: &str, body: Value| -> Value {
        let told = admin.post(path, &body);
        assert_eq!(told.status, 200, "{path}: {}", told.text());
        told.json()
    };
    made("/organization/new", json!({"organization_id": "org", "organization_alias": "org"}));
    made("/user/new", json!({"user_id": "ann", "auto_create_key": false}));
    let team = json!({"team_id": "red", "team_alias": "red", "organization_id": "org",
        "members_with_roles": [{"user_id": "ann", "role": "user"}]});
    made("/team/new", team);
    made("/project/new", json!({"project_id": "moon", "project_alias": "moon", "team_id": "red"}));
    let wishes = [
        json!({"user_id": "ann", "team_id": "red", "project_id": "moon", "organization_id": "org",
            "max_budget": 1000.0, "budget_duration": "30d", "metadata": {"tags": ["a", "b"]}}),
        json!({"max_parallel_requests": 100}),
    ];
    let keys = wishes.map(|wish| made("/key/generate", wish)["key"].as_str().unwrap().to_owned());
    let with = |key: &str| {
        Client::new(admin.addr())
            .header("authorization", &format!("Bearer {key}"))
            .header("x-litellm-end-user-id", "customer-1")
    };
    keys.iter().map(String::as_str).chain([MASTER_KEY]).map(with).collect()
}

// === impl Load ===

impl Load {
    /// One whose calls are numbered from here on.
    pub fn starting_at(next: u64) -> Self {
        Self { next: next.into(), ..Self::default() }
    }

    /// Lets so many clients ask while something happens.
    pub fn during(&self, clients: &[Client], count: usize, happens: impl FnOnce()) {
        std::thread::scope(|scope| {
            // Also where what happens is that the test fails.
            let _stop = Stop(&self.stop);
            for client in clients.iter().cycle().take(count) {
                scope.spawn(move || self.ask(client));
            }
            happens();
        });
    }

    /// Asks until told to stop.
    fn ask(&self, client: &Client) {
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if self.call(client, number).is_none() {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// One call that nothing happens to, whoever takes it and whatever it is answered.
    pub fn once(&self, client: &Client) -> Response {
        let number = loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if fate(number) == Fate::Whole {
                break number;
            }
        };
        let (path, body) = request(number);
        let response = client.post(path, &body);
        self.note(number, &response);
        response
    }

    /// One call; `None` where nobody was there to take it.
    fn call(&self, client: &Client, number: u64) -> Option<()> {
        let (path, body) = request(number);
        let body = body.to_string();
        let mut random = Random::of(number);
        // From here on the gateway has accepted it.
        let socket = client.connect().ok()?;
        if fate(number) == Fate::LeftBeforeTheHead {
            let sent = client.send_over(socket, "POST", path, body.as_bytes());
            std::thread::sleep(Duration::from_millis(random.below(10)));
            drop(sent);
            return Some(());
        }
        let mut live = match client.send_over(socket, "POST", path, body.as_bytes()).and_then(Live::read) {
            Ok(live) => live,
            Err(err) => {
                self.cut.lock().unwrap().push((number, err.to_string()));
                return Some(());
            }
        };
        if fate(number) == Fate::LeftInTheMiddle {
            let _ = live.piece();
            return Some(());
        }
        let response = live.finish();
        if !response.whole && fate(number) == Fate::Whole {
            self.cut.lock().unwrap().push((number, response.text()));
        }
        self.note(number, &response);
        Some(())
    }

    fn note(&self, number: u64, response: &Response) {
        if is_good(response, is_stream(number)) {
            self.whole.lock().unwrap().push(number);
        }
    }
}

/// What is asked, and where.
fn request(number: u64) -> (&'static str, Value) {
    let provider = if (number / 2).is_multiple_of(2) { "openai" } else { "anthropic" };
    let model = format!("{provider}/call-{number}");
    let more = json!({"stream": is_stream(number), "max_tokens": CAP});
    match number / 4 % 2 {
        0 => ("/v1/chat/completions", chat(&model, "tell me something", more)),
        _ => ("/v1/messages", message(&model, "tell me something", more)),
    }
}

fn is_stream(number: u64) -> bool {
    number.is_multiple_of(2)
}

/// Whether a client would take it for a whole answer.
fn is_good(response: &Response, stream: bool) -> bool {
    let text = response.text();
    let ended = !stream || text.contains("[DONE]") || text.contains("message_stop");
    response.whole && response.status == 200 && ended && !text.contains("\"error\"")
}

fn fate(number: u64) -> Fate {
    match number / 8 % 8 {
        5 => Fate::LeftBeforeTheHead,
        6 => Fate::LeftInTheMiddle,
        7 if number.is_multiple_of(3) => Fate::Cut,
        7 => Fate::Refused,
        _ => Fate::Whole,
    }
}

fn script(seen: &Seen) -> Script {
    let number = number(seen);
    let mut random = Random::of(number);
    let said = Said::words(1 + random.below(6) as usize);
    let used = Used { input: 10 + random.below(10), output: 1 + random.below(CAP), ..Used::default() };
    let script = Script {
        before_head: Pause::millis(random.below(12)),
        between: Pause::millis(random.below(6)),
        ..Script::says(Said { used, ..said })
    };
    match fate(number) {
        Fate::Refused => Script::fails(500, "broken"),
        Fate::Cut => script.stopping(1, Ends::Cut),
        Fate::Whole | Fate::LeftBeforeTheHead | Fate::LeftInTheMiddle => script,
    }
}

/// The number of the call, which its model's name carries.
pub fn number(seen: &Seen) -> u64 {
    let body = seen.json();
    let model = body["model"].as_str().unwrap();
    model.trim_start_matches("call-").parse().unwrap()
}

// === impl Random ===

impl Random {
    fn of(number: u64) -> Self {
        Self(0x9e37_79b9 ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    /// Less than `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
