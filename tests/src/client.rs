//! A small HTTP/1.1 client on plain sockets, so that a test can also leave, dawdle and send half a request.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::{Gateway, MASTER_KEY};

/// The longest that a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(15);

/// Sends requests to one address, each over a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    addr: SocketAddr,
    headers: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body; as far as it came where `whole` is false.
    pub body: Vec<u8>,
    /// Whether the body ended as the head promised.
    pub whole: bool,
}

/// An answer whose body is still coming. Dropping it leaves.
pub struct Live {
    /// The status.
    pub status: u16,
    /// Header names in lower case, and values.
    pub headers: Vec<(String, String)>,
    reader: BufReader<TcpStream>,
    length: Length,
    buffer: Vec<u8>,
    ended: bool,
}

enum Length {
    Chunked,
    Known(usize),
    UntilClose,
}

// === impl Client ===

impl Client {
    /// Without a key.
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr, headers: Vec::new() }
    }

    /// With the master key of a gateway.
    pub fn of(gateway: &Gateway) -> Self {
        Self::with_key(gateway, MASTER_KEY)
    }

    /// With a key of a gateway's.
    pub fn with_key(gateway: &Gateway, key: &str) -> Self {
        Self::new(gateway.addr()).header("authorization", &format!("Bearer {key}"))
    }

    /// The same for somebody else.
    #[must_use]
    pub fn at(&self, addr: SocketAddr) -> Self {
        Self { addr, headers: self.headers.clone() }
    }

    /// Whom it asks.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// With one more header in every request.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A `GET`.
    pub fn get(&self, path: &str) -> Response {
        self.try_get(path).unwrap()
    }

    /// A `GET` that may fail.
    pub fn try_get(&self, path: &str) -> io::Result<Response> {
        self.open("GET", path, b"")?.try_finish()
    }

    /// A `DELETE`.
    pub fn delete(&self, path: &str) -> Response {
        self.open("DELETE", path, b"").and_then(Live::try_finish).unwrap()
    }

    /// A `POST` of JSON, and its whole answer.
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.post_bytes(path, body.to_string().as_bytes())
    }

    /// A `POST` that makes or changes something, which must succeed, and what it answers.
    pub fn made(&self, path: &str, body: Value) -> Value {
        let told = self.post(path, &body);
        assert_eq!(told.status, 200, "{path} {body}: {}", told.text());
        told.json()
    }

    /// A `POST` of bytes, and its whole answer.
    pub fn post_bytes(&self, path: &str, body: &[u8]) -> Response {
        self.open("POST", path, body).and_then(Live::try_finish).unwrap()
    }

    /// A `POST` of JSON that may fail, and its whole answer.
    pub fn try_post(&self, path: &str, body: &Value) -> io::Result<Response> {
        self.open("POST", path, body.to_string().as_bytes()).and_then(Live::try_finish)
    }

    /// A `POST` of a form with these fields and a file, and its whole answer.
    pub fn upload(&self, path: &str, (field, file): (&str, &[u8]), fields: &[(&str, &str)]) -> Response {
        let mut body = Vec::new();
        for (name, value) in fields {
            body.extend(
                format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").bytes(),
            );
        }
        let names = format!("name=\"{field}\"; filename=\"a.bin\"\r\nContent-Type: audio/wav");
        body.extend(format!("--xx\r\nContent-Disposition: form-data; {names}\r\n\r\n").bytes());
        body.extend(file);
        body.extend(b"\r\n--xx--\r\n");
        self.clone().header("content-type", "multipart/form-data; boundary=xx").post_bytes(path, &body)
    }

    /// A `POST` of JSON that answers as soon as the head is there.
    pub fn start(&self, path: &str, body: &Value) -> Live {
        self.open("POST", path, body.to_string().as_bytes()).unwrap()
    }

    /// One plain user turn in OpenAI's form.
    pub fn chat(&self, model: &str, text: &str) -> Response {
        self.post("/v1/chat/completions", &chat(model, text, json!({})))
    }

    /// Sends a request and reads the head of its answer.
    pub fn open(&self, method: &str, path: &str, body: &[u8]) -> io::Result<Live> {
        let mut socket = self.send(method, path, body)?;
        socket.flush()?;
        Live::read(socket)
    }

    /// Sends a request and reads nothing.
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> io::Result<TcpStream> {
        self.send_over(self.connect()?, method, path, body)
    }

    /// The same over a connection that is there.
    pub fn send_over(
        &self,
        mut socket: TcpStream,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> io::Result<TcpStream> {
        let mut head = self.head(method, path);
        if method != "GET" {
            if !self.headers.iter().any(|(name, _)| name == "content-type") {
                head.push_str("content-type: application/json\r\n");
            }
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        socket.write_all(&[head.as_bytes(), body].concat())?;
        Ok(socket)
    }

    /// The request line and the headers of every request, without the empty line that ends a head.
    pub fn head(&self, method: &str, path: &str) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.addr);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head
    }

    /// A bare connection.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let socket = TcpStream::connect(self.addr)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(READ_TIMEOUT))?;
        Ok(socket)
    }
}

