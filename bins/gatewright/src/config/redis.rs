//! The Redis that replicas share their counts in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use gatewright_core::Secret;
use gatewright_limits::SharedSettings;
use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use serde_json::Value;

use super::file::Env;
use super::problem::Problems;
use super::read::Section;
use super::settings::Sections;

/// Where it is, and how counts are shared in it.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Where it is; or nodes of the cluster that it is, any of which names the others; or the sentinels that name it.
    pub servers: Vec<ConnectionInfo>,
    /// Whether they are nodes of a cluster.
    pub cluster: bool,
    /// What sentinels are asked for, where the servers are such.
    pub sentinels: Option<Sentinels>,
    /// What TLS trusts and shows.
    pub certificates: Certificates,
    /// How counts are shared.
    pub sharing: SharedSettings,
}

/// What sentinels are asked for.
#[derive(Clone)]
pub struct Sentinels {
    /// The name that they know the master by.
    pub service: String,
    /// What they want to hear first.
    pub password: Option<Secret>,
}

/// Files of certificates, in PEM.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// The authorities that are trusted in place of the public ones.
    pub authorities: Option<PathBuf>,
    /// The gateway's own certificate, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// Where one place of the configuration says that it is.
#[derive(Default)]
struct Address {
    url: Option<String>,
    host: Option<String>,
    port: Option<u64>,
    db: Option<u64>,
    username: Option<String>,
    password: Option<String>,
    tls: Option<bool>,
    authorities: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    /// Hosts and ports of nodes of a cluster.
    nodes: Vec<(String, u64)>,
    /// Hosts and ports of sentinels.
    sentinels: Vec<(String, u64)>,
    /// The name that they know the master by, and their password.
    service: Option<String>,
    sentinel_password: Option<String>,
}

/// What nodes of a cluster are called.
const NODES: [&str; 2] = ["redis_startup_nodes", "startup_nodes"];

/// Where a sentinel listens that nobody says more of.
const SENTINEL_PORT: u64 = 26_379;

/// Where a server listens that nobody says more of.
const PORT: u64 = 6379;

impl Sections<'_> {
    /// The first place that names a server, in LiteLLM's order; the environment completes what it leaves out.
    pub(super) fn redis(&self, env: Env<'_>, problems: &mut Problems) -> Option<RedisSettings> {
        let own = nested(&self.general, "coordination_redis", problems);
        let cache = nested(&self.litellm, "cache_params", problems)
            .filter(|cache| cache.value("type").is_none_or(|kind| kind == "redis"));
        let mut places = vec![Address::in_section(&self.router, "redis_", problems)];
        places.extend(cache.as_ref().map(|cache| Address::in_section(cache, "", problems)));
        if let Some(own) = &own {
            places.insert(0, Address::in_section(own, "", problems));
        }
        let environment = Address::in_environment(env, problems);
        let said = places.into_iter().find(Address::is_somewhere).unwrap_or_default();
        let said = said.or(environment);
        let certificates = said.certificates(problems);
        let (sentinels, cluster) = (said.sentinels(problems), said.is_cluster());
        let servers = said.into_servers(problems)?;
        Some(RedisSettings {
            servers,
            cluster,
            sentinels,
            certificates,
            sharing: self.sharing(cache.as_ref(), problems),
        })
    }

    /// The one that `params` or else the environment names, for what is kept there besides. What is wrong with either is told
    /// once, wherever it is read first.
    pub(super) fn redis_of(
        &self,
        params: Option<&Section<'_>>,
        env: Env<'_>,
        problems: &mut Problems,
    ) -> Option<RedisSettings> {
        let mut own = Problems::default();
        let said = params.map(|params| Address::in_section(params, "", &mut own)).unwrap_or_default();
        let said = said.or(Address::in_environment(env, &mut own));
        let certificates = said.certificates(&mut own);
        let (sentinels, cluster) = (said.sentinels(&mut own), said.is_cluster());
        let servers = said.into_servers(&mut own);
        problems.add_new(own);
        let (servers, sharing) = (servers?, SharedSettings::default());
        Some(RedisSettings { servers, cluster, sentinels, certificates, sharing })
    }

    fn sharing(&self, cache: Option<&Section<'_>>, problems: &mut Problems) -> SharedSettings {
        let defaults = SharedSettings::default();
        let general = &self.general;
        let positive = |time: Option<Duration>| time.filter(|time| !time.is_zero());
        SharedSettings {
            namespace: cache
                .and_then(|cache| cache.text("namespace", problems))
                .unwrap_or(defaults.namespace),
            deadline: positive(general.seconds("redis_deadline", problems)).unwrap_or(defaults.deadline),
            lease: positive(general.seconds("redis_lease", problems)).unwrap_or(defaults.lease),
            fail_closed: general
                .flag("fail_closed_rate_limit_enforcement", problems)
                .unwrap_or(defaults.fail_closed),
            ..defaults
        }
    }
}

