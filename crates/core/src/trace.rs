//! Where a call stands in a distributed trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The span that whatever comes next belongs under: the client's own, or the one of the layer above.
#[derive(Debug)]
pub struct TraceContext {
    /// Names the trace; never all zero.
    pub trace: [u8; 16],
    /// Names the span; never all zero.
    pub span: [u8; 8],
    /// Whether the trace is recorded.
    pub sampled: bool,
    /// What other tracing systems want carried along (`tracestate`).
    pub state: Option<Arc<str>>,
    children: AtomicU32,
}

// === impl TraceContext ===

impl TraceContext {
    /// A span with nothing below it yet.
    pub fn new(trace: [u8; 16], span: [u8; 8], sampled: bool, state: Option<Arc<str>>) -> Self {
        Self { trace, span, sampled, state, children: AtomicU32::new(0) }
    }

    /// The same place for work of another kind, which is counted for itself.
    #[must_use]
    pub fn apart(&self) -> Self {
        Self::new(self.trace, self.span, self.sampled, self.state.clone())
    }

    /// The trace's name in hexadecimal digits.
    pub fn trace_text(&self) -> Arc<str> {
        let mut digits = [0; 32];
        write_hex(&self.trace, &mut digits);
        std::str::from_utf8(&digits).unwrap_or_default().into()
    }

    /// The ordinal of the next span below this one, from 1: clones of a call share the count.
    pub fn next_child(&self) -> u32 {
        self.children.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

/// Writes bytes as hexadecimal digits, two each, as far as there is room for them.
pub fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(digits.as_chunks_mut::<2>().0) {
        *pair = [byte >> 4, byte & 0xf].map(|digit| DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'));
    }
}
