//! One try: a notice into the words of its channel, sent, and the answer judged.

use std::time::Duration;

use barograph_alert::{
    channels::{Channel, Message, Request, Setting, Settings, Verdict, judge, retry_after, words},
    delivery::Attempt,
    notice::Notice,
};
use http::{HeaderName, HeaderValue, header::RETRY_AFTER};

use super::{Delivery, Receivers, links, receivers::reveal, smtp};
use crate::{Engine, outgoing::Limits};

/// How long a receiver may take where nobody says.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// What came of a try.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) verdict: Verdict,
    /// The code of the answer, if there was one.
    pub(super) status: Option<u16>,
    /// Of several addresses those that have it now and had it not before.
    pub(super) taken: Vec<String>,
    /// What was said of those that will never have it, where others do.
    pub(super) refused: Option<String>,
}

impl Came {
    fn of(verdict: Verdict, status: Option<u16>) -> Self {
        Self { verdict, status, taken: Vec::new(), refused: None }
    }
}

/// Sends a notice once; of several addresses to those that have it not yet.
pub(super) async fn send(
    engine: &Engine,
    receivers: &Receivers,
    channel: &Channel,
    notice: &Notice,
    has_it: &[String],
) -> (Verdict, Attempt) {
    let began = engine.clock.monotonic();
    let at = engine.clock.now().millis();
    let Came { verdict, status, taken, refused } = attempt(engine, receivers, channel, notice, has_it).await;
    let took = engine.clock.monotonic().saturating_sub(began);
    let error = match &verdict {
        Verdict::Sent => refused,
        Verdict::Again { why, .. } | Verdict::Refused(why) => Some(why.clone()),
    };
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let ok = verdict == Verdict::Sent;
    (verdict, Attempt { at, ok, status, error, took_ms, taken })
}

async fn attempt(
    engine: &Engine,
    receivers: &Receivers,
    channel: &Channel,
    notice: &Notice,
    has_it: &[String],
) -> Came {
    let message = match message(engine, receivers, channel, notice) {
        Ok(message) => message,
        Err(why) => return Came::of(Verdict::Again { why, after_ms: None }, None),
    };
    match (message, &channel.settings) {
        // There is nothing to say.
        (None, _) => Came::of(Verdict::Sent, None),
        (Some(Message::Event(document)), _) => {
            engine.events.publish(crate::events::Bus::Alerts, "alerts", "notification", &document);
            Came::of(Verdict::Sent, None)
        }
        (Some(Message::Mail(mail)), Settings::Email(email)) => {
            smtp::send(email, &receivers.folder, &mail, has_it, engine.clock.now()).await
        }
        (Some(Message::Mail(_)), _) => {
            Came::of(Verdict::Refused("this channel sends no mail".to_owned()), None)
        }
        (Some(Message::Http(request)), _) => {
            let (verdict, status) = asked(engine, receivers, channel, request).await;
            Came::of(verdict, status)
        }
    }
}

async fn asked(
    engine: &Engine,
    receivers: &Receivers,
    channel: &Channel,
    request: Request,
) -> (Verdict, Option<u16>) {
    let timeout = match &channel.settings {
        Settings::Webhook(webhook) => webhook.timeout_ms.map(Duration::from_millis),
        _ => None,
    };
    let request = match made(request) {
        Ok(request) => request,
        Err(why) => return (Verdict::Refused(why), None),
    };
    let limits = Limits { timeout: timeout.unwrap_or(TIMEOUT), body_bytes: ANSWER_BYTES_MAX };
    match receivers.client(&channel.http).send(request, limits).await {
        Ok(answer) => {
            let status = answer.status.as_u16();
            let after = answer.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let after = after.and_then(|text| retry_after(text, engine.clock.now()));
            (judge(status, after, &answer.body), Some(status))
        }
        Err(error) if error.may_pass() => (Verdict::Again { why: error.to_string(), after_ms: None }, None),
        Err(error) => (Verdict::Refused(error.to_string()), None),
    }
}

/// The words of a notice over a channel; a template that failed is counted and told.
pub(super) fn message(
    engine: &Engine,
    receivers: &Receivers,
    channel: &Channel,
    notice: &Notice,
) -> Result<Option<Message>, String> {
    let delivery: &Delivery = &engine.delivery;
    let called = delivery.called();
    let ack_url = links::ack_url(engine, &called, notice);
    let setting = Setting {
        external_url: &called.url,
        source: "Barograph",
        ack_url: ack_url.as_deref(),
        templates: &receivers.templates,
        reveal: &|secret| reveal(&receivers.folder, secret),
        now: engine.clock.now(),
    };
    let words = words(channel, notice, &setting)?;
    if let Some(error) = words.template_error {
        delivery.instruments.template_failed();
        tracing::warn!(receiver = notice.receiver, error, "a template failed; the plain form is sent");
    }
    Ok(words.message)
}

fn made(request: Request) -> Result<http::Request<bytes::Bytes>, String> {
    // What is wrong with an address may hold it, so it is not repeated.
    let mut made = http::Request::builder()
        .method(request.method)
        .uri(request.url)
        .body(bytes::Bytes::from(request.body))
        .map_err(|_| "the URL cannot be asked".to_owned())?;
    for (name, value) in request.headers {
        let name = HeaderName::try_from(name).map_err(|_| "a header cannot be sent".to_owned())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| "a header cannot be sent".to_owned())?;
        value.set_sensitive(name == http::header::AUTHORIZATION);
        made.headers_mut().insert(name, value);
    }
    Ok(made)
}
