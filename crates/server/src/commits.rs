//! Group commit: one thread makes appended rows durable, and many requests wait for it.
//!
//! The thread starts the next commit as soon as the last one ended, so whatever arrived during an fsync shares
//! the following one and nobody waits on purpose. A failed commit fails everyone who waited for it; their rows
//! stay queued in the store and a later commit may still make them durable, which harms nobody: sending the same
//! sample twice stores it once.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use barograph_tsdb::Store;
use tokio::sync::watch;

use crate::{clock::Clock, errors::chain, logging::messages, telemetry::Telemetry};

/// After a failure the disk gets this long before the next try.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How far the log is durable, and how often that failed.
#[derive(Clone, Debug, Default)]
struct Progress {
    through: u64,
    failures: u64,
    failure: Option<CommitError>,
    /// When the last one succeeded, by the monotonic clock.
    at: Option<Duration>,
    /// Whether the last one failed.
    failing: bool,
}

/// A commit failed; the rows may be sent again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the write-ahead log cannot be made durable: {reason}")]
pub struct CommitError {
    /// What went wrong, with its causes.
    pub reason: Arc<str>,
    /// Whether there was no space left on the disk.
    pub full: bool,
}

impl CommitError {
    /// What a commit of the store failed with.
    pub fn of(error: &barograph_tsdb::Error) -> Self {
        Self { reason: chain(error).into(), full: error.is_full() }
    }

    /// It did not come to a commit.
    pub fn because(reason: &str) -> Self {
        Self { reason: reason.into(), full: false }
    }
}

/// The waiting side of group commit, and the thread behind it.
#[derive(Debug)]
pub struct Commits {
    signal: Arc<Signal>,
    progress: watch::Receiver<Progress>,
}

#[derive(Debug, Default)]
struct Signal {
    state: Mutex<Wanted>,
    changed: Condvar,
    /// The newest ticket anyone asked for; checked without the lock.
    newest: AtomicU64,
}

#[derive(Debug, Default)]
struct Wanted {
    ticket: u64,
    stop: bool,
}

impl Commits {
    /// Starts the committing thread. It ends after [`Commits::stop`], with one last commit.
    ///
    /// # Errors
    /// The system refuses another thread.
    pub fn start(
        store: Arc<Store>,
        clock: Arc<dyn Clock>,
        telemetry: Arc<Telemetry>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let signal = Arc::new(Signal::default());
        let (report, progress) = watch::channel(Progress::default());
        let thread = std::thread::Builder::new().name("commit".into()).spawn({
            let signal = signal.clone();
            move || commit_until_stopped(&store, &signal, &report, &*clock, telemetry)
        })?;
        Ok((Self { signal, progress }, thread))
    }

    /// Asks for a commit of everything up to `ticket`, without waiting.
    pub fn want(&self, ticket: u64) {
        if self.signal.newest.fetch_max(ticket, Ordering::Relaxed) >= ticket {
            return;
        }
        let mut wanted = self.signal.state.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.ticket = wanted.ticket.max(ticket);
        self.signal.changed.notify_one();
    }

    /// Waits until everything up to `ticket` is durable.
    ///
    /// # Errors
    /// [`CommitError`] when a commit fails meanwhile; the rows may be sent again.
    pub async fn durable(&self, ticket: u64) -> Result<(), CommitError> {
        let mut progress = self.progress.clone();
        let failures = progress.borrow_and_update().failures;
        self.want(ticket);
        loop {
            {
                let now = progress.borrow_and_update();
                if now.through >= ticket {
                    return Ok(());
                }
                if let Some(failure) = now.failure.as_ref().filter(|_| now.failures > failures) {
                    return Err(failure.clone());
                }
            }
            if progress.changed().await.is_err() {
                return Err(CommitError::because("the server is shutting down"));
            }
        }
    }

    /// How long ago the last commit was that succeeded; `None` before the first.
    pub fn age(&self, now: Duration) -> Option<Duration> {
        self.progress.borrow().at.map(|at| now.saturating_sub(at))
    }

    /// Why commits fail, while they do.
    pub fn failing(&self) -> Option<CommitError> {
        let progress = self.progress.borrow();
        progress.failure.clone().filter(|_| progress.failing)
    }

    /// Ends the thread after a last commit.
    pub fn stop(&self) {
        self.signal.state.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.signal.changed.notify_one();
    }
}

fn commit_until_stopped(
    store: &Store,
    signal: &Signal,
    report: &watch::Sender<Progress>,
    clock: &dyn Clock,
    telemetry: Arc<Telemetry>,
) {
    let transactions = telemetry.transactions.method("log.commit");
    let mut through = 0;
    // A full disk is told once, not at every try.
    let mut failing = false;
    loop {
        let stop = {
            let wanted = signal.state.lock().unwrap_or_else(PoisonError::into_inner);
            let idle = |wanted: &mut Wanted| wanted.ticket <= through && !wanted.stop;
            signal.changed.wait_while(wanted, idle).unwrap_or_else(PoisonError::into_inner).stop
        };
        let began = clock.monotonic();
        let transaction = transactions.begin();
        match store.commit() {
            Ok(ticket) => {
                transaction.commit();
                through = ticket;
                if std::mem::take(&mut failing) {
                    tracing::info!("the write-ahead log is durable again");
                }
                let now = clock.monotonic();
                telemetry.commit_duration.record((now - began).as_secs_f64());
                report.send_modify(|progress| {
                    (progress.through, progress.at, progress.failing) = (ticket, Some(now), false);
                });
            }
            Err(error) => {
                transaction.abort();
                telemetry.commit_failures.inc();
                let failure = CommitError::of(&error);
                if !std::mem::replace(&mut failing, true) {
                    messages::store_failed(
                        "write-ahead log",
                        &format!("{}; it is tried again", failure.reason),
                    );
                }
                report.send_modify(|progress| {
                    progress.failures += 1;
                    progress.failing = true;
                    progress.failure = Some(failure);
                });
                if !stop {
                    let wanted = signal.state.lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = signal.changed.wait_timeout_while(wanted, RETRY_AFTER, |wanted| !wanted.stop);
                }
            }
        }
        if stop {
            return;
        }
    }
}
