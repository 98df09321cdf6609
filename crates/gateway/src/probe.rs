//! Probes are answered beside the calls: whether the process lives must be told also while all workers are busy.
//!
//! The runtime that accepts connections mostly sleeps, so that it runs as soon as something comes. It looks at the first bytes
//! of each connection and answers a probe itself; every other connection goes to a worker, which reads those bytes again.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::{Answers, ROUTES};

/// Connections that are looked at, or answered, at the same time. Further ones go to a worker unseen: whoever opens many and
/// says nothing takes this way from probes, and nothing else.
const MOST: usize = 256;

/// How long the first bytes are waited for. Whoever asks for something at all has sent it by then.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);

/// A longer head is no probe's.
const HEAD: usize = 1 << 10;

/// Where connections are looked at.
#[derive(Clone)]
pub(crate) struct Lookout(Arc<Semaphore>);

// === impl Lookout ===

impl Lookout {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// Room to look at one more, given back when dropped.
    pub(crate) fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().try_acquire_owned().ok()
    }
}

/// Whether the first thing that is said is a probe, of which nothing is missing: its answer waits for nobody. One system call,
/// which leaves what was said where it is.
pub(crate) async fn is_first(stream: &TcpStream) -> bool {
    let mut head = [0; HEAD];
    match timeout(PATIENCE, stream.peek(&mut head)).await {
        Ok(Ok(length)) => head.get(..length).is_some_and(is_probe),
        Ok(Err(_)) | Err(_) => false,
    }
}

fn is_probe(head: &[u8]) -> bool {
    let asks = |path: &str| {
        let rest = head.strip_prefix(b"GET ").and_then(|rest| rest.strip_prefix(path.as_bytes()));
        rest.is_some_and(|rest| matches!(rest.first(), Some(b' ' | b'?')))
    };
    let probes =
        ROUTES.iter().filter(|route| matches!(route.answers, Answers::Liveliness | Answers::Readiness));
    head.ends_with(b"\r\n\r\n") && probes.map(|route| route.path).any(asks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_a_whole_head_that_asks_how_the_process_does() {
        for (head, is) in [
            ("GET /health/liveliness HTTP/1.1\r\nhost: here\r\n\r\n", true),
            ("GET /health/liveness HTTP/1.0\r\n\r\n", true),
            ("GET /health/readiness?verbose=1 HTTP/1.1\r\nhost: here\r\n\r\n", true),
            // More of it is to come, and may be long in coming.
            ("GET /health/liveliness HTTP/1.1\r\nhost: he", false),
            ("GET /health/live", false),
            ("GET /health/livelinesses HTTP/1.1\r\n\r\n", false),
            // Asks for a key, and looks at every deployment.
            ("GET /health HTTP/1.1\r\nhost: here\r\n\r\n", false),
            ("POST /health/liveliness HTTP/1.1\r\nhost: here\r\n\r\n", false),
            // A call behind it would be answered beside the workers.
            ("GET /health/liveliness HTTP/1.1\r\n\r\nPOST /v1/chat/completions HTTP/1.1\r\n", false),
            ("", false),
        ] {
            assert_eq!(is_probe(head.as_bytes()), is, "{head}");
        }
    }
}
