//! New connections: name, egress guard, TCP, proxy, TLS, within one time limit.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::host::Origin;
use crate::names::Names;
use crate::proxy::{Proxy, Route, Rules};
use crate::stream::Stream;
use crate::tls::Tls;
use crate::{Egress, Failure, FailureKind, Http2, Settings, SettingsError, Trust};

/// How long an address may take before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);
/// When a silent connection is first asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Opens connections.
pub(crate) struct Dialler {
    names: Names,
    egress: Egress,
    rules: Rules,
    tls: Tls,
    connect_timeout: Duration,
    http2: Http2,
    tasks: TaskTracker,
}

/// A connection on which HTTP may be spoken.
pub(crate) struct Dialled {
    pub(crate) stream: Stream,
    pub(crate) http2: bool,
}

// === impl Dialler ===

impl Dialler {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            names: Names::new(settings.dns)?,
            egress: settings.egress.clone(),
            rules: Rules::new(&settings.proxies)?,
            tls: Tls::new(settings)?,
            connect_timeout: settings.connect_timeout,
            http2: settings.http2,
            tasks: TaskTracker::new(),
        })
    }

    /// Where the tasks of connections run.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    pub(crate) fn route(&self, origin: &Origin) -> Route {
        self.rules.route(origin)
    }

    /// A new connection to a host.
    pub(crate) async fn dial(&self, origin: &Origin, route: &Route) -> Result<Dialled, Failure> {
        let dial = async {
            let stream = self.reach(origin, route).await?;
            match origin.tls {
                true => {
                    let (stream, http2) = self.tls.greet(stream, origin.name()).await?;
                    Ok(Dialled { stream, http2 })
                }
                false => Ok(Dialled { stream, http2: self.http2 == Http2::PriorKnowledge }),
            }
        };
        match timeout(self.connect_timeout, dial).await {
            Ok(dialled) => dialled,
            Err(_) => Err(Failure::unsent(
                FailureKind::ConnectTimeout,
                format!("no connection to {} after {:?}", origin.authority, self.connect_timeout),
            )),
        }
    }

    /// A stream to the host, through a proxy where there is one.
    async fn reach(&self, origin: &Origin, route: &Route) -> Result<Stream, Failure> {
        match route {
            Route::Direct => {
                let addresses = self.permitted(origin).await?;
                connect(&addresses, origin.port()).await
            }
            Route::Forward(proxy) => self.reach_proxy(proxy).await,
            Route::Tunnel(proxy) => {
                let target = self.tunnel_target(origin).await?;
                let mut stream = self.reach_proxy(proxy).await?;
                proxy.tunnel(&mut stream, &target).await?;
                Ok(stream)
            }
        }
    }

    async fn reach_proxy(&self, proxy: &Proxy) -> Result<Stream, Failure> {
        let addresses = self.names.resolve(proxy.name()).await?;
        let stream = connect(&addresses, proxy.port()).await?;
        match proxy.is_tls() {
            true => self.tls.greet_proxy(stream, proxy.name()).await,
            false => Ok(stream),
        }
    }

    /// What a proxy is asked for: the name, or the address that was checked where the name is not trusted.
    async fn tunnel_target(&self, origin: &Origin) -> Result<String, Failure> {
        if origin.trust == Trust::Operator {
            return Ok(format!("{}:{}", origin.authority.host(), origin.port()));
        }
        let addresses = self.permitted(origin).await?;
        match addresses.first() {
            Some(address) => Ok(SocketAddr::new(*address, origin.port()).to_string()),
            None => Err(Failure::unsent(FailureKind::Dns, "no addresses")),
        }
    }

    /// The host's addresses that may be reached.
    async fn permitted(&self, origin: &Origin) -> Result<Vec<IpAddr>, Failure> {
        let mut addresses = self.names.resolve(origin.name()).await?.to_vec();
        if origin.trust == Trust::Untrusted {
            addresses.retain(|address| self.egress.permits(*address));
        }
        if addresses.is_empty() {
            let text = format!("no address of {} is open to untrusted urls", origin.name());
            return Err(Failure::unsent(FailureKind::Refused, text));
        }
        Ok(addresses)
    }
}

impl std::fmt::Debug for Dialler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialler").field("egress", &self.egress).finish_non_exhaustive()
    }
}

/// The first address that answers. Each is given a head start over the next one, and a failure starts the next at once.
async fn connect(addresses: &[IpAddr], port: u16) -> Result<Stream, Failure> {
    let mut waiting = addresses.iter().map(|address| SocketAddr::new(*address, port));
    let mut running = FuturesUnordered::new();
    running.extend(waiting.next().map(connect_one));
    let mut last = None;
    loop {
        tokio::select! {
            Some(outcome) = running.next(), if !running.is_empty() => match outcome {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    last = Some(error);
                    running.extend(waiting.next().map(connect_one));
                }
            },
            () = sleep(STAGGER), if waiting.len() > 0 && !running.is_empty() => {
                running.extend(waiting.next().map(connect_one));
            }
            else => break,
        }
    }
    let text = last.map_or_else(|| "no addresses".to_owned(), |error| error.to_string());
    Err(Failure::unsent(FailureKind::Connect, text))
}

async fn connect_one(address: SocketAddr) -> io::Result<Stream> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    SockRef::from(&tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    Ok(Stream::Plain(tcp))
}
