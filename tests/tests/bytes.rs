//! Whatever stands in what clients and providers send: it leaves a row of its own, and those of everybody else exact.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gatewright_tests::books::Database;
use gatewright_tests::client::{Client, chat};
use gatewright_tests::gateway::{Gateway, Setup, deployment, poll};
use gatewright_tests::postgres::Postgres;
use gatewright_tests::upstream::{Answer, Said, Script, Seen, Upstream, Used};
use serde_json::{Value, json};

/// Calls with anything in them; each has a neighbour that is like all others.
const CALLS: usize = 240;

/// Pieces of JSON strings that somebody has trouble with.
const PIECES: [&str; 24] = [
    r"\u0000",
    r"\ud800",
    r"\udfff\ud800",
    r"\u0001\u001f\u007f",
    r#"\""#,
    r"\\",
    "'",
    "%s%n",
    "$1",
    "?",
    "; DROP TABLE entries; --",
    "<b>",
    r"\u202e",
    "😀",
    "ÅÅ",
    r"\r\n",
    r"\t",
    "{}",
    "[",
    "NULL",
    "..",
    "a",
    ":",
    "\u{fffd}",
];

/// Numbers that somebody has trouble with.
const NUMBERS: [&str; 9] =
    ["1e308", "-1", "18446744073709551616", "9223372036854775807", "0.5", "null", "\"7\"", "1e-320", "[]"];

/// A small generator, so that a run can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    /// The inside of a JSON string.
    fn text(&mut self) -> String {
        let pieces = match self.below(8) {
            0 => 2_000,
            1 => 1,
            _ => 1 + self.below(12),
        };
        let text: String = (0..pieces).map(|_| PIECES[self.below(PIECES.len())]).collect();
        if self.below(12) == 0 { format!("{text}{}", "x".repeat(64 << 10)) } else { text }
    }

    fn number(&mut self) -> &'static str {
        NUMBERS[self.below(NUMBERS.len())]
    }
}

