//! Mail handed to a server (RFC 5321), with TLS (RFC 3207, RFC 8314) and authentication (RFC 4954).

use std::{path::Path, time::Duration};

use barograph_alert::channels::{Email, Mail, Verdict};
use barograph_model::Timestamp;
use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::settings::tls_of;
use crate::{
    config::TlsClientConfig,
    outgoing::{self, tls},
};

/// The port on which TLS is spoken from the first byte on.
const TLS_PORT: u16 = 465;
/// Bytes of a line of a reply, and lines of one.
const LINE_BYTES_MAX: usize = 1_000;
const LINES_MAX: usize = 100;
/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a mail was not taken.
#[derive(Debug)]
enum Failure {
    /// It may be taken later.
    Later(String),
    /// It will not be.
    Never(String),
}

/// Hands a mail over.
pub(super) async fn send(
    email: &Email,
    folder: &Path,
    mail: &Mail,
    now: Timestamp,
) -> (Verdict, Option<u16>) {
    let sent = tokio::time::timeout(TIMEOUT, deliver(email, folder, mail, now)).await;
    match sent {
        Ok(Ok(())) => (Verdict::Sent, Some(250)),
        Ok(Err(Failure::Never(why))) => (Verdict::Refused(why), None),
        Ok(Err(Failure::Later(why))) => (Verdict::Again { why, after_ms: None }, None),
        Err(_) => {
            let why = format!("the mail server took longer than {} s", TIMEOUT.as_secs());
            (Verdict::Again { why, after_ms: None }, None)
        }
    }
}

async fn deliver(email: &Email, folder: &Path, mail: &Mail, now: Timestamp) -> Result<(), Failure> {
    let (host, port) = email.server();
    let password = email.auth_password.as_ref().map(|secret| super::receivers::reveal(folder, secret));
    let password = password.transpose().map_err(Failure::Later)?;
    let config = tls_of(folder, &email.tls);
    let stream = outgoing::dial(host, port).await.map_err(unanswered)?;
    let mut plain = Dialogue::new(stream);
    if port == TLS_PORT {
        let mut dialogue = secured(plain, (host, port), &config).await?;
        dialogue.expect(220).await?;
        return dialogue.hand_over(email, mail, now, password.as_deref(), true).await;
    }
    plain.expect(220).await?;
    let offers = plain.hello(&email.hello).await?;
    if offers.iter().any(|offer| offer.eq_ignore_ascii_case("STARTTLS")) {
        plain.say("STARTTLS", 220).await?;
        // What came before TLS is not believed after it.
        if !plain.stream.buffer().is_empty() {
            return Err(Failure::Later("the mail server speaks before TLS is there".to_owned()));
        }
        return secured(plain, (host, port), &config)
            .await?
            .hand_over(email, mail, now, password.as_deref(), true)
            .await;
    }
    if email.require_tls {
        let advice =
            "the mail server does not offer STARTTLS; set `require_tls: false` if that is as it should be";
        return Err(Failure::Never(advice.to_owned()));
    }
    plain.hand_over(email, mail, now, password.as_deref(), false).await
}

/// TLS over a connection over which nothing more was said.
async fn secured(
    dialogue: Dialogue<TcpStream>,
    place: (&str, u16),
    config: &TlsClientConfig,
) -> Result<Dialogue<TlsStream<TcpStream>>, Failure> {
    let stream = tls::over(dialogue.stream.into_inner(), place, config).await.map_err(unanswered)?;
    Ok(Dialogue::new(stream))
}

fn unanswered(error: outgoing::Error) -> Failure {
    match error.may_pass() {
        true => Failure::Later(error.to_string()),
        false => Failure::Never(error.to_string()),
    }
}

/// Lines back and forth.
struct Dialogue<S> {
    stream: BufReader<S>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    fn new(stream: S) -> Self {
        Self { stream: BufReader::new(stream) }
    }

