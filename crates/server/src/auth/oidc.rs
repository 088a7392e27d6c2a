//! Logging in at an issuer of OpenID Connect: what is sent and fetched. What is believed is decided in `barograph_auth::oidc`.
//!
//! A login belongs to the browser that began it: a cookie carries its state, so that nobody can have somebody else finish
//! theirs. What the issuer says of itself and its keys are kept for a while; a key that is not known has them fetched anew,
//! not more often than once in ten seconds. Answers of the issuer that are refused go to the log, without what was in them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use barograph_auth::{
    Scopes,
    oidc::{Attempt, Claims, Disbelief, Keys, Provider},
};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use serde::Deserialize;

use super::Auth;
use crate::{
    config::{HttpClientConfig, OidcConfig},
    errors::chain,
    outgoing::{Answer, Client, Limits},
};

/// Logins that are under way at a time; the oldest makes room.
const ATTEMPTS_MAX: usize = 1_000;
/// How long it is believed what an issuer said of itself.
const KEPT: Duration = Duration::from_secs(3_600);
/// How often keys are fetched that somebody's token names.
const AGAIN: Duration = Duration::from_secs(10);
const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), body_bytes: 256 << 10 };

/// Logins that are under way.
#[derive(Default)]
pub(crate) struct Logins {
    attempts: Mutex<HashMap<String, Attempt>>,
    known: Mutex<Option<Known>>,
    client: std::sync::OnceLock<Client>,
}

/// What is known of the issuer.
#[derive(Clone)]
struct Known {
    provider: Provider,
    keys: Keys,
    at: Duration,
}

/// Why a login did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("there is no issuer to log in at; auth.oidc in the configuration names one")]
    NotConfigured,
    #[error("this login was not begun here, or too long ago; begin again")]
    Foreign,
    #[error("the issuer did not let this login succeed: {0}")]
    Refused(String),
    #[error("the issuer cannot be asked: {0}")]
    Unreachable(String),
    #[error(transparent)]
    Disbelieved(#[from] Disbelief),
    #[error("{0} has none of the roles that auth.oidc.role_map names")]
    NoRole(String),
}

/// Somebody who came back.
pub(crate) struct LoggedIn {
    pub(crate) user: String,
    pub(crate) scopes: Scopes,
    /// Where they wanted to go.
    pub(crate) next: String,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

#[derive(Default, Deserialize)]
struct IssuerError {
    #[serde(default)]
    error: String,
}

/// Where a browser is sent, and the state that its cookie carries.
pub(crate) async fn begin(auth: &Auth, next: &str) -> Result<(String, String), LoginError> {
    let config = config_of(auth)?;
    let known = known(auth, config, KEPT).await?;
    let attempt = Attempt::new(&[auth.secret(), auth.secret(), auth.secret()], next, auth.now_ms());
    let question = attempt.question(&config.client_id, &config.redirect_url, &config.scopes);
    let question = form_urlencoded::Serializer::new(String::new()).extend_pairs(question).finish();
    let endpoint = &known.provider.authorization_endpoint;
    let join = if endpoint.contains('?') { '&' } else { '?' };
    let (url, state) = (format!("{endpoint}{join}{question}"), attempt.state.clone());
    let mut attempts = auth.oidc.attempts.lock().unwrap_or_else(PoisonError::into_inner);
    let now = auth.now_ms();
    attempts.retain(|_, attempt| !attempt.is_over(now));
    if attempts.len() >= ATTEMPTS_MAX
        && let Some(oldest) = attempts.values().min_by_key(|attempt| attempt.began_ms)
    {
        let oldest = oldest.state.clone();
        attempts.remove(&oldest);
    }
    attempts.insert(state.clone(), attempt);
    Ok((url, state))
}

/// Takes back a browser: what it brings in its address (`code`, `state`, `error`), and in its cookie.
pub(crate) async fn finish(
    auth: &Auth,
    [code, state, error]: [Option<String>; 3],
    cookie: Option<String>,
) -> Result<LoggedIn, LoginError> {
    let config = config_of(auth)?;
    let state = state.filter(|state| Some(state) == cookie.as_ref()).ok_or(LoginError::Foreign)?;
    let attempt = auth.oidc.attempts.lock().unwrap_or_else(PoisonError::into_inner).remove(&state);
    let attempt = attempt.filter(|attempt| !attempt.is_over(auth.now_ms())).ok_or(LoginError::Foreign)?;
    let Some(code) = code else {
        return Err(LoginError::Refused(word(error.as_deref().unwrap_or("no code came back"))));
    };
    let mut known = known(auth, config, KEPT).await?;
    let token = exchange(auth, config, &known.provider, &attempt, &code).await?;
    if !known.keys.knows(&token) {
        known = self::known(auth, config, AGAIN).await?;
    }
    let claims = Claims::read(&known.keys.verify(&token)?)?;
    attempt.check(&claims, &known.provider.issuer, &config.client_id, auth.now_ms())?;
    let (user, scopes) = (claims.user(), claims.scopes(&config.mapping));
    if scopes.is_empty() {
        return Err(LoginError::NoRole(user));
    }
    Ok(LoggedIn { user, scopes, next: attempt.next })
}

/// The ID token for a code.
async fn exchange(
    auth: &Auth,
    config: &OidcConfig,
    provider: &Provider,
    attempt: &Attempt,
    code: &str,
) -> Result<String, LoginError> {
    let secret = config.client_secret.as_ref().map(crate::config::Secret::reveal).transpose();
    let secret =
        secret.map_err(|error| LoginError::Unreachable(format!("its secret cannot be read: {error}")))?;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &config.redirect_url),
        ("client_id", &config.client_id),
        ("code_verifier", &attempt.verifier),
    ];
    let secret = secret.as_deref().map(|secret| ("client_secret", secret));
    let form =
        form_urlencoded::Serializer::new(String::new()).extend_pairs(form.into_iter().chain(secret)).finish();
    let answer = send(auth, config, Method::POST, &provider.token_endpoint, form).await?;
    if answer.status != StatusCode::OK {
        let told: IssuerError = serde_json::from_slice(&answer.body).unwrap_or_default();
        return Err(LoginError::Refused(format!("{} {}", answer.status.as_u16(), word(&told.error))));
    }
    let tokens: Result<Tokens, _> = serde_json::from_slice(&answer.body);
    tokens.map(|tokens| tokens.id_token).map_err(|_| LoginError::Refused("no id_token came".to_owned()))
}

