//! The processes of a run, and what the kernel says about each.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::load::{Came, KEY, Load};
use crate::scenario::{self, Besides, Servers};

const READY: Duration = Duration::from_secs(15);

/// A process that is measured. Dropping it kills it.
pub(crate) struct Process {
    /// Where it listens.
    pub(crate) address: String,
    child: Child,
    _folder: Option<TempDir>,
}

// === impl Process ===

impl Process {
    /// The upstream.
    pub(crate) fn mock() -> Self {
        Self::told(Command::new(own()).arg("mock"))
    }

    /// The yardstick, and how long it took from exec to its first answer.
    pub(crate) fn proxy(upstream: &str) -> (Self, Duration) {
        let start = Instant::now();
        let process = Self::told(Command::new(own()).args(["proxy", upstream]));
        while !alive(&process.address) && start.elapsed() < READY {}
        (process, start.elapsed())
    }

    /// The yardstick with the gateway's ledger and nothing else of it.
    pub(crate) fn bookkeeper(upstream: &str) -> Self {
        Self::told(Command::new(own()).args(["proxy", upstream, "--ledger"]))
    }

    /// The gateway at its defaults but for these servers, and how long it took from exec to its first answer.
    pub(crate) fn gateway(binary: &Path, mock: &str, servers: &Servers) -> Result<(Self, Duration), String> {
        let folder = TempDir::new().map_err(|err| err.to_string())?;
        let config = folder.path().join("config.yaml");
        fs::write(&config, scenario::config(mock, KEY, servers)).map_err(|err| err.to_string())?;
        let log = fs::File::create(folder.path().join("log")).map_err(|err| err.to_string())?;
        let port = free_port().to_string();
        let mut command = Command::new(binary);
        command.args(["--host", "127.0.0.1", "--port", &port, "--config"]).arg(&config);
        command.current_dir(folder.path()).stdout(Stdio::null()).stderr(log);
        if servers.besides == Some(Besides::Traces) {
            command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{mock}"));
        }
        let start = Instant::now();
        let child = command.spawn().map_err(|err| err.to_string())?;
        let address = format!("127.0.0.1:{port}");
        let mut process = Self { address, child, _folder: Some(folder) };
        process.wait_until_alive(start + READY)?;
        Ok((process, start.elapsed()))
    }

    /// Makes a virtual key of this gateway, with limits of every kind that nothing reaches.
    pub(crate) fn limited_key(&self) -> Result<String, String> {
        self.key(
            r#"{"rpm_limit":1000000000,"tpm_limit":1000000000000,"max_parallel_requests":100000,
            "max_budget":1000000000.0,"budget_duration":"30d"}"#,
        )
    }

    /// Makes a virtual key of this gateway with these limits.
    pub(crate) fn key(&self, limits: &str) -> Result<String, String> {
        let head = format!(
            "POST /key/generate HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{limits}",
            self.address,
            limits.len()
        );
        let mut answer = String::new();
        let mut socket = TcpStream::connect(&self.address).map_err(|err| err.to_string())?;
        socket.write_all(head.as_bytes()).map_err(|err| err.to_string())?;
        socket.read_to_string(&mut answer).map_err(|err| err.to_string())?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let made: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        made["key"].as_str().map(str::to_owned).ok_or_else(|| format!("no key was made: {answer}"))
    }

    /// CPU time of all its threads so far. Threads that have ended are not counted; none of ours end under load.
    pub(crate) fn cpu(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let spent = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
        spent.filter_map(|line| line.split_whitespace().next()?.parse().ok()).map(Duration::from_nanos).sum()
    }

    /// Resident memory in megabytes.
    pub(crate) fn rss(&self) -> f64 {
        self.memory("VmRSS:")
    }

    fn memory(&self, which: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(which)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
    }

    /// The most memory that it had, in megabytes.
    pub(crate) fn peak(&self) -> f64 {
        self.memory("VmHWM:")
    }

    /// How long it took to say that it lives, over a connection of its own.
    pub(crate) fn liveliness(&self) -> Option<Duration> {
        let start = Instant::now();
        alive(&self.address).then(|| start.elapsed())
    }

    /// A child of this binary prints its address first.
    fn told(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { address: address.trim().to_owned(), child, _folder: None }
    }

    fn wait_until_alive(&mut self, deadline: Instant) -> Result<(), String> {
        while !alive(&self.address) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the gateway stopped at once ({status}): {}", self.last_words()));
            }
            if Instant::now() > deadline {
                return Err(format!("the gateway does not get ready: {}", self.last_words()));
            }
            std::thread::sleep(Duration::from_micros(500));
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = self._folder.as_ref().map(|folder| folder.path().join("log"));
        let text = log.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        text.lines().last().unwrap_or_default().to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the load in a process of its own.
pub(crate) fn load(load: &Load) -> Came {
    let mut command = Command::new(own());
    command.arg("load").args([
        "--address",
        &load.address,
        "--path",
        &load.path,
        "--model",
        &load.model,
        "--key",
        &load.key,
    ]);
    command.args(["--size", &load.size.to_string(), "--seconds", &load.seconds.to_string()]);
    command.args(["--clients", &load.clients.to_string()]);
    if load.stream {
        command.arg("--stream");
    }
    if let Some(rate) = load.rate {
        command.args(["--rate", &rate.to_string()]);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let came = read_all(child.stdout.take().unwrap());
    let _ = child.wait();
    serde_json::from_str(&came).unwrap_or_default()
}

/// The release build beside this bench, where it was built.
pub(crate) fn release_build() -> PathBuf {
    let profile = own().parent().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    profile.join("gatewright")
}

fn read_all(mut stdout: ChildStdout) -> String {
    let mut text = String::new();
    let _ = stdout.read_to_string(&mut text);
    text
}

fn own() -> PathBuf {
    std::env::current_exe().unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port()
}

fn alive(address: &str) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else { return false };
    let head = format!("GET /health/liveliness HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut answer = [0; 12];
    socket.write_all(head.as_bytes()).is_ok()
        && socket.read_exact(&mut answer).is_ok()
        && answer.ends_with(b" 200")
}
