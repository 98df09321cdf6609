//! Ports for servers that go away and come back.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that the kernel gives to connections: one that is tried while its server is away would be given that very port
/// now and then, and keep it from the server.
const FIRST: u32 = 20_000;
const COUNT: u32 = 12_000;

/// A port that nobody listens at, and that this process has not answered before.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(97);
    let ports = std::iter::repeat_with(|| start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)));
    let mut ports = ports.take(COUNT as usize).map(|n| (FIRST + n % COUNT) as u16);
    ports.find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()).expect("a free port")
}
