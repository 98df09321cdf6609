//! A mail server that takes everything and keeps it (SMTP as in RFC 5321, `AUTH PLAIN`; `STARTTLS` as in RFC 3207).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::gateway::poll;

/// A running server.
pub struct MailServer {
    addr: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
}

/// How a server's connections are encrypted, by whoever can: a closure that makes of a connection what is said over it.
#[derive(Clone, Default)]
pub enum Encrypted {
    /// Not at all.
    #[default]
    Never,
    /// Once the client has asked for it; a mail before that is refused.
    Asked(Tls),
    /// From the first byte.
    Always(Tls),
}

/// Encrypts the server's end of a connection.
pub type Tls = Arc<dyn Fn(TcpStream) -> io::Result<Box<dyn Duplex>> + Send + Sync>;

/// What can be read from and written to.
pub trait Duplex: Read + Write + Send {}

impl<T: Read + Write + Send> Duplex for T {}

/// A mail as it was handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// Whether nobody on the way could read it.
    pub encrypted: bool,
    /// What `AUTH PLAIN` said, in base64.
    pub login: String,
    /// Whom it is from.
    pub from: String,
    /// Whom it is to.
    pub to: Vec<String>,
    /// Its head and its text.
    pub text: String,
}

// === impl MailServer ===

impl MailServer {
    /// Starts one on a free port.
    pub fn start() -> Self {
        Self::start_with(Encrypted::Never)
    }

    /// Starts one whose connections are encrypted so.
    pub fn start_with(encrypted: Encrypted) -> Self {
        Self::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), encrypted)
    }

    /// The same at an address of its own; `None` where this process may not listen there.
    pub fn start_at(address: SocketAddr, encrypted: Encrypted) -> Option<Self> {
        TcpListener::bind(address).ok().map(|listener| Self::serve(listener, encrypted))
    }

    fn serve(listener: TcpListener, encrypted: Encrypted) -> Self {
        let addr = listener.local_addr().unwrap();
        let mails = Arc::<Mutex<Vec<Mail>>>::default();
        let kept = mails.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (kept, encrypted) = (kept.clone(), encrypted.clone());
                // Whoever hangs up has said all it wanted.
                std::thread::spawn(move || drop(serve(socket, &encrypted, &kept)));
            }
        });
        Self { addr, mails }
    }

    /// Its address on this machine.
    pub fn host(&self) -> String {
        self.addr.ip().to_string()
    }

    /// Its port there.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// So many mails, once they are here.
    pub fn wait(&self, count: usize) -> Vec<Mail> {
        let found = poll(Duration::from_secs(20), || {
            let mails = self.mails.lock().unwrap().clone();
            (mails.len() >= count).then_some(mails)
        });
        found.unwrap_or_else(|| panic!("no {count} mails came: {:?}", self.mails.lock().unwrap()))
    }
}

fn serve(socket: TcpStream, encrypted: &Encrypted, mails: &Mutex<Vec<Mail>>) -> io::Result<()> {
    let greeting = b"220 mail.test ESMTP\r\n";
    let (mut said, tls): (Box<dyn Duplex>, _) = match encrypted {
        Encrypted::Never => (Box::new(socket), None),
        Encrypted::Asked(tls) => (Box::new(socket.try_clone()?), Some((tls, socket))),
        Encrypted::Always(tls) => (tls(socket)?, None),
    };
    said.write_all(greeting)?;
    let always = matches!(encrypted, Encrypted::Always(_));
    let asked = take(said, (always, tls.is_some()), mails)?;
    match tls.filter(|_| asked) {
        Some((tls, socket)) => take(tls(socket)?, (true, false), mails).map(drop),
        None => Ok(()),
    }
}

/// Takes mails. Answers whether the client wants to go on encrypted, where that is `offered`.
fn take(
    said: Box<dyn Duplex>,
    (encrypted, offered): (bool, bool),
    mails: &Mutex<Vec<Mail>>,
) -> io::Result<bool> {
    let mut said = BufReader::new(said);
    let mut mail = Mail { encrypted, ..Mail::default() };
    let mut line = String::new();
    while said.read_line(&mut line)? > 0 {
        let (verb, rest) = line.trim_end().split_once([' ', ':']).unwrap_or((line.trim_end(), ""));
        let address = || rest.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" if offered => "250-mail.test\r\n250 STARTTLS\r\n",
            "EHLO" => "250-mail.test\r\n250 AUTH PLAIN\r\n",
            "STARTTLS" if offered => {
                said.get_mut().write_all(b"220 2.0.0 go on\r\n")?;
                return Ok(true);
            }
            "AUTH" | "MAIL" if offered => "530 5.7.0 encrypt first\r\n",
            "AUTH" => {
                mail.login = rest.trim_start_matches("PLAIN ").to_owned();
                "235 2.7.0 accepted\r\n"
            }
            "MAIL" => {
                mail.from = address();
                "250 2.1.0 OK\r\n"
            }
            "RCPT" => {
                mail.to.push(address());
                "250 2.1.5 OK\r\n"
            }
            "DATA" => {
                said.get_mut().write_all(b"354 go on\r\n")?;
                mail.text = text(&mut said)?;
                let next = Mail { encrypted, login: mail.login.clone(), ..Mail::default() };
                mails.lock().unwrap().push(std::mem::replace(&mut mail, next));
                "250 2.0.0 taken\r\n"
            }
            "QUIT" => {
                said.get_mut().write_all(b"221 2.0.0 bye\r\n")?;
                return Ok(false);
            }
            _ => "500 5.5.2 what\r\n",
        };
        said.get_mut().write_all(answer.as_bytes())?;
        line.clear();
    }
    Ok(false)
}

/// Up to the dot that stands alone.
fn text(said: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    for line in said.lines() {
        match line?.as_str() {
            "." => break,
            line => text.push_str(&format!("{line}\n")),
        }
    }
    Ok(text)
}
