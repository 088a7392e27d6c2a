//! Events over HTTP: streamed, published by users, and listed.
//!
//! - `GET /api/barograph/v1/live?bus=BUS&topics=A,B` streams events as they come, as server-sent events: `event:` is the
//!   name of the event, `id:` its id, `data:` its document. Without `topics` it is all of the bus; a topic of another bus has
//!   it before: `topics=alerts/node_failure,user/deploys`. Who comes back with `Last-Event-ID`, or `last_event_id=`, gets
//!   what it missed, as far as it is kept; 0 asks for all of it. `event: missed` with `{"count", "exact", "reason"}` stands
//!   where events are missing. A comment now and then keeps the connection.
//! - `POST /api/barograph/v1/events/{topic}?event=NAME` tells JSON to all who listen to the topic on the bus `user`.
//! - `GET /api/barograph/v1/events` says which topics there are, how many listen, and what is kept.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{FromRequestParts, Path, Request, State},
    http::{Extensions, HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use barograph::session::Cause;
use barograph_auth::{Identity, Scope};
use futures_util::stream;
use serde_json::json;

use super::{App, Peer, body::Whole, params::Params, problem::Problem, sessions::named};
use crate::{
    connections::Line,
    events::{
        BadTopic, Bus, EVENT_BYTES_MAX, EVENTS_PER_SECOND_MAX, Handed, KEPT_BYTES_MAX, KEPT_MAX, KNOWN,
        PERFORMANCE, Refused, Subscriber, Subscription, TOPICS_MAX, Told, Topic, Unpublished, owned,
    },
    server::stopped,
    tenants::Working,
};

/// So long nothing is said before a comment is.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// So many events that wait already are still told when the server stops.
const LAST_WORDS_MAX: usize = 256;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/events", get(list))
        .route("/api/barograph/v1/events/{topic}", post(publish))
}

/// Who listens, and how its connection is.
pub(crate) struct Listener {
    name: Option<String>,
    address: String,
    line: Option<Line>,
    may_publish: bool,
    working: Option<Working>,
}

impl Listener {
    /// By what a request says, and the connection it came by.
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let peer = extensions.get::<Peer>();
        Self {
            name: named(headers).map(str::to_owned),
            working: extensions.get().cloned(),
            address: peer.map_or_else(|| "unknown".to_owned(), |peer| peer.0.ip().to_string()),
            line: extensions.get().cloned(),
            may_publish: extensions.get().is_some_and(|who: &Identity| who.may(Scope::Write)),
        }
    }

    /// The tenant whose topics they may listen to; `None` is that of the server itself.
    pub(crate) fn owner(&self) -> Option<&Arc<str>> {
        self.working.as_ref().and_then(|working| working.0.tenant.name())
    }

    /// The same topics, of their tenant.
    ///
    /// # Errors
    /// Only the server itself has one of them.
    pub(crate) fn own(&self, topics: Vec<Topic>) -> Result<Vec<Topic>, BadTopic> {
        topics.into_iter().map(|topic| topic.of(self.owner())).collect()
    }

    /// Whose events these are. Clients of a tenant have no names that are known to others.
    pub(crate) fn subscriber(&self) -> Subscriber<'_> {
        let name = self.name.as_deref().filter(|_| self.owner().is_none());
        name.map_or(Subscriber::At(&self.address), Subscriber::Named)
    }

    /// Whether they may tell events, too.
    pub(crate) fn may_publish(&self) -> bool {
        self.may_publish
    }

    /// How its connection ended.
    pub(crate) fn ended(&self) -> Option<Cause> {
        self.line.as_ref().and_then(Line::ended)
    }
}

impl<S: Sync> FromRequestParts<S> for Listener {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A page of a browser cannot send headers with a stream.
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let asked = form_urlencoded::parse(query).find(|(name, _)| name == "client");
        let asked = asked.map(|(_, client)| client.into_owned()).filter(|client| !client.is_empty());
        let listener = Self::of(&parts.headers, &parts.extensions);
        Ok(Self { name: asked.or(listener.name), ..listener })
    }
}

/// The topics that a request names.
pub(super) fn wanted(params: &Params, listener: &Listener) -> Result<Vec<Topic>, Problem> {
    let forbidden = |error: BadTopic| Problem::new(StatusCode::FORBIDDEN, error.to_string());
    listener.own(named_topics(params)?).map_err(forbidden)
}

