//! The Redis that replicas share their counts in.

use std::path::PathBuf;
use std::time::Duration;

use gatewright_limits::SharedSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use serde_json::Value;

use super::file::Env;
use super::problem::Problems;
use super::read::Section;
use super::settings::Sections;

/// Where it is, and how counts are shared in it.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// Where it is.
    pub server: ConnectionInfo,
    /// What TLS trusts and shows.
    pub certificates: Certificates,
    /// How counts are shared.
    pub sharing: SharedSettings,
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
    nodes: Option<&'static str>,
}

/// What names several servers, which are not used.
const NODES: [&str; 2] = ["redis_startup_nodes", "sentinel_nodes"];

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
        let environment = Address::in_environment(env);
        let said = places.into_iter().find(Address::is_somewhere).unwrap_or_default();
        let said = said.or(environment);
        if let Some(nodes) = said.nodes {
            problems.error(nodes, "one server is used, no cluster and no sentinels; name its `host`");
        }
        let certificates = said.certificates(problems);
        let server = said.into_server(problems)?;
        Some(RedisSettings { server, certificates, sharing: self.sharing(cache.as_ref(), problems) })
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
        let nodes = NODES.into_iter().find(|nodes| section.value(nodes).is_some());
        Self { url, host, port, db, username, password, tls, authorities, certificate, key, nodes }
    }

    fn in_environment(env: Env<'_>) -> Self {
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
                .map(|_| "REDIS_CLUSTER_NODES")
                .or_else(|| text("REDIS_SENTINEL_NODES").map(|_| "REDIS_SENTINEL_NODES")),
        }
    }

    fn is_somewhere(&self) -> bool {
        self.url.is_some() || self.host.is_some() || self.nodes.is_some()
    }

    /// What it leaves out is as `other` says. A place is taken whole: the host of one and the URL of another do not mix.
    fn or(self, other: Self) -> Self {
        let somewhere = self.is_somewhere();
        let place = if somewhere { (self.url, self.host) } else { (other.url, other.host) };
        Self {
            url: place.0,
            host: place.1,
            port: self.port.or(other.port),
            db: self.db.or(other.db),
            username: self.username.or(other.username),
            password: self.password.or(other.password),
            tls: self.tls.or(other.tls),
            authorities: self.authorities.or(other.authorities),
            certificate: self.certificate.or(other.certificate),
            key: self.key.or(other.key),
            // A server that is named is used, whatever the environment lists.
            nodes: self.nodes.or(other.nodes.filter(|_| !somewhere)),
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

    fn into_server(self, problems: &mut Problems) -> Option<ConnectionInfo> {
        if let Some(url) = self.url {
            let server = url.as_str().into_connection_info();
            if server.is_err() {
                // Without the URL, which may hold a password.
                problems.error("redis_url", "expected `redis://host:port/db` or `rediss://…`");
            }
            return server.ok();
        }
        let host = self.host?;
        let Ok(port) = u16::try_from(self.port.unwrap_or(6379)) else {
            problems.error("redis_port", "expected a port, at most 65535");
            return None;
        };
        let tls = self.tls.unwrap_or(false);
        let place = match tls {
            true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            false => ConnectionAddr::Tcp(host, port),
        };
        let mut access = RedisConnectionInfo::default();
        access = access.set_db(self.db.and_then(|db| i64::try_from(db).ok()).unwrap_or(0));
        if let Some(username) = self.username {
            access = access.set_username(username);
        }
        if let Some(password) = self.password {
            access = access.set_password(password);
        }
        place.into_connection_info().ok().map(|server| server.set_redis_settings(access))
    }
}

/// A section in a section.
fn nested<'a>(section: &Section<'a>, key: &str, problems: &mut Problems) -> Option<Section<'a>> {
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
            let access = redis.server.redis_settings();
            let (user, password) = (access.username().unwrap_or("-"), access.password().unwrap_or("-"));
            format!(
                "{} db={} user={user} password={password} in={}",
                redis.server.addr(),
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
    fn several_servers_are_refused() {
        let nodes = json!([{"host": "a", "port": 7000}]);
        let cache = json!({"cache_params": {"type": "redis", "redis_startup_nodes": nodes}});
        assert_eq!(read(Value::Null, cache, Value::Null, &[]).1, 1);
        let cache = json!({"cache_params": {"type": "redis", "sentinel_nodes": [["a", 1]]}});
        assert_eq!(read(Value::Null, cache, Value::Null, &[]).1, 1);
        assert_eq!(read(Value::Null, Value::Null, Value::Null, &[("REDIS_CLUSTER_NODES", "[]")]).1, 1);
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
