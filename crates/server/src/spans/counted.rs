//! What is counted of the spans of each tenant, apart from that of all others.
//!
//! Tenants of whom spans came of late share evenly what may be counted: with one it is all theirs. Who has more than its share
//! when another comes keeps it, and gets no more.

use std::collections::BTreeMap;

use barograph_model::Timestamp;
use barograph_tenancy::Tenant;

use super::{
    figures::{Figures, Seen},
    graph::WAITING_MAX,
};
use crate::intake::Batch;

/// See the module.
#[derive(Debug)]
pub(super) struct Counted {
    series_max: usize,
    tenants: BTreeMap<Tenant, Figures>,
    /// Of tenants of whom nothing is counted any more.
    gone: Seen,
}

impl Counted {
    pub(super) fn new(series_max: usize) -> Self {
        Self { series_max, tenants: BTreeMap::new(), gone: Seen::default() }
    }

    /// Where that of a tenant is counted.
    pub(super) fn of(&mut self, tenant: &Tenant, now: Timestamp) -> &mut Figures {
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.clone(), Figures::new(self.series_max, now));
            self.share();
        }
        self.tenants.entry(tenant.clone()).or_insert_with(|| Figures::new(self.series_max, now))
    }

    /// All samples at `now`, by tenant. Of whom nothing is left to count is forgotten.
    pub(super) fn written(&mut self, now: Timestamp) -> Vec<(Tenant, Batch)> {
        let written = self.tenants.iter_mut().map(|(tenant, figures)| (tenant.clone(), figures.written(now)));
        let written = written.collect();
        let idle: Vec<Tenant> =
            self.tenants.iter().filter(|(_, it)| it.is_empty()).map(|(tenant, _)| tenant.clone()).collect();
        for tenant in &idle {
            if let Some(figures) = self.tenants.remove(tenant) {
                self.gone = self.gone.and(figures.seen());
            }
        }
        if !idle.is_empty() {
            self.share();
        }
        written
    }

    /// What went over a limit since the start, of all.
    pub(super) fn seen(&self) -> Seen {
        self.tenants.values().fold(self.gone, |seen, figures| seen.and(figures.seen()))
    }

    fn share(&mut self) {
        let shares = self.tenants.len().max(1);
        for figures in self.tenants.values_mut() {
            figures.limit(self.series_max / shares, WAITING_MAX / shares);
        }
    }
}
