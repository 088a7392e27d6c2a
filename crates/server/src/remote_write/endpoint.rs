//! One endpoint: follows the log, deals what it reads to shards by series, and knows what is settled.
//!
//! What one reading gave is a [`Slice`]. Its samples go to several shards; when the last of them is settled, and those of
//! all slices before, the position moves behind it. Reading waits while the shards are full, so what waits is bounded. The
//! number of shards changes only when all of them are empty: samples of a series never pass each other.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use barograph::Gauge;
use barograph_model::{Labels, LabelsBuilder, Sample, Source, Timestamp};
use barograph_tsdb::{LogEntry, LogFollower, LogPosition, LogRead};
use barograph_wire::remote_write::Writer;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    Positions, Told,
    batch::{Data, Item},
    beside::Moved,
    shard,
    sharding::{self, Load},
};
use crate::{
    Engine,
    config::{RemoteWriteConfig, RemoteWriteMessage, relabel::relabel},
    outgoing::Limits,
    server::stopped,
};

/// About so many entries are read at once.
const READ_MAX: usize = 4_000;
/// The log is looked at so often while there is nothing new in it.
const POLL: Duration = Duration::from_millis(250);
/// How often it is thought about how many shards there should be.
const RESHARD: Duration = Duration::from_secs(10);
/// When the server stops, what waits has so long to be sent; the rest is sent after the next start.
const FAREWELL: Duration = Duration::from_secs(5);

/// What one reading of the log gave.
#[derive(Debug)]
pub(super) struct Slice {
    /// What of it is not settled.
    left: AtomicUsize,
    /// Whether it may have been sent by an earlier process.
    again: bool,
}

