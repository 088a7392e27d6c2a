//! Away to the issuer, and back.

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue,
        header::{COOKIE, SET_COOKIE, USER_AGENT},
    },
    response::{IntoResponse, Redirect, Response},
};
use barograph_auth::{Identity, Scopes, Via, audit::Outcome};

use super::{App, login::with_cookie};
use crate::{
    auth::{Asked, gate::noted, oidc},
    http::Params,
};

const COOKIE_NAME: &str = "barograph_login";

/// `GET …/oidc/login?next=PATH`.
pub(super) async fn begin(State(app): State<App>, request: Request) -> Response {
    let auth = app.auth();
    let secure = auth.is_secure();
    let params = Params::new(request.uri().query().unwrap_or_default(), &[]);
    let next = next_of(params.first("next"));
    match oidc::begin(auth, next).await {
        Ok((url, state)) => with_state(Redirect::to(&url).into_response(), &state, 600, secure),
        Err(error) => {
            tracing::warn!(%error, "a login at the issuer cannot begin");
            Redirect::to("/ui/login?error=oidc").into_response()
        }
    }
}

/// `GET …/oidc/callback?code=…&state=…`.
pub(super) async fn finish(State(app): State<App>, request: Request) -> Response {
    let auth = app.auth();
    let secure = auth.is_secure();
    let asked = Asked::of(request.headers(), request.extensions(), secure);
    let agent = request
        .headers()
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let cookie = state_of(request.headers());
    let params = Params::new(request.uri().query().unwrap_or_default(), &[]);
    drop(request);
    let [code, state, error] = ["code", "state", "error"].map(|name| params.first(name).map(str::to_owned));
    let outcome = oidc::finish(auth, [code, state, error], cookie).await;
    let count = |outcome| {
        if let Some(engine) = app.ready() {
            engine.telemetry.auth.logins.with([outcome]).inc();
        }
    };
    let response = match outcome {
        Ok(came) => {
            count("ok");
            let (cookie, _) = auth.begin(&came.user, Some((came.scopes, None)), &asked, &agent);
            auth.keep_sessions().await;
            let identity = Identity::new(came.user, came.scopes, Via::Session);
            noted(&app, &identity, asked.address, ("login", &identity.user), Outcome::Done, "oidc").await;
            with_cookie(auth, &cookie, secure, Redirect::to(&came.next))
        }
        Err(error) => {
            count("refused");
            tracing::warn!(%error, "a login at the issuer did not succeed");
            let (nobody, why) = (Identity::anonymous(Scopes::NONE), error.to_string());
            noted(&app, &nobody, asked.address, ("login", "oidc"), Outcome::Refused, &why).await;
            let role = matches!(error, oidc::LoginError::NoRole(_));
            Redirect::to(if role { "/ui/login?error=role" } else { "/ui/login?error=oidc" }).into_response()
        }
    };
    with_state(response, "", 0, secure)
}

/// What the cookie of a login holds.
fn state_of(headers: &HeaderMap) -> Option<String> {
    let texts = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value.to_owned())
}

fn with_state(mut response: Response, state: &str, seconds: u32, secure: bool) -> Response {
    let flag = if secure { "; Secure" } else { "" };
    let path = "/api/barograph/v1/auth/oidc/";
    let text = format!("{COOKIE_NAME}={state}; Path={path}; HttpOnly; SameSite=Lax; Max-Age={seconds}{flag}");
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    response
}

/// A path of ours, and of nobody else.
fn next_of(text: Option<&str>) -> &str {
    let is_ours = |text: &&str| {
        text.starts_with("/ui/")
            && !text.contains(['\\', '\r', '\n'])
            && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    text.filter(is_ours).unwrap_or("/ui/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(next_of(Some("/ui/explore?q=up")), "/ui/explore?q=up");
        for bad in
            ["https://evil.example", "//evil.example", "/\\evil.example", "/ui/\\evil", "/ui/ x", "ui/", ""]
        {
            assert_eq!(next_of(Some(bad)), "/ui/", "{bad}");
        }
    }
}
