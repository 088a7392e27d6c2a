//! `…/ack-links/{link}`: a page that asks whether to acknowledge, and what its button does.
//!
//! `GET` changes nothing, so that scanners of mail and previews of chats may follow it. `POST` acknowledges. A button in a chat
//! posts a form with `payload`, a JSON document whose first action has the link as its value.

use axum::{
    extract::{Path, Request, State},
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    },
    response::{IntoResponse, Response},
};
use barograph_alert::incident::{Act, BadLink, Link, State as Standing};
use barograph_auth::{Identity, Scopes};
use serde_json::{Value, json};

use super::{App, Problem, acts::noted, bad, blocking};
use crate::{
    Engine,
    http::{Peer, body::Whole},
};

/// Bytes of what a chat posts.
const CHAT_BYTES_MAX: usize = 64 << 10;
const SECURITY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'";

/// `GET`: asks.
pub(super) async fn show(State(app): State<App>, Path(link): Path<String>) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let link = match read(&engine, link).await? {
        Ok(link) => link,
        Err(why) => return Ok(refused(why)),
    };
    let id = link.incident();
    let incident = engine.incidents.look(move |book| book.get(&id).cloned()).await;
    let Some(incident) = incident else {
        return Ok(page(StatusCode::NOT_FOUND, "Gone", "This incident is not kept any more.", false));
    };
    let title = &incident.title;
    Ok(match (incident.state, &incident.ack) {
        (Standing::Acknowledged, Some(ack)) => {
            page(StatusCode::OK, title, &format!("{} has acknowledged it.", ack.by), false)
        }
        (Standing::Resolved, _) => page(StatusCode::OK, title, "It is over.", false),
        _ => page(StatusCode::OK, title, &format!("Acknowledge it as {}?", link.by()), true),
    })
}

/// `POST`: acknowledges.
pub(super) async fn act(
    State(app): State<App>,
    Path(link): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let peer = request.extensions().get::<Peer>().copied();
    let link = match read(&engine, link).await? {
        Ok(link) => link,
        Err(why) => return Ok(refused(why)),
    };
    let by = link.by().to_owned();
    Ok(match acknowledge(&app, &engine, link, by, peer).await? {
        Ok(text) => page(StatusCode::OK, "Acknowledged", &text, false),
        Err(text) => page(StatusCode::CONFLICT, "Not acknowledged", &text, false),
    })
}

/// `POST …/ack-links` with the form of a chat.
pub(super) async fn of_chat(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let peer = request.extensions().get::<Peer>().copied();
    let body = Whole::within(request.into_body(), CHAT_BYTES_MAX).await;
    let Whole(body) = body.map_err(|error| Problem::new(error.status(), error.to_string()))?;
    let payload = form_urlencoded::parse(&body).find(|(name, _)| name == "payload");
    let (_, payload) = payload.ok_or_else(|| bad("expected a form with `payload`"))?;
    let payload: Value =
        serde_json::from_str(&payload).map_err(|_| bad("`payload` should be a JSON document"))?;
    let link = payload["actions"][0]["value"].as_str();
    let link = link.ok_or_else(|| bad("`payload` should have the link in `actions[0].value`"))?.to_owned();
    let names = ["username", "name", "id"].into_iter();
    let user = names.filter_map(|key| payload["user"][key].as_str()).find(|name| !name.is_empty());
    let user = user.map(|name| format!("{} (chat)", name.chars().take(100).collect::<String>()));
    let text = match read(&engine, link).await? {
        Ok(link) => {
            let by = user.unwrap_or_else(|| link.by().to_owned());
            acknowledge(&app, &engine, link, by, peer).await?.unwrap_or_else(|text| text)
        }
        Err(why) => {
            return Ok((
                status_of(why),
                axum::Json(json!({"text": why.to_string(), "replace_original": false})),
            )
                .into_response());
        }
    };
    Ok(axum::Json(json!({"text": text, "replace_original": false})).into_response())
}

async fn read(engine: &Engine, text: String) -> Result<Result<Link, BadLink>, Problem> {
    let incidents = engine.incidents.clone();
    let read = blocking(move || incidents.read_link(&text)).await?;
    if let Err(why) = &read {
        engine.incidents.link_used(match why {
            BadLink::Forged => "forged",
            BadLink::Expired => "expired",
            BadLink::NoKey => "failed",
        });
    }
    Ok(read)
}

/// Acknowledges; what to say of it, or why it was not done.
async fn acknowledge(
    app: &App,
    engine: &Engine,
    link: Link,
    by: String,
    peer: Option<Peer>,
) -> Result<Result<String, String>, Problem> {
    let incident = link.incident();
    let (incidents, id, name) = (engine.incidents.clone(), incident.clone(), by.clone());
    let act = Act::Ack { alert: None, auto: false };
    let done = blocking(move || incidents.act(&id, act, &name, "by link")).await?;
    let who = Identity::anonymous(Scopes::NONE);
    let who = Identity { user: format!("link of {by}"), ..who };
    noted(app, &who, peer, ("incident.ack", &incident), done.is_ok()).await;
    engine.incidents.link_used(if done.is_ok() { "acknowledged" } else { "refused" });
    Ok(match done {
        Ok(_) => Ok(format!("{by} has acknowledged it.")),
        Err(error) => Err(error.to_string()),
    })
}

fn status_of(why: BadLink) -> StatusCode {
    match why {
        BadLink::Forged => StatusCode::NOT_FOUND,
        BadLink::Expired => StatusCode::GONE,
        BadLink::NoKey => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn refused(why: BadLink) -> Response {
    page(status_of(why), "Not acknowledged", &why.to_string(), false)
}

/// A small page without scripts, readable on a phone.
fn page(status: StatusCode, title: &str, text: &str, asks: bool) -> Response {
    let (title, text) = (escaped(title), escaped(text));
    let form = if asks { "<form method=\"post\"><button>Acknowledge</button></form>" } else { "" };
    let body = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>body{{font:1.1rem \
         sans-serif;margin:2rem;max-width:40rem}}button{{font:inherit;padding:.8rem 1.6rem}}</style></head><body>\
         <h1>{title}</h1><p>{text}</p>{form}</body></html>"
    );
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(SECURITY)),
    ];
    (status, headers, body).into_response()
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
        escaped
    })
}
