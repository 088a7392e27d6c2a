//! Tokens that another server gives for our credentials (RFC 6749, 4.4), kept until shortly before they are over.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderValue, Request,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};

use super::{
    AGENT, Answer, Error, Transport, body,
    connect::{Connector, through_proxy},
    credentials::{basic, reveal, sensitive},
    transport, unreachable,
};
use crate::config::OAuth2;

/// Bytes of an answer that has a token.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// A token is not used any more so long before it is over.
const MARGIN: Duration = Duration::from_secs(10);
/// How long a token is kept that does not say.
const LIFE: Duration = Duration::from_secs(300);

/// Where tokens come from, and the one that is there.
#[derive(Debug)]
pub(super) struct Token {
    config: OAuth2,
    transport: Transport,
    /// Held while one is fetched: all who want one wait for the same.
    held: Mutex<Option<Held>>,
}

#[derive(Clone)]
struct Held {
    header: HeaderValue,
    until: Instant,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<token>")
    }
}

/// An answer that has one.
#[derive(Deserialize)]
struct Given {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<f64>,
}

impl Token {
    pub(super) fn new(config: OAuth2) -> Self {
        let connector = Connector::new(&config.tls, config.proxy.as_ref(), true);
        Self { transport: transport(connector, 1), config, held: Mutex::default() }
    }

    /// The header that shows one; it is fetched if there is none that is good.
    pub(super) async fn header(&self) -> Result<HeaderValue, Error> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| held.until > Instant::now()) {
            return Ok(held.header.clone());
        }
        let fresh = self.fetch().await?;
        let header = fresh.header.clone();
        *held = Some(fresh);
        Ok(header)
    }

    /// It was not taken; the next request fetches another.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn fetch(&self) -> Result<Held, Error> {
        // Who does not take credentials in a header takes them in the form.
        let mut answer = self.ask(false).await?;
        if matches!(answer.status.as_u16(), 400 | 401) {
            answer = self.ask(true).await?;
        }
        if !answer.status.is_success() {
            let status = answer.status;
            return Err(Error::Unreachable(format!(
                "the server of tokens answered with HTTP status {status}"
            )));
        }
        let given: Given = serde_json::from_slice(&answer.body)
            .map_err(|_| Error::Broken("the server of tokens gave none".to_owned()))?;
        let kind = given.token_type.as_deref().unwrap_or("Bearer");
        let kind = if kind.eq_ignore_ascii_case("bearer") { "Bearer" } else { kind };
        let life = given.expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let life = life.unwrap_or(LIFE).min(Duration::from_secs(86_400));
        let header = sensitive(&format!("{kind} {}", given.access_token))?;
        Ok(Held { header, until: Instant::now() + life.saturating_sub(MARGIN) })
    }

    async fn ask(&self, in_form: bool) -> Result<Answer, Error> {
        let request = self.request(in_form)?;
        let uri = request.uri().clone();
        let response = self.transport.request(request).await.map_err(|error| unreachable(&uri, &error))?;
        body::read(response, ANSWER_BYTES_MAX).await
    }

    fn request(&self, in_form: bool) -> Result<Request<Full<Bytes>>, Error> {
        let config = &self.config;
        let secret = reveal(&config.client_secret)?;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !config.scopes.is_empty() {
            form.append_pair("scope", &config.scopes.join(" "));
        }
        if in_form {
            form.append_pair("client_id", &config.client_id).append_pair("client_secret", &secret);
        }
        form.extend_pairs(config.parameters.iter());
        let mut request = Request::post(&config.token_url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .header(ACCEPT_ENCODING, "gzip")
            .header(USER_AGENT, AGENT)
            .body(Full::new(Bytes::from(form.finish())))
            .map_err(|error| Error::Unusable(error.to_string()))?;
        if !in_form {
            let escaped = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let user = format!("{}:{}", escaped(&config.client_id), escaped(&secret));
            request.headers_mut().insert(AUTHORIZATION, basic(&user)?);
        }
        through_proxy(&mut request, config.proxy.as_ref());
        Ok(request)
    }
}