    async fn hand_over(
        &mut self,
        email: &Email,
        mail: &Mail,
        now: Timestamp,
        password: Option<&str>,
        secure: bool,
    ) -> Result<(), Failure> {
        let offers = self.hello(&email.hello).await?;
        if let Some(password) = password
            && !email.auth_username.is_empty()
        {
            let is_here = ["localhost", "127.0.0.1", "::1"].contains(&email.server().0);
            if !secure && !is_here {
                let why = "a password is not sent without TLS";
                return Err(Failure::Never(why.to_owned()));
            }
            self.authenticate(email, password, &offers).await?;
        }
        let address = |mailbox: &str| Mail::address(mailbox).map(str::to_owned).map_err(Failure::Never);
        self.say(&format!("MAIL FROM:<{}>", address(&mail.from)?), 250).await?;
        let (mut taken, mut refused) = (0, None);
        for mailbox in &mail.to {
            match self.say(&format!("RCPT TO:<{}>", address(mailbox)?), 250).await {
                Ok(_) => taken += 1,
                Err(failure) => refused = Some(failure),
            }
        }
        match refused {
            Some(failure) if taken == 0 => return Err(failure),
            Some(Failure::Later(why) | Failure::Never(why)) => {
                tracing::warn!(why, "one of several addresses was not taken by the mail server");
            }
            None if taken == 0 => return Err(Failure::Never("there is nobody to send it to".to_owned())),
            None => {}
        }
        self.say("DATA", 354).await?;
        let mut bytes = mail.bytes(now);
        bytes.extend_from_slice(b".\r\n");
        self.stream.write_all(&bytes).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        self.expect(250).await?;
        // It is theirs now, whatever they answer to this.
        let _ = self.write("QUIT").await;
        Ok(())
    }

    async fn authenticate(
        &mut self,
        email: &Email,
        password: &str,
        offers: &[String],
    ) -> Result<(), Failure> {
        let ways: Vec<&str> = offers
            .iter()
            .filter(|offer| offer.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("AUTH ")))
            .flat_map(|offer| offer[5..].split_whitespace())
            .collect();
        let offers = |way: &str| ways.iter().any(|offered| offered.eq_ignore_ascii_case(way));
        let user = &email.auth_username;
        let coded = |text: &str| BASE64_STANDARD.encode(text);
        if offers("PLAIN") {
            let all = coded(&format!("{}\0{user}\0{password}", email.auth_identity));
            self.secret(&format!("AUTH PLAIN {all}"), 235).await
        } else if offers("LOGIN") {
            self.say("AUTH LOGIN", 334).await?;
            self.secret(&coded(user), 334).await?;
            self.secret(&coded(password), 235).await
        } else {
            let why = "the mail server offers neither PLAIN nor LOGIN; remove the password if it needs none";
            Err(Failure::Never(why.to_owned()))
        }
    }

    async fn hello(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let name: String = name.chars().filter(char::is_ascii_graphic).collect();
        let name = if name.is_empty() { "localhost".to_owned() } else { name };
        self.say(&format!("EHLO {name}"), 250).await
    }

    /// Says a line that is not shown, whatever is answered.
    async fn secret(&mut self, line: &str, code: u16) -> Result<(), Failure> {
        self.write(line).await?;
        self.expect(code).await.map(|_| ())
    }

    async fn say(&mut self, line: &str, code: u16) -> Result<Vec<String>, Failure> {
        self.write(line).await?;
        self.expect(code).await
    }

    async fn write(&mut self, line: &str) -> Result<(), Failure> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }

    /// The lines of a reply, if it is the one that was hoped for.
    async fn expect(&mut self, code: u16) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await?;
            let found = line.get(..3).and_then(|digits| digits.parse::<u16>().ok());
            let Some(found) = found else {
                return Err(Failure::Later("the mail server does not speak SMTP".to_owned()));
            };
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                if found == code {
                    return Ok(lines);
                }
                let said: String = lines.join(" ").chars().filter(|c| !c.is_control()).take(200).collect();
                let why = format!("the mail server answered {found} {said}");
                return Err(if (500..600).contains(&found) {
                    Failure::Never(why)
                } else {
                    Failure::Later(why)
                });
            }
            if lines.len() >= LINES_MAX {
                return Err(Failure::Later("the mail server says too much".to_owned()));
            }
        }
    }

    async fn line(&mut self) -> Result<String, Failure> {
        let mut line = Vec::new();
        loop {
            let byte = self.stream.read_u8().await.map_err(broken)?;
            match byte {
                b'\n' => break,
                byte if line.len() < LINE_BYTES_MAX => line.push(byte),
                _ => return Err(Failure::Later("the mail server says too long a line".to_owned())),
            }
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

fn broken(error: std::io::Error) -> Failure {
    Failure::Later(format!("the connection to the mail server broke: {error}"))
}
