//! The store as everybody in the server reaches it: what is read and changed by series is that of the tenant it is worked for.
//!
//! Everything that is a [`Source`](barograph_model::Source) goes through [`Tenanted`]. Of the other methods of the store,
//! those stand here, under the same names, that tell of series or change what is said of them; all else is reached by
//! `Deref` and tells of no series. A test walks the server for methods that are in neither list.

use std::{ops::Deref, sync::Arc};

use barograph_model::{
    Budget, Exemplar, Labels, METRIC_NAME, Matcher, Metadata, Selection, Source, SourceError, Tier,
    TimeRange, Timestamp,
};
use barograph_tenancy::{LABEL, Tenant, Tenanted};
use barograph_tsdb::{Cardinality, Deleted, Error, ExemplarFate, MetricInfo, Store};

use super::{Tenants, scope};

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Kept(Arc<Tenanted<Arc<Store>>>);

impl Deref for Kept {
    type Target = Tenanted<Arc<Store>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Kept {
    pub(crate) fn new(store: Arc<Store>, tenants: &Tenants) -> Self {
        Self(Arc::new(Tenanted::new(store, tenants.is_on().then_some(scope::tenant))))
    }

    /// As [`Store::set_metadata`].
    pub fn set_metadata(&self, name: &str, metadata: &Metadata) {
        match self.tenant() {
            None => self.whole().set_metadata(name, metadata),
            Some(tenant) => {
                if let Some(name) = tenant.catalog_name(name) {
                    self.whole().set_metadata(&name, metadata);
                }
            }
        }
    }

    /// As [`Store::append_exemplar`].
    pub fn append_exemplar(&self, labels: &Labels, exemplar: Exemplar) {
        self.whole().append_exemplar(&self.marked(labels), exemplar);
    }

    /// As [`Store::append_exemplar_in_order`].
    pub fn append_exemplar_in_order(&self, labels: &Labels, exemplar: Exemplar) -> ExemplarFate {
        self.whole().append_exemplar_in_order(&self.marked(labels), exemplar)
    }

    /// As [`Store::knows`].
    pub fn knows(&self, labels: &Labels) -> bool {
        self.whole().knows(&self.marked(labels))
    }

    /// As [`Store::newest`].
    pub fn newest(&self, labels: &Labels) -> Option<Timestamp> {
        self.whole().newest(&self.marked(labels))
    }

    fn marked(&self, labels: &Labels) -> Labels {
        match self.tenant() {
            None => labels.clone(),
            Some(tenant) => labels.with(LABEL, tenant.name().map_or("", |name| name)),
        }
    }

    /// As [`Store::delete`].
    ///
    /// # Errors
    /// As of that.
    pub fn delete(&self, matchers: &[Matcher], range: TimeRange, now: Timestamp) -> Result<Deleted, Error> {
        match self.scoped(matchers) {
            Some(matchers) => self.whole().delete(&matchers, range, now),
            None => Ok(Deleted::default()),
        }
    }

    /// As [`Store::histogram_series`].
    ///
    /// # Errors
    /// As of that.
    pub fn histogram_series(
        &self,
        tier: Tier,
        selection: &Selection<'_>,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        let Some(matchers) = self.scoped(selection.matchers) else { return Ok(Vec::new()) };
        let selection = Selection { matchers: &matchers, ..*selection };
        let found = self.whole().histogram_series(tier, &selection, budget)?;
        Ok(found.into_iter().map(|labels| self.shown(labels)).collect())
    }

    /// As [`Store::head_extent`]; with tenants nobody is told, as it is that of all of them.
    pub fn head_extent(&self) -> Option<(usize, Timestamp, Timestamp)> {
        if self.tenant().is_some() { None } else { self.whole().head_extent() }
    }

    /// As [`Store::cardinality`]. With tenants, of what is not counted for each of them nothing is told.
    pub fn cardinality(
        &self,
        selectors: &[Vec<Matcher>],
        metric: Option<&str>,
        limit: usize,
        now: Timestamp,
    ) -> Cardinality {
        if self.tenant().is_none() {
            return self.whole().cardinality(selectors, metric, limit, now);
        }
        let all = [Vec::new()];
        let selectors = if selectors.is_empty() { &all[..] } else { selectors };
        let nothing = || vec![Matcher::equal(METRIC_NAME, "")];
        let scoped = |all: &Vec<Matcher>| self.scoped(all).map_or_else(nothing, |all| all.into_owned());
        let selectors: Vec<_> = selectors.iter().map(scoped).collect();
        // One row more for the label that is not shown.
        let mut found = self.whole().cardinality(&selectors, metric, limit.saturating_add(1), now);
        found.series = found.matched;
        (found.created, found.created_last_hour) = (0, 0);
        found.growth.clear();
        for row in &mut found.metrics {
            (row.created, row.created_last_hour) = (0, 0);
            row.labels.retain(|(label, _)| label != LABEL);
        }
        found.labels.retain(|row| row.label != LABEL);
        found.metric_labels.retain(|row| row.label != LABEL);
        found.pairs.retain(|row| row.label != LABEL);
        found.metrics.truncate(limit);
        found.labels.truncate(limit);
        found.metric_labels.truncate(limit);
        found.pairs.truncate(limit);
        found.overflows.clear();
        (found.overflow_samples, found.overflow_merged, found.overflow_refused) = (0, 0, 0);
        if let Some(working) = scope::working()
            && let Ok(most @ 1..) = usize::try_from(working.0.limits().series)
        {
            found.series_max = most;
        }
        found
    }

    /// As [`Store::metrics`], with what of each metric is the tenant's. How large it is in blocks is not told apart.
    ///
    /// # Errors
    /// As of that.
    pub fn metrics(&self) -> Result<Vec<MetricInfo>, Error> {
        let mut all = self.whole().metrics()?;
        let Some(tenant) = self.tenant() else { return Ok(all) };
        let mut own = Vec::new();
        for metric in all.drain(..) {
            match self.own(&tenant, metric) {
                Ok(metric) => own.extend(metric),
                Err(error) => tracing::warn!(%error, "a metric is left out of a catalog"),
            }
        }
        Ok(own)
    }

    fn own(&self, tenant: &Tenant, metric: MetricInfo) -> Result<Option<MetricInfo>, SourceError> {
        let matchers = [Matcher::equal(METRIC_NAME, &metric.name)];
        let (selection, budget) =
            (Selection { matchers: &matchers, range: TimeRange::ALL }, Budget::unlimited());
        if !self.has_series(&selection, &budget)? {
            return Ok(None);
        }
        let raw = self.estimate(Tier::Raw, &selection, &budget)?;
        let last = self.last_samples(&selection, &budget)?;
        let last_seen = last.iter().map(|(_, sample)| sample.at).max().unwrap_or(metric.last_seen);
        let mut first_seen = last_seen;
        let mut cursor = self.select(&selection, &budget)?;
        while cursor.next_series()?.is_some() {
            let first = cursor.next_batch()?.and_then(|batch| batch.timestamps.first().copied());
            first_seen = first_seen.min(first.map_or(first_seen, Timestamp));
        }
        let values = |names: &[&str]| -> Result<Vec<String>, SourceError> {
            for name in names {
                let values = self.label_values(name, &selection, &budget)?;
                if !values.is_empty() {
                    return Ok(values.into_iter().take(VALUES_TOLD).collect());
                }
            }
            Ok(Vec::new())
        };
        // Type, unit and help may be said of the family that it is a part of.
        let parts = PARTS.iter().filter_map(|part| metric.name.strip_suffix(part));
        let said = std::iter::once(metric.name.as_str()).chain(parts).find_map(|family| {
            let name = tenant.catalog_name(family)?;
            let (_, metadata) = self.whole().metadata(Some(&name)).into_iter().next()?;
            Some((family.to_owned(), metadata))
        });
        let (family, metadata) = said.unwrap_or_else(|| (metric.name.clone(), Metadata::default()));
        let labels = self.label_names(&selection, &budget)?;
        Ok(Some(MetricInfo {
            family,
            metadata,
            active_series: usize::try_from(raw.series).unwrap_or(usize::MAX),
            samples: raw.samples,
            windows: 0,
            bytes: 0,
            first_seen,
            last_seen,
            labels: labels.into_iter().filter(|name| name != METRIC_NAME).collect(),
            versions: values(&["service_version", "version", "versionId"])?,
            components: values(&["componentId", "component", "service_name", "job"])?,
            last_queried: None,
            ..metric
        }))
    }
}

/// What the names of parts of a family end in.
const PARTS: [&str; 6] = ["_bucket", "_count", "_sum", "_created", "_total", "_info"];

/// Versions and components of a metric that are told.
const VALUES_TOLD: usize = 16;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    /// Methods of the store that tell of no series, or are called by what works for all tenants.
    const FOR_ALL: &[&str] = &[
        // Rows that come by here have the label already.
        "append",
        "append_any_age",
        "append_histograms",
        "append_histograms_any_age",
        // Of the store as a whole.
        "clean_deletes",
        "clone",
        "commit",
        "flush",
        "in_memory",
        "is_in_place",
        "keeping_of",
        "kept_log",
        "levels",
        "limit_cache",
        "limit_owners",
        "limit_series",
        "log_end",
        "maintain",
        "maintain_all",
        "needs_upkeep",
        "note_queried",
        "policy",
        "change_policy",
        "series_of_owners",
        "set_keeping",
        "shed",
        "sizes",
        "snapshot",
        "stats",
        "overflows",
        // All of it, for the thread that commits.
        "whole",
        // What is sent on to where the operator says.
        "exemplars_since",
        "follow_log",
    ];

