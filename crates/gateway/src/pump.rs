//! A streamed answer over HTTP/2: flow control holds it back where its client does not read, and nobody polls it then.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

type Piece = Result<Frame<Bytes>, axum::Error>;

/// What the client takes; `None` is the end of the answer.
struct Pumped(mpsc::Receiver<Option<Piece>>);

/// The same body, let go when its client takes nothing of it for `patience`. A whole one is left alone: nothing hangs on
/// it any more.
pub(crate) fn pumped(body: Body, patience: Duration, tasks: &TaskTracker) -> Body {
    if http_body::Body::size_hint(&body).exact().is_some() {
        return body;
    }
    let (pieces, taken) = mpsc::channel(1);
    tasks.spawn(pump(body, patience, pieces));
    Body::new(Pumped(taken))
}

async fn pump(mut body: Body, patience: Duration, pieces: mpsc::Sender<Option<Piece>>) {
    loop {
        let piece = tokio::select! {
            piece = body.frame() => piece,
            () = pieces.closed() => return,
        };
        let ended = piece.is_none();
        match timeout(patience, pieces.send(piece)).await {
            Ok(Ok(())) if !ended => {}
            _ => return,
        }
    }
}

impl http_body::Body for Pumped {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        Poll::Ready(match ready!(self.0.poll_recv(cx)) {
            Some(piece) => piece,
            None => Some(Err(axum::Error::new("nobody read the answer"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A body without end, and how many hold it.
    fn endless() -> (Body, std::sync::Weak<()>) {
        let held = std::sync::Arc::new(());
        let weak = std::sync::Arc::downgrade(&held);
        let pieces = stream::repeat_with(move || {
            let _held = &held;
            Ok::<_, axum::Error>(Bytes::from_static(b"x"))
        });
        (Body::from_stream(pieces), weak)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_let_go() {
        let (body, held) = endless();
        let tasks = TaskTracker::new();
        let mut body = pumped(body, PATIENCE, &tasks);
        for _ in 0..9 {
            tokio::time::sleep(PATIENCE / 2).await;
            body.frame().await.unwrap().unwrap();
        }
        assert_eq!(held.strong_count(), 1, "it takes something now and then");
        tasks.close();
        tasks.wait().await;
        assert_eq!(held.strong_count(), 0);
        // What was handed over is still there, and then it is no whole answer.
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_ends_it_and_one_that_reads_gets_all() {
        let (body, held) = endless();
        let tasks = TaskTracker::new();
        drop(pumped(body, PATIENCE, &tasks));
        let pieces = stream::iter(["a", "b", "c"].map(Ok::<_, axum::Error>));
        let whole = pumped(Body::from_stream(pieces), PATIENCE, &tasks).collect().await.unwrap();
        assert_eq!(whole.to_bytes(), "abc");
        tasks.close();
        tasks.wait().await;
        assert_eq!(held.strong_count(), 0);
    }
}
