//! What only the program itself can tell of its runtime, told by atomics.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Fed by whoever runs the async runtime and serves requests; read by the collector of the
/// process. Clones are the same probe.
#[derive(Clone, Debug, Default)]
pub struct RuntimeProbe(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    busy_nanos: AtomicU64,
    workers: AtomicU64,
    active: AtomicI64,
}

impl RuntimeProbe {
    /// A probe that was told nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells how long the workers of the runtime were busy since it started, all together, and how many there are.
    /// Call it at least as often as the process is collected.
    pub fn set_busy(&self, busy: Duration, workers: usize) {
        self.0.busy_nanos.store(u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX), Relaxed);
        self.0.workers.store(workers as u64, Relaxed);
    }

    /// Counts a request or an I/O operation as active until the guard is dropped.
    #[must_use = "the request counts as active while the guard lives"]
    pub fn begin(&self) -> Active {
        self.0.active.fetch_add(1, Relaxed);
        Active(Self(Arc::clone(&self.0)))
    }

    /// How many are active.
    pub fn active(&self) -> i64 {
        self.0.active.load(Relaxed)
    }

    /// The busy time and the number of workers, once they were told.
    pub(super) fn busy(&self) -> Option<(Duration, u64)> {
        let workers = self.0.workers.load(Relaxed);
        (workers > 0).then(|| (Duration::from_nanos(self.0.busy_nanos.load(Relaxed)), workers))
    }
}

/// A request or an I/O operation in flight.
#[derive(Debug)]
pub struct Active(RuntimeProbe);

impl Drop for Active {
    fn drop(&mut self) {
        self.0.0.active.fetch_sub(1, Relaxed);
    }
}
