//! `barograph.v1.Events`: what happens, told as it happens, and what users tell each other.

use barograph::session::Cause;
use barograph_proto::v1::{
    ClientMessage, Event, Missed, PublishRequest, PublishResponse, Refused, ServerMessage, SubscribeRequest,
    Subscribed, Told, Unsubscribed, client_message, events_server, missed, server_message, told,
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, Api, Open, caller, status};
use crate::{
    events::{self, Bus, Reason, Subscriber, Subscription, Topic},
    http::{App, sessions::named},
};

/// A document that is published is no larger.
const DOCUMENT_BYTES_MAX: usize = 64 << 10;
/// The name of an event is no longer.
const NAME_BYTES_MAX: usize = 256;
/// One request names no more topics.
const TOPICS_MAX: usize = 256;

pub(super) struct Events(pub(super) Api);

#[tonic::async_trait]
impl events_server::Events for Events {
    type SubscribeStream = Answers<Told>;
    type ExchangeStream = Answers<ServerMessage>;

    async fn subscribe(
        &self,
        request: Request<SubscribeRequest>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let open = self.0.stream()?;
        let who = Who::of(&request);
        let wanted = request.into_inner();
        let topics = topics(&wanted.topics)?;
        let subscription =
            self.0.app.events().subscribe(who.subscriber(), &topics, wanted.after_id).map_err(refused)?;
        let told = stream::unfold(Some((open, subscription)), |listening| async {
            let (mut open, mut subscription) = listening?;
            let told = tokio::select! {
                biased;
                () = open.stopped() => {
                    subscription.end(Cause::Graceful);
                    return Some((Err(status::stopping()), None));
                }
                told = subscription.next() => match told? {
                    events::Told::Event(event) => told::Told::Event(message(&event)),
                    events::Told::Missed(mark) => told::Told::Missed(missed(mark)),
                },
            };
            Some((Ok(Told { told: Some(told) }), Some((open, subscription))))
        });
        Ok(Response::new(told.boxed()))
    }

    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        Ok(Response::new(publish(&self.0.app, &request.into_inner())?))
    }

    async fn exchange(
        &self,
        request: Request<Streaming<ClientMessage>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let open = self.0.stream()?;
        let (app, who) = (self.0.app.clone(), Who::of(&request));
        let exchange = Exchange { app, who, open, said: request.into_inner(), subscription: None };
        Ok(Response::new(stream::unfold(Some(exchange), Exchange::next).boxed()))
    }
}

/// Who listens.
struct Who {
    /// The name it gave itself.
    named: Option<String>,
    address: String,
}

impl Who {
    fn of<T>(request: &Request<T>) -> Self {
        let named = named(request.metadata().as_ref()).map(str::to_owned);
        Self { named, address: caller(request).name.to_string() }
    }

    fn subscriber(&self) -> Subscriber<'_> {
        self.named.as_deref().map_or(Subscriber::At(&self.address), Subscriber::Named)
    }
}

fn topics(names: &[String]) -> Result<Vec<Topic>, Status> {
    if names.is_empty() || names.len() > TOPICS_MAX {
        return Err(status::wrong("topics", format!("name 1 to {TOPICS_MAX} topics, not {}", names.len())));
    }
    let topic = |name: &String| {
        name.parse().map_err(|error: events::BadTopic| status::wrong("topics", error.to_string()))
    };
    names.iter().map(topic).collect()
}

fn refused(refused: events::Refused) -> Status {
    Status::resource_exhausted(refused.to_string())
}

fn publish(app: &App, request: &PublishRequest) -> Result<PublishResponse, Status> {
    let topic = match request.topic.contains('/') {
        true => request.topic.parse(),
        false => Topic::new(Bus::User, &request.topic),
    };
    let topic = topic.map_err(|error| status::wrong("topic", error.to_string()))?;
    let (Bus::User, Some(topic)) = (topic.bus, topic.name) else {
        return Err(Status::permission_denied(format!(
            "{} is told by the server alone; publish on the bus user",
            topic.bus.name()
        )));
    };
    let name = if request.name.is_empty() { "message" } else { &request.name };
    if name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
        return Err(status::wrong(
            "name",
            format!("the name of an event has at most {NAME_BYTES_MAX} bytes and no control characters"),
        ));
    }
    let text = if request.document_json.is_empty() { "null" } else { &request.document_json };
    if text.len() > DOCUMENT_BYTES_MAX {
        let why = format!("a document has at most {DOCUMENT_BYTES_MAX} bytes");
        return Err(Status::resource_exhausted(why));
    }
    let document: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| status::wrong("document_json", format!("this is no JSON: {error}")))?;
    let document = Bytes::from(document.to_string());
    let id = app.events().publish_json(Bus::User, &topic, name, document);
    Ok(PublishResponse { id: id.map_err(|full| Status::resource_exhausted(full.to_string()))? })
}

