//! Writes the directory that `tests/opens_every_released_format.rs` opens, as the current version writes it.
//!
//! `cargo run -p barograph-tsdb --example write_fixture -- crates/tsdb/tests/fixtures/vN`. A fixture that was
//! released is never written again.

use std::sync::Arc;

use barograph_disk::RealDisk;
use barograph_model::{Labels, Metadata, MetricType, Timestamp, stale_marker};
use barograph_tsdb::{Options, Row, Store};

const START: i64 = 1_699_999_200_000;
const MINUTE: i64 = 60_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("which folder?")?;
    let (store, _) = Store::open(Arc::new(RealDisk::open(folder)?), Options::default(), Timestamp(START))?;
    let total = Metadata { kind: MetricType::Counter, unit: "bytes".into(), help: "Bytes sent.".into() };
    store.set_metadata("sent_bytes_total", &total);
    // A block of two hours that was merged of two parts, a part of the next two cut by a flush, and the rest in the log.
    append(&store, 0, 60)?;
    store.flush(Timestamp(START + 60 * MINUTE))?;
    append(&store, 60, 120)?;
    store.maintain(Timestamp(START + 150 * MINUTE))?;
    append(&store, 120, 150)?;
    store.flush(Timestamp(START + 150 * MINUTE))?;
    append(&store, 150, 160)?;
    store.set_metadata("temperature_celsius", &Metadata { kind: MetricType::Gauge, ..Metadata::default() });
    store.commit()?;
    Ok(())
}

/// A counter, a gauge with two decimals, one with full mantissas, and a series that ends.
fn append(store: &Store, from: i64, to: i64) -> Result<(), Box<dyn std::error::Error>> {
    for minute in from..to {
        let count = minute as f64;
        let ended = if minute == 130 { stale_marker() } else { 1.0 };
        let rows = [
            ("sent_bytes_total", "a", count * 1500.0),
            ("temperature_celsius", "a", (2000.0 + (count * 7.0) % 100.0) / 100.0),
            ("temperature_celsius", "b", (count / 10.0).sin()),
            ("up", "a", ended),
        ];
        for (name, host, value) in rows.into_iter().filter(|row| row.0 != "up" || minute <= 130) {
            let labels = Labels::from_pairs([("__name__", name), ("host", host)])?;
            let at = START + minute * MINUTE;
            store.append(&[Row { labels: labels.as_bytes(), at, value }], Timestamp(at))?;
        }
    }
    Ok(())
}
