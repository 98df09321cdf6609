//! A PostgreSQL of one test's own, from the machine's package, on a free port.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use crate::gateway::poll;
use crate::ports::free_port;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database server. It ends with the test.
pub struct Postgres {
    dir: TempDir,
    port: u16,
    child: Option<Child>,
}

/// PgBouncer in front of a server: each transaction may go to another of its few sessions.
pub struct Pooler {
    server: Postgres,
    _dir: TempDir,
    port: u16,
    child: Child,
}

/// One session of a server, for transactions that stay open. It ends with its server.
pub struct Session {
    child: Child,
    told: BufReader<ChildStdout>,
}

// === impl Postgres ===

impl Postgres {
    /// Makes a new, empty cluster and serves it.
    pub fn start() -> Self {
        let mut server = Self { dir: servants_folder(), port: free_port(), child: None };
        server.create();
        server.resume();
        server
    }

    /// Serves a new, empty cluster in the place of the old one.
    pub fn replace(&mut self) {
        self.crash();
        std::fs::remove_dir_all(self.dir.path().join("data")).unwrap();
        self.create();
        self.resume();
    }

    /// The address of its one database.
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Puts a pooler in front of it.
    pub fn pooled(self) -> Pooler {
        let (dir, port) = (servants_folder(), free_port());
        let config = format!(
            "[databases]\npostgres = host=127.0.0.1 port={} user=gatewright\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 500\n",
            self.port
        );
        let file = dir.path().join("pgbouncer.ini");
        std::fs::write(&file, config).unwrap();
        let mut pooler = command("/usr/sbin/pgbouncer");
        let child =
            pooler.arg("--quiet").arg(file).current_dir(dir.path()).stderr(Stdio::null()).spawn().unwrap();
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(drop);
        assert!(poll(PATIENCE, listens).is_some(), "PgBouncer does not serve");
        Pooler { server: self, _dir: dir, port, child }
    }

    /// Ends it at once, as a crash does.
    pub fn crash(&mut self) {
        self.end(Signal::QUIT);
    }

    /// Serves the same cluster at the same port again.
    pub fn resume(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let child = program("postgres")
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
        let output = program("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1", "--dbname"])
            .args([&self.url(), "-c", sql])
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// A session that is kept open.
    pub fn session(&self) -> Session {
        let mut child = program("psql")
            .args(["--no-psqlrc", "--quiet", "--dbname", &self.url()])
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        Session { child, told }
    }

    fn create(&self) {
        let made = program("initdb")
            .args(["--no-sync", "--auth=trust", "--username=gatewright", "--encoding=UTF8", "--locale=C"])
            .arg("--pgdata")
            .arg(self.dir.path().join("data"))
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
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

// === impl Session ===

impl Session {
    /// Runs SQL and waits until it is done.
    pub fn run(&mut self, sql: &str) {
        const DONE: &str = "-- done";
        writeln!(self.child.stdin.as_mut().unwrap(), "{sql};\n\\echo '{DONE}'").unwrap();
        let mut line = String::new();
        while line.trim() != DONE {
            line.clear();
            assert_ne!(self.told.read_line(&mut line).unwrap(), 0, "the session ended: {sql}");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Pooler ===

impl Pooler {
    /// The server behind it.
    pub fn server(&self) -> &Postgres {
        &self.server
    }

    /// The address of the database behind it.
    pub fn url(&self) -> String {
        url(self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn url(port: u16) -> String {
    format!("postgres://gatewright@127.0.0.1:{port}/postgres?sslmode=disable")
}

/// A folder of whoever runs the server.
fn servants_folder() -> TempDir {
    let dir = TempDir::with_prefix("gatewright-postgres-").unwrap();
    if let Some((user, group)) = servant() {
        std::os::unix::fs::chown(dir.path(), Some(user), Some(group)).unwrap();
    }
    dir
}

/// One of PostgreSQL's programs.
fn program(name: &str) -> Command {
    command(programs().join(name))
}

/// Runs a program that refuses to run as root, and that ends with the thread that started it.
fn command(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.arg("--pdeathsig=QUIT");
    if let Some((user, group)) = servant() {
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
    }
    command.arg(path).env("LC_ALL", "C");
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
