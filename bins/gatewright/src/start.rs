//! From the command line to a serving process, and to its exit code.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use futures_util::{Stream, stream};
use gatewright_gateway::WorkerThreads;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, warn};

use crate::cli::{Cli, Command, Serve};
use crate::config::{Config, DEMO_MODEL, Environment, Said};
use crate::{Reread, StartError, import, journal, serve};

/// Variables that set a key of the configuration: `GATEWRIGHT__ROUTER_SETTINGS__NUM_RETRIES=3`.
const OVERLAY: &str = "GATEWRIGHT__";

/// Does what the command line says.
pub fn run(cli: Cli) -> ExitCode {
    if let Some(Command::Journal(args)) = &cli.command {
        return journal::print(args);
    }
    let (args, env) = (&cli.serve, environment());
    let env: Environment =
        Arc::new(move |name| env.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()));
    let args = match &cli.command {
        Some(Command::Import(import)) => &Serve { config: import.config.clone(), ..args.clone() },
        Some(Command::Journal(_)) | None => args,
    };
    let config = load(args, &*env);
    for problem in config.problems.iter() {
        let _ = writeln!(io::stderr(), "{problem}");
    }
    if args.check {
        return checked(&config);
    }
    if config.problems.are_fatal() {
        return ExitCode::FAILURE;
    }
    if let Some(Command::Import(import)) = &cli.command {
        return import::run(import, &config, &*env);
    }
    match start(args, config, env) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            let _ = writeln!(io::stderr(), "gatewright: {err}");
            ExitCode::FAILURE
        }
    }
}

fn load(args: &Serve, env: &dyn Fn(&str) -> Option<String>) -> Config {
    let overlay = environment()
        .into_iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(OVERLAY)?.to_owned(), value)));
    let said = Said {
        file: args.config.as_deref(),
        text: None,
        model: args.model.as_deref(),
        alias: args.alias.as_deref(),
        api_base: args.api_base.as_deref(),
        overlay: overlay.collect(),
    };
    let mut config = Config::load(&said, env);
    if args.debug {
        config.telemetry.logs.filter = "info,gatewright=debug".to_owned();
    }
    config
}

/// The one place that reads the environment.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn checked(config: &Config) -> ExitCode {
    let _ = match config.problems.iter().count() {
        0 => writeln!(io::stdout(), "the configuration is good: {} deployments", config.deployments.len()),
        n => writeln!(io::stdout(), "{n} problems"),
    };
    if config.problems.are_fatal() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn start(args: &Serve, config: Config, env: Environment) -> Result<(), StartError> {
    // Whoever links a second TLS provider in would otherwise make rustls panic at the first connection.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let count = args.workers.and_then(NonZeroUsize::new);
    let count = count.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let threads = WorkerThreads::start(count).map_err(|err| StartError::new("cannot start", &err))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|err| StartError::new("cannot start", &err))?;
    let outer = env.clone();
    let env = with_variables(&config, outer.clone());
    let served = runtime.block_on(async {
        let reread = on_hangup(args.clone(), outer);
        let address = SocketAddr::new(args.host, args.port);
        let listener = TcpListener::bind(address)
            .await
            .map_err(|err| StartError::new(&format!("cannot listen on {address}"), &err))?;
        let shown = listener.local_addr().unwrap_or(address);
        greet(&config, shown);
        // In a box: it holds the whole gateway while it is put together.
        Box::pin(serve(config, env, (threads.workers(), listener), reread, stop_signal())).await
    });
    // Whoever had something to finish has been waited for. A thread whose disk hangs would wait for ever.
    runtime.shutdown_background();
    served
}

/// The environment with what the file adds to it.
fn with_variables(config: &Config, env: Environment) -> Environment {
    let variables = config.variables.clone();
    Arc::new(move |name| {
        variables.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).or_else(|| env(name))
    })
}

/// The configuration, read again at each SIGHUP. One with errors is only told of.
fn on_hangup(args: Serve, env: Environment) -> impl Stream<Item = Reread> + Send {
    let hangups = signal(SignalKind::hangup());
    stream::unfold(hangups, move |hangups| {
        let (args, env) = (args.clone(), env.clone());
        async move {
            let mut hangups = hangups.ok()?;
            loop {
                hangups.recv().await?;
                let (args, of_process) = (args.clone(), env.clone());
                let config = tokio::task::spawn_blocking(move || load(&args, &*of_process)).await.ok()?;
                for problem in config.problems.iter() {
                    warn!(%problem, "the configuration was read again");
                }
                if !config.problems.are_fatal() {
                    let env = with_variables(&config, env);
                    return Some(((config, env), Ok(hangups)));
                }
                error!("the configuration has errors: the old one stays in force");
            }
        }
    })
}

/// Says what is served and gives one line to try.
fn greet(config: &Config, address: SocketAddr) {
    let mut names: Vec<&str> = config.deployments.iter().map(|d| &*d.routing.group).collect();
    names.dedup();
    let first = names.iter().find(|name| !name.contains('*')).copied().unwrap_or(DEMO_MODEL);
    let key =
        if config.access.master_key.is_some() { " -H 'authorization: Bearer <your master key>'" } else { "" };
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "gatewright {} serves http://{address}", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(out, "models: {}", names.join(", "));
    let _ = writeln!(
        out,
        "try: curl http://{address}/v1/chat/completions{key} -H 'content-type: application/json' \
         -d '{{\"model\": \"{first}\", \"messages\": [{{\"role\": \"user\", \"content\": \"hi\"}}]}}'"
    );
}

/// Ready at the first SIGTERM or SIGINT.
async fn stop_signal() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers the signals keep their default: they end the process at once.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
