//! The catalog says of each metric what its senders said, how much of it there is in memory and in blocks, and when it
//! was asked for; levels say the same by tier.

use crate::support::*;
use barograph_disk::MemoryDisk;
use barograph_model::{Histogram, HistogramParts, Labels, Metadata, MetricType, Tier, Timestamp};
use barograph_tsdb::{HistogramRow, MetricInfo, Store};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).expect("labels are good")
}

fn of<'a>(metrics: &'a [MetricInfo], name: &str) -> &'a MetricInfo {
    metrics.iter().find(|metric| metric.name == name).expect("the metric is known")
}

fn fill(store: &Store) {
    let one = labels(&[("__name__", "took_seconds_count"), ("job", "a"), ("service_version", "1.0")]);
    let two = labels(&[("__name__", "took_seconds_count"), ("pod", "x"), ("service_version", "1.1")]);
    let other = labels(&[("Zone", "b"), ("__name__", "up")]);
    for at in (START..).step_by(1000).take(100) {
        put(store, &[(&one, at, at as f64), (&two, at, 1.5), (&other, at, 1.0)]);
    }
    let kind = MetricType::Histogram;
    store.set_metadata("took_seconds", &Metadata { kind, unit: "seconds".into(), help: "Time.".into() });
}

#[test]
fn metrics_are_described_in_memory_and_in_blocks_alike() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    fill(&store);
    store.note_queried(["up"], Timestamp(START + 7));
    let in_memory = store.metrics().unwrap();
    assert_eq!(in_memory.len(), 2);
    let took = of(&in_memory, "took_seconds_count");
    assert_eq!((took.family.as_str(), took.metadata.kind), ("took_seconds", MetricType::Histogram));
    assert_eq!((took.active_series, took.samples, took.windows, took.bytes), (2, 200, 0, 0));
    assert_eq!((took.first_seen, took.last_seen), (Timestamp(START), Timestamp(START + 99_000)));
    assert_eq!(took.labels, ["job", "pod", "service_version"]);
    assert_eq!(took.versions, ["1.0", "1.1"]);
    assert_eq!(took.components, ["a"]);
    assert_eq!((took.last_queried, of(&in_memory, "up").last_queried), (None, Some(Timestamp(START + 7))));

    store.flush(Timestamp(START)).unwrap();
    for _ in 0..2 {
        let in_blocks = store.metrics().unwrap();
        let took = of(&in_blocks, "took_seconds_count");
        assert_eq!((took.active_series, took.samples), (0, 200));
        assert!(took.bytes > of(&in_blocks, "up").bytes && took.bytes < 2000, "{took:?}");
        for (block, head) in in_blocks.iter().zip(&in_memory) {
            let (active_series, bytes) = (head.active_series, head.bytes);
            assert_eq!(&MetricInfo { active_series, bytes, ..block.clone() }, head);
        }
    }
    drop(store);
    let (store, _) = open(&disk.kill());
    assert_eq!(of(&store.metrics().unwrap(), "up").last_queried, Some(Timestamp(START + 7)));
}

#[test]
fn levels_say_what_there_is() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    fill(&store);
    let memory = store.in_memory();
    assert_eq!((memory.series, memory.samples), (3, 300));
    assert_eq!((memory.oldest, memory.newest), (Some(Timestamp(START)), Some(Timestamp(START + 99_000))));
    assert_eq!(store.levels()[0].files, 0);
    store.flush(Timestamp(START)).unwrap();
    let [raw, ..] = store.levels();
    assert_eq!((raw.tier, raw.files, raw.points), (Tier::Raw, 1, 300));
    assert_eq!(raw.bytes, store.sizes().raw_bytes + store.sizes().index_bytes);
    assert_eq!((raw.oldest, raw.newest), (Some(Timestamp(START)), Some(Timestamp(START + 99_000))));
    assert_eq!(store.in_memory().samples, 0);
    assert_eq!(store.stats().blocks_cut, 1);
}

#[test]
fn native_histograms_are_metrics_too() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let parts =
        HistogramParts { schema: 3, count: 2.0, sum: 3.0, positive: vec![(1, 2.0)], ..Default::default() };
    let histogram = Histogram::new(parts).unwrap();
    for name in ["took_seconds", "size_bytes"] {
        for at in [START, START + 1000, START + 2000] {
            let labels = labels(&[("__name__", name), ("job", "a")]);
            let row = HistogramRow { labels: labels.as_bytes(), at, histogram: &histogram };
            assert_eq!(store.append_histograms(&[row], Timestamp(at)).unwrap().rejected.len(), 0);
        }
    }
    let kind = MetricType::GaugeHistogram;
    store.set_metadata("size_bytes", &Metadata { kind, unit: "bytes".into(), help: "Size.".into() });
    let check = |active_series| {
        let metrics = store.metrics().unwrap();
        let names: Vec<_> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["size_bytes", "took_seconds"]);
        assert_eq!(of(&metrics, "size_bytes").metadata.kind, kind);
        // Nobody said of what type it is.
        let took = of(&metrics, "took_seconds");
        assert_eq!(took.metadata.kind, MetricType::Histogram);
        assert_eq!((took.active_series, took.samples), (active_series, 3));
        assert_eq!((took.first_seen, took.last_seen), (Timestamp(START), Timestamp(START + 2000)));
        assert_eq!(
            (&took.labels[..], &took.components[..]),
            (&["job".to_owned()][..], &["a".to_owned()][..])
        );
    };
    check(1);
    store.flush(Timestamp(START)).unwrap();
    check(0);
}
