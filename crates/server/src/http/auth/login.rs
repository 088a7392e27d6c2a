//! Logging in, logging out, and who one is.

use axum::{
    Json,
    extract::{Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, USER_AGENT},
    },
    response::{IntoResponse, Response},
};
use barograph_auth::{Identity, Role, Scopes, Via, audit::Outcome};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{App, Problem, forbidden, read};
use crate::auth::{
    Asked, Auth, Denied, cookies,
    gate::{Browser, Who, noted, seconds},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    user: String,
    password: String,
}

/// `POST …/login` with `{"user", "password"}`: a session, and what to show with each change.
pub(super) async fn login(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let auth = app.auth();
    if auth.config().is_none() {
        let text = "no authentication is configured; the section auth of the configuration asks for it";
        return Err(Problem::new(StatusCode::CONFLICT, text));
    }
    let secure = auth.is_secure();
    // Whatever else a request shows does not log in.
    let asked = Asked { authorization: None, ..Asked::of(request.headers(), request.extensions(), secure) };
    Browser::of(&request, &asked).check_origin(auth).map_err(forbidden)?;
    let is_json = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    if !is_json {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json"));
    }
    let agent = request
        .headers()
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let Given { user, password } = read(request.into_body()).await?;
    let outcome = auth.by_password(&user, &password, asked.address).await;
    let count = |outcome| {
        if let Some(engine) = app.ready() {
            engine.telemetry.auth.logins.with([outcome]).inc();
        }
    };
    match outcome {
        Ok(user) => {
            count("ok");
            let (cookie, csrf) = auth.begin(&user.name, None, &asked, &agent);
            auth.keep_sessions().await;
            let scopes = Role::scopes_of(&user.roles);
            let identity = Identity { tenant: user.tenant, ..Identity::new(user.name, scopes, Via::Session) };
            noted(&app, &identity, asked.address, ("login", &identity.user), Outcome::Done, "").await;
            Ok(with_cookie(auth, &cookie, secure, Json(document(auth, &identity, Some(csrf)))))
        }
        Err(Denied::NotReady) => Err(Problem::not_ready()),
        Err(denied) => {
            let (status, text, wait) = match &denied {
                Denied::Throttled(wait) => {
                    count("throttled");
                    (
                        StatusCode::TOO_MANY_REQUESTS,
                        "too many wrong passwords; wait before the next".to_owned(),
                        Some(*wait),
                    )
                }
                _ => {
                    count("refused");
                    (StatusCode::UNAUTHORIZED, "the name or the password is wrong".to_owned(), None)
                }
            };
            let nobody = Identity::anonymous(Scopes::NONE);
            // One who waits asks often, which is told once.
            if wait.is_none() {
                noted(&app, &nobody, asked.address, ("login", &user), Outcome::Refused, &text).await;
            }
            let mut response = Problem::new(status, text).into_response();
            if let Some(wait) = wait {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds(wait)));
            }
            Ok(response)
        }
    }
}

/// An answer that gives the browser its session.
pub(super) fn with_cookie(auth: &Auth, cookie: &str, secure: bool, answer: impl IntoResponse) -> Response {
    let lifetime = auth.config().map(|config| config.sessions.absolute).unwrap_or_default();
    let mut response = answer.into_response();
    if let Ok(value) = HeaderValue::from_str(&cookies::set(cookie, secure, lifetime)) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

/// `POST …/logout`: the session is over, here and in the browser.
pub(super) async fn logout(State(app): State<App>, who: Who, request: Request) -> Response {
    let auth = app.auth();
    let secure = auth.is_secure();
    let asked = Asked::of(request.headers(), request.extensions(), secure);
    let ended = asked.cookie.as_deref().and_then(|cookie| auth.sessions().end(cookie));
    if ended.is_some() {
        auth.keep_sessions().await;
        noted(&app, &who.0, asked.address, ("logout", &who.0.user), Outcome::Done, "").await;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(value) = HeaderValue::from_str(&cookies::clear(secure)) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

/// `GET …/me`: who one is, what one may, and how one can log in.
pub(super) async fn me(State(app): State<App>, who: Who, request: Request) -> Json<Value> {
    let auth = app.auth();
    let asked = Asked::of(request.headers(), request.extensions(), auth.is_secure());
    let csrf = match (who.0.via, &asked.cookie) {
        (Via::Session, Some(cookie)) => {
            auth.sessions().find(cookie, auth.now_ms()).map(|session| session.csrf)
        }
        _ => None,
    };
    Json(document(auth, &who.0, csrf))
}

fn document(auth: &Auth, identity: &Identity, csrf: Option<String>) -> Value {
    json!({
        "authentication": auth.config().is_some(),
        "oidc": auth.config().is_some_and(|config| config.oidc.is_some()),
        "user": identity.user,
        "via": identity.via,
        "scopes": identity.scopes,
        "tenant": identity.tenant,
        // Whether there is a password here that one can change.
        "password": identity.via == Via::Session && !identity.user.contains(':') && !auth.is_of_file(&identity.user),
        "csrf": csrf,
    })
}
