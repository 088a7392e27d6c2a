//! Records that wait to be sent, and the thread's work of sending them.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{RemoteSettings, WhenFull};
use crate::{
    Counter, StaticFamily, clock,
    export::{Request, Sent, Wake, random, send},
    record::{MetricRecord, RecordError},
};

static RECORDS: StaticFamily<Counter, 1> = StaticFamily::counter(
    "barograph_sdk_remote_records_total",
    "Records for a server, by what became of them.",
    ["outcome"],
);

/// A bounded queue.
pub(super) struct Queue {
    state: Mutex<State>,
    max: usize,
    when_full: WhenFull,
    batch_max: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<MetricRecord>,
    /// How many are on their way.
    sending: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new(settings: &RemoteSettings) -> Self {
        Self {
            state: Mutex::default(),
            max: settings.queue_max.max(1),
            when_full: settings.when_full,
            batch_max: settings.batch_max.clamp(1, 10_000),
        }
    }

    /// Puts a record in; whether there is a batch to be sent now.
    pub(super) fn push(&self, record: MetricRecord) -> Result<bool, RecordError> {
        let mut state = self.state();
        if state.closed {
            return Err(RecordError::ShutDown);
        }
        if state.waiting.len() >= self.max {
            match self.when_full {
                WhenFull::DropOldest => {
                    RECORDS.with(["dropped_oldest"]).inc();
                    state.waiting.pop_front();
                }
                WhenFull::DropNewest => {
                    RECORDS.with(["dropped_newest"]).inc();
                    return Err(RecordError::QueueFull);
                }
            }
        }
        state.waiting.push_back(record);
        Ok(state.waiting.len() == self.batch_max)
    }

    pub(super) fn close(&self) {
        self.state().closed = true;
    }

    pub(super) fn len(&self) -> usize {
        let state = self.state();
        state.waiting.len() + state.sending
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn next_batch(&self) -> Vec<MetricRecord> {
        let mut state = self.state();
        let count = state.waiting.len().min(self.batch_max);
        state.sending = count;
        state.waiting.drain(..count).collect()
    }

    fn has_batch(&self) -> bool {
        self.state().waiting.len() >= self.batch_max
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends batches until all must end, and then what is left.
pub(super) fn send_all(queue: &Queue, settings: &RemoteSettings, wake: &Wake) {
    loop {
        if !queue.has_batch() {
            wake.wait(settings.linger);
        }
        let ending = wake.ends().is_some();
        let batch = queue.next_batch();
        if !batch.is_empty() && !send_batch(&batch, settings, wake) && ending {
            // There is no time for the rest: it stays, and is told by `shutdown`.
            return;
        }
        queue.state().sending = 0;
        if ending && queue.is_empty() {
            return;
        }
    }
}

/// Sends one batch; whether it got an answer.
fn send_batch(batch: &[MetricRecord], settings: &RemoteSettings, wake: &Wake) -> bool {
    let mut body = String::from("[");
    for (i, record) in batch.iter().enumerate() {
        body.push_str(if i == 0 { "" } else { "," });
        record.write_json(&mut body);
    }
    body.push(']');
    let key = format!("{:016x}{:016x}", random(), random());
    let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
    let request = Request {
        method: "POST",
        path: "/api/barograph/v1/record",
        headers: &headers,
        body: body.as_bytes(),
    };
    let give_up = clock::monotonic() + settings.give_up;
    let count = |outcome, n: u64| RECORDS.with([outcome]).add(n);
    let all = batch.len() as u64;
    match send(&settings.address, request, settings.timeout, give_up, wake) {
        Sent::Taken(mut answer) => {
            let text = answer.text().unwrap_or_default();
            let reply: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let rejected = reply["rejected"].as_u64().unwrap_or(0).min(all);
            count("taken", all - rejected);
            count("refused", rejected);
            true
        }
        Sent::Refused(_) => {
            count("refused", all);
            true
        }
        Sent::Failed(_) => {
            count("failed", all);
            false
        }
    }
}
