//! What a request costs here and with hyper-util's client, in CPU time of this process; the server is another process.

use std::convert::Infallible;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use gatewright_transport::{Pieces, Request, Settings, Transport};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const ROUNDS: usize = 7;

/// What is asked for, how often, and how many at once.
const PLAN: [(&str, u32, u32); 6] = [
    ("whole", 10_000, 1),
    ("whole", 20_000, 32),
    ("burst", 1_000, 1),
    ("burst", 2_000, 32),
    ("single", 4, 1),
    ("single", 128, 32),
];

/// One way to send a request and read its answer.
#[derive(Clone)]
enum Way {
    Ours(Transport),
    Theirs(Box<Client<HttpConnector, Full<Bytes>>>),
}

/// What one round cost.
struct Cost {
    cpu: Duration,
    wall: Duration,
    requests: u32,
}

fn main() -> Outcome<()> {
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve());
    }
    let (mut child, address) = start_server()?;
    let outcome = compare_all(address);
    child.kill()?;
    outcome
}

fn start_server() -> Outcome<(Child, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    Ok((child, line.trim().parse()?))
}

fn compare_all(address: SocketAddr) -> Outcome<()> {
    let single = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    let multi = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    for (name, runtime) in [("one thread", single()?), ("two threads", multi()?)] {
        for (path, requests, concurrency) in PLAN {
            let line = runtime.block_on(compare(address, path, requests, concurrency))?;
            writeln!(std::io::stdout(), "{name}, {path}, {concurrency} at once: {line}")?;
        }
    }
    Ok(())
}

async fn compare(address: SocketAddr, path: &str, requests: u32, concurrency: u32) -> Outcome<String> {
    let uri: http::Uri = format!("http://{address}/{path}").parse()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let theirs = Way::Theirs(Box::new(Client::builder(TokioExecutor::new()).build(connector)));
    let ours = Way::Ours(Transport::new(Settings::default())?);
    let mut ratios = Vec::new();
    let mut last = String::new();
    // The first round warms both up.
    for round in 0..=ROUNDS {
        let a = run(&ours, &uri, requests, concurrency).await?;
        let b = run(&theirs, &uri, requests, concurrency).await?;
        if round > 0 {
            ratios.push(a.cpu.as_secs_f64() / b.cpu.as_secs_f64());
        }
        last = format!(
            "{:.2} µs and {:.0}/s against {:.2} µs and {:.0}/s",
            a.cpu_each(),
            a.rate(),
            b.cpu_each(),
            b.rate()
        );
    }
    ratios.sort_by(f64::total_cmp);
    Ok(format!("cpu ratio {:.2} ({:.2} to {:.2}); {last}", ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]))
}

async fn run(way: &Way, uri: &http::Uri, requests: u32, concurrency: u32) -> Outcome<Cost> {
    let tasks = TaskTracker::new();
    let (wall, cpu) = (Instant::now(), process_cpu()?);
    let runs = (0..concurrency).map(|_| {
        let (way, uri) = (way.clone(), uri.clone());
        tasks.spawn(async move {
            for _ in 0..requests / concurrency {
                way.exchange(uri.clone()).await?;
            }
            Ok(())
        })
    });
    for outcome in join_all(runs.collect::<Vec<_>>()).await {
        let done: Outcome<()> = outcome?;
        done?;
    }
    let requests = requests / concurrency * concurrency;
    Ok(Cost { cpu: process_cpu()? - cpu, wall: wall.elapsed(), requests })
}

/// The time that the threads of this process ran, in the kernel's own count.
fn process_cpu() -> Outcome<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        let ran = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += ran.split(' ').next().ok_or("no time")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

// === impl Way ===

impl Way {
    async fn exchange(&self, uri: http::Uri) -> Outcome<usize> {
        let body = Bytes::from_static(&[b'x'; 1024]);
        let mut bytes = 0;
        match self {
            Self::Ours(transport) => {
                let request = Request::new(http::Method::POST, uri, Pieces::from_iter([body]));
                let mut response = transport.send(request).await?;
                while let Some(data) = response.body.ready_chunks(64 * 1024).await {
                    bytes += data?.len();
                }
            }
            Self::Theirs(client) => {
                let request = http::Request::post(uri).body(Full::new(body))?;
                let mut response = client.request(request).await?;
                while let Some(frame) = response.body_mut().frame().await {
                    bytes += frame?.data_ref().map_or(0, Bytes::len);
                }
            }
        }
        Ok(bytes)
    }
}

// === impl Cost ===

impl Cost {
    fn cpu_each(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.requests)
    }

    fn rate(&self) -> f64 {
        f64::from(self.requests) / self.wall.as_secs_f64()
    }
}

async fn serve() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    std::io::stdout().flush()?;
    let tasks = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(answer);
        tasks.spawn(async move {
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
        });
    }
}

/// A kilobyte at once, or a hundred events that are ready together, or a hundred of which each comes by itself.
async fn answer(request: http::Request<Incoming>) -> Outcome<http::Response<BoxBody<Bytes, Infallible>>> {
    let path = request.uri().path().to_owned();
    request.into_body().collect().await?;
    let event = || Ok(Frame::data(Bytes::from_static(&[b'e'; 120])));
    let body = match path.as_str() {
        "/burst" => BodyExt::boxed(StreamBody::new(stream::iter((0..100).map(move |_| event())))),
        "/single" => BodyExt::boxed(StreamBody::new(stream::unfold(0, move |sent| async move {
            tokio::time::sleep(Duration::from_micros(100)).await;
            (sent < 100).then(|| (event(), sent + 1))
        }))),
        _ => Full::new(Bytes::from_static(&[b'y'; 1024])).boxed(),
    };
    Ok(http::Response::new(body))
}
