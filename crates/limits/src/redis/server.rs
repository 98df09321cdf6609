//! The server that keeps the counts: how it is found, and how a connection to it is opened.

use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, InfoDict, RedisError, RedisResult, Script,
    ServerErrorKind, Value,
};

const COUNTS: &str = include_str!("counts.lua");

/// What Redis runs in one step.
pub(super) static HOLD: LazyLock<Script> = LazyLock::new(|| script(include_str!("hold.lua")));
pub(super) static TELL: LazyLock<Script> = LazyLock::new(|| script(include_str!("tell.lua")));
pub(super) static AMEND: LazyLock<Script> = LazyLock::new(|| script(include_str!("amend.lua")));
pub(super) static RESET: LazyLock<Script> = LazyLock::new(|| script(include_str!("reset.lua")));
pub(super) static ALIVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("alive.lua")));
static GREET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("greet.lua")));

/// For so long after a server was started anew, replicas only tell it what they know.
const GRACE: Duration = Duration::from_secs(2);

/// Connecting takes some round trips, and names may have to be resolved.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

/// A server in one of its lives.
pub(super) struct Server {
    client: Client,
    /// Another one where it was started anew, or where another server answers at its address.
    run: String,
}

/// What a server answers to a greeting, in its own milliseconds.
pub(super) struct Greeting {
    pub(super) now: i64,
    /// Before this moment, replicas only tell what they know.
    pub(super) ready: i64,
}

// === impl Server ===

impl Server {
    /// Finds the one that keeps what is called `name`, beginning here: each node of a cluster knows which one that is.
    pub(super) async fn find(client: &Client, name: &str) -> RedisResult<(Self, MultiplexedConnection)> {
        let mut client = client.clone();
        let mut connection = open(&client).await?;
        if let Some(home) = home(&client, &mut connection, name).await? {
            client = home;
            connection = open(&client).await?;
        }
        let run = run_id(&mut connection).await?;
        Ok((Self { client, run }, connection))
    }

    /// One more connection to the same life of it.
    pub(super) async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        let mut connection = open(&self.client).await?;
        match run_id(&mut connection).await? == self.run {
            true => Ok(connection),
            false => Err((ErrorKind::Io, "another server answers").into()),
        }
    }

    /// Makes it ready for questions. One that was started anew may have lost what it was told last.
    pub(super) async fn greet(
        &self,
        connection: &mut MultiplexedConnection,
        born: &str,
    ) -> RedisResult<Greeting> {
        for script in [&*HOLD, &*TELL, &*AMEND, &*RESET, &*ALIVE] {
            script.load_async(connection).await?;
        }
        let mut greeting = GREET.key(born);
        let greeting = greeting.arg(&self.run).arg(i64::try_from(GRACE.as_millis()).unwrap_or(i64::MAX));
        let (now, ready) = greeting.invoke_async(connection).await?;
        Ok(Greeting { now, ready })
    }
}

/// Scripts that a server has forgotten are loaded again.
pub(super) async fn run(
    connection: &mut MultiplexedConnection,
    script: &Script,
    command: &Cmd,
) -> RedisResult<Value> {
    match connection.send_packed_command(command).await.and_then(Value::extract_error) {
        Err(err) if err.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            script.load_async(connection).await?;
            connection.send_packed_command(command).await.and_then(Value::extract_error)
        }
        answer => answer,
    }
}

async fn open(client: &Client) -> RedisResult<MultiplexedConnection> {
    // Deadlines are ours: a reply that is late means more than that one question failed.
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// Which of its lives a server is in.
async fn run_id(connection: &mut MultiplexedConnection) -> RedisResult<String> {
    let said: InfoDict = redis::cmd("INFO").arg("server").query_async(connection).await?;
    Ok(said.get("run_id").unwrap_or_default())
}

/// The node of a cluster that keeps this name; nothing where it is the one that is asked.
async fn home(
    client: &Client,
    connection: &mut MultiplexedConnection,
    name: &str,
) -> RedisResult<Option<Client>> {
    match redis::cmd("EXISTS").arg(name).exec_async(connection).await {
        Ok(()) => Ok(None),
        Err(err) if err.kind() == ErrorKind::Server(ServerErrorKind::Moved) => {
            named_by(client, err).map(Some)
        }
        Err(err) => Err(err),
    }
}

/// The same access to the address that a node names. One that does not know its own name leaves it out.
fn named_by(client: &Client, moved: RedisError) -> RedisResult<Client> {
    let place = moved.redirect_node().and_then(|(place, _)| place.rsplit_once(':'));
    let Some((host, Ok(port))) = place.map(|(host, port)| (host.to_owned(), port.parse())) else {
        return Err(moved);
    };
    let known = client.get_connection_info();
    let or = |own: &String| if host.is_empty() { own.clone() } else { host.clone() };
    let addr = match known.addr() {
        ConnectionAddr::Tcp(own, _) => ConnectionAddr::Tcp(or(own), port),
        ConnectionAddr::TcpTls { host: own, insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host: or(own),
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => return Err(moved),
    };
    Client::open(known.clone().set_addr(addr))
}

fn script(own: &str) -> Script {
    Script::new(&[COUNTS, own].concat())
}
