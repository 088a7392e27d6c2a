//! Directories of every released format open, and hold what was written into them then.

mod support;

use std::{path::Path, sync::Arc};

use barograph_disk::{Disk, MemoryDisk};
use barograph_model::{MetricType, STALE_BITS, Source, Timestamp};
use barograph_tsdb::Store;
use support::*;

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

#[test]
fn version_1() {
    let disk = copy_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1"));
    let (store, recovery) = Store::open(Arc::new(disk), options(), Timestamp(START)).unwrap();
    assert_eq!((recovery.blocks, recovery.samples, recovery.set_aside), (2, 30, vec![]));
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
}
