//! Where this gateway counts: in its own process, or in a Redis that it shares with other replicas.

use std::path::Path;
use std::sync::Arc;

use gatewright_core::Clock;
use gatewright_limits::{Counts, Local, Place, Shared, SharedSettings};
use gatewright_spend::{InstanceId, Journal};
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates, TlsMode};
use tokio::sync::Mutex as AsyncMutex;

use crate::StartError;
use crate::config::{Certificates, Config, RedisSettings, Sentinels};

/// Opens what the configuration names.
pub(crate) fn open(
    config: &Config,
    journal: &Journal,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Counts>, StartError> {
    let mode = config.money.mode;
    let Some(redis) = &config.redis else {
        return Ok(Arc::new(Counts::Local(Local::new(clock).holding(mode))));
    };
    let places = match &redis.sentinels {
        Some(asked) => vec![Place::Sentinels(sentinels(redis, asked)?)],
        None => {
            let each = redis.servers.iter().map(|one| client(one, &redis.certificates).map(Place::from));
            each.collect::<Result<_, _>>()?
        }
    };
    // A process that is started again on the same journal is the same replica.
    let replica = journal.instance().unwrap_or_else(InstanceId::fresh).to_string();
    let settings = SharedSettings { replica, mode, ..redis.sharing.clone() };
    Ok(Arc::new(Counts::Shared(Shared::start(places, settings, clock))))
}

/// Whoever asks sentinels for the master of a service, and that. Their own TLS is as the master's.
pub(crate) fn sentinels(
    redis: &RedisSettings,
    asked: &Sentinels,
) -> Result<Arc<AsyncMutex<SentinelClient>>, StartError> {
    let unusable = |err| StartError::new("cannot use these sentinels", &err);
    let addresses = redis.servers.iter().map(|server| server.addr().clone());
    let master = SentinelServerType::Master;
    let mut builder = SentinelClientBuilder::new(addresses, &asked.service, master).map_err(unusable)?;
    if let Some(first) = redis.servers.first() {
        let access = first.redis_settings();
        let tcp = TcpSettings::default().set_nodelay(true);
        builder = builder.set_client_to_redis_db(access.db()).set_client_to_redis_tcp_settings(tcp);
        if let Some(username) = access.username() {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = access.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let ConnectionAddr::TcpTls { .. } = first.addr() {
            let trusted = tls(&redis.certificates)?;
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(trusted.clone())
                .set_client_to_sentinel_certificates(trusted);
        }
    }
    if let Some(password) = &asked.password {
        builder = builder.set_client_to_sentinel_password(password.reveal());
    }
    Ok(Arc::new(AsyncMutex::new(builder.build().map_err(unusable)?)))
}

/// Whoever asks a server, as the configuration says.
pub(crate) fn client(
    server: &ConnectionInfo,
    certificates: &Certificates,
) -> Result<redis::Client, StartError> {
    let client = if let ConnectionAddr::TcpTls { .. } = server.addr() {
        redis::Client::build_with_tls(server.clone(), tls(certificates)?)
    } else {
        redis::Client::open(server.clone())
    };
    client.map_err(|err| StartError::new("cannot use this redis", &err))
}

/// What TLS trusts and shows, where the configuration says anything of it.
pub(crate) fn certificates(certificates: &Certificates) -> Result<Option<TlsCertificates>, StartError> {
    let said = certificates.own.is_some() || certificates.authorities.is_some();
    said.then(|| tls(certificates)).transpose()
}

fn tls(certificates: &Certificates) -> Result<TlsCertificates, StartError> {
    let own = certificates.own.as_ref().map(|(certificate, key)| -> Result<_, StartError> {
        Ok(ClientTlsConfig { client_cert: read(certificate)?, client_key: read(key)? })
    });
    let root_cert = certificates.authorities.as_deref().map(read).transpose()?;
    Ok(TlsCertificates { client_tls: own.transpose()?, root_cert })
}

fn read(file: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(file).map_err(|err| StartError::new(&format!("cannot read {}", file.display()), &err))
}