fn named_topics(params: &Params) -> Result<Vec<Topic>, Problem> {
    let bad = |text: String| Problem::new(StatusCode::BAD_REQUEST, text);
    let parts = |name| params.all(name).flat_map(|text| text.split(',')).map(str::trim);
    let buses: Result<Vec<Bus>, _> = parts("bus").map(str::parse).collect();
    let buses = buses.map_err(|error| bad(format!("{error}")))?;
    let topics: Vec<_> = parts("topics").collect();
    if topics.is_empty() {
        return Ok(buses.into_iter().map(Topic::all).collect());
    }
    if buses.len() > 1 {
        return Err(
            bad("with several buses, write topics with their bus before: alerts/node_failure".into()),
        );
    }
    let find = |text: &str| Topic::find(text, buses.first().copied()).map_err(|error| bad(error.to_string()));
    topics.into_iter().map(find).collect()
}

/// The id after which events are wanted.
pub(super) fn after(headers: &HeaderMap, params: &Params) -> Result<Option<u64>, Problem> {
    let header = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default().trim());
    let Some(id) = params.first("last_event_id").or(header).filter(|id| !id.is_empty()) else {
        return Ok(None);
    };
    let bad = |_| Problem::new(StatusCode::BAD_REQUEST, format!("{id:?} is not the id of an event"));
    id.parse().map(Some).map_err(bad)
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, refused.to_string())
    }
}

/// Answers with a stream of events. Of those about performance, only those of each `step_ms` are told.
pub(super) fn stream(
    app: App,
    headers: &HeaderMap,
    listener: Listener,
    params: &Params,
    step_ms: i64,
) -> Result<Response, Problem> {
    let (topics, after) = (wanted(params, &listener)?, after(headers, params)?);
    let subscription = app.events().subscribe(listener.subscriber(), &topics, after)?;
    let feed =
        Feed { app, listener, subscription: Some(subscription), step_ms, greeted: false, last_words: None };
    let events = stream::unfold(feed, |mut feed| async {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((kind, Body::from_stream(events)).into_response())
}

/// One client's stream.
struct Feed {
    app: App,
    listener: Listener,
    subscription: Option<Subscription>,
    step_ms: i64,
    greeted: bool,
    /// Once the server stops: how many events may still be told.
    last_words: Option<usize>,
}

impl Feed {
    /// The text of the next event; `None` when the server stops, or the client is to go.
    async fn next(&mut self) -> Option<Bytes> {
        let subscription = self.subscription.as_mut()?;
        if !std::mem::replace(&mut self.greeted, true) {
            let (now, client) = (self.app.events().clock().now().seconds(), subscription.client().id());
            let hello = json!({"version": crate::VERSION, "now": now, "client": client});
            return Some(format!("event: hello\ndata: {hello}\n\n").into());
        }
        let mut stopping = self.app.stopping();
        let mut silence = pin!(tokio::time::sleep(HEARTBEAT));
        loop {
            let over = self.last_words.is_some_and(|left| left == 0);
            let told = tokio::select! {
                biased;
                told = subscription.next(), if !over => told,
                () = stopped(&mut stopping) => {
                    if self.last_words.is_none() {
                        self.last_words = Some(LAST_WORDS_MAX);
                        continue;
                    }
                    None
                }
                () = &mut silence => return Some(Bytes::from_static(b":\n\n")),
            };
            let Some(told) = told else { break };
            if *stopping.borrow() {
                let left = self.last_words.unwrap_or(LAST_WORDS_MAX);
                self.last_words = Some(left.saturating_sub(1));
            }
            match told {
                Told::Event(event) if is_between_steps(&event, self.step_ms) => {}
                Told::Event(event) => return Some(event.frame()),
                Told::Missed(missed) => {
                    return Some(format!("event: missed\ndata: {}\n\n", json!(missed)).into());
                }
            }
        }
        if let Some(subscription) = self.subscription.take() {
            subscription.end(Cause::Graceful);
        }
        None
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.end(self.listener.ended().unwrap_or(Cause::Error));
        }
    }
}

/// Whether an event about performance is of a second that this stream leaves out.
fn is_between_steps(event: &Handed, step_ms: i64) -> bool {
    let is_stepped = step_ms > 1_000 && event.bus == Bus::Metrics && *event.topic == *PERFORMANCE;
    is_stepped && event.at.0.div_euclid(1_000) % (step_ms / 1_000) != 0
}

async fn publish(
    State(app): State<App>,
    Path(topic): Path<String>,
    listener: Listener,
    request: Request,
) -> Result<Response, Problem> {
    let params = Params::new(request.uri().query().unwrap_or_default(), &[]);
    let body = Whole::within(request.into_body(), EVENT_BYTES_MAX).await;
    let Whole(body) = body.map_err(|error| Problem::new(error.status(), error.to_string()))?;
    let owner = listener.owner();
    let id = app.events().publish_user(owner, &topic, params.first("event"), &body)?;
    let told = Topic::new(Bus::User, &topic).and_then(|topic| topic.of(owner));
    let subscribers = told.map_or(0, |told| app.events().subscribers_of(&told));
    let answer = json!({"id": id, "bus": Bus::User.name(), "topic": topic, "subscribers": subscribers});
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response())
}

