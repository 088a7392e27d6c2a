//! Asking a server over HTTP.
//!
//! One request at a time: a command asks, waits and prints. Size and time of a whole answer are limited; one that is
//! taken piece by piece may be of any size, and each piece must come in time. No redirects, no proxies.

use crate::{access::Access, answer, error::Error, time::Span};
use barograph_server::outgoing::Connector;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, Uri,
    body::{Bytes, Incoming},
    header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, USER_AGENT},
};
use hyper_util::{client::legacy::Client as Pool, rt::TokioExecutor};
use tokio::{runtime, time::timeout};

/// Where a server listens unless told otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:10701";

/// The most bytes of an answer that are taken.
const ANSWER_BYTES_MAX: usize = 512 << 20;

/// A server, and how long to wait for it.
pub(crate) struct Client {
    /// Scheme, authority and path prefix, without a slash at the end.
    base: String,
    pool: Pool<Connector, Full<Bytes>>,
    /// Who asks.
    authorization: Option<HeaderValue>,
    patience: Span,
    runtime: runtime::Runtime,
}

/// The server that a command works with, as flags.
#[derive(clap::Args)]
pub(crate) struct Target {
    /// The server to work with.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,
    /// How long to wait for an answer, or for the next piece of one.
    #[arg(long, value_name = "SPAN", default_value = "2m")]
    timeout: Span,
    #[command(flatten)]
    access: Access,
}

impl Target {
    /// A client of it.
    ///
    /// # Errors
    ///
    /// As [`Client::new`].
    pub(crate) fn client(&self) -> Result<Client, Error> {
        Client::new(&self.url, self.timeout, &self.access)
    }
}

/// What a server said.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Where it was asked.
    pub(crate) url: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, whole.
    pub(crate) body: Bytes,
}

