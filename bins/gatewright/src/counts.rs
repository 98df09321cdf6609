//! Where this gateway counts: in its own process, or in a Redis that it shares with other replicas.

use std::path::Path;
use std::sync::Arc;

use gatewright_core::Clock;
use gatewright_limits::{Counts, Local, Shared, SharedSettings};
use gatewright_spend::{InstanceId, Journal};
use redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};

use crate::StartError;
use crate::config::{Certificates, Config};

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
    let servers = redis.servers.iter().map(|server| client(server, &redis.certificates));
    let servers = servers.collect::<Result<_, _>>()?;
    // A process that is started again on the same journal is the same replica.
    let replica = journal.instance().unwrap_or_else(InstanceId::fresh).to_string();
    let settings = SharedSettings { replica, mode, ..redis.sharing.clone() };
    Ok(Arc::new(Counts::Shared(Shared::start(servers, settings, clock))))
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