// === impl Sentinels ===

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinels").field("service", &self.service).finish_non_exhaustive()
    }
}

// === impl Address ===

impl Address {
    fn in_section(section: &Section<'_>, prefix: &str, problems: &mut Problems) -> Self {
        let mut text = |key: &str| section.text(&format!("{prefix}{key}"), problems);
        let (url, host) = (text("url"), text("host"));
        let (username, password) = (text("username"), text("password"));
        let mut count = |key: &str| section.count(&format!("{prefix}{key}"), problems);
        let (port, db) = (count("port"), count("db"));
        let tls = section.flag(&format!("{prefix}ssl"), problems);
        let mut text = |key: &str| section.text(&format!("{prefix}ssl_{key}"), problems);
        let (authorities, certificate, key) = (text("ca_certs"), text("certfile"), text("keyfile"));
        let nodes = NODES.into_iter().find_map(|key| Some((section.at(key), section.value(key)?)));
        let nodes = nodes.map(|(place, list)| nodes_of(place, list, problems)).unwrap_or_default();
        let list = section.value("sentinel_nodes");
        let sentinels = list.map(|list| sentinels_of(section.at("sentinel_nodes"), list, problems));
        Self {
            url,
            host,
            port,
            db,
            username,
            password,
            tls,
            authorities,
            certificate,
            key,
            nodes,
            sentinels: sentinels.unwrap_or_default(),
            service: section.text("service_name", problems),
            sentinel_password: section.text("sentinel_password", problems),
        }
    }

    fn in_environment(env: Env<'_>, problems: &mut Problems) -> Self {
        let text = |name: &str| env(name).filter(|value| !value.is_empty());
        let number = |name: &str| text(name).and_then(|value| value.parse().ok());
        Self {
            url: text("REDIS_URL"),
            host: text("REDIS_HOST"),
            port: number("REDIS_PORT"),
            db: number("REDIS_DB"),
            username: text("REDIS_USERNAME"),
            password: text("REDIS_PASSWORD"),
            tls: text("REDIS_SSL").map(|value| ["true", "1"].contains(&value.to_ascii_lowercase().as_str())),
            authorities: text("REDIS_SSL_CA_CERTS"),
            certificate: text("REDIS_SSL_CERTFILE"),
            key: text("REDIS_SSL_KEYFILE"),
            nodes: text("REDIS_CLUSTER_NODES")
                .map(|list| serde_json::from_str(&list).unwrap_or(Value::String(list)))
                .map(|list| nodes_of("REDIS_CLUSTER_NODES".to_owned(), &list, problems))
                .unwrap_or_default(),
            sentinels: text("REDIS_SENTINEL_NODES")
                .map(|list| serde_json::from_str(&list).unwrap_or(Value::String(list)))
                .map(|list| sentinels_of("REDIS_SENTINEL_NODES".to_owned(), &list, problems))
                .unwrap_or_default(),
            service: text("REDIS_SERVICE_NAME"),
            sentinel_password: text("REDIS_SENTINEL_PASSWORD"),
        }
    }

    fn is_somewhere(&self) -> bool {
        self.url.is_some() || self.host.is_some() || !self.nodes.is_empty() || !self.sentinels.is_empty()
    }

