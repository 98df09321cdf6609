//! The end of a listener: nobody new begins, and whoever has begun is accepted.
//!
//! Closing a listener resets the connections that wait in its queue, and between a look at the queue and the close there is
//! always time for one more.

use std::time::Duration;

use tokio::net::TcpListener;

/// How long connections that have begun may take to be complete.
pub(crate) const HANDSHAKES: Duration = Duration::from_millis(100);

/// Lets no connection begin any more, while those that have begun become complete: what asks for a new one is dropped, as
/// on a way that loses it, and is refused when it asks again after the close.
#[cfg(target_os = "linux")]
pub(crate) fn close_to_newcomers(listener: &TcpListener) {
    use socket2::{SockFilter, SockRef};
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;
    // Classic BPF over the TCP header, whose byte 13 has the flags: a SYN without an ACK asks for a connection. Sockets that
    // are accepted have the filter too, and never see such a packet.
    const NEWCOMERS_DROPPED: [SockFilter; 5] = [
        SockFilter::new(0x30, 0, 0, 13),
        SockFilter::new(0x54, 0, 0, SYN | ACK),
        SockFilter::new(0x15, 0, 1, SYN),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    if let Err(err) = SockRef::from(listener).attach_filter(&NEWCOMERS_DROPPED) {
        tracing::debug!(%err, "connections may begin until the listener is closed");
    }
}

/// Other systems have no such filter: a connection that begins in the last moment is reset.
#[cfg(not(target_os = "linux"))]
pub(crate) fn close_to_newcomers(_listener: &TcpListener) {}
