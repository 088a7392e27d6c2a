//! Mail handed to a server (RFC 5321), with TLS (RFC 3207, RFC 8314) and authentication (RFC 4954).
//!
//! Of several addresses each is settled by itself: who took the mail is not sent it again, who never will is told, and only
//! those that refused it for now are tried again.

use std::{path::Path, time::Duration};

use barograph_alert::channels::{Email, Mail, Replies, Reply, Verdict};
use barograph_model::Timestamp;
use base64::{Engine, prelude::BASE64_STANDARD};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use super::{send::Came, settings::tls_of};
use crate::{
    config::TlsClientConfig,
    outgoing::{self, tls},
};

/// How long all of it may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 4 << 10;
/// The answers by which an address is taken: `251` and `252` are from servers that pass it on.
const TAKEN: [u16; 3] = [250, 251, 252];

/// Why a mail was not taken.
#[derive(Debug)]
struct Failure {
    why: String,
    /// Whether it never will be.
    is_final: bool,
    status: Option<u16>,
}

/// What came of the addresses of a mail.
#[derive(Debug, Default)]
struct Addresses {
    taken: Vec<String>,
    later: Option<Failure>,
    never: Option<Failure>,
}

/// Hands a mail over to those who have it not yet.
pub(super) async fn send(
    email: &Email,
    folder: &Path,
    mail: &Mail,
    has_it: &[String],
    now: Timestamp,
) -> Came {
    let failed = |failure: Failure| {
        let Failure { why, is_final, status } = failure;
        let verdict = if is_final { Verdict::Refused(why) } else { Verdict::Again { why, after_ms: None } };
        Came { verdict, status, taken: Vec::new(), refused: None }
    };
    let sent = tokio::time::timeout(TIMEOUT, deliver(email, folder, mail, has_it, now)).await;
    match sent {
        Ok(Ok(Addresses { taken, later, never })) => {
            let refused = never.map(|failure| failure.why);
            match later {
                Some(later) => Came { taken, refused, ..failed(later) },
                None => Came { verdict: Verdict::Sent, status: Some(250), taken, refused },
            }
        }
        Ok(Err(failure)) => failed(failure),
        Err(_) => failed(Failure::later(format!("the mail server took longer than {} s", TIMEOUT.as_secs()))),
    }
}

async fn deliver(
    email: &Email,
    folder: &Path,
    mail: &Mail,
    has_it: &[String],
    now: Timestamp,
) -> Result<Addresses, Failure> {
    let (host, port) = email.server();
    let password = email.auth_password.as_ref().map(|secret| super::receivers::reveal(folder, secret));
    let password = password.transpose().map_err(Failure::later)?.filter(|_| !email.auth_username.is_empty());
    let config = tls_of(folder, &email.tls);
    let stream = outgoing::dial(host, port).await.map_err(unanswered)?;
    let mut plain = Dialogue::new(stream);
    if email.speaks_tls_first() {
        let mut dialogue = secured(plain, (host, port), &config).await?;
        dialogue.expect(&[220]).await?;
        let offers = dialogue.hello(&email.hello).await?;
        dialogue.authenticate(email, password.as_deref(), &offers).await?;
        return dialogue.hand_over(mail, has_it, now).await;
    }
    plain.expect(&[220]).await?;
    let offers = plain.hello(&email.hello).await?;
    if offers.offers("STARTTLS") {
        plain.say("STARTTLS", &[220]).await?;
        // What came before TLS is not believed after it.
        if !plain.replies.is_empty() {
            return Err(Failure::later("the mail server speaks before TLS is there"));
        }
        let mut dialogue = secured(plain, (host, port), &config).await?;
        let offers = dialogue.hello(&email.hello).await?;
        dialogue.authenticate(email, password.as_deref(), &offers).await?;
        return dialogue.hand_over(mail, has_it, now).await;
    }
    if email.require_tls {
        let advice =
            "the mail server does not offer STARTTLS; set `require_tls: false` if that is as it should be";
        return Err(Failure::never(advice));
    }
    let is_here = ["localhost", "127.0.0.1", "::1"].contains(&host);
    if password.is_some() && !is_here {
        return Err(Failure::never("a password is not sent without TLS"));
    }
    plain.authenticate(email, password.as_deref(), &offers).await?;
    plain.hand_over(mail, has_it, now).await
}

/// TLS over a connection over which nothing more was said.
async fn secured(
    dialogue: Dialogue<TcpStream>,
    place: (&str, u16),
    config: &TlsClientConfig,
) -> Result<Dialogue<TlsStream<TcpStream>>, Failure> {
    let stream = tls::over(dialogue.stream, place, config).await.map_err(unanswered)?;
    Ok(Dialogue::new(stream))
}

fn unanswered(error: outgoing::Error) -> Failure {
    Failure { why: error.to_string(), is_final: !error.may_pass(), status: None }
}