    /// What it leaves out is as `other` says. A place is taken whole: the host of one and the URL of another do not mix.
    fn or(self, other: Self) -> Self {
        let (url, host, nodes, sentinels) = match self.is_somewhere() {
            true => (self.url, self.host, self.nodes, self.sentinels),
            false => (other.url, other.host, other.nodes, other.sentinels),
        };
        Self {
            url,
            host,
            nodes,
            sentinels,
            service: self.service.or(other.service),
            sentinel_password: self.sentinel_password.or(other.sentinel_password),
            port: self.port.or(other.port),
            db: self.db.or(other.db),
            username: self.username.or(other.username),
            password: self.password.or(other.password),
            tls: self.tls.or(other.tls),
            authorities: self.authorities.or(other.authorities),
            certificate: self.certificate.or(other.certificate),
            key: self.key.or(other.key),
        }
    }

    fn certificates(&self, problems: &mut Problems) -> Certificates {
        let file = |name: &Option<String>| name.as_deref().map(PathBuf::from);
        if self.certificate.is_some() != self.key.is_some() {
            problems.error("ssl_certfile", "a certificate and its key go together: name `ssl_keyfile` too");
        }
        Certificates {
            authorities: file(&self.authorities),
            own: file(&self.certificate).zip(file(&self.key)),
        }
    }

    /// Nodes go before sentinels.
    fn is_cluster(&self) -> bool {
        !self.nodes.is_empty()
    }

    fn sentinels(&self, problems: &mut Problems) -> Option<Sentinels> {
        if self.is_cluster() || self.sentinels.is_empty() {
            return None;
        }
        let Some(service) = self.service.clone() else {
            problems
                .error("service_name", "sentinels are asked for a master by its name: set `service_name`");
            return None;
        };
        Some(Sentinels { service, password: self.sentinel_password.clone().map(Secret::from) })
    }

    /// Nodes before sentinels, those before a URL, and that before a host; nothing where none is named.
    fn into_servers(mut self, problems: &mut Problems) -> Option<Vec<ConnectionInfo>> {
        let mut nodes = std::mem::take(&mut self.nodes);
        if nodes.is_empty() {
            nodes = std::mem::take(&mut self.sentinels);
        }
        let nodes = match (nodes, self.url.take(), self.host.take()) {
            (nodes, ..) if !nodes.is_empty() => nodes,
            (_, Some(url), _) => {
                let server = url.as_str().into_connection_info().ok();
                if server.is_none() {
                    // Without the URL, which may hold a password.
                    problems.error("redis_url", "expected `redis://host:port/db` or `rediss://…`");
                }
                return server.map(|server| vec![at_once(server)]);
            }
            (_, None, host) => vec![(host?, self.port.unwrap_or(PORT))],
        };
        let servers: Option<Vec<_>> = nodes.into_iter().map(|node| self.server(node)).collect();
        if servers.is_none() {
            problems.error("redis_port", "expected a port, at most 65535");
        }
        servers
    }

    fn server(&self, (host, port): (String, u64)) -> Option<ConnectionInfo> {
        let port = u16::try_from(port).ok()?;
        let place = match self.tls.unwrap_or(false) {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        };
        let mut access = RedisConnectionInfo::default();
        access = access.set_db(self.db.and_then(|db| i64::try_from(db).ok()).unwrap_or(0));
        if let Some(username) = &self.username {
            access = access.set_username(username);
        }
        if let Some(password) = &self.password {
            access = access.set_password(password);
        }
        place.into_connection_info().ok().map(|server| at_once(server.set_redis_settings(access)))
    }
}

/// Many calls ask over one connection: none waits until the server has confirmed what the one before it sent.
fn at_once(server: ConnectionInfo) -> ConnectionInfo {
    server.set_tcp_settings(TcpSettings::default().set_nodelay(true))
}

/// Nodes of a cluster, as LiteLLM lists them: `[{"host": "a", "port": 7000}]`.
fn nodes_of(place: String, list: &Value, problems: &mut Problems) -> Vec<(String, u64)> {
    let nodes =
        list.as_array().and_then(|list| list.iter().map(Value::as_object).collect::<Option<Vec<_>>>());
    let node = |(number, node)| {
        let node = Section::new(format!("{place}[{number}]"), node);
        Some((node.text("host", problems)?, node.count("port", problems).unwrap_or(PORT)))
    };
    let nodes: Option<Vec<_>> = nodes.and_then(|nodes| nodes.into_iter().enumerate().map(node).collect());
    nodes.unwrap_or_else(|| {
        problems.error(place, "expected a list of nodes, each with its `host` and `port`");
        Vec::new()
    })
}

