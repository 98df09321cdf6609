//! A PostgreSQL of one test's own, from the machine's package, on a free port.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use crate::gateway::poll;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database server. It ends with the test.
pub struct Postgres {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

// === impl Postgres ===

impl Postgres {
    /// Makes a new, empty cluster and serves it.
    pub fn start() -> Self {
        let dir = TempDir::with_prefix("gatewright-postgres-").unwrap();
        if let Some((user, group)) = servant() {
            std::os::unix::fs::chown(dir.path(), Some(user), Some(group)).unwrap();
        }
        let data = dir.path().join("data");
        let made = command("initdb")
            .args(["--no-sync", "--auth=trust", "--username=gatewright", "--encoding=UTF8", "--locale=C"])
            .arg("--pgdata")
            .arg(&data)
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut server = Self { dir, port, child: None };
        server.resume();
        server
    }

    /// The address of its one database.
    pub fn url(&self) -> String {
        format!("postgres://gatewright@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, as a crash does.
    pub fn crash(&mut self) {
        self.end(Signal::QUIT);
    }

    /// Serves the same cluster at the same port again.
    pub fn resume(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let child = command("postgres")
            .arg("-D")
            .arg(self.dir.path().join("data"))
            .args(["-p", &self.port.to_string(), "-k", ""])
            // The machine does not crash in a test, so nothing is gained by waiting for its disk.
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"])
            .current_dir(self.dir.path())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let up = poll(PATIENCE, || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "PostgreSQL ended at once: {}", self.told());
            self.sql("SELECT 1").ok()
        });
        assert!(up.is_some(), "PostgreSQL does not serve: {}", self.told());
    }

    /// Runs SQL; answers the rows as text, or the error.
    pub fn sql(&self, sql: &str) -> Result<String, String> {
        let output = command("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1", "--dbname"])
            .args([&self.url(), "-c", sql])
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut child) = self.child.take() {
            kill_process(Pid::from_child(&child), signal).unwrap();
            child.wait().unwrap();
        }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("postgres.log")
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end(Signal::QUIT);
        if std::thread::panicking() {
            eprintln!("--- PostgreSQL's log\n{}---", self.told());
        }
    }
}

/// One of PostgreSQL's programs; it refuses to run as root, and ends with the thread that started it.
fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=QUIT");
    if let Some((user, group)) = servant() {
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
    }
    command.arg(programs().join(program)).env("LC_ALL", "C");
    command
}

/// Whom root hands the server to.
fn servant() -> Option<(u32, u32)> {
    if !getuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("no user `postgres`");
    let mut fields = line.split(':').skip(2).map(|field| field.parse().unwrap());
    Some((fields.next().unwrap(), fields.next().unwrap()))
}

/// Where the newest version's programs are.
fn programs() -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is not installed: `make test` does that")
        .filter_map(|version| {
            let path = version.unwrap().path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .filter(|(_, path): &(u32, PathBuf)| Path::new(path).join("initdb").is_file())
        .collect();
    versions.sort();
    versions.pop().expect("PostgreSQL has no server here").1
}