impl Failure {
    fn later(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_final: false, status: None }
    }

    fn never(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_final: true, status: None }
    }

    fn said(reply: &Reply) -> Self {
        let why = format!("the mail server answered {reply}");
        Self { why, is_final: reply.is_final(), status: Some(reply.code) }
    }
}

/// Commands and replies.
struct Dialogue<S> {
    stream: S,
    replies: Replies,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Dialogue<S> {
    fn new(stream: S) -> Self {
        Self { stream, replies: Replies::default() }
    }

    /// Says who this is, and hears what the server can do.
    async fn hello(&mut self, name: &str) -> Result<Reply, Failure> {
        let name: String = name.chars().filter(char::is_ascii_graphic).collect();
        let name = if name.is_empty() { "localhost".to_owned() } else { name };
        match self.say(&format!("EHLO {name}"), &[250]).await {
            // A server that knows nothing of extensions.
            Err(Failure { is_final: true, .. }) => {
                let Reply { code, .. } = self.say(&format!("HELO {name}"), &[250]).await?;
                Ok(Reply { code, lines: Vec::new() })
            }
            heard => heard,
        }
    }

    async fn authenticate(
        &mut self,
        email: &Email,
        password: Option<&str>,
        offers: &Reply,
    ) -> Result<(), Failure> {
        let Some(password) = password else { return Ok(()) };
        let user = &email.auth_username;
        let coded = |text: &str| BASE64_STANDARD.encode(text);
        if offers.offers_way("PLAIN") {
            let all = coded(&format!("{}\0{user}\0{password}", email.auth_identity));
            self.say(&format!("AUTH PLAIN {all}"), &[235]).await?;
        } else if offers.offers_way("LOGIN") {
            self.say("AUTH LOGIN", &[334]).await?;
            self.say(&coded(user), &[334]).await?;
            self.say(&coded(password), &[235]).await?;
        } else {
            let why = "the mail server offers neither PLAIN nor LOGIN; remove the password if it needs none";
            return Err(Failure::never(why));
        }
        Ok(())
    }

    async fn hand_over(
        &mut self,
        mail: &Mail,
        has_it: &[String],
        now: Timestamp,
    ) -> Result<Addresses, Failure> {
        let address = |mailbox: &str| Mail::address(mailbox).map(str::to_owned).map_err(Failure::never);
        self.say(&format!("MAIL FROM:<{}>", address(&mail.from)?), &[250]).await?;
        let mut addresses = Addresses::default();
        for mailbox in mail.to.iter().filter(|mailbox| !has_it.contains(mailbox)) {
            let taken = match address(mailbox) {
                Ok(address) => self.say(&format!("RCPT TO:<{address}>"), &TAKEN).await,
                Err(failure) => Err(failure),
            };
            match taken {
                Ok(_) => addresses.taken.push(mailbox.clone()),
                // Something else than this address is wrong.
                Err(failure) if failure.status.is_none_or(|code| code == 421) && !failure.is_final => {
                    return Err(failure);
                }
                Err(failure) if failure.is_final => {
                    tracing::warn!(why = failure.why, "an address will never take mail");
                    addresses.never = Some(failure);
                }
                Err(failure) => addresses.later = Some(failure),
            }
        }
        if addresses.taken.is_empty() {
            let none = || Failure::never("there is nobody to send it to");
            return match addresses {
                // The others have it.
                Addresses { never: Some(_), later: None, .. } if !has_it.is_empty() => Ok(addresses),
                Addresses { never, later, .. } => Err(later.or(never).unwrap_or_else(none)),
            };
        }
        self.say("DATA", &[354]).await?;
        let mut bytes = mail.bytes(now);
        bytes.extend_from_slice(b".\r\n");
        self.write(&bytes).await?;
        self.expect(&[250]).await?;
        // It is theirs now, whatever they answer to this.
        let _ = self.write(b"QUIT\r\n").await;
        Ok(addresses)
    }

    /// Says a line, which no error repeats: it may be a secret.
    async fn say(&mut self, line: &str, codes: &[u16]) -> Result<Reply, Failure> {
        self.write(format!("{line}\r\n").as_bytes()).await?;
        self.expect(codes).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(bytes).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }

    /// A reply, if it is one of those that were hoped for.
    async fn expect(&mut self, codes: &[u16]) -> Result<Reply, Failure> {
        loop {
            if let Some(reply) = self.replies.reply().map_err(|error| Failure::later(error.to_string()))? {
                return if codes.contains(&reply.code) { Ok(reply) } else { Err(Failure::said(&reply)) };
            }
            let mut chunk = [0; CHUNK_BYTES];
            match self.stream.read(&mut chunk).await.map_err(broken)? {
                0 => return Err(Failure::later("the mail server ended the connection")),
                read => self.replies.take(&chunk[..read]),
            }
        }
    }
}

fn broken(error: std::io::Error) -> Failure {
    Failure::later(format!("the connection to the mail server broke: {error}"))
}
