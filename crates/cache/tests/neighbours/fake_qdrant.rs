//! A Qdrant of one test's own, as its REST reference describes it: collections, points, filters, exact scores.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// How it behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// As it should.
    #[default]
    Well,
    /// It answers with the nearest point of all, whatever it was asked for.
    HeedsNoFilter,
    /// It never answers.
    Hangs,
    /// It answers this status to everything.
    Refuses(u16),
}

/// A running fake.
#[derive(Clone)]
pub(crate) struct FakeQdrant {
    pub(crate) base: String,
    state: Arc<Mutex<State>>,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) api_key: Option<String>,
    pub(crate) body: Value,
}

#[derive(Default)]
struct State {
    mood: Mood,
    seen: Vec<Seen>,
    collections: BTreeMap<String, Collection>,
}

struct Collection {
    size: usize,
    points: BTreeMap<String, (Vec<f64>, Map<String, Value>)>,
}

// === impl FakeQdrant ===

impl FakeQdrant {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let fake = Self { base, state: state.clone() };
        tokio::task::spawn_local(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(serve(stream, state.clone()));
            }
        });
        fake
    }

    pub(crate) fn is(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// How many points it has.
    pub(crate) fn points(&self) -> usize {
        self.state.lock().unwrap().collections.values().map(|collection| collection.points.len()).sum()
    }

    /// Puts a point that another program keeps.
    pub(crate) fn put(&self, collection: &str, id: &str, vector: &[f64], payload: Value) {
        let mut state = self.state.lock().unwrap();
        let payload = payload.as_object().unwrap().clone();
        let collection = state.collections.get_mut(collection).unwrap();
        collection.points.insert(id.to_owned(), (vector.to_vec(), payload));
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = read(&mut stream).await {
        let (mood, answer) = {
            let mut state = state.lock().unwrap();
            state.seen.push(seen.clone());
            (state.mood, state.answer(&seen))
        };
        let (status, body) = match mood {
            Mood::Hangs => std::future::pending().await,
            Mood::Refuses(status) => (status, json!({"status": {"error": "no"}, "time": 0.1})),
            Mood::Well | Mood::HeedsNoFilter => answer,
        };
        let body = body.to_string();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Seen> {
    let (mut line, mut length, mut api_key) = (String::new(), 0, None);
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "api-key" => api_key = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some(Seen { line: line.trim_end().trim_end_matches(" HTTP/1.1").to_owned(), api_key, body })
}

fn ok(result: Value) -> (u16, Value) {
    (200, json!({"result": result, "status": "ok", "time": 0.001}))
}

fn bad(status: u16, words: &str) -> (u16, Value) {
    (status, json!({"status": {"error": words}, "time": 0.001}))
}

// === impl State ===

impl State {
    fn answer(&mut self, seen: &Seen) -> (u16, Value) {
        let (method, path) = seen.line.split_once(' ').unwrap();
        let (path, _query) = path.split_once('?').unwrap_or((path, ""));
        let mut parts = path.trim_start_matches('/').splitn(3, '/');
        assert_eq!(parts.next(), Some("collections"));
        let (name, rest) = (parts.next().unwrap().to_owned(), parts.next().unwrap_or(""));
        let heeds = self.mood != Mood::HeedsNoFilter;
        let collection = self.collections.get_mut(&name);
        match (method, rest, collection) {
            ("GET", "exists", found) => ok(json!({"exists": found.is_some()})),
            ("PUT", "", Some(_)) => bad(409, "Wrong input: Collection already exists!"),
            ("PUT", "", None) => {
                assert_eq!(seen.body["vectors"]["distance"], "Cosine");
                let size = usize::try_from(seen.body["vectors"]["size"].as_u64().unwrap()).unwrap();
                self.collections.insert(name, Collection { size, points: BTreeMap::new() });
                ok(json!(true))
            }
            (_, _, None) => bad(404, "Not found: Collection doesn't exist!"),
            ("PUT", "index", Some(_)) => ok(json!({"operation_id": 0, "status": "completed"})),
            ("PUT", "points", Some(collection)) => collection.put(&seen.body),
            ("POST", "points/query", Some(collection)) => collection.query(&seen.body, heeds),
            ("POST", "points/delete", Some(collection)) => collection.delete(&seen.body),
            other => panic!("{other:?}", other = (other.0, other.1)),
        }
    }
}

// === impl Collection ===

impl Collection {
    fn put(&mut self, asked: &Value) -> (u16, Value) {
        for point in asked["points"].as_array().unwrap() {
            let vector = numbers(&point["vector"]);
            if vector.len() != self.size {
                return bad(400, "Wrong input: Vector dimension error");
            }
            let id = point["id"].as_str().unwrap();
            assert!(is_uuid(id), "{id}");
            let payload = point["payload"].as_object().unwrap().clone();
            self.points.insert(id.to_owned(), (vector, payload));
        }
        ok(json!({"operation_id": 1, "status": "completed"}))
    }

    fn query(&self, asked: &Value, heeds: bool) -> (u16, Value) {
        let vector = numbers(&asked["query"]);
        if vector.len() != self.size {
            return bad(400, "Wrong input: Vector dimension error");
        }
        let least = asked["score_threshold"].as_f64().unwrap();
        let mut scored: Vec<_> = self
            .points
            .iter()
            .filter(|(_, (_, payload))| !heeds || passes(payload, &asked["filter"]))
            .map(|(id, (own, payload))| (cosine(&vector, own), id, payload))
            .filter(|(score, ..)| !heeds || *score >= least)
            .collect();
        scored.sort_by(|one, other| other.0.total_cmp(&one.0));
        let limit = usize::try_from(asked["limit"].as_u64().unwrap()).unwrap();
        assert_eq!(asked["with_payload"], true);
        let point = |(score, id, payload): &(f64, &String, &Map<String, Value>)| json!({"id": id, "version": 3, "score": score, "payload": payload});
        ok(json!({"points": scored.iter().take(limit).map(point).collect::<Vec<_>>()}))
    }

    fn delete(&mut self, asked: &Value) -> (u16, Value) {
        match asked["points"].as_array() {
            Some(ids) => self.points.retain(|id, _| !ids.iter().any(|gone| gone == id)),
            None => self.points.retain(|_, (_, payload)| !passes(payload, &asked["filter"])),
        }
        ok(json!({"operation_id": 2, "status": "completed"}))
    }
}

fn passes(payload: &Map<String, Value>, filter: &Value) -> bool {
    filter["must"].as_array().unwrap().iter().all(|condition| {
        let Some(own) = payload.get(condition["key"].as_str().unwrap()) else { return false };
        match condition.get("match") {
            Some(same) => same["value"] == *own,
            None => condition["range"].as_object().unwrap().iter().all(|(how, than)| {
                let (own, than) = (own.as_f64().unwrap(), than.as_f64().unwrap());
                match how.as_str() {
                    "gt" => own > than,
                    "gte" => own >= than,
                    "lte" => own <= than,
                    other => panic!("{other}"),
                }
            }),
        }
    })
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

pub(crate) fn cosine(one: &[f64], other: &[f64]) -> f64 {
    let product = |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(x, y)| x * y).sum::<f64>();
    product(one, other) / (product(one, one).sqrt() * product(other, other).sqrt())
}

fn is_uuid(id: &str) -> bool {
    let lengths: Vec<_> = id.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && id.chars().all(|letter| letter == '-' || letter.is_ascii_hexdigit())
}