/// A request with anything where a client may put anything; the bytes need be neither text nor JSON.
fn request(random: &mut Random) -> Vec<u8> {
    let model = if random.below(3) == 0 { random.text() } else { "fine".to_owned() };
    let tags: Vec<String> = (0..random.below(20)).map(|_| format!("\"{}\"", random.text())).collect();
    let stream = random.below(2) == 0;
    let mut body = format!(
        r#"{{"model":"openai/{model}","stream":{stream},"user":"{}","messages":[{{"role":"user","content":"{}"}}],"#,
        random.text(),
        random.text()
    );
    let fields = [
        format!(r#""metadata":{{"tags":[{}],"trace_id":"{}"}}"#, tags.join(","), random.text()),
        format!(r#""max_tokens":{}"#, random.number()),
        format!(r#""litellm_session_id":"{}""#, random.text()),
        format!(r#""n":{}"#, random.number()),
    ];
    let some: Vec<&str> = fields.iter().filter(|_| random.below(2) == 0).map(String::as_str).collect();
    body.push_str(&some.join(","));
    let mut bytes = format!("{}}}", body.trim_end_matches(',')).into_bytes();
    if random.below(10) == 0 {
        let at = random.below(bytes.len());
        bytes.insert(at, 0xff);
    }
    bytes
}

/// What the provider says: an ordinary answer for ordinary models, else anything.
fn script(seen: &Seen) -> Option<Script> {
    let mut random =
        Random(0x9e37_79b9_7f4a_7c15 ^ (seen.number as u64 + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
    if seen.json()["model"] == "neighbour" {
        let used = Used { input: 20, output: 5, ..Used::default() };
        return Some(Script::says(Said { used, ..Said::words(3) }));
    }
    if seen.json()["stream"] == true || random.below(2) == 0 {
        return Some(Script::says(Said::words(3)));
    }
    let id = if random.below(2) == 0 { "the same".to_owned() } else { random.text() };
    let body = format!(
        r#"{{"id":"{id}","object":"chat.completion","model":"{}","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},"cost":{}}}}}"#,
        random.text(),
        random.text(),
        random.number(),
        random.number(),
        random.number(),
        random.number(),
    );
    let answer = Answer::Raw { content_type: "application/json".to_owned(), body: Bytes::from(body) };
    Some(Script { answer, ..Script::default() })
}

fn start(database: &Database, upstream: &Upstream) -> Gateway {
    upstream.choose(script);
    let prices = "input_cost_per_token: 0.000001, output_cost_per_token: 0.00001";
    let list = deployment("\"openai/*\"", "\"openai/*\"", upstream, prices);
    let router = "router_settings: {num_retries: 0, disable_cooldowns: true}";
    Setup::new(format!("{router}\nmodel_list:\n{list}{}", database.settings(""))).start()
}

#[test]
fn anything_leaves_a_row_of_its_own_and_everybody_elses_exact() {
    check(&Database::Sqlite);
}

#[test]
fn with_postgresql_too() {
    check(&Database::Postgres(Postgres::start()));
}

fn check(database: &Database) {
    let upstream = Upstream::start();
    let mut gateway = start(database, &upstream);
    let (client, next, served) = (Client::of(&gateway), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < CALLS) {
                    let mut random = Random(77 + number as u64 * 7_919);
                    let answer = client.post_bytes("/v1/chat/completions", &request(&mut random));
                    served.fetch_add(usize::from(answer.status == 200), Ordering::Relaxed);
                    assert!(
                        answer.status < 500 || answer.status == 502,
                        "{}: {}",
                        answer.status,
                        answer.text()
                    );
                    let neighbour = client.clone().header("x-litellm-customer-id", "neighbour");
                    assert_eq!(neighbour.chat("openai/neighbour", "hi").status, 200);
                }
            });
        }
    });
    upstream.wait_until_idle();
    let ready = || client.get("/health/readiness").json()["ledger"].clone();
    let shipped =
        || (ready()["backlog"] == 0 && gateway.journal().len() == upstream.seen().len()).then_some(());
    assert!(poll(Duration::from_secs(30), shipped).is_some(), "{} {}", ready(), gateway.log());
    assert_eq!(ready()["set_aside"], 0, "{}", gateway.log());
    gateway.terminate();
    assert!(gateway.wait_for_exit().success());
    let books = database.books(&gateway);
    books.check();
    let mut attempts: Vec<&str> = books.entries.iter().map(|entry| &*entry.attempt).collect();
    attempts.dedup();
    assert_eq!(attempts.len(), upstream.seen().len(), "every request upstream has its row");
    let neighbours: Vec<_> = books.entries.iter().filter(|entry| entry.model() == "neighbour").collect();
    assert_eq!(neighbours.len(), CALLS);
    for entry in neighbours {
        assert!(entry.exact && (entry.input, entry.output, entry.cost) == (20, 5, 70_000), "{entry:?}");
    }
    let neighbour = books.balances[&("end_user".to_owned(), "neighbour".to_owned())];
    assert_eq!(neighbour, CALLS as i64 * 70_000);
    let served = served.into_inner();
    println!("{served} of {CALLS} calls with anything in them were served");
    assert!(served > CALLS / 4, "too little was served to prove anything: {served}");
}

#[test]
fn a_body_that_is_no_text_is_refused_in_the_clients_dialect() {
    let upstream = Upstream::start();
    let gateway = start(&Database::Sqlite, &upstream);
    let client = Client::of(&gateway);
    let body = chat("openai/m", "hi", json!({"max_tokens": 5})).to_string();
    let broken: Vec<u8> = body.bytes().map(|byte| if byte == b'h' { 0xff } else { byte }).collect();
    let told: BTreeMap<&str, Value> = ["/v1/chat/completions", "/v1/messages"]
        .into_iter()
        .map(|path| {
            let answer = client.post_bytes(path, &broken);
            assert_eq!(answer.status, 400, "{path}: {}", answer.text());
            (path, answer.json())
        })
        .collect();
    let words = "the request's body is not UTF-8";
    assert_eq!(told["/v1/chat/completions"]["error"]["message"], words);
    assert_eq!(
        (&told["/v1/messages"]["type"], &told["/v1/messages"]["error"]["message"]),
        (&"error".into(), &words.into())
    );
    assert!(upstream.seen().is_empty());
}
