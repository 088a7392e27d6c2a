//! `/api/barograph/v1/live/ws`: events over a WebSocket, in which both sides talk.
//!
//! All frames are JSON texts. The client says `{"subscribe": [TOPIC…], "after": ID, "unsubscribe": [TOPIC…],
//! "publish": {"topic", "event", "data"}, "id"}`, each part if it wants to; topics are `bus/topic`, or a bus for all of it, and
//! may be given in the address, too, as for streams. The server says
//!
//! - `{"type": "hello", "version", "client", "topics"}` first,
//! - `{"type": "event", "id", "bus", "topic", "event", "at", "data"}`,
//! - `{"type": "missed", "count", "exact", "reason"}` where events are missing,
//! - `{"type": "done", "id", "topics", "published"}` when it did what a frame said: `id` is that of the frame, `topics` are all
//!   that are subscribed to now,
//! - `{"type": "error", "id", "error", "line", "column"}` when it did not: nothing of that frame was done, unless a limit was
//!   reached on the way. What a frame publishes comes before what it subscribes to.
//!
//! A frame over [`FRAME_BYTES_MAX`] ends the connection with code 1009, one that is no text with 1003, a stopping server with
//! 1001. Pings tell whether the other end is there. A client that reads slowly loses its oldest events.

use std::{collections::BTreeSet, time::Duration};

use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message as Frame, WebSocket, close_code},
    },
    http::HeaderMap,
    response::Response,
    routing::any,
};
use barograph::{Outcome, session::Cause};
use futures_util::{FutureExt, SinkExt};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::{
    App,
    events::{Listener, after, wanted},
    params::Params,
    problem::Problem,
};
use crate::{
    events::{EVENT_BYTES_MAX, Handed, Subscription, Told, Topic},
    server::stopped,
};

/// A larger frame ends the connection: an event of a user with some words around it fits.
const FRAME_BYTES_MAX: usize = EVENT_BYTES_MAX + (8 << 10);
/// How often the other end is asked whether it is there.
const PING: Duration = Duration::from_secs(20);
/// An end that said nothing, not even to pings, or took nothing for so long, is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// So long a client gets to say goodbye in turn.
const GOODBYE: Duration = Duration::from_secs(1);
/// So many events are written before the other side is listened to again.
const BATCH_MAX: usize = 64;
/// What a frame counts as, among the calls of its client.
const METHOD: &str = "WebSocket frame";

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/barograph/v1/live/ws", any(open))
}

async fn open(
    State(app): State<App>,
    headers: HeaderMap,
    listener: Listener,
    upgrade: WebSocketUpgrade,
    params: Params,
) -> Result<Response, Problem> {
    let (topics, after) = (wanted(&params, &listener)?, after(&headers, &params)?);
    let subscription = app.events().subscribe(listener.subscriber(), &topics, after)?;
    let talk = Talk { app, listener, subscription, topics: topics.into_iter().collect() };
    let upgrade = upgrade.max_message_size(FRAME_BYTES_MAX).max_frame_size(FRAME_BYTES_MAX);
    Ok(upgrade.on_upgrade(|socket| talk.run(socket)))
}

/// What a client says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said<'a> {
    #[serde(default)]
    subscribe: Vec<String>,
    #[serde(default)]
    unsubscribe: Vec<String>,
    after: Option<u64>,
    #[serde(borrow)]
    publish: Option<Publish<'a>>,
    id: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish<'a> {
    topic: String,
    event: Option<String>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// One connection.
struct Talk {
    app: App,
    /// Holds the place of the connection.
    listener: Listener,
    subscription: Subscription,
    topics: BTreeSet<Topic>,
}

