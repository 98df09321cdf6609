//! A Redis of one test's own, from the machine's package, on a free port.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
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
    /// How the server is told where to listen, and what else.
    options: Vec<String>,
    /// What its own client has to know besides the port.
    client: Vec<String>,
}

// === impl Redis ===

impl Redis {
    /// Starts an empty one.
    pub fn start() -> Self {
        Self::start_as(&[])
    }

    /// Starts an empty one with further options.
    pub fn start_as(options: &[&str]) -> Self {
        let port = free_port();
        let listen = ["--port".to_owned(), port.to_string()];
        let options = listen.into_iter().chain(options.iter().map(|&option| option.to_owned())).collect();
        Self::serve(port, options, Vec::new())
    }

    /// Starts one that speaks TLS only and asks for a certificate: `ca.pem`, `server.pem` and `server.key` are in this
    /// folder, and what its own client shows too, as `gateway.pem` and `gateway.key`.
    pub fn start_with_tls(folder: &Path) -> Self {
        let file = |name: &str| folder.join(name).display().to_string();
        let port = free_port();
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let (ca, tls_port) = (file("ca.pem"), port.to_string());
        let (certificate, key) = (file("server.pem"), file("server.key"));
        let options = texts(&[
            "--port",
            "0",
            "--tls-port",
            &tls_port,
            "--tls-ca-cert-file",
            &ca,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-auth-clients",
            "yes",
        ]);
        let (certificate, key) = (file("gateway.pem"), file("gateway.key"));
        Self::serve(port, options, texts(&["--tls", "--cacert", &ca, "--cert", &certificate, "--key", &key]))
    }

    fn serve(port: u16, options: Vec<String>, client: Vec<String>) -> Self {
        let dir = TempDir::with_prefix("gatewright-redis-").unwrap();
        let mut server = Self { dir, port, child: None, options, client };
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
            .args(&self.options)
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
        let mut client = Command::new("redis-cli");
        client.args(["-p", &self.port.to_string()]).args(&self.client).args(command);
        let output = client.output().unwrap();
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

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
