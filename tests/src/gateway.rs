//! Starts the built binary in a folder of its own, waits until it serves, and cleans up.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::journal::Entry;
use crate::upstream::Upstream;

/// The master key of [`MASTER`].
pub const MASTER_KEY: &str = "sk-test-master-4c1f09d2";

/// Configuration that sets the master key.
pub const MASTER: &str = "general_settings:\n  master_key: sk-test-master-4c1f09d2\n";

/// How long a gateway may take to serve, or to stop.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway process in its own folder.
pub struct Gateway {
    dir: TempDir,
    addr: SocketAddr,
    configured: bool,
    args: Vec<String>,
    env: Vec<(String, String)>,
    under: Vec<String>,
    child: Option<Child>,
}

/// A gateway that is not started yet.
pub struct Setup {
    config: Option<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    under: Vec<String>,
    data: Option<PathBuf>,
}

// === impl Setup ===

impl Setup {
    /// With this configuration.
    pub fn new(config: impl Into<String>) -> Self {
        Self { config: Some(config.into()), ..Self::bare() }
    }

    /// Without any configuration.
    pub fn bare() -> Self {
        Self { config: None, args: Vec::new(), env: Vec::new(), under: Vec::new(), data: None }
    }

    /// With a variable in its environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Started by this program, whose arguments end with the binary and its own.
    #[must_use]
    pub fn under(mut self, command: &[&str]) -> Self {
        self.under = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// With its data in this folder in place of one of its own.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Starts it and waits until it serves.
    pub fn start(self) -> Gateway {
        let dir = self.folder();
        let configured = self.config.is_some();
        let mut gateway = Gateway {
            configured,
            dir,
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            args: self.args,
            env: self.env,
            under: self.under,
            child: None,
        };
        gateway.restart();
        gateway
    }

    /// Runs it with these arguments until it ends by itself; answers whether it succeeded and all it wrote.
    pub fn run(self) -> (bool, String) {
        let dir = self.folder();
        told(command(dir.path(), &self.env, &self.under).args(self.args))
    }

    fn folder(&self) -> TempDir {
        let dir = TempDir::with_prefix("gatewright-test-").unwrap();
        if let Some(config) = &self.config {
            std::fs::write(dir.path().join("config.yaml"), config).unwrap();
        }
        if let Some(data) = &self.data {
            std::fs::create_dir_all(data).unwrap();
            std::os::unix::fs::symlink(data, dir.path().join("gatewright-data")).unwrap();
        }
        dir
    }
}

// === impl Gateway ===

impl Gateway {
    /// Starts one with this configuration and [`MASTER`].
    pub fn start(config: &str) -> Self {
        Setup::new(format!("{config}{MASTER}")).start()
    }

    /// Starts the process again, in the same folder and at the same address.
    pub fn restart(&mut self) {
        self.launch();
        self.wait_until_it_serves();
    }

    /// The same, without waiting for it to serve.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "the gateway runs already");
        let log = std::fs::File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = command(self.dir.path(), &self.env, &self.under);
        if self.configured {
            command.args(["--config", "config.yaml"]);
        }
        command.args(["--host", "127.0.0.1", "--port", &self.addr.port().to_string()]);
        command.args(&self.args).stdout(log.try_clone().unwrap()).stderr(log).stdin(Stdio::null());
        self.child = Some(command.spawn().unwrap_or_else(|err| panic!("{}: {err}", binary().display())));
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its base URL without a path.
    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("the gateway does not run").id()
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// All it has written so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks it to stop as `kill` does.
    pub fn terminate(&self) {
        let child = self.child.as_ref().expect("the gateway does not run");
        kill_process(Pid::from_child(child), Signal::TERM).unwrap();
    }

    /// Writes another configuration and lets it be read, as `kill -HUP` does.
    pub fn reread(&self, config: &str) {
        std::fs::write(self.dir.path().join("config.yaml"), config).unwrap();
        let child = self.child.as_ref().expect("the gateway does not run");
        kill_process(Pid::from_child(child), Signal::HUP).unwrap();
    }