impl Item {
    /// It was sent, refused for good, or left out.
    pub(super) fn settle(self) {
        if let Some(slice) = &self.slice {
            slice.left.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether it may have been sent before.
    pub(super) fn is_again(&self) -> bool {
        self.slice.as_ref().is_some_and(|slice| slice.again)
    }
}

/// What shards tell of their work.
#[derive(Debug, Default)]
pub(super) struct Meter {
    settled: AtomicU64,
    sending_us: AtomicU64,
    sent_to: Mutex<i64>,
    waiting: AtomicI64,
}

impl Meter {
    pub(super) fn settled(&self, items: usize, took: Duration) {
        self.settled.fetch_add(items as u64, Ordering::Relaxed);
        self.sending_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.waiting.fetch_sub(i64::try_from(items).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Exemplars that wait for their series are not among those that wait to be sent.
    pub(super) fn moved(&self, moved: Moved) {
        let count = |items: usize| i64::try_from(items).unwrap_or(i64::MAX);
        self.waiting.fetch_add(count(moved.back) - count(moved.aside), Ordering::Relaxed);
    }

    pub(super) fn sent_to(&self, at: Timestamp, gauge: &Gauge) {
        let mut latest = self.sent_to.lock().unwrap_or_else(PoisonError::into_inner);
        if at.0 > *latest {
            *latest = at.0;
            gauge.set(at.0 as f64 / 1e3);
        }
    }
}

/// The shards there are.
struct Shards {
    queues: Vec<mpsc::Sender<Item>>,
    tasks: JoinSet<()>,
}

impl Shards {
    fn start(engine: &Arc<Engine>, told: &Arc<Told>, meter: &Arc<Meter>, count: usize) -> Self {
        let capacity = usize::try_from(told.config.queue.capacity).unwrap_or(usize::MAX).min(1 << 20);
        let mut shards = Self { queues: Vec::new(), tasks: JoinSet::new() };
        for _ in 0..count {
            let (queue, items) = mpsc::channel(capacity);
            shards.queues.push(queue);
            shards.tasks.spawn(shard::run(engine.clone(), told.clone(), items, meter.clone()));
        }
        told.measured.shards.set(count as f64);
        shards
    }

    /// Hands an item to the shard of its series, when that has room.
    async fn deal(&self, item: Item, meter: &Meter) {
        let hash = xxhash_rust::xxh3::xxh3_64(item.labels.as_bytes());
        let number = usize::try_from(hash % self.queues.len() as u64).unwrap_or(0);
        meter.waiting.fetch_add(1, Ordering::Relaxed);
        // A shard ends only with its queue, or by a panic, after which everything is begun anew.
        assert!(self.queues[number].send(item).await.is_ok(), "a shard of remote write ended");
    }

    /// Lets the shards send what they have, and ends them.
    async fn finish(mut self) {
        self.queues.clear();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

pub(super) async fn run(
    engine: Arc<Engine>,
    told: Arc<Told>,
    positions: Arc<Positions>,
    mut stopping: watch::Receiver<bool>,
) {
    let min = usize::try_from(told.config.queue.min_shards).unwrap_or(1);
    told.measured.capacity.set(told.config.queue.capacity as f64);
    let meter = Arc::new(Meter::default());
    let mut endpoint = Endpoint {
        shards: Shards::start(&engine, &told, &meter, min),
        follower: LogFollower::at(positions.of(&told.config.name)),
        slices: VecDeque::new(),
        began_at: engine.store.log_end(),
        exemplars_seen: engine.store.exemplars_since(u64::MAX).1,
        read: 0,
        behind: false,
        since: (engine.clock.monotonic(), 0, 0),
        described: None,
        engine,
        told,
        meter,
        positions,
    };
    tokio::select! {
        () = stopped(&mut stopping) => {}
        () = endpoint.follow() => {}
    }
    endpoint.farewell().await;
}

struct Endpoint {
    engine: Arc<Engine>,
    told: Arc<Told>,
    positions: Arc<Positions>,
    meter: Arc<Meter>,
    shards: Shards,
    follower: LogFollower,
    /// What was read and is not settled, each with the position behind it.
    slices: VecDeque<(LogPosition, Arc<Slice>)>,
    /// The end of the log when this process began.
    began_at: LogPosition,
    exemplars_seen: u64,
    /// Samples read so far.
    read: u64,
    behind: bool,
    /// When the number of shards was thought about, and what had been read and settled by then.
    since: (Duration, u64, u64),
    /// When metadata was sent.
    described: Option<Duration>,
}

impl Endpoint {
    async fn follow(&mut self) {
        loop {
            self.advance();
            self.reshard().await;
            self.describe().await;
            match self.read_on().await {
                Ok(read) => {
                    self.behind = !read.caught_up;
                    let caught_up = read.caught_up;
                    // First: they wait for the samples, not for the samples after these.
                    self.deal_exemplars().await;
                    self.deal(read).await;
                    if !caught_up {
                        continue;
                    }
                }
                Err(error) => self.told.warn(&error, "the log cannot be read to be sent on"),
            }
            self.told.measured.pending.set(self.meter.waiting.load(Ordering::Relaxed) as f64);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Reads the log on a thread that may block.
    async fn read_on(&mut self) -> Result<LogRead, barograph_tsdb::Error> {
        let (engine, told) = (self.engine.clone(), self.told.clone());
        // If this is broken off, nothing was settled of what was read: it begins at the position again.
        let mut follower = std::mem::take(&mut self.follower);
        let read = tokio::task::spawn_blocking(move || {
            let external = engine.external_labels();
            let mut wanted = |labels: Labels| outgoing_labels(&labels, &external, &told.config);
            let read = engine.store.follow_log(&mut follower, READ_MAX, &mut wanted);
            (follower, read)
        });
        let (follower, read) =
            read.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        self.follower = follower;
        read
    }

    async fn deal(&mut self, read: LogRead) {
        if read.lost > 0 {
            self.told.measured.lost.add(read.lost);
            tracing::warn!(
                endpoint = self.told.config.name,
                gaps = read.lost,
                "parts of the log were gone before they were sent on"
            );
        }
        let mut items = Vec::with_capacity(read.entries.len());
        let known =
            self.slices.back().map_or_else(|| self.positions.of(&self.told.config.name), |last| last.0);
        // What begins before this process did may end within it.
        let slice = Arc::new(Slice { left: AtomicUsize::new(0), again: known < self.began_at });
        let mut latest = i64::MIN;
        for entry in read.entries {
            let (labels, data) = match entry {
                LogEntry::Sample(labels, at, value) => (labels, Data::Sample(Sample { at, value })),
                LogEntry::Histogram(labels, at, histogram) if self.told.config.send_native_histograms => {
                    (labels, Data::Histogram(at, Box::new(histogram)))
                }
                LogEntry::Histogram(..) => {
                    self.told.measured.dropped_histograms.inc();
                    continue;
                }
                LogEntry::Metadata(..) => continue,
            };
            let item = Item { labels, data, slice: Some(slice.clone()) };
            latest = latest.max(item.at().0);
            items.push(item);
        }
        self.read += items.len() as u64;
        if latest > i64::MIN {
            self.told.measured.read_to.set(latest as f64 / 1e3);
        }
        // All are counted before the first may be settled.
        slice.left.store(items.len(), Ordering::Release);
        if read.position != known {
            self.slices.push_back((read.position, slice));
        }
        for item in items {
            self.shards.deal(item, &self.meter).await;
        }
    }

    /// Exemplars are in no log: those that came meanwhile go along, and are lost with the process.
    async fn deal_exemplars(&mut self) {
        if !self.told.config.send_exemplars {
            return;
        }
        let external = self.engine.external_labels();
        let (exemplars, seen) = self.engine.store.exemplars_since(self.exemplars_seen);
        self.exemplars_seen = seen;
        for (labels, exemplar) in exemplars {
            let labels = outgoing_labels(&labels, &external, &self.told.config);
            if let Some(labels) = labels {
                let item = Item { labels, data: Data::Exemplar(Box::new(exemplar)), slice: None };
                self.shards.deal(item, &self.meter).await;
            }
        }
    }

    /// Moves the position behind what is settled.
    fn advance(&mut self) {
        while let Some((position, slice)) = self.slices.front() {
            if slice.left.load(Ordering::Acquire) > 0 {
                break;
            }
            self.positions.advance(&self.told.config.name, *position);
            self.slices.pop_front();
        }
    }

    async fn reshard(&mut self) {
        let now = self.engine.clock.monotonic();
        let took = now.saturating_sub(self.since.0);
        if took < RESHARD {
            return;
        }
        let settled = self.meter.settled.load(Ordering::Relaxed);
        let load = Load {
            took,
            read: self.read - self.since.1,
            settled: settled - self.since.2,
            sending: Duration::from_micros(self.meter.sending_us.swap(0, Ordering::Relaxed)),
            behind: self.behind,
        };
        self.since = (now, self.read, settled);
        let queue = &self.told.config.queue;
        let count = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
        let there = self.shards.queues.len();
        let wanted = sharding::wanted(there, &load, count(queue.min_shards), count(queue.max_shards));
        self.told.measured.shards_wanted.set(wanted as f64);
        if wanted != there {
            let next = Shards { queues: Vec::new(), tasks: JoinSet::new() };
            std::mem::replace(&mut self.shards, next).finish().await;
            self.shards = Shards::start(&self.engine, &self.told, &self.meter, wanted);
        }
    }

    /// Sends what is known of metrics, now and then. In 2.0 it goes with the series.
    async fn describe(&mut self) {
        let (config, now) = (&self.told.config, self.engine.clock.monotonic());
        let due = self.described.is_none_or(|at| now.saturating_sub(at) >= config.metadata_interval);
        if !config.send_metadata || config.message != RemoteWriteMessage::V1 || !due {
            return;
        }
        self.described = Some(now);
        let all = self.engine.store.metadata(None);
        let most = usize::try_from(config.metadata_max).unwrap_or(usize::MAX);
        let mut left = all.len();
        for some in all.chunks(most) {
            let mut writer = Writer::new();
            some.iter().for_each(|(name, metadata)| writer.metadata(name, metadata));
            let Ok(body) = writer.compressed() else { continue };
            let limits = Limits { timeout: config.remote_timeout, body_bytes: 64 << 10 };
            let taken = match shard::request(&self.told, body.into()) {
                Ok(request) => self.told.client.send(request, limits).await,
                Err(error) => Err(error),
            };
            match taken {
                Ok(answer) if answer.status.is_success() => {
                    self.told.measured.metadata.add(some.len() as u64);
                    left -= some.len();
                }
                // It is asked again after the interval; samples do not wait for that.
                _ => return self.told.measured.metadata_failed.add(left as u64),
            }
        }
    }

    /// Lets the shards send what they have for a moment. What they do not is read again after the next start.
    async fn farewell(mut self) {
        let next = Shards { queues: Vec::new(), tasks: JoinSet::new() };
        let shards = std::mem::replace(&mut self.shards, next);
        let _ = tokio::time::timeout(FAREWELL, shards.finish()).await;
        self.advance();
    }
}

/// A series as it is sent: with external labels, relabelled; `None` if it is left out.
fn outgoing_labels(labels: &Labels, external: &Labels, config: &RemoteWriteConfig) -> Option<Labels> {
    if external.is_empty() && config.write_relabel_configs.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = LabelsBuilder::new();
    for (name, value) in external.iter().chain(labels) {
        builder.set(name, value);
    }
    relabel(&config.write_relabel_configs, &mut builder)
        .then(|| builder.build())
        .filter(|labels| !labels.is_empty())
}
