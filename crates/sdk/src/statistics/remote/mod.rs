//! The three faces over the API of a server.
//!
//! Records are stamped, queued and sent by a thread, in batches that name themselves, so that one that is sent again
//! counts once. Recording takes a short lock and never waits for the network; what does not fit into the queue is
//! dropped, the oldest or the newest, and counted in `barograph_sdk_remote_records_total{outcome}`. Questions are asked
//! by the thread that asks.

mod ask;
mod queue;
mod subscribe;

use std::{
    fmt,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use super::{AggregationPolicy, PolicyError, RetentionPolicy, StatisticsLifecycle, StatisticsProvider};
use crate::{
    clock,
    export::{Address, Worker},
    record::{MetricRecord, RecordError, RecordKind, RecordValue},
    scope::{self, Attributes},
};

use queue::Queue;

/// How long dropping the last clone waits for what is queued.
const DROP_WAIT: Duration = Duration::from_secs(2);

/// What gives way when the queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The record that has waited longest.
    #[default]
    DropOldest,
    /// The one that comes; whoever records it is told.
    DropNewest,
}

/// How records go to a server.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// The server.
    pub address: Address,
    /// Records that wait at most. 10,000 by default.
    pub queue_max: usize,
    /// What gives way when that many wait.
    pub when_full: WhenFull,
    /// Records of one request at most, up to 10,000. 1,000 by default.
    pub batch_max: usize,
    /// How long a record waits for others to go with it. 200 ms by default.
    pub linger: Duration,
    /// How long one request may take. 10 seconds by default.
    pub timeout: Duration,
    /// How long a batch is sent again before it is dropped. One minute by default.
    pub give_up: Duration,
    /// The component that all records without one are of.
    pub component: Option<String>,
}

impl RemoteSettings {
    /// To a server, with the defaults.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            queue_max: 10_000,
            when_full: WhenFull::default(),
            batch_max: 1_000,
            linger: Duration::from_millis(200),
            timeout: Duration::from_secs(10),
            give_up: Duration::from_secs(60),
            component: None,
        }
    }
}

/// All three faces over the API of a server. Clones are the same.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

struct Inner {
    settings: RemoteSettings,
    queue: Arc<Queue>,
    /// `None` if the system had no thread: nothing is taken then.
    worker: Option<Worker>,
    subscribers: Arc<AtomicUsize>,
}

impl Remote {
    /// Starts the thread that sends. The server need not be there yet.
    pub fn start(settings: RemoteSettings) -> Self {
        let queue = Arc::new(Queue::new(&settings));
        let (own, how) = (Arc::clone(&queue), settings.clone());
        let worker = Worker::start("barograph-remote", move |wake| queue::send_all(&own, &how, wake));
        Self(Arc::new(Inner { settings, queue, worker, subscribers: Arc::default() }))
    }

    /// Sends what is queued and ends. Waits no longer than `within`; whether all was taken by then. What is recorded
    /// afterwards is refused.
    pub fn shutdown(&self, within: Duration) -> bool {
        self.0.queue.close();
        let done = self.0.worker.as_ref().is_some_and(|worker| worker.shutdown(within));
        done && self.0.queue.is_empty()
    }

    /// How many records wait to be sent.
    pub fn waiting(&self) -> usize {
        self.0.queue.len()
    }

    fn take(&self, mut record: MetricRecord) -> Result<(), RecordError> {
        record.check()?;
        record.attributes = scope::with_current(|outer| outer.under(&record.attributes));
        record.timestamp = record.timestamp.or_else(|| Some(clock::now()));
        record.component = record.component.or_else(|| self.0.settings.component.clone());
        let Some(worker) = &self.0.worker else { return Err(RecordError::ShutDown) };
        if self.0.queue.push(record)? {
            worker.wake().call();
        }
        Ok(())
    }
}

impl StatisticsProvider for Remote {
    fn record_number(
        &self,
        kind: RecordKind,
        name: &str,
        value: f64,
        attributes: &Attributes,
    ) -> Result<(), RecordError> {
        let record = MetricRecord::new(kind, name, RecordValue::Number(value));
        self.take(MetricRecord { attributes: attributes.clone(), ..record })
    }

    /// What the server refuses is counted, and known to nobody here: the results say what was queued.
    fn batch_record(&self, records: Vec<MetricRecord>) -> Vec<Result<(), RecordError>> {
        records.into_iter().map(|record| self.take(record)).collect()
    }
}

impl StatisticsLifecycle for Remote {
    fn provider(&self) -> Arc<dyn StatisticsProvider> {
        Arc::new(self.clone())
    }

    /// Asks the server, and waits for its answer.
    fn configure_aggregation(&self, metric: &str, policy: AggregationPolicy) -> Result<(), PolicyError> {
        let AggregationPolicy { windows, functions } = policy;
        let document = serde_json::json!({"windows": windows, "functions": functions});
        self.set_policy(metric, "aggregation", &document)
    }

    /// Asks the server, and waits for its answer.
    fn set_retention_policy(&self, metric: &str, policy: RetentionPolicy) -> Result<(), PolicyError> {
        let text = |age: Option<Duration>| age.map(|age| format!("{}ms", age.as_millis()));
        let document = serde_json::json!({
            "raw": text(policy.raw),
            "1m": text(policy.minute),
            "5m": text(policy.five_minutes),
            "1h": text(policy.hour),
            "importance": policy.importance.as_str(),
        });
        self.set_policy(metric, "retention", &document)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
        if let Some(worker) = &self.worker {
            worker.shutdown(DROP_WAIT);
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Remote({:?}, {} waiting)", self.0.settings.address, self.waiting())
    }
}
