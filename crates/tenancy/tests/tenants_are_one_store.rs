//! What tenants have together is what a store without tenants has: each question put to each of them, and to a store that
//! holds the same without labels of tenants, finds the same series, samples, names and values; and nobody finds more.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

use barograph_disk::MemoryDisk;
use barograph_model::{Budget, Labels, MatchOp, Matcher, Selection, Source, TimeRange, Timestamp};
use barograph_query::{Cache, Options as Asked, Reuse, Steps, Value};
use barograph_tenancy::{LABEL, Marked, Tenant, Tenanted};
use barograph_tsdb::{Options, Row, Store};
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000_000;
const NAMES: [&str; 3] = ["up", "jobs_total", "Job"];

thread_local! {
    static WHOSE: RefCell<Tenant> = const { RefCell::new(Tenant::DEFAULT) };
}

fn whose() -> Tenant {
    WHOSE.with_borrow(Clone::clone)
}

fn tenants() -> Vec<Tenant> {
    vec![Tenant::DEFAULT, Tenant::named("a").unwrap(), Tenant::named("b").unwrap()]
}

fn store() -> Arc<Store> {
    Arc::new(Store::open(Arc::new(MemoryDisk::new()), Options::default(), Timestamp(NOW)).unwrap().0)
}

fn append(store: &Store, tenant: &Tenant, sent: &Labels, at: i64, value: f64) {
    let mut marked = Marked::new(tenant, 0);
    let range = marked.add(sent.as_bytes());
    let row = Row { labels: &marked.bytes()[range], at, value };
    assert_eq!(store.append(&[row], Timestamp(NOW)).unwrap().stored, 1);
}

/// All series of a selection with their samples.
fn read(source: &dyn Source, matchers: &[Matcher]) -> BTreeSet<(Labels, Vec<(i64, u64)>)> {
    let budget = Budget::unlimited();
    let mut cursor = source.select(&Selection { matchers, range: TimeRange::ALL }, &budget).unwrap();
    let mut found = BTreeSet::new();
    while let Some(labels) = cursor.next_series().unwrap() {
        let mut samples = Vec::new();
        while let Some(batch) = cursor.next_batch().unwrap() {
            samples
                .extend(batch.timestamps.iter().zip(batch.values).map(|(at, value)| (*at, value.to_bits())));
        }
        assert!(found.insert((labels, samples)), "a series comes once");
    }
    found
}

fn matchers() -> impl Strategy<Value = Vec<Matcher>> {
    let names = prop::sample::select(vec!["__name__", "Zone", "job", LABEL, "other"]);
    let ops =
        prop::sample::select(vec![MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex]);
    let values = prop::sample::select(vec!["", "up", "1", "a", "b", ".+", ".*", "a|b|"]);
    let one = (names, ops, values).prop_map(|(name, op, value)| Matcher::new(name, op, value).unwrap());
    prop::collection::vec(one, 0..3)
}

/// Whose a sample is, which metric, its labels, whether it names a tenant, and its time.
type Sent = (usize, usize, u8, Option<u8>, bool);

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    prop::collection::vec((0..3usize, 0..3usize, 0..3u8, prop::option::of(0..2u8), any::<bool>()), 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_union_of_tenants_is_the_store(sent in sent(), asked in prop::collection::vec(matchers(), 1..8)) {
        let shared = store();
        let alone: Vec<_> = tenants().iter().map(|_| store()).collect();
        let mut spoken = BTreeSet::new();
        for (n, (whose, metric, job, zone, spoofs)) in sent.into_iter().enumerate() {
            let (job, zone) = (job.to_string(), zone.map(|zone| zone.to_string()).unwrap_or_default());
            let pairs = [("__name__", NAMES[metric]), ("job", &*job), ("Zone", &*zone)];
            let labels = Labels::from_pairs(pairs).unwrap();
            let at = NOW - 1_000 + i64::try_from(n).unwrap();
            let written = if spoofs { labels.with(LABEL, "a") } else { labels.clone() };
            append(&shared, &tenants()[whose], &written, at, n as f64);
            append(&alone[whose], &Tenant::DEFAULT, &labels, at, n as f64);
            spoken.insert(whose);
        }
        let view = Tenanted::new(shared.clone(), Some(whose as fn() -> Tenant));
        for matchers in &asked {
            let budget = Budget::unlimited();
            let selection = Selection { matchers, range: TimeRange::ALL };
            for (tenant, alone) in tenants().into_iter().zip(&alone) {
                WHOSE.set(tenant);
                prop_assert_eq!(read(&view, matchers), read(&**alone, matchers));
                prop_assert_eq!(
                    view.series(&selection, usize::MAX, &budget).unwrap(),
                    alone.series(&selection, usize::MAX, &budget).unwrap()
                );
                prop_assert_eq!(
                    view.label_names(&selection, &budget).unwrap(),
                    alone.label_names(&selection, &budget).unwrap()
                );
                for name in ["__name__", "job", "Zone", LABEL] {
                    prop_assert_eq!(
                        view.label_values(name, &selection, &budget).unwrap(),
                        alone.label_values(name, &selection, &budget).unwrap()
                    );
                }
                prop_assert_eq!(
                    view.last_samples(&selection, &budget).unwrap(),
                    alone.last_samples(&selection, &budget).unwrap()
                );
                prop_assert_eq!(
                    view.has_series(&selection, &budget).unwrap(),
                    alone.has_series(&selection, &budget).unwrap()
                );
                prop_assert_eq!(
                    view.estimate(barograph_model::Tier::Raw, &selection, &budget).unwrap(),
                    alone.estimate(barograph_model::Tier::Raw, &selection, &budget).unwrap()
                );
            }
        }
        // All of them together are all there is.
        let together: usize = alone.iter().map(|store| read(&**store, &[]).len()).sum();
        prop_assert_eq!(read(&*shared, &[]).len(), together);
        // Without tenants the view is the store itself.
        let off = Tenanted::new(shared.clone(), None);
        prop_assert_eq!(read(&off, &[]), read(&*shared, &[]));
    }
}

#[test]
fn what_is_kept_of_results_is_of_one_tenant() {
    let shared = store();
    let labels = Labels::from_pairs([("__name__", "up")]).unwrap();
    for (n, tenant) in tenants().iter().enumerate() {
        for step in 0..600 {
            append(&shared, tenant, &labels, NOW - 3_600_000 + step * 1_000, n as f64);
        }
    }
    let (cache, view) = (Cache::new(1 << 20), Tenanted::new(shared, Some(whose as fn() -> Tenant)));
    let steps = Steps { start: Timestamp(NOW - 3_600_000), end: Timestamp(NOW - 3_000_000), step_ms: 1_000 };
    let expr = barograph_query::parse("sum(up)").unwrap();
    for round in 0..2 {
        for (n, tenant) in tenants().into_iter().enumerate() {
            WHOSE.set(tenant);
            let reuse = Reuse::new(&cache, Timestamp(NOW));
            let answer =
                reuse.evaluate_range(&view, &expr, steps, &Asked::default(), &Budget::unlimited()).unwrap();
            let Value::Matrix(matrix) = answer.value else { panic!("a matrix") };
            assert!(matrix[0].1.floats.iter().all(|sample| sample.value == n as f64), "round {round}");
        }
    }
    let counts = cache.counts();
    assert_eq!((counts.hits, counts.misses), (3, 3), "each has its own, and finds it again");
}
