//! A Redis of one test's own, from the machine's package, on a free port.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::gateway::poll;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis that keeps nothing on disk. It ends with the test.
pub struct Redis {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

// === impl Redis ===

impl Redis {
    /// Starts an empty one.
    pub fn start() -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let dir = TempDir::with_prefix("gatewright-redis-").unwrap();
        let mut server = Self { dir, port, child: None };
        server.resume();
        server
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, and all that it knew with it.
    pub fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that hangs dies too.
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Serves at the same port again, empty.
    pub fn resume(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let child = Command::new("setpriv")
            .args([
                "--pdeathsig=KILL",
                "redis-server",
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .args(["--port", &self.port.to_string()])
            .current_dir(self.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("Redis is not installed: `make test` does that");
        self.child = Some(child);
        let up = poll(PATIENCE, || (self.ask(&["PING"]) == "PONG").then_some(()));
        assert!(up.is_some(), "Redis does not serve");
    }

    /// Lets it hang: it takes connections and answers nothing.
    pub fn hang(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// What it answers to a command; a list is one line an element.
    pub fn ask(&self, command: &[&str]) -> String {
        let output =
            Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it does not run");
        kill_process(Pid::from_child(child), signal).unwrap();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.crash();
    }
}