    /// Methods that are those of one tenant: of `Source`, and of `Kept`.
    const FOR_ONE: &[&str] = &[
        "select",
        "coverage",
        "coverage_of",
        "changes",
        "rollups",
        "last_samples",
        "histograms",
        "start_times",
        "histogram_rollups",
        "has_histograms",
        "series",
        "has_series",
        "estimate",
        "label_names",
        "label_values",
        "metadata",
        "exemplars",
        "set_metadata",
        "knows",
        "newest",
        "append_exemplar",
        "append_exemplar_in_order",
        "delete",
        "histogram_series",
        "head_extent",
        "cardinality",
        "metrics",
    ];

    #[test]
    fn every_method_of_the_store_that_is_called_is_known() {
        let (mut found, mut folders) =
            (BTreeSet::new(), vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap_or_default();
                for (place, start) in
                    text.match_indices(".store").filter(|(at, _)| text[*at..].starts_with(".store"))
                {
                    let rest = text[place + start.len()..].trim_start();
                    let Some(rest) = rest.strip_prefix('.') else { continue };
                    let name: String =
                        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                    if rest[name.len()..].starts_with('(') {
                        found.insert(name);
                    }
                }
            }
        }
        assert!(found.len() > 30, "{found:?}");
        let known: BTreeSet<&str> = FOR_ALL.iter().chain(FOR_ONE).copied().collect();
        let missing: Vec<_> = found.iter().filter(|name| !known.contains(name.as_str())).collect();
        assert!(missing.is_empty(), "say in tenants/kept.rs for whom these are: {missing:?}");
    }
}
