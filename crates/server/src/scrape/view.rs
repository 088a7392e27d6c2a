//! What is told of targets, for whoever does not scrape them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DroppedTarget, ScrapeCounts, TargetStatus, status::Counters, task::SharedStatus};
use crate::config::relabel::Rule;

/// Jobs and their targets as they stand; clones see the same.
#[derive(Clone, Default)]
pub struct View {
    pools: Arc<Mutex<Vec<PoolView>>>,
    counters: Arc<Counters>,
}

/// What is told of one job.
#[derive(Clone)]
pub(super) struct PoolView {
    pub(super) name: String,
    pub(super) rules: Arc<[Rule]>,
    pub(super) active: Vec<SharedStatus>,
    pub(super) dropped: Vec<DroppedTarget>,
    pub(super) dropped_count: usize,
}

impl View {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { pools: Arc::default(), counters }
    }

    pub(super) fn set(&self, pools: Vec<PoolView>) {
        *lock(&self.pools) = pools;
    }

    /// The names of the jobs, in the order of the configuration.
    pub fn pools(&self) -> Vec<String> {
        lock(&self.pools).iter().map(|pool| pool.name.clone()).collect()
    }

    /// All targets as they stand, by job.
    pub fn targets(&self) -> Vec<TargetStatus> {
        let active: Vec<_> = lock(&self.pools).iter().flat_map(|pool| pool.active.clone()).collect();
        active.iter().map(|status| lock(status).clone()).collect()
    }

    /// The addresses that became no targets; at most 1,000 a job.
    pub fn dropped(&self) -> Vec<DroppedTarget> {
        lock(&self.pools).iter().flat_map(|pool| pool.dropped.clone()).collect()
    }

    /// How many addresses of each job became no targets.
    pub fn dropped_counts(&self) -> Vec<(String, usize)> {
        lock(&self.pools).iter().map(|pool| (pool.name.clone(), pool.dropped_count)).collect()
    }

    /// The rules for the targets of a job, if there is one of this name.
    pub fn rules(&self, pool: &str) -> Option<Arc<[Rule]>> {
        lock(&self.pools).iter().find(|known| known.name == pool).map(|known| known.rules.clone())
    }

    /// What happened since the start.
    pub fn counts(&self) -> ScrapeCounts {
        self.counters.read()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
