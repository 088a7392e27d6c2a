//! Spans: kept as they came, and counted.
//!
//! Whoever receives spans, in whichever form, makes an `ExportTraceServiceRequest` of them and calls [`Spans::accept`] on a
//! thread that may block; then it waits for [`Spans::durable`] before it answers. The bytes go to the folder `traces` of the
//! data directory (`barograph-trace`), with the name of the tenant whose they are. On the way, rates, errors and durations are
//! counted by service and operation (`red`), and by pairs of services that call each other (`graph`), for each tenant apart
//! (`counted`); [`run`] writes these to the store.

mod counted;
mod figures;
mod graph;
mod instruments;
mod red;
mod series;
mod targets;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use barograph_disk::Disk;
use barograph_trace::{Batch, Error, Options, Recovery, TraceId};
use barograph_wire::otlp::trace;
use tokio::sync::watch;

use crate::{
    Engine,
    clock::Clock,
    commits::CommitError,
    config::{self, Durability},
    current,
    errors::chain,
    intake::Refused,
    server::stopped,
    telemetry::Origin,
    tenants::scope,
};
use counted::Counted;
use instruments::Instruments;

/// What waits for the disk may take this part of the memory budget.
const PENDING_PART: u64 = 16;
/// So many faults of a request are told one by one.
const FAULTS_MAX: usize = 5;
/// What is not waited for is made durable so often.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// What was counted is stored, and old segments go, so often, in rounds of [`COMMIT_EVERY`].
const WRITE_ROUNDS: u64 = 15;

/// The spans of the server.
pub(crate) struct Spans {
    kept: Arc<barograph_trace::Spans>,
    /// Held by whoever commits; all others wait here, and most find their spans durable then.
    commits: tokio::sync::Mutex<()>,
    clock: Arc<dyn Clock>,
    durability: Durability,
    counted: Mutex<Counted>,
    instruments: Instruments,
}

/// What became of the spans of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Spans that are kept.
    pub(crate) spans: usize,
    /// Spans that are not.
    pub(crate) rejected: usize,
    /// Why not.
    pub(crate) why: Option<String>,
    /// What is to become durable.
    pub(crate) ticket: u64,
}

impl Spans {
    /// Opens the folder `traces`; `memory_bytes` is what everything together may use.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        config: &config::Traces,
        durability: Durability,
        memory_bytes: u64,
        clock: Arc<dyn Clock>,
        registry: &barograph::Registry,
    ) -> Result<Self, Error> {
        let mut options = Options { retention: config.retention, bytes: config.bytes, ..Options::default() };
        let share = usize::try_from(memory_bytes / PENDING_PART).unwrap_or(usize::MAX);
        options.pending_bytes = options.pending_bytes.min(share);
        let (kept, recovery) = barograph_trace::Spans::open(disk, options)?;
        tell(&recovery);
        let series = usize::try_from(config.series).unwrap_or(usize::MAX);
        let counted = Mutex::new(Counted::new(series));
        let instruments = Instruments::register(registry);
        instruments.observe(&kept.stats(), Default::default());
        Ok(Self {
            kept: Arc::new(kept),
            commits: Default::default(),
            clock,
            durability,
            counted,
            instruments,
        })
    }

    /// The files of the folder, for a copy of it.
    ///
    /// # Errors
    /// The disk failed.
    pub(crate) fn files(&self) -> Result<Vec<barograph_trace::File>, barograph_disk::Error> {
        self.kept.files()
    }

    /// The bytes of all spans, by trace and by time.
    #[cfg_attr(not(test), expect(dead_code, reason = "what shows traces reads them here"))]
    pub(crate) fn kept(&self) -> &barograph_trace::Spans {
        &self.kept
    }

    /// Takes the spans of an `ExportTraceServiceRequest` for the tenant that is worked for; those without an id that can be one
    /// are left out and told. Compresses the bytes, so it is called on a thread that may block.
    ///
    /// # Errors
    /// The bytes are no such request, or too much waits for the disk; nothing was taken.
    pub(crate) fn accept(&self, body: &[u8]) -> Result<Accepted, Refused> {
        let mut read = Read::default();
        let malformed = |error: trace::Malformed| {
            (StatusCode::BAD_REQUEST, format!("cannot read ExportTraceServiceRequest: {error}"))
        };
        let now = self.clock.now();
        trace::walk(body, |_, span| read.take(&span)).map_err(malformed)?;
        let good;
        let body = match read.faulty.is_empty() {
            true => body,
            false => {
                let faulty = &read.faulty;
                good =
                    trace::without(body, |place| faulty.binary_search(&place).is_ok()).map_err(malformed)?;
                &good
            }
        };
        let spans = read.places - read.faulty.len();
        let mut accepted =
            Accepted { spans, rejected: read.faulty.len(), why: read.why(), ticket: self.kept.durable() };
        if spans > 0 {
            let tenant = scope::tenant();
            let batch = Batch {
                owner: tenant.name().map_or("", |name| name),
                body,
                traces: read.traces,
                spans: u32::try_from(spans).unwrap_or(u32::MAX),
                earliest: read.earliest,
                latest: read.latest,
            };
            accepted.ticket = self.kept.append(&batch, now.millis()).map_err(|error| refused(&error))?;
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            let mut request = counted.of(&tenant, now).request(now);
            trace::walk(body, |resource, span| request.span(&resource, &span)).map_err(malformed)?;
        }
        self.instruments.received.add(accepted.spans as u64);
        self.instruments.rejected.add(accepted.rejected as u64);
        Ok(accepted)
    }

    /// Waits until the spans of a ticket survive a crash, if durability is promised.
    ///
    /// # Errors
    /// The disk failed; they may be sent again.
    pub(crate) async fn durable(&self, ticket: u64) -> Result<(), CommitError> {
        if self.durability == Durability::Relaxed {
            // Within a second.
            return Ok(());
        }
        if self.kept.durable() >= ticket {
            return Ok(());
        }
        let _turn = self.commits.lock().await;
        if self.kept.durable() >= ticket {
            return Ok(());
        }
        let kept = self.kept.clone();
        let committed = current::blocking(move || kept.commit(ticket)).await;
        match committed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                self.instruments.failures.inc();
                Err(CommitError { reason: chain(&error).into(), full: error.is_full() })
            }
            Err(panic) => Err(CommitError::because(&panic.to_string())),
        }
    }
}