impl Client {
    /// A client of the server at `url`: `http://HOST:PORT` or `https://…`, with a path if the server lives under one.
    ///
    /// # Errors
    ///
    /// The URL is not one, or asks for what this client has not.
    pub(crate) fn new(url: &str, patience: Span, access: &Access) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Error::Failed { what: "cannot start the network", source: error.into() })?;
        Ok(Self {
            base: base_of(url)?,
            pool: Pool::builder(TokioExecutor::new()).build(Connector::direct(&access.tls())),
            authorization: access.authorization()?,
            patience,
            runtime,
        })
    }

    /// Asks with `fields` in the body, as a form, so that their length does not matter.
    ///
    /// # Errors
    ///
    /// There is no whole answer in time. An answer of any status is one.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, String)]) -> Result<Reply, Error> {
        self.ask(Method::POST, path, form(fields), FORM)
    }

    /// Asks with a JSON document in the body.
    ///
    /// # Errors
    ///
    /// As [`Client::post`].
    pub(crate) fn post_json(&self, path: &str, document: &serde_json::Value) -> Result<Reply, Error> {
        self.ask(Method::POST, path, document.to_string(), "application/json")
    }

    /// Asks with `fields` in the URL.
    ///
    /// # Errors
    ///
    /// As [`Client::post`].
    pub(crate) fn get(&self, path: &str, fields: &[(&str, String)]) -> Result<Reply, Error> {
        let question = if fields.is_empty() { path.to_owned() } else { format!("{path}?{}", form(fields)) };
        self.ask(Method::GET, &question, String::new(), "")
    }

    /// Sends a body of remote write, compressed.
    ///
    /// # Errors
    ///
    /// As [`Client::post`].
    pub(crate) fn write(&self, path: &str, body: Vec<u8>) -> Result<Reply, Error> {
        let request = self.request(Method::POST, path, "application/x-protobuf");
        self.finish(request.header(CONTENT_ENCODING, "snappy"), path, body)
    }

    /// Asks as [`Client::post`] and hands the answer on, piece by piece.
    ///
    /// # Errors
    ///
    /// As [`Client::post`], what `take` says, or that the server refused or broke off.
    pub(crate) fn stream(
        &self,
        path: &str,
        fields: &[(&str, String)],
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let request = self.request(Method::POST, path, FORM);
        let request =
            request.body(Full::new(Bytes::from(form(fields)))).map_err(|e| self.no_url(path, &e))?;
        self.runtime.block_on(async {
            let answer = self.in_time(self.pool.request(request)).await?;
            let answer = answer.map_err(|error| self.broken(innermost(&error)))?;
            if !answer.status().is_success() {
                let reply = self.in_time(self.whole(answer, path)).await??;
                return Err(answer::refusal(&reply));
            }
            let mut body = answer.into_body();
            while let Some(frame) = self.in_time(body.frame()).await? {
                let frame = frame.map_err(|error| self.broken(innermost(&error)))?;
                frame.data_ref().map_or(Ok(()), |piece| take(piece))?;
            }
            Ok(())
        })
    }

    fn ask(&self, method: Method, path: &str, body: String, kind: &'static str) -> Result<Reply, Error> {
        self.finish(self.request(method, path, kind), path, body.into())
    }

    /// A request whose body is of this kind, empty for none.
    fn request(&self, method: Method, path: &str, kind: &str) -> hyper::http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("barograph/", env!("CARGO_PKG_VERSION")));
        let request = match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        };
        if kind.is_empty() { request } else { request.header(CONTENT_TYPE, kind) }
    }

    fn finish(
        &self,
        request: hyper::http::request::Builder,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Reply, Error> {
        let request = request.body(Full::new(Bytes::from(body))).map_err(|e| self.no_url(path, &e))?;
        self.runtime.block_on(async {
            let exchange = async {
                let answer = self.pool.request(request).await;
                self.whole(answer.map_err(|error| self.broken(innermost(&error)))?, path).await
            };
            self.in_time(exchange).await?
        })
    }

    async fn in_time<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        let late = |_| Error::Late { url: self.base.clone(), seconds: self.patience.seconds() };
        timeout(self.patience.to_duration(), work).await.map_err(late)
    }

    fn broken(&self, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        Error::Unreachable { url: self.base.clone(), source }
    }

    fn no_url(&self, path: &str, error: &hyper::http::Error) -> Error {
        Error::Usage(format!("{}{path} is no URL: {error}", self.base))
    }

    async fn whole(&self, answer: Response<Incoming>, path: &str) -> Result<Reply, Error> {
        let broken = |source| self.broken(source);
        let url = format!("{}{path}", self.base);
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|source| {
            if source.is::<LengthLimitError>() {
                return Error::Failed {
                    what: "the answer is larger than 512 MiB; ask for less of it",
                    source,
                };
            }
            broken(source)
        })?;
        Ok(Reply { url, status, body: body.to_bytes() })
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The last cause, which is what a person can act on: `Connection refused (os error 111)`.
fn innermost(error: &(dyn std::error::Error + 'static)) -> Box<dyn std::error::Error + Send + Sync> {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string().into()
}

fn base_of(url: &str) -> Result<String, Error> {
    let wrong = |why: &str| Error::Usage(format!("`{url}` cannot be asked: {why}"));
    let parsed: Uri =
        url.parse().map_err(|_| wrong("it is no URL; one looks like http://127.0.0.1:10701"))?;
    let scheme = match parsed.scheme_str() {
        Some(scheme @ ("http" | "https")) => scheme,
        _ => return Err(wrong("it must begin with http:// or https://")),
    };
    let authority = parsed.authority().ok_or_else(|| wrong("it names no host"))?;
    if authority.as_str().contains('@') {
        return Err(wrong("a user and a password belong into --user and --password-file"));
    }
    if parsed.query().is_some() {
        return Err(wrong("it must end with the path, without a question mark"));
    }
    Ok(format!("{scheme}://{authority}{}", parsed.path().trim_end_matches('/')))
}

/// `application/x-www-form-urlencoded`, where everything that is not a letter, digit or one of `-._` is escaped.
fn form(fields: &[(&str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        escape(name, &mut text);
        text.push('=');
        escape(value, &mut text);
    }
    text
}

pub(crate) fn escape(part: &str, into: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
            into.push(char::from(byte));
        } else {
            into.push('%');
            into.push(char::from(HEX[usize::from(byte >> 4)]));
            into.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_scheme_host_and_prefix() {
        for (url, base) in [
            ("http://127.0.0.1:10701", "http://127.0.0.1:10701"),
            ("http://[::1]:10701/", "http://[::1]:10701"),
            ("http://example.org/metrics/", "http://example.org/metrics"),
            ("https://a", "https://a"),
        ] {
            assert_eq!(base_of(url).unwrap(), base);
        }
        for url in ["", "up", "localhost:10701", "ftp://a", "http://me:word@a", "http://a/?x=1", "http://"] {
            assert!(matches!(base_of(url), Err(Error::Usage(_))), "{url}");
        }
    }

    #[test]
    fn a_form_escapes_all_that_means_something() {
        let fields = [("query", "a{b=\"c d\"} + 1".to_owned()), ("match[]", "é".to_owned())];
        assert_eq!(form(&fields), "query=a%7Bb%3D%22c%20d%22%7D%20%2B%201&match%5B%5D=%C3%A9");
    }
}