/// What is known of the issuer, fetched if it is older than this.
async fn known(auth: &Auth, config: &OidcConfig, age: Duration) -> Result<Known, LoginError> {
    let now = auth.clock.monotonic();
    let kept = auth.oidc.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(kept) = kept.filter(|kept| now.saturating_sub(kept.at) < age) {
        return Ok(kept);
    }
    let address = format!("{}/.well-known/openid-configuration", config.issuer.trim_end_matches('/'));
    let provider = Provider::read(&get(auth, config, &address).await?, &config.issuer)?;
    let keys = Keys::read(&get(auth, config, &provider.jwks_uri).await?)?;
    let known = Known { provider, keys, at: now };
    *auth.oidc.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
    Ok(known)
}

async fn get(auth: &Auth, config: &OidcConfig, url: &str) -> Result<Bytes, LoginError> {
    let answer = send(auth, config, Method::GET, url, String::new()).await?;
    match answer.status {
        StatusCode::OK => Ok(answer.body),
        status => Err(LoginError::Unreachable(format!("{url} answered {status}"))),
    }
}

async fn send(
    auth: &Auth,
    config: &OidcConfig,
    method: Method,
    url: &str,
    body: String,
) -> Result<Answer, LoginError> {
    let unreachable = |why: String| LoginError::Unreachable(why);
    let client = auth.oidc.client.get_or_init(|| {
        let settings = HttpClientConfig {
            tls: config.tls.clone(),
            follow_redirects: false,
            ..HttpClientConfig::default()
        };
        Client::new(settings)
    });
    let mut request = Request::builder().method(method).uri(url).header(header::ACCEPT, "application/json");
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    }
    let request = request.body(Bytes::from(body)).map_err(|error| unreachable(error.to_string()))?;
    client.send(request, LIMITS).await.map_err(|error| unreachable(chain(&error)))
}

fn config_of(auth: &Auth) -> Result<&OidcConfig, LoginError> {
    auth.config().and_then(|config| config.oidc.as_ref()).ok_or(LoginError::NotConfigured)
}

/// What an issuer calls an error: a word, whatever else it says.
fn word(text: &str) -> String {
    text.chars().filter(|letter| letter.is_ascii_alphanumeric() || "_ ".contains(*letter)).take(64).collect()
}