fn message(event: &events::Message) -> Event {
    Event {
        id: event.id,
        bus: event.bus.name().to_owned(),
        topic: event.topic.to_string(),
        name: event.name.to_string(),
        at_ms: event.at.0,
        document_json: String::from_utf8_lossy(&event.document).into_owned(),
    }
}

fn missed(mark: events::Missed) -> Missed {
    let reason = match mark.reason {
        Reason::Queue => missed::Reason::Queue,
        Reason::Forgotten => missed::Reason::Forgotten,
        Reason::Restarted => missed::Reason::Restarted,
    };
    Missed { count: mark.count, exact: mark.exact, reason: reason.into() }
}

/// A call in which both sides talk.
struct Exchange {
    app: App,
    who: Who,
    open: Open,
    said: Streaming<ClientMessage>,
    /// From the first time it subscribes.
    subscription: Option<Subscription>,
}

impl Exchange {
    /// What the server says next.
    async fn next(talking: Option<Self>) -> Option<(Result<ServerMessage, Status>, Option<Self>)> {
        let mut this = talking?;
        let told = async {
            match &mut this.subscription {
                Some(subscription) => subscription.next().await,
                None => std::future::pending().await,
            }
        };
        let (request_id, message) = tokio::select! {
            biased;
            () = this.open.stopped() => {
                this.end();
                return Some((Err(status::stopping()), None));
            }
            said = this.said.message() => match said {
                Ok(Some(said)) => this.answer(said),
                Ok(None) => {
                    this.end();
                    return None;
                }
                // The client broke off, or said what nobody can read.
                Err(broken) => return Some((Err(broken), None)),
            },
            told = told => (String::new(), match told? {
                events::Told::Event(event) => server_message::Message::Event(message(&event)),
                events::Told::Missed(mark) => server_message::Message::Missed(missed(mark)),
            }),
        };
        Some((Ok(ServerMessage { request_id, message: Some(message) }), Some(this)))
    }

    fn end(self) {
        if let Some(subscription) = self.subscription {
            subscription.end(Cause::Graceful);
        }
    }

    fn answer(&mut self, said: ClientMessage) -> (String, server_message::Message) {
        let answer = match said.message {
            None => Err(status::wrong("message", "there is nothing in this message")),
            Some(client_message::Message::Publish(it)) => {
                publish(&self.app, &it).map(server_message::Message::Published)
            }
            Some(client_message::Message::Subscribe(it)) => {
                self.subscribe(&it).map(|()| server_message::Message::Subscribed(Subscribed {}))
            }
            Some(client_message::Message::Unsubscribe(it)) => topics(&it.topics).map(|topics| {
                if let Some(subscription) = &self.subscription {
                    self.app.events().remove(subscription, &topics);
                }
                server_message::Message::Unsubscribed(Unsubscribed {})
            }),
        };
        let answer = answer.unwrap_or_else(|status| {
            let (code, message) = (status.code().into(), status.message().to_owned());
            server_message::Message::Refused(Refused { code, message })
        });
        (said.request_id, answer)
    }

    fn subscribe(&mut self, wanted: &SubscribeRequest) -> Result<(), Status> {
        let topics = topics(&wanted.topics)?;
        let events = self.app.events();
        match &mut self.subscription {
            Some(subscription) => events.add(subscription, &topics, wanted.after_id).map_err(refused),
            none => {
                let subscription = events.subscribe(self.who.subscriber(), &topics, wanted.after_id);
                *none = Some(subscription.map_err(refused)?);
                Ok(())
            }
        }
    }
}
