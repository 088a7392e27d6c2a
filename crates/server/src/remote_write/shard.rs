//! One shard: collects what comes, sends it in order, and tries again what may pass.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use tokio::{sync::mpsc, time::Instant};

use super::{
    Told,
    batch::{Counts, Item, encode},
    beside::Waiting,
    endpoint::Meter,
};
use crate::{
    Engine,
    config::RemoteWriteMessage,
    outgoing::{Answer, Error, Limits},
};

/// Of an answer no more is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Of an answer no more is logged.
const REASON_CHARS_MAX: usize = 256;
/// However long the other side asks us to wait, it is asked again after this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);
/// One of so many requests that are refused for good is logged, beside the first.
const LOGGED_ONE_OF: u64 = 100;

/// What became of a request.
enum Outcome {
    Taken,
    /// It may be taken later: after a pause, if the other side says how long.
    Later(Option<Duration>, String),
    /// It will never be taken.
    Refused(String),
}

/// Sends what comes until no more does.
pub(super) async fn run(
    engine: Arc<Engine>,
    told: Arc<Told>,
    mut items: mpsc::Receiver<Item>,
    meter: Arc<Meter>,
) {
    let most = usize::try_from(told.config.queue.max_samples_per_send).unwrap_or(usize::MAX);
    let (mut refused, mut waiting) = (0, Waiting::default());
    while let Some(first) = items.recv().await {
        let mut batch = vec![first];
        let deadline = Instant::now() + told.config.queue.batch_send_deadline;
        while batch.len() < most {
            match tokio::time::timeout_at(deadline, items.recv()).await {
                Ok(Some(item)) => batch.push(item),
                Ok(None) | Err(_) => break,
            }
        }
        // The next part is last.
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            let moved = waiting.pair(&mut part);
            meter.moved(moved);
            told.measured.dropped_exemplars.add(moved.dropped as u64);
            if part.is_empty() {
                continue;
            }
            match send(&engine, &told, &mut part, &meter, &mut refused).await {
                Sent::Settled => part.into_iter().for_each(Item::settle),
                Sent::InHalves => {
                    let later = part.split_off(part.len() / 2);
                    parts.extend([later, part]);
                }
            }
        }
    }
    // Nobody goes on with what waits here.
    told.measured.dropped_exemplars.add(waiting.len() as u64);
}

/// What is to be done with a batch.
enum Sent {
    /// Nothing more.
    Settled,
    /// It was refused, and some of it may have been sent before a restart. There are receivers that refuse all of a request
    /// for one sample that they have; so each half is sent for itself.
    InHalves,
}