/// Commits what is not waited for, stores what was counted, and lets old segments go, until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let mut rounds = 0u64;
    loop {
        let stop = tokio::select! {
            () = stopped(&mut stopping) => true,
            () = tokio::time::sleep(COMMIT_EVERY) => false,
        };
        rounds += 1;
        let work = engine.clone();
        let done = tokio::task::spawn_blocking(move || {
            work.spans.commit_waiting();
            if stop || rounds.is_multiple_of(WRITE_ROUNDS) {
                work.spans.write(&work);
            }
        });
        if done.await.is_err() {
            tracing::error!("the work on spans panicked; it is tried again");
        }
        if stop {
            return;
        }
    }
}

impl Spans {
    fn commit_waiting(&self) {
        if self.kept.stats().pending_bytes == 0 {
            return;
        }
        if let Err(error) = self.kept.commit(u64::MAX) {
            self.instruments.failures.inc();
            tracing::error!(error = chain(&error), "spans cannot be made durable; it is tried again");
        }
    }

    /// Stores what was counted, and lets old segments go.
    fn write(&self, engine: &Engine) {
        let now = self.clock.now();
        if let Err(error) = self.kept.maintain(now.millis()) {
            self.instruments.failures.inc();
            tracing::error!(error = chain(&error), "old spans cannot be removed; it is tried again");
        }
        let (batches, seen) = {
            let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
            (counted.written(now), counted.seen())
        };
        self.instruments.observe(&self.kept.stats(), seen);
        for (tenant, batch) in batches {
            let working = engine.tenants.of_task(tenant.name().map(|name| &**name));
            match scope::sync_within(working, || batch.store(engine, Origin::Spans)) {
                Ok(taken) => engine.commits.want(taken.ticket),
                Err((_, why)) => tracing::warn!(
                    tenant = %tenant,
                    reason = why,
                    "the metrics of spans were not stored this time"
                ),
            }
        }
    }
}

/// What one pass over a request found.
#[derive(Default)]
struct Read {
    places: usize,
    traces: Vec<TraceId>,
    earliest: u64,
    latest: u64,
    /// The places of spans that are left out, in order.
    faulty: Vec<usize>,
    faults: Vec<String>,
}

impl Read {
    fn take(&mut self, span: &trace::Span<'_>) {
        let place = self.places;
        self.places += 1;
        if let Some(fault) = span.fault() {
            if self.faults.len() < FAULTS_MAX {
                self.faults.push(format!("span {place} ({:?}): {fault}", shown(&span.name)));
            }
            self.faulty.push(place);
            return;
        }
        let first = self.places == self.faulty.len() + 1;
        let id = TraceId(span.trace_id.try_into().unwrap_or_default());
        if self.traces.last() != Some(&id) {
            self.traces.push(id);
        }
        self.earliest = if first { span.start } else { self.earliest.min(span.start) };
        self.latest = self.latest.max(span.end).max(span.start);
    }

    fn why(&self) -> Option<String> {
        let count = self.faulty.len();
        (count > 0).then(|| format!("{count} spans left out: {}", self.faults.join("; ")))
    }
}

/// As much of a name as a message shows.
fn shown(name: &str) -> &str {
    &name[..name.floor_char_boundary(64)]
}

fn refused(error: &Error) -> Refused {
    let status = match error {
        Error::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        error if error.is_full() => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, format!("cannot keep the spans: {}", chain(error)))
}

fn tell(recovery: &Recovery) {
    for damage in &recovery.damage {
        let (path, offset, bytes) = (damage.path.as_str(), damage.offset, damage.bytes);
        tracing::warn!(path, offset, bytes, "spans that are not what was written are passed over");
    }
    let (segments, spans, torn_bytes) = (recovery.segments, recovery.spans, recovery.torn_bytes);
    tracing::info!(segments, spans, torn_bytes, "spans opened");
}

#[cfg(test)]
mod tests;
