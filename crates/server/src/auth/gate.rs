//! The gate before HTTP: who calls, and whether they may.
//!
//! Each request is judged in this order: how often its address may call, who sends it, whether a page of ours did if a
//! browser sent it along with something of its own accord, how often its caller may call, and whether they may what the
//! route needs. Refusals say what would do: 401 with a challenge, 403 with the scope, 429 with when to come again; a browser
//! that wants a page goes to the login. What changed the server is noted in the audit log.

use std::{net::IpAddr, time::Duration};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{self, HOST, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE},
        request::Parts,
    },
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use barograph_auth::{Identity, Scope, Scopes, Via, audit::Outcome, origin, secret};

use super::{
    Asked, Auth, Denied, cookies,
    table::{Need, of_route},
};
use crate::{
    http::{ApiError, App, Peer, Problem, otlp},
    tenants::{self, Working, routes::For, scope},
};

/// What pages show with each change, so that no page of somebody else can make a browser change something.
pub(crate) const CSRF: &str = "x-csrf-token";
/// Classes of limits.
const CLASSES: [&str; 3] = ["read", "write", "admin"];

/// Who calls, for handlers.
pub(crate) struct Who(pub(crate) Identity);

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let known = parts.extensions.get::<Identity>().cloned();
        Ok(Self(known.unwrap_or_else(|| Identity::anonymous(Scopes::NONE))))
    }
}

/// Why a request is refused.
pub(super) enum Refused {
    /// It does not say who sends it, or not rightly.
    Unauthenticated(String),
    /// They may not.
    Forbidden(String),
    /// Not now.
    Later(StatusCode, String, Duration),
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Later(status, ..) => *status,
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Unauthenticated(text) | Self::Forbidden(text) | Self::Later(_, text, _) => text,
        }
    }

    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Unauthenticated(_) => "unauthenticated",
            Self::Forbidden(_) => "forbidden",
            Self::Later(StatusCode::TOO_MANY_REQUESTS, ..) => "too_often",
            Self::Later(..) => "not_ready",
        }
    }
}

impl Asked {
    /// What a request shows.
    pub(crate) fn of(request: &HeaderMap, extensions: &http::Extensions, secure: bool) -> Self {
        let authorization = request.get(header::AUTHORIZATION).map(|value| value.as_bytes().to_vec());
        let cookie = cookies::session(request, secure).map(str::to_owned);
        let address = extensions.get::<Peer>().map(|peer| peer.0.ip());
        Self { authorization, cookie, certificate: super::names_of_certificate(extensions), address }
    }
}

/// Lets in who may.
pub(crate) async fn gate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let need = needed(request.method(), route.as_deref(), request.uri().path());
    if need == Need::Open {
        return next.run(request).await;
    }
    let auth = app.auth();
    let asked = Asked::of(request.headers(), request.extensions(), auth.is_secure());
    let browser = Browser::of(&request, &asked);
    let object = format!("{} {}", request.method(), route.as_deref().unwrap_or_default());
    let identity = match judge(&app, need, &asked, Some(&browser)).await {
        Ok(identity) => identity,
        Err((refused, identity)) => {
            note_refusal(&app, &refused, identity.as_ref(), &asked, &object).await;
            return answer(&refused, &browser, request.uri().path(), request.headers());
        }
    };
    request.extensions_mut().insert(identity.clone());
    let working =
        match working(&app, &identity, request.headers(), tenants::routes::of_route(route.as_deref())) {
            Ok(working) => working,
            Err(why) => {
                let refused = Refused::Forbidden(why);
                note_refusal(&app, &refused, Some(&identity), &asked, &object).await;
                return answer(&refused, &browser, request.uri().path(), request.headers());
            }
        };
    if let Some(working) = &working {
        request.extensions_mut().insert(working.clone());
    }
    let mut response = scope::within(working.clone(), next.run(request)).await;
    if let (Some(working), StatusCode::TOO_MANY_REQUESTS) = (working, response.status()) {
        let (wait, headers) = (working.0.wait(app.monotonic()), response.headers_mut());
        if !wait.is_zero() || !headers.contains_key(RETRY_AFTER) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds(wait).max(1)));
        }
    }
    if need == Need::May(Scope::Admin) && !browser.looks {
        let status = response.status();
        let outcome = if status.is_success() { Outcome::Done } else { Outcome::Failed };
        noted(&app, &identity, asked.address, ("request", &object), outcome, status.as_str()).await;
    }
    response
}

