//! E-mail by SMTP, to the user that an alert is about or to whoever runs the gateway.

use std::time::Duration;

use lettre::address::AddressError;
use lettre::message::Mailbox as Address;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransport, Error as SmtpError};
use lettre::{AsyncTransport, Message, Tokio1Executor};

use super::Failed;
use super::words::{lines, shortened};
use crate::desk::Ready;
use crate::{EmailSettings, Encryption};

/// A mail server that takes what is sent from one address.
pub(super) struct Mailbox {
    settings: EmailSettings,
    /// Or why it cannot be asked.
    server: Result<AsyncSmtpTransport<Tokio1Executor>, String>,
}

/// A subject is a line.
const MOST_SUBJECT: usize = 200;

// === impl Mailbox ===

impl Mailbox {
    pub(super) fn new(settings: EmailSettings, timeout: Duration) -> Self {
        // Its words name the server at most.
        let server = server(&settings, timeout).map_err(|err| format!("mail cannot be sent: {err}"));
        Self { settings, server }
    }

    /// Answers whether there is anybody to send it to.
    pub(super) async fn send(&self, ready: &Ready, base_url: Option<&str>) -> Result<bool, Failed> {
        let server = self.server.as_ref().map_err(|why| Failed::lasting(why.clone()))?;
        let Some(mail) = self.mail(ready, base_url)? else { return Ok(false) };
        match server.send(mail).await {
            Ok(_) => Ok(true),
            Err(err) => Err(refused(&err)),
        }
    }

    fn mail(&self, ready: &Ready, base_url: Option<&str>) -> Result<Option<Message>, Failed> {
        let of_user = ready.alert.event.as_ref().and_then(|event| event.user_email.as_ref());
        let to: Vec<&String> = of_user.into_iter().chain(&self.settings.to).collect();
        if to.is_empty() {
            return Ok(None);
        }
        let wrong = |_: AddressError| Failed::lasting("an address is none");
        let mut mail = Message::builder().from(self.settings.from.parse::<Address>().map_err(wrong)?);
        for address in to {
            mail = mail.bcc(address.parse::<Address>().map_err(wrong)?);
        }
        let title: String = ready.alert.title.chars().filter(|letter| !letter.is_control()).collect();
        let mut body = format!("{title}\n\n");
        lines(ready, base_url).iter().for_each(|(name, value)| body.push_str(&format!("{name}: {value}\n")));
        let mail = mail.subject(shortened(format!("Gatewright: {title}"), MOST_SUBJECT));
        let mail = mail.header(ContentType::TEXT_PLAIN).body(body);
        mail.map(Some).map_err(|_| Failed::lasting("it cannot be written as a mail"))
    }
}

fn server(
    settings: &EmailSettings,
    timeout: Duration,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, SmtpError> {
    let mut tls = TlsParameters::builder(settings.host.clone());
    for authority in &settings.authorities {
        tls = tls.add_root_certificate(Certificate::from_pem(authority)?);
    }
    let tls = match settings.encryption {
        Encryption::Plain => Tls::None,
        Encryption::StartTls => Tls::Required(tls.build_rustls()?),
        Encryption::Tls => Tls::Wrapper(tls.build_rustls()?),
    };
    // "Dangerous" is the one that decides nothing by itself; what encrypts it stands above.
    let server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host);
    let server = server.port(settings.port).tls(tls).timeout(Some(timeout));
    let login = settings.login.clone();
    Ok(match login {
        Some((name, password)) => server.credentials(Credentials::new(name, password.reveal().to_owned())),
        None => server,
    }
    .build())
}

/// What a server says may repeat what it was sent, so that only its code is told.
fn refused(err: &SmtpError) -> Failed {
    match err.status() {
        Some(code) if err.is_permanent() => Failed::lasting(format!("it was refused with the code {code}")),
        Some(code) => Failed::passing(format!("it was put off with the code {code}")),
        None if err.is_timeout() => Failed::passing("the mail server did not answer in time"),
        None => Failed::passing("the mail server cannot be reached"),
    }
}
