//! A target on this machine that keeps every request and answers what a test says.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use gatewright_sinks::Line;
use gatewright_transport::{Settings, Transport, Trust};
use serde_json::Value;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// A running target.
pub(crate) struct Target {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    asked: Vec<Asked>,
    answers: VecDeque<String>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Target {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let state: Arc<Mutex<State>> = Arc::default();
        let kept = state.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(socket.try_clone().unwrap());
                    let mut socket = socket;
                    while let Some(asked) = read(&mut reader) {
                        let answer = {
                            let mut state = kept.lock().unwrap();
                            state.asked.push(asked);
                            state.answers.pop_front().unwrap_or_else(|| answer(200, "", "{}"))
                        };
                        if socket.write_all(answer.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { addr, state }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The next request that has no answer yet gets this. `headers` are whole lines.
    pub(crate) fn answer(&self, status: u16, headers: &str, body: &str) {
        self.state.lock().unwrap().answers.push_back(answer(status, headers, body));
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }
}

/// How it is reached.
pub(crate) fn line(trust: Trust) -> Line {
    Line { transport: Transport::new(Settings::default()).unwrap(), trust }
}

fn answer(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut asked = Asked::default();
    reader.read_line(&mut asked.line).ok().filter(|read| *read > 0)?;
    asked.line = asked.line.trim_end().to_owned();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => asked.headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let length = asked.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).unwrap();
    Some(asked)
}
