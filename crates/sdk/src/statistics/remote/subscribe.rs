//! Subscriptions: a thread each, which reads the server's live stream and calls the handler.

use std::{
    io::{BufRead, BufReader, Read},
    net::{Shutdown, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};

use barograph_model::Timestamp;
use serde_json::Value;

use super::ask::{encoded, number, pairs};
use crate::{
    export::{Address, Request, Wake, Worker, send_once},
    statistics::{ConsumerError, NotificationHandler, SubscriptionHandle, Update},
};

/// So many subscriptions one client has.
const SUBSCRIPTIONS_MAX: usize = 256;
/// A stream that is silent for so long has broken.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// So long a subscription waits for its stream to be there, before it goes on without.
const BEGIN_WAIT: Duration = Duration::from_secs(5);
/// So long after a stream broke off it is opened again.
const AGAIN: Duration = Duration::from_secs(1);
/// An event is no longer.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// So long the end of a subscription waits for a handler that is running.
const END_WAIT: Duration = Duration::from_secs(10);

/// Follows a metric until the handle is dropped. What is stored after this returned is told, if the server could be reached
/// in time; else what is stored from when it can be.
pub(super) fn start(
    address: &Address,
    metric: &str,
    handler: NotificationHandler,
    subscribers: &Arc<AtomicUsize>,
) -> Result<SubscriptionHandle, ConsumerError> {
    let room = |count: usize| (count < SUBSCRIPTIONS_MAX).then_some(count + 1);
    if subscribers.fetch_update(Relaxed, Relaxed, room).is_err() {
        return Err(ConsumerError::TooManySubscriptions { max: SUBSCRIPTIONS_MAX });
    }
    let connection = Arc::new(Mutex::new(None));
    let (tell_begun, begun) = mpsc::sync_channel(1);
    let mut stream = Stream {
        address: address.clone(),
        path: format!("/api/barograph/v1/live?metric={}", encoded(metric)),
        metric: metric.to_owned(),
        handler,
        last: None,
        connection: Arc::clone(&connection),
    };
    let worker = Worker::start("barograph-follow", move |wake| {
        while wake.ends().is_none() {
            // Whatever ended it, the stream goes on where it was.
            let _ = stream.follow(wake, &tell_begun);
            let _ = tell_begun.try_send(());
            wake.sleep(AGAIN);
        }
    });
    let subscribers = Arc::clone(subscribers);
    let Some(worker) = worker else {
        subscribers.fetch_sub(1, Relaxed);
        return Err(ConsumerError::Unavailable { reason: "the system has no thread".to_owned() });
    };
    let _ = begun.recv_timeout(BEGIN_WAIT);
    Ok(SubscriptionHandle::new(move || {
        worker.end(END_WAIT);
        if let Some(connection) = lock(&connection).take() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        worker.shutdown(END_WAIT);
        subscribers.fetch_sub(1, Relaxed);
    }))
}

type Connection = Arc<Mutex<Option<TcpStream>>>;

fn lock(connection: &Connection) -> std::sync::MutexGuard<'_, Option<TcpStream>> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Stream {
    address: Address,
    path: String,
    metric: String,
    handler: NotificationHandler,
    /// The id of the last event.
    last: Option<String>,
    connection: Connection,
}

impl Stream {
    /// Reads events until the stream ends; tells when the server has begun to answer.
    fn follow(&mut self, wake: &Wake, begun: &mpsc::SyncSender<()>) -> std::io::Result<()> {
        let mut headers = vec![("accept", "text/event-stream")];
        let last = self.last.clone();
        headers.extend(last.iter().map(|id| ("last-event-id", id.as_str())));
        let request = Request { method: "GET", path: &self.path, headers: &headers, body: b"" };
        let answer = send_once(&self.address, request, SILENCE_MAX)?;
        if !answer.is_good() {
            return Ok(());
        }
        *lock(&self.connection) = Some(answer.connection()?);
        let _ = begun.try_send(());
        let (mut lines, mut line) = (BufReader::new(answer), String::new());
        while wake.ends().is_none() {
            line.clear();
            if lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line)? == 0 {
                break;
            }
            if let Some(id) = line.strip_prefix("id:") {
                self.last = Some(id.trim().to_owned());
            } else if let Some(data) = line.strip_prefix("data:") {
                self.tell(&serde_json::from_str(data).unwrap_or_default(), wake);
            }
        }
        Ok(())
    }

    fn tell(&mut self, event: &Value, wake: &Wake) {
        for update in event["updates"].as_array().into_iter().flatten() {
            let (Some(at), Some(value)) = (update["timestamp"].as_i64(), number(&update["value"])) else {
                continue;
            };
            let (metric, labels) = (self.metric.clone(), pairs(&update["labels"]));
            if wake.ends().is_none() {
                (self.handler)(&Update { metric, labels, at: Timestamp(at), value });
            }
        }
    }
}
