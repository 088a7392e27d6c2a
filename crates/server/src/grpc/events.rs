//! `barograph.v1.Events`: what happens, told as it happens, and what users tell each other.

use barograph::session::Cause;
use barograph_proto::v1::{
    ClientMessage, Event, Missed, PublishRequest, PublishResponse, Refused, ServerMessage, SubscribeRequest,
    Subscribed, Told, Unsubscribed, client_message, events_server, missed, server_message, told,
};
use futures_util::{StreamExt, stream};
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, Api, Open, status};
use crate::{
    events::{self, Bus, Reason, Subscription, Topic},
    http::{App, Listener, Problem},
};

/// One request names no more topics.
const TOPICS_MAX: usize = 256;
/// So many events that wait already are still told when the server stops.
const LAST_WORDS_MAX: usize = 256;

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
        let listener = listener(&request);
        let wanted = request.into_inner();
        let topics = topics(&wanted.topics, &listener)?;
        let subscription = self.0.app.events().subscribe(listener.subscriber(), &topics, wanted.after_id);
        let subscription = Some(subscription.map_err(Problem::from)?);
        let listening = Listening { open, listener, subscription, last_words: LAST_WORDS_MAX };
        let told = stream::unfold(Some(listening), |listening| async {
            let mut listening = listening?;
            Some(match listening.next().await? {
                Ok(told) => (Ok(Told { told: Some(of_told(told)) }), Some(listening)),
                Err(stopping) => (Err(stopping), None),
            })
        });
        Ok(Response::new(told.boxed()))
    }

    async fn publish(&self, request: Request<PublishRequest>) -> Result<Response<PublishResponse>, Status> {
        let listener = listener(&request);
        Ok(Response::new(publish(&self.0.app, &listener, &request.into_inner())?))
    }

    async fn exchange(
        &self,
        request: Request<Streaming<ClientMessage>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let open = self.0.stream()?;
        let (app, listener) = (self.0.app.clone(), listener(&request));
        let listening = Listening { open, listener, subscription: None, last_words: LAST_WORDS_MAX };
        let exchange = Exchange { app, said: request.into_inner(), listening };
        Ok(Response::new(stream::unfold(Some(exchange), Exchange::next).boxed()))
    }
}

fn listener<T>(request: &Request<T>) -> Listener {
    Listener::of(request.metadata().as_ref(), request.extensions())
}

/// Somebody who is told events, as long as the call lasts.
struct Listening {
    open: Open,
    listener: Listener,
    subscription: Option<Subscription>,
    /// How many events may still be told once the server stops.
    last_words: usize,
}

impl Listening {
    /// What is told next, if there is a subscription; an error when the server stops, `None` if the client is to go.
    async fn next(&mut self) -> Option<Result<events::Told, Status>> {
        let told = async {
            match &mut self.subscription {
                Some(subscription) if self.last_words > 0 => subscription.next().await,
                _ => std::future::pending().await,
            }
        };
        let told = tokio::select! {
            biased;
            told = told => told,
            () = self.open.stopped() => {
                self.end(Cause::Graceful);
                return Some(Err(status::stopping()));
            }
        };
        if *self.open.stopping.borrow() {
            self.last_words -= 1;
        }
        told.map(Ok)
    }

    fn end(&mut self, cause: Cause) {
        if let Some(subscription) = self.subscription.take() {
            subscription.end(cause);
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Who ends a call and keeps the connection is done with it.
        self.end(self.listener.ended().unwrap_or(Cause::Graceful));
    }
}

fn topics(names: &[String], listener: &Listener) -> Result<Vec<Topic>, Status> {
    if names.is_empty() || names.len() > TOPICS_MAX {
        return Err(status::wrong("topics", format!("name 1 to {TOPICS_MAX} topics, not {}", names.len())));
    }
    let topic = |name: &String| {
        name.parse().map_err(|error: events::BadTopic| status::wrong("topics", error.to_string()))
    };
    let topics = names.iter().map(topic).collect::<Result<_, _>>()?;
    listener.own(topics).map_err(|error| Status::permission_denied(error.to_string()))
}

fn publish(app: &App, listener: &Listener, request: &PublishRequest) -> Result<PublishResponse, Status> {
    let topic = match request.topic.split_once('/') {
        None => request.topic.as_str(),
        Some(("user", topic)) => topic,
        Some((bus, _)) if bus.parse::<Bus>().is_ok() => {
            let why = format!("the server alone tells events on the bus {bus}; publish on the bus user");
            return Err(Status::permission_denied(why));
        }
        Some(_) => return Err(status::wrong("topic", events::BadTopic::BadName.to_string())),
    };
    let name = Some(request.name.as_str()).filter(|name| !name.is_empty());
    let document = if request.document_json.is_empty() { "null" } else { &request.document_json };
    let id = app.events().publish_user(listener.owner(), topic, name, document.as_bytes());
    Ok(PublishResponse { id: id.map_err(Problem::from)? })
}

fn of_told(told: events::Told) -> told::Told {
    match told {
        events::Told::Event(event) => told::Told::Event(message(&event)),
        events::Told::Missed(mark) => told::Told::Missed(missed(mark)),
    }
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
    said: Streaming<ClientMessage>,
    listening: Listening,
}

impl Exchange {
    /// What the server says next.
    async fn next(talking: Option<Self>) -> Option<(Result<ServerMessage, Status>, Option<Self>)> {
        let mut this = talking?;
        let (request_id, message) = tokio::select! {
            biased;
            said = this.said.message() => match said {
                Ok(Some(said)) => this.answer(said),
                Ok(None) => {
                    this.listening.end(Cause::Graceful);
                    return None;
                }
                // The client broke off, or said what nobody can read.
                Err(broken) => return Some((Err(broken), None)),
            },
            told = this.listening.next() => match told? {
                Ok(told) => (String::new(), match of_told(told) {
                    told::Told::Event(event) => server_message::Message::Event(event),
                    told::Told::Missed(missed) => server_message::Message::Missed(missed),
                }),
                Err(stopping) => return Some((Err(stopping), None)),
            },
        };
        Some((Ok(ServerMessage { request_id, message: Some(message) }), Some(this)))
    }

    fn answer(&mut self, said: ClientMessage) -> (String, server_message::Message) {
        let answer = match said.message {
            None => Err(status::wrong("message", "there is nothing in this message")),
            Some(client_message::Message::Publish(_)) if !self.listening.listener.may_publish() => {
                Err(Status::permission_denied("publishing needs the scope `write`"))
            }
            Some(client_message::Message::Publish(it)) => {
                publish(&self.app, &self.listening.listener, &it).map(server_message::Message::Published)
            }
            Some(client_message::Message::Subscribe(it)) => {
                self.subscribe(&it).map(|()| server_message::Message::Subscribed(Subscribed {}))
            }
            Some(client_message::Message::Unsubscribe(it)) => topics(&it.topics, &self.listening.listener)
                .map(|topics| {
                    if let Some(subscription) = &self.listening.subscription {
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
        let topics = topics(&wanted.topics, &self.listening.listener)?;
        let (events, listening) = (self.app.events(), &mut self.listening);
        match &mut listening.subscription {
            Some(subscription) => {
                events.add(subscription, &topics, wanted.after_id).map_err(Problem::from)?;
            }
            none => {
                let subscription =
                    events.subscribe(listening.listener.subscriber(), &topics, wanted.after_id);
                *none = Some(subscription.map_err(Problem::from)?);
            }
        }
        Ok(())
    }
}
