//! One tenant: what it may have, and what it had.

use std::{
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use barograph_tenancy::{Bucket, Tenant};

use super::scope;
use crate::config::TenantLimits;

/// See the module.
pub(crate) struct Known {
    /// As the store knows it.
    pub(crate) tenant: Tenant,
    /// As everybody calls it.
    pub(crate) name: Arc<str>,
    limits: RwLock<TenantLimits>,
    samples: Mutex<Bucket>,
    queries: AtomicU64,
    pub(crate) figures: Figures,
}

/// What became of what a tenant brought and asked, since the start.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Samples that are stored.
    pub(crate) samples: AtomicU64,
    /// Queries that were asked.
    pub(crate) asked: AtomicU64,
    /// Labels that senders wrote and must not.
    pub(crate) labels_dropped: AtomicU64,
    /// What was refused: samples for their rate, queries for their number, requests for want of a place in its share.
    pub(crate) rate_refused: AtomicU64,
    pub(crate) queries_refused: AtomicU64,
    pub(crate) share_refused: AtomicU64,
}

impl Known {
    pub(super) fn new(tenant: Tenant, name: &str, limits: TenantLimits) -> Self {
        let (samples, queries, figures) = Default::default();
        Self { tenant, name: name.into(), limits: RwLock::new(limits), samples, queries, figures }
    }

    /// Whether it is that of the server itself.
    pub(crate) fn is_default(&self) -> bool {
        self.tenant == Tenant::DEFAULT
    }

    /// What it may have.
    pub(crate) fn limits(&self) -> TenantLimits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn limit(&self, limits: TenantLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Queries that run or wait.
    pub(crate) fn queries(&self) -> u64 {
        self.queries.load(Relaxed)
    }

    /// Why a query is refused.
    pub(crate) fn too_many_queries(&self) -> String {
        let most = self.limits().queries;
        format!(
            "the tenant {} has {most} queries that run or wait, which is its limit queries; ask again later",
            self.name
        )
    }

    /// Whether so many samples may come now; the rest of a request of which some were let in may.
    ///
    /// # Errors
    /// How long until some may.
    pub(crate) fn may_bring(&self, samples: usize, now: Duration) -> Result<(), Duration> {
        let rate = self.limits().samples_per_second;
        if rate == 0 {
            return Ok(());
        }
        let mut bucket = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if scope::is_let_in() {
            bucket.owe(samples as u64);
            return Ok(());
        }
        let taken = bucket.take(samples as u64, rate as f64, now);
        if taken.is_ok() {
            scope::let_in();
        } else {
            self.figures.rate_refused.fetch_add(samples as u64, Relaxed);
        }
        taken
    }

    /// Counts what came: samples that are stored, and label sets that named a tenant.
    pub(crate) fn note(&self, stored: usize, dropped: u64) {
        self.figures.samples.fetch_add(stored as u64, Relaxed);
        self.figures.labels_dropped.fetch_add(dropped, Relaxed);
    }

    /// How long until samples may come again.
    pub(crate) fn wait(&self, now: Duration) -> Duration {
        let rate = self.limits().samples_per_second;
        if rate == 0 {
            return Duration::ZERO;
        }
        let mut bucket = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.take(0, rate as f64, now).err().unwrap_or_default()
    }

    /// Lets a query in, until what it returns is dropped; `None` if as many run or wait as may.
    pub(crate) fn ask(self: &Arc<Self>) -> Option<Asking> {
        let most = match self.limits().queries {
            0 => u64::MAX,
            queries => queries,
        };
        let more = |queries: u64| (queries < most).then_some(queries + 1);
        if self.queries.fetch_update(Relaxed, Relaxed, more).is_err() {
            self.figures.queries_refused.fetch_add(1, Relaxed);
            return None;
        }
        self.figures.asked.fetch_add(1, Relaxed);
        Some(Asking(self.clone()))
    }
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Known").field(&self.name).finish()
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Known {}

/// A query of a tenant, as long as it runs or waits.
pub(crate) struct Asking(Arc<Known>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.queries.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_what_it_may() {
        let limits = TenantLimits { samples_per_second: 10, queries: 2, ..TenantLimits::default() };
        let known = Arc::new(Known::new(Tenant::named("a").unwrap(), "a", limits));
        let now = Duration::from_secs(1);
        assert_eq!(known.may_bring(40, now), Ok(()));
        assert_eq!(known.may_bring(1, now), Err(Duration::from_secs(2)));
        let (one, two) = (known.ask(), known.ask());
        assert!(one.is_some() && two.is_some() && known.ask().is_none());
        drop(one);
        assert!(known.ask().is_some());
        assert_eq!(known.queries(), 1);
        known.limit(TenantLimits::default());
        assert_eq!(known.may_bring(1, now), Ok(()));
        assert_eq!(known.figures.rate_refused.load(Relaxed), 1);
    }

    #[test]
    fn no_request_is_cut_in_two() {
        let limits = TenantLimits { samples_per_second: 10, ..TenantLimits::default() };
        let known = Known::new(Tenant::named("a").unwrap(), "a", limits);
        let now = Duration::from_secs(1);
        scope::one(|| {
            assert_eq!(known.may_bring(40, now), Ok(()));
            assert_eq!(scope::one(|| known.may_bring(20, now)), Ok(()));
        });
        // The whole of it is owed.
        assert_eq!(known.wait(now), Duration::from_secs(4));
        assert_eq!(scope::one(|| known.may_bring(1, now)), Err(Duration::from_secs(4)));
    }
}
