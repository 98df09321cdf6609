//! A Redis of one test's own with a search module, as its command reference describes it, over either protocol; and a sentinel.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gatewright_core::Clock;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::fake_qdrant::{Mood, cosine};

/// A running fake.
#[derive(Clone)]
pub(crate) struct FakeRedis {
    pub(crate) url: String,
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    mood: Mood,
    clock: Arc<dyn Clock>,
    seen: Vec<Command>,
    indexes: BTreeMap<String, Index>,
    hashes: BTreeMap<Vec<u8>, Hash>,
    /// The port that it names as the master's, where it is a sentinel.
    master: Option<u16>,
    /// Whether it is the copy of another one, and takes nothing.
    is_copy: bool,
}

struct Index {
    prefix: Vec<u8>,
    dimensions: usize,
}

#[derive(Default)]
struct Hash {
    fields: HashMap<String, Vec<u8>>,
    until: Option<Instant>,
}

pub(crate) type Command = Vec<Vec<u8>>;

/// What is answered, before it is written in one of the protocols.
enum Told {
    Status(&'static str),
    Error(&'static str),
    Count(usize),
    Bytes(Vec<u8>),
    List(Vec<Told>),
    Nothing,
    /// What a search found: a name and its fields.
    Found(Option<Named>),
}

/// A hash with its name.
type Named = (Vec<u8>, Vec<(String, Vec<u8>)>);

// === impl FakeRedis ===

impl FakeRedis {
    pub(crate) async fn start(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("redis://127.0.0.1:{port}/");
        let (seen, indexes, hashes, master) = Default::default();
        let state = State { mood: Mood::Well, clock, seen, indexes, hashes, master, is_copy: false };
        let state = Arc::new(Mutex::new(state));
        let fake = Self { url, port, state: state.clone() };
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

    /// As a sentinel, names this one as the master of `mymaster`.
    pub(crate) fn names(&self, master: &Self) {
        self.state.lock().unwrap().master = Some(master.port);
    }

    /// Becomes the copy of another one.
    pub(crate) fn steps_down(&self) {
        self.state.lock().unwrap().is_copy = true;
    }

    /// The commands of this name so far.
    pub(crate) fn seen(&self, name: &str) -> Vec<Command> {
        let state = self.state.lock().unwrap();
        state.seen.iter().filter(|command| word(command, 0) == name).cloned().collect()
    }

    pub(crate) fn hashes(&self) -> usize {
        self.state.lock().unwrap().hashes.len()
    }

    /// Loses everything, as a server that is started anew does.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock().unwrap();
        state.indexes.clear();
        state.hashes.clear();
    }

    /// Puts a hash of another program.
    pub(crate) fn put(&self, name: &str) {
        self.state.lock().unwrap().hashes.insert(name.into(), Hash::default());
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    let (mut third, mut queue) = (false, None::<Vec<Command>>);
    while let Some(command) = read(&mut stream).await {
        let name = word(&command, 0);
        third |= name == "HELLO";
        let told = {
            let mut state = state.lock().unwrap();
            state.seen.push(command.clone());
            match name.as_str() {
                "MULTI" => {
                    queue = Some(Vec::new());
                    Told::Status("OK")
                }
                "HSET" if state.is_copy => {
                    Told::Error("READONLY You can't write against a read only replica.")
                }
                "EXEC" => {
                    let queue = queue.take().unwrap();
                    match state.is_copy {
                        true => Told::Error("EXECABORT Transaction discarded because of previous errors."),
                        false => Told::List(queue.iter().map(|command| state.run(command)).collect()),
                    }
                }
                _ if queue.is_some() => {
                    queue.as_mut().unwrap().push(command);
                    Told::Status("QUEUED")
                }
                _ => state.run(&command),
            }
        };
        let mood = state.lock().unwrap().mood;
        if mood == Mood::Hangs && name.starts_with("FT.") {
            std::future::pending::<()>().await;
        }
        let mut out = Vec::new();
        write(&told, third, &mut out);
        if stream.write_all(&out).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Command> {
    let mut command = Vec::new();
    for _ in 0..line(stream, '*').await? {
        let mut bytes = vec![0; line(stream, '$').await? + 2];
        stream.read_exact(&mut bytes).await.ok()?;
        bytes.truncate(bytes.len() - 2);
        command.push(bytes);
    }
    Some(command)
}

async fn line(stream: &mut BufReader<TcpStream>, sign: char) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    line.trim_end().strip_prefix(sign)?.parse().ok()
}

fn write(told: &Told, third: bool, out: &mut Vec<u8>) {
    match told {
        Told::Status(text) => out.extend_from_slice(format!("+{text}\r\n").as_bytes()),
        Told::Error(text) => out.extend_from_slice(format!("-{text}\r\n").as_bytes()),
        Told::Count(count) => out.extend_from_slice(format!(":{count}\r\n").as_bytes()),
        Told::Bytes(bytes) => bulk(bytes, out),
        Told::Nothing if third => out.extend_from_slice(b"_\r\n"),
        Told::Nothing => out.extend_from_slice(b"$-1\r\n"),
        Told::List(items) => {
            out.extend_from_slice(format!("*{}\r\n", items.len()).as_bytes());
            items.iter().for_each(|item| write(item, third, out));
        }
        Told::Found(found) if third => third_form(found.as_ref(), out),
        Told::Found(None) => out.extend_from_slice(b"*1\r\n:0\r\n"),
        Told::Found(Some((name, fields))) => {
            out.extend_from_slice(b"*3\r\n:1\r\n");
            bulk(name, out);
            out.extend_from_slice(format!("*{}\r\n", fields.len() * 2).as_bytes());
            fields.iter().for_each(|(key, value)| {
                bulk(key.as_bytes(), out);
                bulk(value, out);
            });
        }
    }
}

/// In the third version of the protocol what a search found is a map.
fn third_form(found: Option<&Named>, out: &mut Vec<u8>) {
    let count = usize::from(found.is_some());
    out.extend_from_slice(format!("%3\r\n+attributes\r\n*0\r\n+total_results\r\n:{count}\r\n").as_bytes());
    out.extend_from_slice(format!("+results\r\n*{count}\r\n").as_bytes());
    if let Some((name, fields)) = found {
        out.extend_from_slice(b"%2\r\n+id\r\n");
        bulk(name, out);
        out.extend_from_slice(format!("+extra_attributes\r\n%{}\r\n", fields.len()).as_bytes());
        fields.iter().for_each(|(key, value)| {
            bulk(key.as_bytes(), out);
            bulk(value, out);
        });
    }
}

fn bulk(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

pub(crate) fn word(command: &[Vec<u8>], at: usize) -> String {
    command.get(at).map(|word| String::from_utf8_lossy(word).into_owned()).unwrap_or_default()
}

// === impl State ===

impl State {
    fn run(&mut self, command: &[Vec<u8>]) -> Told {
        let now = self.clock.now();
        self.hashes.retain(|_, hash| hash.until.is_none_or(|until| until > now));
        let name = word(command, 0);
        match name.as_str() {
            "HELLO" => Told::List(Vec::new()),
            "CLIENT" | "SELECT" => Told::Status("OK"),
            "GET" => Told::Nothing,
            "ROLE" if self.master.is_some() => {
                Told::List(vec![Told::Bytes(b"sentinel".to_vec()), Told::List(Vec::new())])
            }
            "ROLE" => {
                Told::List(vec![Told::Bytes(b"master".to_vec()), Told::Count(0), Told::List(Vec::new())])
            }
            "SENTINEL" => {
                let port = self.master.unwrap().to_string();
                let facts = ["name", "mymaster", "ip", "127.0.0.1", "port", &port, "flags", "master"];
                let facts = facts.map(|fact| Told::Bytes(fact.into()));
                Told::List(vec![Told::List(facts.into())])
            }
            "FT.CREATE" | "FT.SEARCH" if matches!(self.mood, Mood::Refuses(_)) => {
                Told::Error("ERR unknown command")
            }
            "FT.CREATE" => self.create(command),
            "FT.SEARCH" => self.search(command),
            "HSET" => {
                let hash = self.hashes.entry(command[1].clone()).or_default();
                for pair in command[2..].chunks(2) {
                    hash.fields.insert(String::from_utf8(pair[0].clone()).unwrap(), pair[1].clone());
                }
                Told::Count(command.len() / 2 - 1)
            }
            "PEXPIRE" => {
                let lifetime = Duration::from_millis(word(command, 2).parse().unwrap());
                self.hashes.get_mut(&command[1]).unwrap().until = Some(now + lifetime);
                Told::Count(1)
            }
            "UNLINK" => {
                let gone = command[1..].iter().filter(|name| self.hashes.remove(*name).is_some()).count();
                Told::Count(gone)
            }
            "SCAN" => {
                let prefix = word(command, 3).trim_end_matches('*').as_bytes().to_vec();
                let names = self.hashes.keys().filter(|name| name.starts_with(&prefix));
                let names = names.map(|name| Told::Bytes(name.clone())).collect();
                Told::List(vec![Told::Bytes(b"0".to_vec()), Told::List(names)])
            }
            other => panic!("{other}"),
        }
    }

    fn create(&mut self, command: &[Vec<u8>]) -> Told {
        let words: Vec<_> = (0..command.len()).map(|at| word(command, at)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let [_, index, "ON", "HASH", "PREFIX", "1", prefix, "SCHEMA", schema @ ..] = &words[..] else {
            panic!("{words:?}")
        };
        let [
            "class",
            "TAG",
            "vector",
            "VECTOR",
            "FLAT",
            "6",
            "TYPE",
            "FLOAT32",
            "DIM",
            dimensions,
            "DISTANCE_METRIC",
            "COSINE",
        ] = schema
        else {
            panic!("{words:?}")
        };
        if self.indexes.contains_key(*index) {
            return Told::Error("Index already exists");
        }
        let index_of = Index { prefix: prefix.as_bytes().to_vec(), dimensions: dimensions.parse().unwrap() };
        self.indexes.insert((*index).to_owned(), index_of);
        Told::Status("OK")
    }

    fn search(&self, command: &[Vec<u8>]) -> Told {
        let Some(index) = self.indexes.get(&word(command, 1)) else {
            return Told::Error("Unknown index name");
        };
        let query = word(command, 2);
        let class = query.strip_prefix("(@class:{").unwrap();
        let (class, rest) = class.split_once("})=>").unwrap();
        assert_eq!(rest, "[KNN 1 @vector $vector AS distance]");
        assert_eq!([3, 4, 5].map(|at| word(command, at)), ["PARAMS", "2", "vector"]);
        let tail: Vec<_> = (7..command.len()).map(|at| word(command, at)).collect();
        let want = ["RETURN", "4", "distance", "class", "key", "entry", "LIMIT", "0", "1", "DIALECT", "2"];
        assert_eq!(tail, want);
        let vector = floats(&command[6]);
        if vector.len() != index.dimensions {
            return Told::Error(
                "Error parsing vector similarity query: query vector blob size does not match",
            );
        }
        let heeds = self.mood != Mood::HeedsNoFilter;
        let indexed = self.hashes.iter().filter(|(name, _)| name.starts_with(&index.prefix));
        let same = indexed.filter(|(_, hash)| !heeds || hash.fields["class"] == class.as_bytes());
        let fitting = same.filter(|(_, hash)| floats(&hash.fields["vector"]).len() == index.dimensions);
        let far =
            fitting.map(|(name, hash)| (1.0 - cosine(&vector, &floats(&hash.fields["vector"])), name, hash));
        let nearest = far.min_by(|one, other| one.0.total_cmp(&other.0));
        Told::Found(nearest.map(|(distance, name, hash)| {
            let mut fields = vec![("distance".to_owned(), distance.to_string().into_bytes())];
            fields.extend(["class", "key", "entry"].map(|key| (key.to_owned(), hash.fields[key].clone())));
            (name.clone(), fields)
        }))
    }
}

fn floats(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks(4).map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap()))).collect()
}
