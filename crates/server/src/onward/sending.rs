//! One Alertmanager: its queue, and the task that sends what is in it.
//!
//! A request that fails is not tried again; its alerts are counted as dropped, and told anew with the next evaluation after a
//! minute.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header::CONTENT_TYPE};

use super::{instruments::Measured, lock, message::body, queue::Queue};
use crate::{
    clock::Clock,
    outgoing::{Client, Limits},
};

/// Of an answer no more is read.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// Of what an answer says, so much is told.
const TOLD_BYTES_MAX: usize = 200;

/// Somebody who is told.
#[derive(Debug)]
pub(super) struct Alertmanager {
    uri: Uri,
    url: String,
    how: Mutex<How>,
    queue: Queue,
    measured: Measured,
}

/// How it is asked.
#[derive(Clone, Debug)]
pub(super) struct How {
    pub(super) client: Client,
    pub(super) timeout: Duration,
}

impl Alertmanager {
    pub(super) fn new(uri: Uri, how: How, measured: Measured) -> Self {
        Self { url: uri.to_string(), uri, how: Mutex::new(how), queue: Queue::default(), measured }
    }

    /// Where alerts are posted.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// From the next request on it is asked in another way.
    pub(super) fn configure(&self, how: How) {
        *lock(&self.how) = how;
    }

    /// Has alerts wait to be sent.
    pub(super) fn offer(&self, alerts: &[Bytes]) {
        if alerts.is_empty() {
            return;
        }
        let gone = self.queue.put(alerts);
        if gone > 0 {
            self.measured.dropped.add(gone as u64);
            tracing::warn!(
                alertmanager = self.url,
                gone,
                "too many alerts wait to be sent on; the oldest are gone"
            );
        }
        self.show();
    }

    /// It is told no more: what waits is sent, if it answers.
    pub(super) fn close(&self) {
        self.queue.close();
    }

    /// Sends until it is closed.
    pub(super) async fn run(self: Arc<Self>, clock: Arc<dyn Clock>) {
        let mut failing = false;
        while let Some(alerts) = self.queue.take().await {
            self.show();
            let (began, count) = (clock.monotonic(), alerts.len() as u64);
            match self.send(body(&alerts)).await {
                Ok(()) => {
                    self.measured.latency.record((clock.monotonic() - began).as_secs_f64());
                    self.measured.sent.add(count);
                    if failing {
                        tracing::info!(alertmanager = self.url, "alerts are taken again");
                    }
                    failing = false;
                }
                Err(error) => {
                    self.measured.errors.add(count);
                    self.measured.dropped.add(count);
                    if !failing {
                        tracing::warn!(
                            alertmanager = self.url,
                            alerts = count,
                            error,
                            "alerts could not be sent on; those that fire are told again"
                        );
                    }
                    failing = true;
                    if self.queue.is_closed() {
                        // Nobody is there, and it is to be told no more.
                        self.measured.dropped.add(self.queue.clear() as u64);
                    }
                }
            }
        }
        self.show();
    }

    async fn send(&self, body: Bytes) -> Result<(), String> {
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let How { client, timeout } = lock(&self.how).clone();
        let limits = Limits { timeout, body_bytes: ANSWER_BYTES_MAX };
        let answer = client.send(request, limits).await.map_err(|error| error.to_string())?;
        if answer.status.is_success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&answer.body);
        let said = said[..said.floor_char_boundary(TOLD_BYTES_MAX)].trim().to_owned();
        Err(format!("answered with HTTP status {}: {said}", answer.status))
    }

    fn show(&self) {
        self.measured.waiting.set(self.queue.len() as f64);
    }
}
