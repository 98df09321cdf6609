//! The way out for spans: OTLP over the gateway's own HTTP client, or lines on standard output.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatewright_transport::{Failure, Request, Transport};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::warn;

use crate::queue::{Queue, Spans};
use crate::{Compression, InitError, Otlp, Protocol, Settings, console, envelope, grpc, json};

/// A receiver's answer says little; more than this is not read.
const ANSWER_LIMIT: usize = 64 * 1024;

/// The shortest that a span waits for company: whoever looks all the time does nothing else.
const SHORTEST_DELAY: Duration = Duration::from_millis(1);

/// What does not arrive is tried so often again, after waits that double, each a little longer than that by chance.
const RETRIES: u32 = 3;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_millis(1600);
const CHANCE_MILLIS: u64 = 100;

/// Sends what is in the queue, until that is closed.
pub(crate) struct Exporter {
    queue: Queue,
    delay: Duration,
    way: Way,
}

/// Where spans go in the end.
enum Way {
    Receiver(Arc<Receiver>),
    Console,
}

struct Receiver {
    transport: Transport,
    uri: Uri,
    headers: HeaderMap,
    protocol: Protocol,
    compression: Compression,
    timeout: Duration,
    /// What every span says about this process, as OTLP's `Resource`.
    resource: Vec<u8>,
}

/// Why a batch did not arrive, and when it may be tried again, if at all.
enum Lost {
    ForGood(&'static str),
    ForNow(Option<Duration>),
}

// === impl Exporter ===

impl Exporter {
    pub(crate) fn new(
        settings: &Settings,
        otlp: &Otlp,
        (transport, queue): (Transport, Queue),
    ) -> Result<Self, InitError> {
        let way = match otlp.protocol {
            Protocol::Console => Way::Console,
            Protocol::Http | Protocol::Grpc | Protocol::Json => {
                Way::Receiver(Arc::new(Receiver::new(settings, otlp, transport)?))
            }
        };
        Ok(Self { queue, delay: otlp.batch.schedule_delay.max(SHORTEST_DELAY), way })
    }

    /// Sends whole batches as they come, and whatever there is every now and then and where somebody asks; tells at the end
    /// whether the last of it arrived.
    pub(crate) async fn run(self) -> bool {
        loop {
            let is_time = tokio::select! {
                () = sleep(self.delay) => true,
                () = self.queue.due() => false,
            };
            let due = self.queue.asked();
            let any = is_time || due.closed || !due.asked.is_empty();
            let mut arrived = true;
            // No more than there are now: what comes meanwhile waits for company again.
            for _ in 0..due.batches {
                if let Some(spans) = self.queue.take(any) {
                    arrived &= self.send(spans).await;
                }
            }
            for asked in due.asked {
                // Nobody may wait any more.
                let _ = asked.send(arrived);
            }
            if due.closed {
                return arrived;
            }
        }
    }