/// For whom a request is worked on that is for these; `None` if there are no tenants.
///
/// # Errors
/// It is not for them, in words.
pub(super) fn working(
    app: &App,
    identity: &Identity,
    headers: &HeaderMap,
    whose: For,
) -> Result<Option<Working>, String> {
    let working = app.tenants().of_request(identity, headers)?;
    if let Some(working) = &working
        && whose == For::Server
        && !working.0.is_default()
    {
        let default = app.tenants().default();
        return Err(format!("this is of the server as a whole, and for the tenant {} alone", default.name));
    }
    Ok(working)
}

/// What tools ask is worked on for whoever uses them, and is for them what it is without a tool.
pub(crate) async fn again(request: Request, next: Next) -> Response {
    let working = request.extensions().get::<Working>().cloned();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    if let Some(working) = &working
        && tenants::routes::of_route(route.as_deref()) == For::Server
        && !working.0.is_default()
    {
        return Problem::new(StatusCode::FORBIDDEN, "this is of the server as a whole").into_response();
    }
    scope::within(working, next.run(request)).await
}

/// What a request needs. Files of the pages hold nothing that is not public, and the login is there before anybody is known.
fn needed(method: &Method, route: Option<&str>, path: &str) -> Need {
    if route == Some("/ui/{*path}") {
        let name = path.strip_prefix("/ui/").unwrap_or_default();
        let is_file = barograph_ui::asset(name).is_some() || name.starts_with("assets/");
        if is_file || name.trim_end_matches('/') == "login" {
            return Need::Open;
        }
    }
    of_route(method, route)
}

/// Who sends a request, if they may. A refusal comes with who they are, as far as that is known.
pub(super) async fn judge(
    app: &App,
    need: Need,
    asked: &Asked,
    browser: Option<&Browser>,
) -> Result<Identity, (Refused, Option<Identity>)> {
    let (auth, class) = (app.auth(), class_of(need));
    let often = |wait, by: &'static str| {
        if let Some(engine) = app.ready() {
            engine.telemetry.auth.limited.with([CLASSES[class], by]).inc();
        }
        let text = format!(
            "too many requests of class {} from one {by}; rate_limit.{} in the configuration says how many",
            CLASSES[class], CLASSES[class]
        );
        Refused::Later(StatusCode::TOO_MANY_REQUESTS, text, wait)
    };
    auth.take_address(class, asked.address).map_err(|wait| (often(wait, "address"), None))?;
    let identity = auth.identify(asked).await.map_err(|denied| (refused_of(denied), None))?;
    if let Some(browser) = browser
        && auth.config().is_some()
        && let Err(why) = browser.check(auth, &identity, asked)
    {
        return Err((Refused::Forbidden(why), Some(identity)));
    }
    auth.take_caller(class, &identity).map_err(|wait| (often(wait, "caller"), Some(identity.clone())))?;
    let allowed = match need {
        Need::Open | Need::Known => true,
        Need::SignedIn => identity.via != Via::Anonymous || !identity.scopes.is_empty(),
        Need::May(scope) => identity.may(scope),
    };
    if allowed {
        return Ok(identity);
    }
    let refused = match (identity.via, need) {
        (Via::Anonymous, _) => {
            Refused::Unauthenticated("say who you are: by a token, a password or a session".to_owned())
        }
        (_, Need::May(scope)) => Refused::Forbidden(format!(
            "this needs the scope `{}`, which {} does not have",
            scope.as_str(),
            identity.user
        )),
        _ => Refused::Forbidden("this is not for you".to_owned()),
    };
    Err((refused, Some(identity)))
}

fn class_of(need: Need) -> usize {
    match need {
        Need::May(Scope::Write | Scope::AlertAck) => 1,
        Need::May(Scope::Admin) => 2,
        _ => 0,
    }
}

pub(super) fn refused_of(denied: Denied) -> Refused {
    match denied {
        Denied::Unknown(why) => Refused::Unauthenticated(why),
        Denied::Throttled(wait) => {
            let text = "too many wrong passwords; wait before the next".to_owned();
            Refused::Later(StatusCode::TOO_MANY_REQUESTS, text, wait)
        }
        Denied::NotReady => {
            let text = "the store is being opened; try again in a moment".to_owned();
            Refused::Later(StatusCode::SERVICE_UNAVAILABLE, text, Duration::from_secs(1))
        }
    }
}

/// What a browser tells of how a request came about.
pub(crate) struct Browser {
    host: Option<String>,
    origin: Option<String>,
    fetch_site: Option<String>,
    csrf: Option<Vec<u8>>,
    looks: bool,
    upgrades: bool,
    /// It wants a page to show, and would follow a redirect to another.
    wants_page: Option<String>,
    /// It says how it fetches, so it would show a window of its own for a password.
    is_browser: bool,
}

