//! A mail server that takes everything and keeps it (SMTP as in RFC 5321, `AUTH PLAIN`, no encryption).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::gateway::poll;

/// A running server.
pub struct MailServer {
    addr: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
}

/// A mail as it was handed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
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
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let mails = Arc::<Mutex<Vec<Mail>>>::default();
        let kept = mails.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let kept = kept.clone();
                // Whoever hangs up has said all it wanted.
                std::thread::spawn(move || drop(take(socket, &kept)));
            }
        });
        Self { addr, mails }
    }

    /// Its port on this machine.
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

fn take(socket: TcpStream, mails: &Mutex<Vec<Mail>>) -> io::Result<()> {
    let mut answers = socket.try_clone()?;
    let mut lines = BufReader::new(socket).lines();
    let mut mail = Mail::default();
    answers.write_all(b"220 mail.test ESMTP\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((&line, ""));
        let address = || rest.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let answer = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => "250-mail.test\r\n250 AUTH PLAIN\r\n",
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
                answers.write_all(b"354 go on\r\n")?;
                for line in lines.by_ref() {
                    match line?.as_str() {
                        "." => break,
                        line => mail.text.push_str(&format!("{line}\n")),
                    }
                }
                let login = mail.login.clone();
                mails.lock().unwrap().push(std::mem::replace(&mut mail, Mail { login, ..Mail::default() }));
                "250 2.0.0 taken\r\n"
            }
            "QUIT" => return answers.write_all(b"221 2.0.0 bye\r\n"),
            _ => "500 5.5.2 what\r\n",
        };
        answers.write_all(answer.as_bytes())?;
    }
    Ok(())
}