/// Sentinels, as LiteLLM lists them: `[["a", 26379]]`; or as nodes of a cluster are.
fn sentinels_of(place: String, list: &Value, problems: &mut Problems) -> Vec<(String, u64)> {
    let port = |port: &Value| port.as_u64().or_else(|| port.as_str()?.parse().ok());
    let one = |item: &Value| match item {
        Value::Array(pair) => match &pair[..] {
            [host, number] => Some((host.as_str()?.to_owned(), port(number)?)),
            [host] => Some((host.as_str()?.to_owned(), SENTINEL_PORT)),
            _ => None,
        },
        Value::Object(node) => {
            let number = node.get("port").map_or(Some(SENTINEL_PORT), port)?;
            Some((node.get("host")?.as_str()?.to_owned(), number))
        }
        _ => None,
    };
    let all: Option<Vec<_>> = list.as_array().and_then(|list| list.iter().map(one).collect());
    all.unwrap_or_else(|| {
        problems
            .error(place, "expected a list of sentinels, each with its host and port: `[[\"a\", 26379]]`");
        Vec::new()
    })
}

/// A section in a section.
pub(super) fn nested<'a>(section: &Section<'a>, key: &str, problems: &mut Problems) -> Option<Section<'a>> {
    match section.value(key)? {
        Value::Object(map) => Some(Section::new(section.at(key), map)),
        _ => section.wrong(key, "keys and values", problems),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Reads three sections and an environment; answers the place, the database, the user and the problems.
    fn read(router: Value, litellm: Value, general: Value, env: &[(&str, &str)]) -> (String, usize) {
        let maps = [router, litellm, general].map(|value| value.as_object().cloned().unwrap_or_default());
        let [router, litellm, general] = &maps;
        let sections = Sections {
            router: Section::new("router_settings", router),
            litellm: Section::new("litellm_settings", litellm),
            general: Section::new("general_settings", general),
        };
        let mut problems = Problems::default();
        let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let told = sections.redis(&env, &mut problems).map_or_else(String::new, |redis| {
            let access = redis.servers[0].redis_settings();
            let (user, password) = (access.username().unwrap_or("-"), access.password().unwrap_or("-"));
            let places: Vec<_> = redis.servers.iter().map(|server| server.addr().to_string()).collect();
            format!(
                "{} db={} user={user} password={password} in={}",
                places.join(","),
                access.db(),
                redis.sharing.namespace
            )
        });
        (told, problems.iter().count())
    }

    #[test]
    fn redis_is_where_the_first_place_says() {
        let none = || Value::Null;
        let router = || json!({"redis_host": "r", "redis_port": "7000", "redis_password": "p"});
        let cache = || json!({"cache_params": {"type": "redis", "host": "c", "db": 2, "namespace": "ns"}});
        let own = || json!({"coordination_redis": {"url": "redis://u:p@o:1/3"}});
        let check = |got: (String, usize), want: &str| assert_eq!(got, (want.to_owned(), 0));
        check(read(none(), none(), none(), &[]), "");
        check(read(router(), cache(), own(), &[]), "o:1 db=3 user=u password=p in=ns");
        check(read(router(), cache(), none(), &[]), "r:7000 db=0 user=- password=p in=ns");
        check(read(none(), cache(), none(), &[]), "c:6379 db=2 user=- password=- in=ns");
        let local = json!({"cache_params": {"type": "local", "host": "c"}});
        check(read(none(), local, none(), &[]), "");
        let env = [("REDIS_HOST", "e"), ("REDIS_PASSWORD", "s"), ("REDIS_USERNAME", "n")];
        check(read(none(), none(), none(), &env), "e:6379 db=0 user=n password=s in=gatewright");
        check(read(none(), cache(), none(), &env), "c:6379 db=2 user=n password=s in=ns");
        check(
            read(router(), none(), none(), &[("REDIS_URL", "redis://e:1")]),
            "r:7000 db=0 user=- password=p in=gatewright",
        );
        // Kubernetes sets this one for a service of that name.
        check(read(none(), none(), none(), &[("REDIS_PORT", "tcp://10.0.0.1:6379")]), "");
    }

    #[test]
    fn nodes_of_a_cluster_are_servers_with_one_access() {
        let none = || Value::Null;
        let nodes = json!([{"host": "a", "port": 7000}, {"host": "b", "port": "7001"}, {"host": "c"}]);
        let told = |user: &str, password: &str| {
            (format!("a:7000,b:7001,c:6379 db=0 user={user} password={password} in=gatewright"), 0)
        };
        let cache = json!({"cache_params": {"type": "redis", "redis_startup_nodes": nodes, "password": "p"}});
        assert_eq!(read(none(), cache, none(), &[]), told("-", "p"));
        // They go before a host beside them.
        let router = json!({"startup_nodes": nodes, "redis_host": "h", "redis_password": "p"});
        assert_eq!(read(router, none(), none(), &[("REDIS_USERNAME", "u")]), told("u", "p"));
        let own = json!({"coordination_redis": {"startup_nodes": nodes}});
        assert_eq!(read(none(), none(), own, &[]), told("-", "-"));
        let listed = nodes.to_string();
        let env = [("REDIS_CLUSTER_NODES", &*listed), ("REDIS_PASSWORD", "s")];
        assert_eq!(read(none(), none(), none(), &env), told("-", "s"));
        // A server that is named is used, whatever the environment lists.
        let named = ("r:6379 db=0 user=- password=s in=gatewright".to_owned(), 0);
        assert_eq!(read(json!({"redis_host": "r"}), none(), none(), &env), named);
        assert_eq!(read(none(), none(), none(), &[("REDIS_CLUSTER_NODES", "[]")]), (String::new(), 0));
        for nonsense in ["a:7000", "[7000]", r#"[{"port": 7000}]"#, r#"[{"host": "a", "port": 70000}]"#] {
            let (told, problems) = read(none(), none(), none(), &[("REDIS_CLUSTER_NODES", nonsense)]);
            assert_eq!((&*told, problems), ("", 1), "{nonsense}");
        }
    }

    #[test]
    fn sentinels_are_asked_for_the_master_of_a_service() {
        let of = |params: Value| json!({"cache_params": params});
        let listed = json!([["a", 7000], ["b", "7001"], ["c"], {"host": "d"}]);
        let told = |password: &str| {
            (format!("a:7000,b:7001,c:26379,d:26379 db=0 user=- password={password} in=gatewright"), 0)
        };
        let said =
            of(json!({"type": "redis", "sentinel_nodes": listed, "service_name": "m", "password": "p"}));
        assert_eq!(read(Value::Null, said, Value::Null, &[]), told("p"));
        let listed = listed.to_string();
        let env = [("REDIS_SENTINEL_NODES", &*listed), ("REDIS_SERVICE_NAME", "m"), ("REDIS_PASSWORD", "s")];
        assert_eq!(read(Value::Null, Value::Null, Value::Null, &env), told("s"));
        // Nobody knows which master is meant, or which sentinel.
        let nameless = of(json!({"type": "redis", "sentinel_nodes": [["a", 1]]}));
        assert_eq!(read(Value::Null, nameless, Value::Null, &[]).1, 1);
        for nonsense in [json!("a:1"), json!(["a:1"]), json!([["a", 1, 2]]), json!([["a", "x"]])] {
            let said = of(json!({"type": "redis", "sentinel_nodes": nonsense, "service_name": "m"}));
            assert_eq!(read(Value::Null, said, Value::Null, &[]).1, 1, "{nonsense}");
        }
    }

    #[test]
    fn nonsense_is_told_without_the_password() {
        assert_eq!(read(json!({"redis_url": "http://a"}), Value::Null, Value::Null, &[]).1, 1);
        assert_eq!(read(Value::Null, Value::Null, json!({"coordination_redis": 5}), &[]).1, 1);
        assert_eq!(read(json!({"redis_host": "a", "redis_port": "x"}), Value::Null, Value::Null, &[]).1, 1);
        let too_high = ("".to_owned(), 1);
        assert_eq!(
            read(json!({"redis_host": "a", "redis_port": 65536}), Value::Null, Value::Null, &[]),
            too_high
        );
        for alone in ["redis_ssl_certfile", "redis_ssl_keyfile"] {
            let router = json!({"redis_host": "a", "redis_ssl": true, (alone): "/x.pem"});
            assert_eq!(read(router, Value::Null, Value::Null, &[]).1, 1, "{alone}");
        }
    }
}