impl Browser {
    pub(crate) fn of(request: &Request, asked: &Asked) -> Self {
        let headers = request.headers();
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned());
        let looks = matches!(*request.method(), Method::GET | Method::HEAD);
        let takes = |kind: &str| text("accept").is_some_and(|accept| accept.contains(kind));
        let page = looks && takes("text/html") && asked.authorization.is_none();
        let next = request.uri().path_and_query().map_or("/ui/", |path| path.as_str());
        Self {
            host: text(HOST.as_str()).or_else(|| request.uri().authority().map(ToString::to_string)),
            origin: text(ORIGIN.as_str()),
            fetch_site: text("sec-fetch-site"),
            csrf: headers.get(CSRF).map(|value| value.as_bytes().to_vec()),
            looks,
            upgrades: headers.contains_key(header::UPGRADE),
            wants_page: page.then(|| next.to_owned()),
            is_browser: headers.contains_key("sec-fetch-mode"),
        }
    }

    /// Whether a page of ours sent it, if its sender is known by something that a browser sends along by itself.
    pub(crate) fn check(&self, auth: &Auth, identity: &Identity, asked: &Asked) -> Result<(), String> {
        if !identity.via.is_ambient() || (self.looks && !self.upgrades) {
            return Ok(());
        }
        self.check_origin(auth)?;
        if identity.via != Via::Session || self.looks {
            return Ok(());
        }
        let cookie = asked.cookie.as_deref().unwrap_or_default();
        let wanted = auth.sessions().find(cookie, auth.now_ms()).map(|session| session.csrf);
        let shown = self.csrf.as_deref().unwrap_or_default();
        match wanted.is_some_and(|wanted| secret::same(wanted.as_bytes(), shown)) {
            true => Ok(()),
            false => Err(format!(
                "a change by a session needs the header {CSRF}; /api/barograph/v1/auth/me tells it"
            )),
        }
    }

    /// Whether it comes from a page of ours, or of none.
    pub(crate) fn check_origin(&self, auth: &Auth) -> Result<(), String> {
        let origins = auth.config().map_or(&[][..], |config| &config.origins);
        let (host, origin) = (self.host.as_deref(), self.origin.as_deref());
        match origin::is_ours(host, origin, self.fetch_site.as_deref(), origins) {
            true => Ok(()),
            false => Err(format!(
                "a page of origin {:?} may not call this server; auth.origins in the configuration says which may",
                origin.unwrap_or("another")
            )),
        }
    }
}

/// The answer to who may not, in the form of the API that is asked.
fn answer(refused: &Refused, browser: &Browser, path: &str, asked: &HeaderMap) -> Response {
    if let (Refused::Unauthenticated(_), Some(next)) = (refused, &browser.wants_page) {
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        return Redirect::to(&format!("/ui/login?next={next}")).into_response();
    }
    let (status, text) = (refused.status(), refused.text().to_owned());
    let mut response = match otlp::refusal(path, asked, status, &text) {
        Some(response) => response,
        None if path.starts_with("/api/v1/") => ApiError::refused(status, text).into_response(),
        None => Problem::new(status, text).into_response(),
    };
    let headers = response.headers_mut();
    match refused {
        Refused::Unauthenticated(_) => {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"barograph\""));
            // A browser would ask by a window of its own, for which there is a page.
            if !browser.is_browser {
                let basic = HeaderValue::from_static("Basic realm=\"barograph\", charset=\"UTF-8\"");
                headers.append(WWW_AUTHENTICATE, basic);
            }
        }
        Refused::Later(.., wait) => {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds(*wait)));
        }
        Refused::Forbidden(_) => {}
    }
    response
}

/// Whole seconds that are not too short.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Counts a refusal, and notes it where somebody was known or showed something wrong.
pub(super) async fn note_refusal(
    app: &App,
    refused: &Refused,
    identity: Option<&Identity>,
    asked: &Asked,
    object: &str,
) {
    if let Some(engine) = app.ready() {
        engine.telemetry.auth.refused.with([refused.reason()]).inc();
    }
    let nobody = Identity::anonymous(Scopes::NONE);
    let showed =
        asked.authorization.is_some() || identity.is_some_and(|identity| identity.via != Via::Anonymous);
    let told = matches!(refused, Refused::Unauthenticated(_) | Refused::Forbidden(_));
    if showed && told && app.auth().may_note_refusal(asked.address) {
        let identity = identity.unwrap_or(&nobody);
        noted(app, identity, asked.address, ("request", object), Outcome::Refused, refused.text()).await;
    }
}

/// Notes something in the audit log, and counts it if that failed.
pub(crate) async fn noted(
    app: &App,
    identity: &Identity,
    address: Option<IpAddr>,
    what: (&str, &str),
    outcome: Outcome,
    detail: &str,
) {
    if !app.auth().note(identity, address, what, outcome, detail).await
        && let Some(engine) = app.ready()
    {
        engine.telemetry.auth.audit_lost.inc();
    }
}