/// A request in OpenAI's form with one user turn, and further fields.
pub fn chat(model: &str, text: &str, more: Value) -> Value {
    with(json!({"model": model, "messages": [{"role": "user", "content": text}]}), more)
}

/// A request in Anthropic's form with one user turn, and further fields.
pub fn message(model: &str, text: &str, more: Value) -> Value {
    let body = json!({"model": model, "max_tokens": 64, "messages": [{"role": "user", "content": text}]});
    with(body, more)
}

fn with(mut body: Value, more: Value) -> Value {
    if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
        body.extend(more);
    }
    body
}

// === impl Response ===

impl Response {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| panic!("not JSON ({err}): {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        find(&self.headers, name)
    }
}

// === impl Live ===

impl Live {
    /// Reads the head of an answer.
    pub fn read(socket: TcpStream) -> io::Result<Self> {
        let mut reader = BufReader::new(socket);
        let status_line = line(&mut reader)?;
        let status = status_line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, status_line))?;
        let mut headers = Vec::new();
        loop {
            let text = line(&mut reader)?;
            let Some((name, value)) = text.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        if status == 100 {
            return Self::read(reader.into_inner());
        }
        let length = match find(&headers, "content-length").parse() {
            Ok(length) => Length::Known(length),
            Err(_) if find(&headers, "transfer-encoding").contains("chunked") => Length::Chunked,
            Err(_) => Length::UntilClose,
        };
        Ok(Self { status, headers, reader, length, buffer: Vec::new(), ended: false })
    }

    /// A header; empty where it is absent.
    pub fn header(&self, name: &str) -> &str {
        find(&self.headers, name)
    }

    /// The next piece of the body; `None` at its end, an error where the connection breaks before.
    pub fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.ended {
            return Ok(None);
        }
        let piece = match &mut self.length {
            Length::Chunked => chunk(&mut self.reader)?,
            // Asked for nothing, a buffered reader would wait for the next answer.
            Length::Known(0) => Vec::new(),
            Length::Known(left) => {
                let mut bytes = vec![0; (*left).min(64 * 1024)];
                let read = self.reader.read(&mut bytes)?;
                if read == 0 && *left > 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                *left -= read;
                bytes.truncate(read);
                bytes
            }
            Length::UntilClose => {
                let mut bytes = vec![0; 64 * 1024];
                let read = self.reader.read(&mut bytes)?;
                bytes.truncate(read);
                bytes
            }
        };
        self.ended = piece.is_empty();
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// The next event of a stream, without the empty line after it; `None` at the end.
    pub fn event(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.buffer.drain(..at + 2).collect();
                return Ok(Some(String::from_utf8_lossy(&event[..at]).into_owned()));
            }
            match self.piece()? {
                Some(piece) => self.buffer.extend(piece),
                None => return Ok(None),
            }
        }
    }

    /// Reads events until one holds `text`.
    pub fn event_with(&mut self, text: &str) -> String {
        loop {
            let event = self.event().unwrap().unwrap_or_else(|| panic!("the stream ended without {text:?}"));
            if event.contains(text) {
                return event;
            }
        }
    }

    /// Reads the rest; a connection that breaks leaves the answer marked as not whole.
    pub fn finish(self) -> Response {
        self.try_finish().unwrap()
    }

    fn try_finish(mut self) -> io::Result<Response> {
        let mut body = std::mem::take(&mut self.buffer);
        let whole = loop {
            match self.piece() {
                Ok(Some(piece)) => body.extend(piece),
                Ok(None) => break true,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Err(err),
                Err(_) => break false,
            }
        };
        Ok(Response { status: self.status, headers: self.headers, body, whole })
    }
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).unwrap_or_default()
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    if reader.read_line(&mut text)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(text.trim_end().to_owned())
}

fn chunk(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let size = line(reader)?;
    let size =
        usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16).map_err(io::Error::other)?;
    let mut bytes = vec![0; size + 2];
    reader.read_exact(&mut bytes)?;
    bytes.truncate(size);
    Ok(bytes)
}