    /// Waits until it has ended.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the gateway does not run");
        let ended = poll(PATIENCE, || child.try_wait().unwrap());
        ended.unwrap_or_else(|| {
            child.kill().unwrap();
            panic!("the gateway did not stop in time: {}", self.log())
        })
    }

    /// Whether the process still runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Runs the binary in its folder with other arguments until it ends by itself; answers whether it succeeded and
    /// all it wrote.
    pub fn run(&self, args: &[&str]) -> (bool, String) {
        told(command(self.dir.path(), &self.env, &[]).args(args))
    }

    /// The journal's entries, as the command line lists them.
    pub fn journal(&self) -> Vec<Entry> {
        let mut command = command(self.dir.path(), &self.env, &[]);
        let output = command.args(["journal", "--json"]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "journal: {text}{}", String::from_utf8_lossy(&output.stderr));
        text.lines()
            .map(|line| Entry(serde_json::from_str(line).unwrap_or_else(|err| panic!("{err}: {line}"))))
            .collect()
    }

    /// The journal's entries once `enough` holds of them.
    pub fn journal_when(&self, what: &str, enough: impl Fn(&[Entry]) -> bool) -> Vec<Entry> {
        let mut last = Vec::new();
        let found = poll(PATIENCE, || {
            last = self.journal();
            enough(&last).then(|| last.clone())
        });
        found.unwrap_or_else(|| panic!("waited in vain for the journal: {what}; it has {last:#?}"))
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("gateway.log")
    }

    fn wait_until_it_serves(&mut self) {
        let served = poll(PATIENCE, || {
            assert!(self.runs(), "the gateway ended at once: {}", self.log());
            self.addr = announced(&self.log())?;
            let answer = Client::new(self.addr).try_get("/health/liveliness").ok()?;
            (answer.status == 200).then_some(())
        });
        assert!(served.is_some(), "the gateway does not serve: {}", self.log());
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the gateway's log\n{}---", self.log());
        }
    }
}

/// One `model_list` with one deployment at `upstream`.
pub fn model(name: &str, model: &str, upstream: &Upstream) -> String {
    format!("model_list:\n{}", deployment(name, model, upstream, ""))
}

/// One entry of a `model_list`; `more` is further YAML lines of `litellm_params`, as `key: value, key: value`.
pub fn deployment(name: &str, model: &str, upstream: &Upstream, more: &str) -> String {
    let base = match model.split('/').next() {
        Some("anthropic" | "cohere" | "cohere_chat" | "ollama" | "ollama_chat") => upstream.base(),
        _ => format!("{}/v1", upstream.base()),
    };
    let more: String =
        more.split(", ").filter(|line| !line.is_empty()).map(|line| format!("      {line}\n")).collect();
    format!(
        "  - model_name: {name}\n    litellm_params:\n      model: {model}\n      api_base: {base}\n      api_key: sk-upstream\n{more}"
    )
}

/// Calls `check` until it finds something or the time is over.
pub fn poll<T>(patience: Duration, mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        match check() {
            Some(found) => return Some(found),
            None if Instant::now() >= deadline => return None,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The gateway's binary: the one named by the environment, else the one built beside this test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("GATEWRIGHT_BIN") {
        return path.into();
    }
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().map(|dir| dir.join("gatewright")).find(|path| path.is_file());
    found.expect("no built binary: run `cargo build` first")
}

fn told(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), text)
}

fn command(dir: &Path, env: &[(String, String)], under: &[String]) -> Command {
    let mut words = under.iter().map(OsString::from).chain([binary().into()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    // Provider keys and proxies of whoever runs the tests must not change what is tested.
    command.current_dir(dir).env_clear().env("HOME", dir).env("NO_PROXY", "*");
    command.envs(env.iter().map(|(name, value)| (name, value)));
    command
}

/// The address in the line that says where it serves: at its first start it takes a free port, later the same.
fn announced(log: &str) -> Option<SocketAddr> {
    let line = log.lines().rfind(|line| line.contains("serves http://"))?;
    line.rsplit("http://").next()?.trim().parse().ok()
}