impl From<Unpublished> for Problem {
    fn from(error: Unpublished) -> Self {
        let status = match error {
            Unpublished::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Unpublished::TooManyTopics(_) | Unpublished::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Unpublished::BadTopic(_) | Unpublished::BadName | Unpublished::BadJson(_) => {
                StatusCode::BAD_REQUEST
            }
        };
        Self::new(status, error.to_string())
    }
}

async fn list(State(app): State<App>, listener: Listener, params: Params) -> Result<Response, Problem> {
    let events = app.events();
    let bus = params.first("bus").map(str::parse::<Bus>).transpose();
    let bus = bus.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let mut topics = Vec::new();
    let owner = listener.owner();
    let mut quiet: Vec<_> = if owner.is_none() { KNOWN.to_vec() } else { Vec::new() };
    events.each_topic(|of, key, kept| {
        let (whose, topic) = owned(key);
        if whose != owner.map(|owner| &**owner) {
            return;
        }
        quiet.retain(|known| *known != (of, topic));
        let kept = json!({"events": kept.len(), "bytes": kept.bytes(), "oldest": kept.oldest(), "newest": kept.newest(),
                          "published": kept.published});
        topics.push((of, topic.to_owned(), kept));
    });
    let nothing = json!({"events": 0, "bytes": 0, "oldest": null, "newest": null, "published": 0});
    topics.extend(quiet.into_iter().map(|(bus, topic)| (bus, topic.to_owned(), nothing.clone())));
    topics.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let wanted = |of: Bus| bus.is_none_or(|bus| bus == of);
    let topics: Vec<_> = topics
        .into_iter()
        .filter(|(of, _, _)| wanted(*of))
        .map(|(bus, topic, mut kept)| {
            let published = kept.as_object_mut().and_then(|kept| kept.remove("published"));
            let of = Topic::new(bus, &topic).and_then(|topic| topic.of(owner));
            let subscribers = of.map_or(0, |topic| events.subscribers_of(&topic));
            json!({"bus": bus.name(), "topic": topic, "published": published, "subscribers": subscribers, "kept": kept})
        })
        .collect();
    let of_bus = |bus: Bus| {
        let all = Topic::all(bus).of(owner);
        let subscribers = all.map_or(0, |all| events.subscribers_of(&all));
        json!({"bus": bus.name(), "alias": bus.alias(), "subscribers": subscribers})
    };
    let buses: Vec<_> = Bus::ALL.into_iter().filter(|bus| wanted(*bus)).map(of_bus).collect();
    let counts = events.counts();
    let answer = json!({
        "buses": buses,
        "topics": topics,
        "kept_bytes": counts.kept_bytes,
        "lost": {"unkept": counts.unkept, "unwritten": counts.failed, "refused": counts.refused},
        "limits": {
            "topics_per_bus": TOPICS_MAX,
            "kept_per_topic": KEPT_MAX,
            "kept_bytes": KEPT_BYTES_MAX,
            "event_bytes": EVENT_BYTES_MAX,
            "user_events_per_second": EVENTS_PER_SECOND_MAX,
            "queue": events.sessions().settings().queue_capacity,
        },
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response())
}