/// Why a connection ends, and what is said then.
struct End(Cause, Option<(u16, &'static str)>);

impl Talk {
    async fn run(mut self, mut socket: WebSocket) {
        let End(cause, farewell) = match self.talk(&mut socket).await {
            Ok(end) | Err(end) => end,
        };
        // One that goes without a goodbye is broken, unless it did not answer any more.
        let silent = cause == Cause::Error && self.listener.ended() == Some(Cause::Timeout);
        self.subscription.end(if silent { Cause::Timeout } else { cause });
        if let Some((code, reason)) = farewell {
            let goodbye = Frame::Close(Some(CloseFrame { code, reason: reason.into() }));
            let _ = timeout(GOODBYE, socket.send(goodbye)).await;
        }
        // The other end's goodbye, or ours in answer to it; what comes before is not wanted any more.
        let _ = timeout(GOODBYE, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
    }

    async fn talk(&mut self, socket: &mut WebSocket) -> Result<End, End> {
        let client = self.subscription.client().id();
        let hello =
            json!({"type": "hello", "version": crate::VERSION, "client": client, "topics": self.names()});
        send(socket, [hello.to_string()]).await?;
        let mut stopping = self.app.stopping();
        let mut pings = interval(PING);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                () = stopped(&mut stopping) => {
                    return Ok(End(Cause::Graceful, Some((close_code::AWAY, "the server stops"))));
                }
                frame = socket.recv() => {
                    heard = Instant::now();
                    let frame = frame.ok_or(End(Cause::Error, None))?.map_err(broken)?;
                    match frame {
                        Frame::Text(text) => {
                            let answer = self.obey(&text);
                            send(socket, [answer]).await?;
                        }
                        Frame::Binary(_) => {
                            let why = (close_code::UNSUPPORTED, "frames are texts");
                            return Ok(End(Cause::Error, Some(why)));
                        }
                        Frame::Close(_) => return Ok(End(Cause::Graceful, None)),
                        Frame::Ping(_) | Frame::Pong(_) => {}
                    }
                }
                told = self.subscription.next() => {
                    // The client is to go: somebody of this server said so.
                    let told = told.ok_or(End(Cause::Graceful, Some((close_code::AWAY, "disconnected"))))?;
                    let more = std::iter::from_fn(|| self.subscription.next().now_or_never().flatten());
                    let all = std::iter::once(told).chain(more).take(BATCH_MAX).map(|told| text_of(&told));
                    send(socket, all).await?;
                }
                _ = pings.tick() => {
                    if heard.elapsed() >= SILENCE {
                        return Err(End(Cause::Timeout, None));
                    }
                    let ping = timeout(SILENCE, socket.send(Frame::Ping(Default::default()))).await;
                    ping.map_err(|_| End(Cause::Timeout, None))?.map_err(broken)?;
                }
            }
        }
    }

    /// Does what a frame says; the answer.
    fn obey(&mut self, text: &str) -> String {
        let client = self.subscription.client().clone();
        let mut call = client.call(&client.sessions().method(METHOD));
        call.received(text.len() as u64);
        let (outcome, answer) = match serde_json::from_str::<Said<'_>>(text) {
            Err(error) => (400, bad(Value::Null, &error.to_string(), Some((error.line(), error.column())))),
            Ok(said) => {
                let id = said.id.clone().unwrap_or_default();
                match self.follow(&said) {
                    Ok(published) => {
                        let topics = self.names();
                        (200, json!({"type": "done", "id": id, "topics": topics, "published": published}))
                    }
                    Err(why) => (400, bad(id, &why, None)),
                }
            }
        };
        let answer = answer.to_string();
        call.sent(answer.len() as u64);
        call.finish(Outcome::Status(outcome));
        answer
    }

    /// The id of what was published.
    fn follow(&mut self, said: &Said<'_>) -> Result<Option<u64>, String> {
        let topics = |names: &[String]| -> Result<Vec<Topic>, String> {
            let topics = names.iter().map(|name| name.parse()).collect::<Result<_, _>>();
            topics.and_then(|topics| self.listener.own(topics)).map_err(|error| error.to_string())
        };
        let (wanted, unwanted) = (topics(&said.subscribe)?, topics(&said.unsubscribe)?);
        let events = self.app.events();
        if said.publish.is_some() && !self.listener.may_publish() {
            return Err("publishing needs the scope `write`".to_owned());
        }
        let publish = |publish: &Publish<'_>| {
            events.publish_user(
                self.listener.owner(),
                &publish.topic,
                publish.event.as_deref(),
                publish.data.get().as_bytes(),
            )
        };
        let published = said.publish.as_ref().map(publish).transpose().map_err(|error| error.to_string())?;
        events.remove(&self.subscription, &unwanted);
        unwanted.iter().for_each(|topic| {
            self.topics.remove(topic);
        });
        events.add(&mut self.subscription, &wanted, said.after).map_err(|refused| refused.to_string())?;
        self.topics.extend(wanted);
        Ok(published)
    }

    fn names(&self) -> Vec<String> {
        self.topics.iter().map(Topic::to_string).collect()
    }
}

fn bad(id: Value, error: &str, at: Option<(usize, usize)>) -> Value {
    let (line, column) = at.unzip();
    json!({"type": "error", "id": id, "error": error, "line": line, "column": column})
}

/// Writes frames, and waits until they went out.
async fn send(socket: &mut WebSocket, texts: impl IntoIterator<Item = String>) -> Result<(), End> {
    let write = async {
        for text in texts {
            socket.feed(Frame::Text(text.into())).await?;
        }
        socket.flush().await
    };
    timeout(SILENCE, write).await.map_err(|_| End(Cause::Timeout, None))?.map_err(broken)
}

fn broken(error: axum::Error) -> End {
    let error = error.into_inner().downcast::<tungstenite::Error>().map(|error| *error);
    let farewell = match error {
        Ok(tungstenite::Error::Capacity(_)) => Some((close_code::SIZE, "the frame is too large")),
        Ok(tungstenite::Error::Utf8(_)) => Some((close_code::INVALID, "the frame is no text")),
        Ok(tungstenite::Error::Protocol(_)) => Some((close_code::PROTOCOL, "not as WebSockets speak")),
        _ => None,
    };
    End(Cause::Error, farewell)
}

fn text_of(told: &Told) -> String {
    match told {
        Told::Event(event) => event_text(event),
        Told::Missed(missed) => {
            json!({"type": "missed", "count": missed.count, "exact": missed.exact, "reason": missed.reason})
                .to_string()
        }
    }
}

fn event_text(event: &Handed) -> String {
    let (topic, name) = (json!(&*event.topic), json!(&*event.name));
    let document = String::from_utf8_lossy(&event.document);
    format!(
        "{{\"type\":\"event\",\"id\":{},\"bus\":\"{}\",\"topic\":{topic},\"event\":{name},\"at\":\"{}\",\"data\":{document}}}",
        event.id,
        event.bus.name(),
        event.at.to_rfc3339()
    )
}
