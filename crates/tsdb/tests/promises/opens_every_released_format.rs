//! Directories of every released format open, and hold what was written into them then.

use std::{path::Path, sync::Arc};

use crate::support::*;
use barograph_disk::{Disk, MemoryDisk};
use barograph_model::{
    Budget, Matcher, MetricType, Parts, Rollups, STALE_BITS, Selection, Source, Tier, TimeRange, Timestamp,
};
use barograph_tsdb::Store;

const MINUTE: i64 = 60_000;

/// A copy in memory, because opening may change what is there.
fn copy_of(folder: &Path) -> MemoryDisk {
    let disk = MemoryDisk::new();
    for (dir, prefix) in [("", ""), ("wal", "wal/"), ("blocks", "blocks/")] {
        for entry in std::fs::read_dir(folder.join(dir)).expect("the fixture is there").flatten() {
            if entry.path().is_file() {
                let name = entry.file_name().into_string().expect("names are plain");
                let bytes = std::fs::read(entry.path()).expect("the fixture can be read");
                disk.write_whole(&format!("{prefix}{name}"), &bytes).expect("memory takes it");
            }
        }
    }
    disk
}

/// What every version wrote: a block of two hours, a part of the next two, and the rest in the log.
fn check(version: &str, blocks: usize) -> Store {
    let disk = copy_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version));
    let (store, recovery) = Store::open(Arc::new(disk), options(), Timestamp(START)).expect("it opens");
    assert_eq!((recovery.blocks, recovery.samples, recovery.set_aside), (blocks, 30, vec![]));
    let content = content(&store);
    let series = |name: &str| &content[name];
    assert_eq!(content.len(), 4);

    let minutes = 0..160i64;
    let expected: Vec<_> =
        minutes.clone().map(|m| (START + m * MINUTE, (m as f64 * 1500.0).to_bits())).collect();
    assert_eq!(*series(r#"sent_bytes_total{host="a"}"#), expected);
    let decimal = |m: i64| (2000.0 + (m as f64 * 7.0) % 100.0) / 100.0;
    let expected: Vec<_> = minutes.clone().map(|m| (START + m * MINUTE, decimal(m).to_bits())).collect();
    assert_eq!(*series(r#"temperature_celsius{host="a"}"#), expected);
    assert_eq!(series(r#"temperature_celsius{host="b"}"#).len(), 160);
    let up = series(r#"up{host="a"}"#);
    assert_eq!((up.len(), up[130].1, up[129].1), (131, STALE_BITS, 1f64.to_bits()));

    let metadata = store.metadata(None);
    let kinds: Vec<_> = metadata.iter().map(|(name, m)| (name.as_str(), m.kind, m.unit.as_str())).collect();
    let counter = ("sent_bytes_total", MetricType::Counter, "bytes");
    assert_eq!(kinds, [counter, ("temperature_celsius", MetricType::Gauge, "")]);
    store
}

#[test]
fn version_1() {
    let store = check("v1", 2);
    assert_eq!(store.coverage(Tier::Minute).start, store.coverage(Tier::Minute).end);
    // What it did not know is made of what it wrote.
    store.maintain(Timestamp(START + 150 * MINUTE)).expect("blocks can be written");
    check_tiers(&store);
}

#[test]
fn version_2() {
    check_tiers(&check("v2", 5));
}

#[test]
fn version_3() {
    check_tiers(&check("v3", 5));
}

/// The windows of two hours of each minute's samples.
fn check_tiers(store: &Store) {
    let budget = Budget::unlimited();
    for tier in Tier::ROLLED {
        assert_eq!(store.coverage(tier), TimeRange::new(Timestamp(START), Timestamp(START + 2 * HOUR)));
        let each = tier.width() / MINUTE;
        let matchers = [Matcher::equal("__name__", "sent_bytes_total")];
        let selection = Selection { matchers: &matchers, range: TimeRange::ALL };
        let mut cursor = store.rollups(tier, Parts::ALL, &selection, &budget).expect("it can be read");
        assert!(cursor.next_series().expect("it can be read").is_some());
        let mut windows = Rollups::default();
        while cursor.next_batch(&mut windows).expect("it can be read") {}
        assert_eq!(windows.len(), usize::try_from(120 / each).expect("it is small"), "{tier}");
        for (n, window) in (0i64..).zip(windows.list(0..windows.len())) {
            let value = |minute: i64| minute as f64 * 1500.0;
            let (first, last) = (n * each, n * each + each - 1);
            assert_eq!((window.start, window.count), (START + first * MINUTE, each.unsigned_abs()));
            assert_eq!((window.first_at, window.last_at), (window.start, START + last * MINUTE));
            assert_eq!((window.first, window.last), (value(first), value(last)));
            assert_eq!(
                (window.min, window.max, window.increase),
                (value(first), value(last), value(each - 1))
            );
            assert_eq!(window.sum, (first..=last).map(value).sum::<f64>());
            let highest =
                window.sketch.as_ref().and_then(|sketch| sketch.quantile(1.0)).expect("it has values");
            assert!((highest - value(last)).abs() <= 0.0109 * value(last));
        }
    }
}