/// Sends a batch until it is taken, refused for good, or too old.
async fn send(engine: &Engine, told: &Told, batch: &mut Vec<Item>, meter: &Meter, refused: &mut u64) -> Sent {
    let queue = &told.config.queue;
    let mut backoff = queue.min_backoff;
    let mut tries = 0u32;
    loop {
        leave_out_old(engine, told, batch, meter);
        if batch.is_empty() {
            return Sent::Settled;
        }
        let counts = Counts::of(batch);
        let body = match encode(batch, told.config.message, &engine.store) {
            Ok(body) => Bytes::from(body),
            Err(error) => {
                told.measured.failed(counts);
                meter.settled(batch.len(), Duration::ZERO);
                told.warn(&error, "a request of remote write cannot be made");
                return Sent::Settled;
            }
        };
        let began = engine.clock.monotonic();
        let outcome = exchange(told, body.clone()).await;
        let took = engine.clock.monotonic().saturating_sub(began);
        told.measured.duration.record(took.as_secs_f64());
        match outcome {
            Outcome::Taken => {
                told.measured.sent(counts);
                told.measured.bytes.add(body.len() as u64);
                if let Some(last) = batch.iter().map(Item::at).max() {
                    meter.sent_to(last, &told.measured.sent_to);
                }
                meter.settled(batch.len(), took);
                return Sent::Settled;
            }
            Outcome::Refused(_) if batch.iter().any(Item::is_again) && batch.len() > 1 => {
                return Sent::InHalves;
            }
            Outcome::Refused(_) if batch.iter().any(Item::is_again) => {
                told.measured.dropped_again.inc();
                meter.settled(1, took);
                return Sent::Settled;
            }
            Outcome::Refused(reason) => {
                told.measured.failed(counts);
                meter.settled(batch.len(), took);
                *refused += 1;
                if *refused % LOGGED_ONE_OF == 1 {
                    tracing::warn!(
                        endpoint = told.config.name,
                        reason,
                        samples = batch.len(),
                        "what was sent on was refused for good"
                    );
                }
                return Sent::Settled;
            }
            Outcome::Later(pause, reason) => {
                told.measured.retried(counts);
                if tries.is_power_of_two() {
                    tracing::warn!(endpoint = told.config.name, reason, tries, "remote write is tried again");
                }
                tries += 1;
                let pause = pause.unwrap_or_else(|| jittered(backoff, engine.clock.monotonic()));
                backoff = (backoff * 2).min(queue.max_backoff);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

/// Takes those out that are too old to be sent.
fn leave_out_old(engine: &Engine, told: &Told, batch: &mut Vec<Item>, meter: &Meter) {
    let limit = told.config.queue.sample_age_limit;
    if limit.is_zero() {
        return;
    }
    let oldest = engine.clock.now().0.saturating_sub(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
    for old in batch.extract_if(.., |item| item.at().0 < oldest) {
        told.measured.dropped_old.inc();
        meter.settled(1, Duration::ZERO);
        old.settle();
    }
}

/// A request to an endpoint.
pub(super) fn request(told: &Told, body: Bytes) -> Result<Request<Bytes>, Error> {
    let unusable = |error: &dyn std::fmt::Display| Error::Unusable(error.to_string());
    let url = told.config.url.reveal().map_err(|error| unusable(&error))?;
    let (kind, version) = match told.config.message {
        RemoteWriteMessage::V1 => ("application/x-protobuf", "0.1.0"),
        RemoteWriteMessage::V2 => ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "2.0.0"),
    };
    Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_ENCODING, "snappy")
        .header("x-prometheus-remote-write-version", version)
        .body(body)
        .map_err(|_| Error::Unusable("the URL is not one".to_owned()))
}

async fn exchange(told: &Told, body: Bytes) -> Outcome {
    let request = match request(told, body) {
        Ok(request) => request,
        Err(error) => return Outcome::Later(Some(told.config.queue.max_backoff), error.to_string()),
    };
    let limits = Limits { timeout: told.config.remote_timeout, body_bytes: ANSWER_BYTES_MAX };
    match told.client.send(request, limits).await {
        Ok(answer) => judge(&answer, told.config.queue.retry_on_http_429),
        // A file of a secret may come back, too.
        Err(error) if error.may_pass() => Outcome::Later(None, error.to_string()),
        Err(Error::TooLarge(_)) => Outcome::Refused("the answer is too large to be one".to_owned()),
        Err(error) => Outcome::Later(Some(told.config.queue.max_backoff), error.to_string()),
    }
}

fn judge(answer: &Answer, retry_429: bool) -> Outcome {
    let reason = || {
        let text = String::from_utf8_lossy(&answer.body);
        let text: String = text.trim().chars().take(REASON_CHARS_MAX).collect();
        format!("{}: {text}", answer.status)
    };
    match answer.status {
        status if status.is_success() => Outcome::Taken,
        StatusCode::TOO_MANY_REQUESTS if retry_429 => Outcome::Later(retry_after(&answer.headers), reason()),
        status if status.is_server_error() => Outcome::Later(retry_after(&answer.headers), reason()),
        _ => Outcome::Refused(reason()),
    }
}

/// How long the other side asks us to wait, in seconds; as a date it is not understood.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// Three to five quarters of a pause, so that many do not come back at once. The time is random enough for that.
fn jittered(pause: Duration, now: Duration) -> Duration {
    let random = xxhash_rust::xxh3::xxh3_64(&now.as_nanos().to_le_bytes()) % 512;
    pause * 3 / 4 + pause * u32::try_from(random).unwrap_or(0) / 1024
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn answer(status: u16, retry: Option<&'static str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(retry) = retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(retry));
        }
        Answer { status: StatusCode::from_u16(status).unwrap(), headers, body: Bytes::from_static(b"why\n") }
    }

    #[test]
    fn a_status_says_what_to_do() {
        let check = |status, retry, retry_429, expected: &str| {
            let outcome = match judge(&answer(status, retry), retry_429) {
                Outcome::Taken => "taken".to_owned(),
                Outcome::Later(pause, _) => format!("later {pause:?}"),
                Outcome::Refused(reason) => reason,
            };
            assert_eq!(outcome, expected, "{status}");
        };
        check(204, None, true, "taken");
        check(200, None, true, "taken");
        check(400, None, true, "400 Bad Request: why");
        check(404, Some("1"), true, "404 Not Found: why");
        check(429, None, true, "later None");
        check(429, Some("7"), true, "later Some(7s)");
        check(429, Some("7"), false, "429 Too Many Requests: why");
        check(503, Some("9999999"), true, "later Some(300s)");
        check(500, Some("Fri, 31 Dec 1999 23:59:59 GMT"), true, "later None");
        check(301, None, true, "301 Moved Permanently: why");
    }

    #[test]
    fn pauses_differ_within_bounds() {
        let pause = Duration::from_secs(4);
        for n in 0..100 {
            let jittered = jittered(pause, Duration::from_nanos(n));
            assert!((Duration::from_secs(3)..=Duration::from_secs(5)).contains(&jittered), "{jittered:?}");
        }
    }
}
