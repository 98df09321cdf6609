//! The ways in which an upstream breaks, as data.

use std::io::Write;
use std::sync::LazyLock;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use gatewright_tests::upstream::{Answer, Ends, Pause, Said, Script};

use crate::wire::Wire;

/// Dollars a token.
pub const INPUT: f64 = 0.001;
pub const OUTPUT: f64 = 0.01;

/// Events of a stream after which every dialect has said something.
pub const SAID: usize = 8;

/// An event that nobody takes.
pub const HUGE: usize = 24 << 20;

/// As deep as no JSON is.
const DEEP: usize = 10_000;

/// What a bomb unfolds to.
const UNFOLDED: usize = 512 << 20;
const PIECE: usize = 1 << 20;

/// A way to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The connection is closed in the middle of a body.
    Eof,
    /// It is closed in one direction.
    Fin,
    Reset,
    /// The body ends as if it were whole.
    Short,
    HalfCharacter,
    BadJson,
    DeepJson,
    ErrorEvent,
    NoDone,
    StalledHead,
    StalledBody,
    HugeEvent,
    Gzip,
    Deflate,
    /// In a coding that nobody here knows.
    Brotli,
}

use Kind::{
    BadJson, Brotli, DeepJson, Deflate, Eof, ErrorEvent, Fin, Gzip, HalfCharacter, HugeEvent, NoDone, Reset,
    Short, StalledBody, StalledHead,
};

/// What breaks a stream, at a place of it.
pub const IN_STREAMS: [Kind; 9] =
    [Eof, Fin, Reset, Short, HalfCharacter, BadJson, DeepJson, ErrorEvent, StalledBody];

/// What breaks before anything was said.
pub const AT_HEADS: [Kind; 4] = [StalledHead, Gzip, Deflate, Brotli];

/// What breaks an answer that comes at once.
pub const WHOLE: [Kind; 10] =
    [Eof, Fin, Reset, HalfCharacter, BadJson, StalledHead, StalledBody, Gzip, Deflate, Brotli];

static HUGE_EVENTS: LazyLock<[Bytes; 7]> = LazyLock::new(|| crate::wire::ALL.map(|wire| wire.huge(HUGE)));

/// Members of a megabyte each, one like the other.
static GZIPPED: LazyLock<Bytes> = LazyLock::new(|| {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&[b' '; PIECE]).unwrap();
    encoder.finish().unwrap().repeat(UNFOLDED / PIECE).into()
});

/// Blocks of a megabyte each: all but the first refer to the same bytes before them.
static DEFLATED: LazyLock<Bytes> = LazyLock::new(|| {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let mut block = || {
        let before = encoder.get_ref().len();
        encoder.write_all(&[b' '; PIECE]).unwrap();
        encoder.flush().unwrap();
        encoder.get_ref()[before..].to_vec()
    };
    let (first, other) = (block(), block());
    [first, other.repeat(UNFOLDED / PIECE - 1)].concat().into()
});

// === impl Kind ===

impl Kind {
    /// A stream that breaks after so many events.
    pub fn stream(self, wire: Wire, after: usize) -> Script {
        let words = Script::says(Said::words(20));
        let how = match self {
            Eof => Ends::Cut,
            Fin => Ends::HalfClose,
            Reset => Ends::Reset,
            Short => Ends::Close,
            HalfCharacter => Ends::Bytes(wire.cut_character()),
            BadJson => Ends::Insert(wire.cut_json()),
            DeepJson => Ends::Insert(wire.odd(&deep())),
            ErrorEvent => Ends::Error("it broke".to_owned()),
            HugeEvent => Ends::Insert(HUGE_EVENTS[wire as usize].clone()),
            StalledBody => Ends::Stall,
            NoDone => return Script { done: false, ..words },
            StalledHead => return Script { before_head: Pause::Forever, ..words },
            Gzip | Deflate | Brotli => return self.bomb(wire.stream_type()),
        };
        words.stopping(after, how)
    }

    /// An answer that comes at once and breaks.
    pub fn whole(self) -> Script {
        let words = Script::says(Said::words(20));
        let json = |body: &'static [u8]| raw("application/json", Bytes::from_static(body));
        match self {
            Eof => words.stopping(0, Ends::CutInside(20)),
            Fin => words.stopping(0, Ends::HalfClose),
            Reset => words.stopping(0, Ends::Reset),
            HalfCharacter => json(b"{\"id\": \"Gr\xc3"),
            BadJson => json(b"{\"id\": \"x\", \"choices\": [tru"),
            StalledBody => words.stopping(0, Ends::Stall),
            StalledHead => Script { before_head: Pause::Forever, ..words },
            Gzip | Deflate | Brotli => self.bomb("application/json"),
            Short | DeepJson | ErrorEvent | NoDone | HugeEvent => unreachable!("it breaks streams only"),
        }
    }

    /// An answer of a few bytes that would be hundreds of megabytes.
    pub fn bomb(self, content_type: &str) -> Script {
        let (coding, body) = match self {
            Gzip => ("gzip", GZIPPED.clone()),
            Deflate => ("deflate", DEFLATED.clone()),
            _ => ("br", Bytes::from_static(b"\x8b\x7f\xff\xff\xff\xff")),
        };
        raw(content_type, body).header("content-encoding", coding)
    }

    /// The statuses of an answer that has broken before anything was said.
    pub fn statuses(self) -> &'static [u16] {
        match self {
            Eof | Fin | Reset => &[500],
            Short | HalfCharacter => &[500, 502],
            // Amazon's says that the provider is busy.
            ErrorEvent => &[429, 500, 503],
            StalledHead | StalledBody => &[408],
            _ => &[502],
        }
    }

    /// Whether nothing but time ends it.
    pub fn stalls(self) -> bool {
        matches!(self, StalledHead | StalledBody)
    }
}

fn raw(content_type: &str, body: Bytes) -> Script {
    Script { answer: Answer::Raw { content_type: content_type.to_owned(), body }, ..Script::default() }
}

/// Objects within objects.
fn deep() -> String {
    format!("{}1{}", "{\"a\":".repeat(DEEP), "}".repeat(DEEP))
}