    async fn send(&self, spans: Spans) -> bool {
        let (count, bytes) = (spans.count, spans.bytes);
        let lost = match &self.way {
            // Whoever reads standard output may be slow.
            Way::Console => match spawn_blocking(move || console::write(&spans.whole())).await {
                Ok(true) => 0,
                Ok(false) | Err(_) => count as u64,
            },
            Way::Receiver(receiver) => match receiver.clone().prepared(spans).await {
                Some(request) => receiver.send(count as u64, &request).await,
                None => count as u64,
            },
        };
        self.queue.settle((count, bytes), lost);
        lost == 0
    }
}

// === impl Receiver ===

impl Receiver {
    fn new(settings: &Settings, otlp: &Otlp, transport: Transport) -> Result<Self, InitError> {
        let not_a_header = |_| InitError::new("spans cannot be exported: not a header");
        let mut headers = HeaderMap::new();
        headers
            .insert(USER_AGENT, HeaderValue::from_static(concat!("gatewright/", env!("CARGO_PKG_VERSION"))));
        for (name, value) in &otlp.headers {
            headers.insert(name, HeaderValue::from_str(value.reveal()).map_err(not_a_header)?);
        }
        let kind = match otlp.protocol {
            Protocol::Json => "application/json",
            Protocol::Http | Protocol::Grpc | Protocol::Console => "application/x-protobuf",
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let is_grpc = otlp.protocol == Protocol::Grpc;
        let uri = if is_grpc { grpc::method_at(&otlp.endpoint).parse().ok() } else { None };
        Ok(Self {
            transport,
            uri: uri.unwrap_or_else(|| otlp.endpoint.clone()),
            headers,
            protocol: otlp.protocol,
            compression: otlp.compression,
            timeout: otlp.timeout,
            resource: envelope::resource(settings, otlp),
        })
    }

    /// The request for a batch. What takes a while is done where nobody waits behind it.
    async fn prepared(self: Arc<Self>, spans: Spans) -> Option<Request> {
        match (self.protocol, self.compression) {
            (Protocol::Http | Protocol::Grpc, Compression::None) => Some(self.request(spans)),
            _ => spawn_blocking(move || self.request(spans)).await.ok(),
        }
    }

    /// How many of so many spans did not arrive.
    async fn send(&self, count: u64, request: &Request) -> u64 {
        let deadline = Instant::now() + self.timeout;
        let (mut wait, mut tries) = (FIRST_WAIT, 0);
        loop {
            let answer = timeout_at(deadline, self.exchange(request.clone())).await;
            let again = match answer {
                Ok(Ok(answer)) => {
                    let rejected = self.rejected(&answer);
                    if rejected > 0 {
                        warn!(rejected, "the receiver of spans did not take all of them");
                    }
                    return rejected;
                }
                Ok(Err(Lost::ForNow(after))) => after,
                Ok(Err(Lost::ForGood(why))) => {
                    warn!(spans = count, why, "spans were not taken by their receiver");
                    return count;
                }
                Err(_) => None,
            };
            wait = wait.max(again.unwrap_or_default());
            let chance = Duration::from_millis(rand::random_range(0..=CHANCE_MILLIS));
            let at = Instant::now() + wait + chance;
            if tries == RETRIES || at >= deadline {
                warn!(spans = count, tries = tries + 1, "spans did not reach their receiver in time");
                return count;
            }
            tries += 1;
            sleep_until(at).await;
            // A receiver that says when is believed, however long that is.
            wait = (wait * 2).min(LONGEST_WAIT.max(wait));
        }
    }

    fn request(&self, spans: Spans) -> Request {
        let mut headers = self.headers.clone();
        let message = match self.protocol {
            Protocol::Json => vec![json::request(&self.resource, &spans.whole()).into()],
            Protocol::Http | Protocol::Grpc | Protocol::Console => {
                let parts: Vec<Bytes> =
                    [spans.message].into_iter().chain(spans.more).map(Bytes::from).collect();
                let front = envelope::front(&self.resource, parts.iter().map(Bytes::len).sum());
                [Bytes::from(front)].into_iter().chain(parts).collect()
            }
        };
        let packed = match self.compression {
            Compression::None => None,
            Compression::Gzip => envelope::gzip(&message),
        };
        let is_packed = packed.is_some();
        let mut body = packed.map_or(message, |packed| vec![packed]);
        match self.protocol {
            Protocol::Grpc => {
                let length = body.iter().map(Bytes::len).sum();
                body.insert(0, grpc::request((length, is_packed), &mut headers, self.timeout));
            }
            _ if is_packed => drop(headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"))),
            _ => {}
        }
        let mut request = Request::new(Method::POST, self.uri.clone(), body.into_iter().collect());
        request.headers = headers;
        request
    }

    /// The message of an answer that says that spans were taken.
    async fn exchange(&self, request: Request) -> Result<Bytes, Lost> {
        let passing = |_: Failure| Lost::ForNow(None);
        let answer = self.transport.send(request).await.map_err(passing)?;
        let (status, mut headers) = (answer.status, answer.headers);
        let (mut body, trailers) = answer.body.collect_with_trailers(ANSWER_LIMIT).await.map_err(passing)?;
        let mut said = status;
        if self.protocol == Protocol::Grpc {
            let answer = grpc::response(status, (&headers, &trailers), &body);
            said = answer.status();
            let (head, message) = answer.into_parts();
            (headers, body) = (head.headers, message);
        }
        match said {
            status if status.is_success() => Ok(body),
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Lost::ForNow(retry_after(&headers))),
            status => Err(Lost::ForGood(status.canonical_reason().unwrap_or("an unknown status"))),
        }
    }

    /// How many spans the receiver's answer says that it did not take.
    fn rejected(&self, answer: &[u8]) -> u64 {
        match self.protocol {
            Protocol::Json => json::rejected(answer),
            Protocol::Http | Protocol::Grpc | Protocol::Console => envelope::rejected(answer),
        }
    }
}

/// In whole seconds; dates are not asked for by receivers of spans.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds))
}
