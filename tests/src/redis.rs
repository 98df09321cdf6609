//! A Redis of one test's own, from the machine's package, on a free port.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::gateway::poll;
use crate::ports::free_port;

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

/// A master, a copy of it, and a sentinel that makes the copy the master when that dies. They end with the test.
pub struct RedisFailover {
    /// The server that is the master first.
    pub master: Redis,
    /// The other one.
    pub copy: Redis,
    port: u16,
    sentinel: Child,
    _dir: TempDir,
}

/// The name that the sentinel knows the master by.
pub const SERVICE: &str = "mymaster";

// === impl RedisFailover ===

impl RedisFailover {
    /// Starts all three, and waits until the sentinel knows both servers.
    pub fn start() -> Self {
        let master = Redis::start();
        let copy = Redis::start_as(&["--replicaof", &format!("127.0.0.1 {}", master.port())]);
        let (dir, port) = (TempDir::with_prefix("gatewright-sentinel-").unwrap(), free_port());
        let config = dir.path().join("sentinel.conf");
        let lines = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {SERVICE} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {SERVICE} 500\nsentinel failover-timeout {SERVICE} 5000\n",
            master.port()
        );
        std::fs::write(&config, lines).unwrap();
        let sentinel = Command::new("setpriv")
            .args(["--pdeathsig=KILL", "redis-server"])
            .arg(&config)
            .arg("--sentinel")
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self { master, copy, port, sentinel, _dir: dir };
        let known =
            || this.told(&["SENTINEL", "REPLICAS", SERVICE]).contains("master-link-status\nok").then_some(());
        poll(PATIENCE, known).expect("the sentinel knows no copy");
        this
    }

    /// Where the sentinel listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits until the copy is the master.
    pub fn wait_for_failover(&self) {
        let port = self.copy.port().to_string();
        let master = || {
            let told = self.told(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
            (told.ends_with(&port) && self.copy.ask(&["ROLE"]).starts_with("master")).then_some(())
        };
        poll(PATIENCE, master).expect("the copy is never the master");
    }

    fn told(&self, command: &[&str]) -> String {
        let output = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(command).output();
        String::from_utf8_lossy(&output.unwrap().stdout).trim().to_owned()
    }
}

impl Drop for RedisFailover {
    fn drop(&mut self) {
        // One that has died already is what is wanted.
        let _ = self.sentinel.kill();
        let _ = self.sentinel.wait();
    }
}

/// Several that are one cluster, without copies of each other. They end with the test.
pub struct RedisCluster {
    /// Each has a third of the slots, in their order.
    pub nodes: Vec<Redis>,
}

/// How many slots a cluster has.
const SLOTS: usize = 16_384;

// === impl RedisCluster ===

impl RedisCluster {
    /// Starts three empty nodes that know each other.
    pub fn start() -> Self {
        // The buses of their own ports, 10,000 above, may be among those that connections get.
        let buses = [(); 3].map(|()| free_port().to_string());
        let node = |bus: &String| Redis::start_as(&["--cluster-enabled", "yes", "--cluster-port", bus]);
        let nodes: Vec<Redis> = buses.iter().map(node).collect();
        for (number, node) in nodes.iter().enumerate() {
            let [first, last] = [number, number + 1].map(|number| number * SLOTS / nodes.len());
            let given = node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &(last - 1).to_string()]);
            assert_eq!(given, "OK");
            let (host, port) = ("127.0.0.1", nodes[0].port().to_string());
            assert_eq!(node.ask(&["CLUSTER", "MEET", host, &port, &buses[0]]), "OK");
        }
        let cluster = Self { nodes };
        cluster.agree(|node| node.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok"));
        cluster
    }

    /// Where its nodes are, as a configuration names them.
    pub fn startup_nodes(&self) -> serde_json::Value {
        self.nodes.iter().map(|node| serde_json::json!({"host": "127.0.0.1", "port": node.port()})).collect()
    }

    /// The number of the node that keeps what is called so.
    pub fn home(&self, name: &str) -> usize {
        let keeps = |node: &Redis| !node.ask(&["EXISTS", name]).contains("MOVED");
        self.nodes.iter().position(keeps).expect("nobody keeps it")
    }

    /// Moves the slot of what is called so, and all that is in it, to this node.
    pub fn move_to(&self, target: usize, name: &str) {
        let slot = self.nodes[target].ask(&["CLUSTER", "KEYSLOT", name]);
        let (source, target) = (&self.nodes[self.home(name)], &self.nodes[target]);
        let [from, to] = [source, target].map(|node| node.ask(&["CLUSTER", "MYID"]));
        assert_eq!(target.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from]), "OK");
        assert_eq!(source.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to]), "OK");
        let port = target.port().to_string();
        let empty = || {
            let names = source.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]);
            let names: Vec<&str> = names.lines().filter(|name| !name.is_empty()).collect();
            let moving = [&["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"][..], &names].concat();
            if !names.is_empty() {
                source.ask(&moving);
            }
            names.is_empty().then_some(())
        };
        poll(PATIENCE, empty).expect("the slot does not get empty");
        for node in [target, source] {
            assert_eq!(node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &to]), "OK");
        }
    }

    fn agree(&self, on: impl Fn(&Redis) -> bool) {
        let agreed = poll(PATIENCE, || self.nodes.iter().all(&on).then_some(()));
        assert!(agreed.is_some(), "the nodes do not become a cluster");
    }
}
