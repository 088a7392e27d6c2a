//! Random work in and out of order, cuts, crashes and kills under a seed, against a map: while it runs the store holds
//! exactly what it took; after a crash at least what was acknowledged, and nothing it never took.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::support::*;
use barograph_disk::{Chance, Fault, MemoryDisk};
use barograph_model::{Labels, Timestamp, stale_marker};
use barograph_tsdb::{Options, Reason, Retention, Row, Store};

#[derive(Default)]
struct Model {
    /// Everything the store took.
    taken: BTreeMap<String, BTreeMap<i64, u64>>,
    /// What was taken and not acknowledged, with its ticket.
    waiting: Vec<(u64, String, i64, u64)>,
    acknowledged: Content,
    /// How late a sample may be, in milliseconds.
    out_of_order: i64,
}

impl Model {
    fn content(&self) -> Content {
        let all = self.taken.iter().filter(|(_, samples)| !samples.is_empty());
        all.map(|(name, samples)| (name.clone(), samples.iter().map(|(a, b)| (*a, *b)).collect())).collect()
    }

    fn commit(&mut self, durable: u64) {
        for (_, name, at, bits) in self.waiting.extract_if(.., |(ticket, ..)| *ticket <= durable) {
            self.acknowledged.entry(name).or_default().push((at, bits));
        }
    }
}

fn value(chance: &mut Chance) -> f64 {
    match chance.below(6) {
        0 => stale_marker(),
        1 => f64::from_bits(chance.below(u64::MAX)),
        2 => chance.below(10_000) as f64 / 100.0,
        3 => 0.0,
        _ => chance.below(1_000) as f64,
    }
}

fn open_store(disk: &MemoryDisk, model: &mut Model, chance: &mut Chance) -> Store {
    let mut options = Options::default();
    let hours = [0, 1, 10][usize::try_from(chance.below(3)).unwrap_or(0)];
    options.out_of_order = Duration::from_secs(hours * 3600);
    model.out_of_order = i64::try_from(options.out_of_order.as_millis()).unwrap_or(0);
    options.late_bytes_max = 1 << (11 + chance.below(10));
    options.segment_bytes = 1 << chance.below(14);
    options.lanes = 1 << chance.below(3);
    options.cache_bytes = 1 << (6 + chance.below(14));
    options.retention = Retention::FOREVER;
    Store::open(Arc::new(disk.clone()), options, Timestamp(START)).expect("the store opens").0
}

/// Appends random rows and checks each verdict.
fn append_rows(store: &Store, model: &mut Model, now: i64, chance: &mut Chance) {
    let import = chance.below(8) == 0;
    let rows: Vec<(Labels, i64, f64)> = (0..1 + chance.below(30))
        .map(|_| {
            let labels = series(
                ["a", "b", "c"][usize::try_from(chance.below(3)).unwrap_or(0)],
                usize::try_from(chance.below(8)).unwrap_or(0),
            );
            let lag = match chance.below(10) {
                0 => chance.below(4 * 3_600_000),
                1 => 1_000 * chance.below(300),
                _ if import => 60_000 * chance.below(50 * 60),
                _ => chance.below(5_000),
            };
            // Imports are of whole minutes, so that some come again.
            let at = now - i64::try_from(lag).unwrap_or(0);
            (labels, if import { at - at % 60_000 } else { at }, value(chance))
        })
        .collect();
    let borrowed: Vec<_> =
        rows.iter().map(|(l, at, value)| Row { labels: l.as_bytes(), at: *at, value: *value }).collect();
    let now = Timestamp(now);
    let appended = if import { store.append_any_age(&borrowed, now) } else { store.append(&borrowed, now) };
    let Ok(appended) = appended else { return };
    let mut reasons: BTreeMap<usize, Reason> = appended.rejected.iter().map(|r| (r.row, r.reason)).collect();
    assert_eq!(appended.stored + reasons.len(), rows.len());
    for (number, (labels, at, value)) in rows.iter().enumerate() {
        let samples = model.taken.entry(labels.to_string()).or_default();
        let last = samples.last_key_value().map(|(at, _)| *at);
        let bits = value.to_bits();
        match reasons.remove(&number) {
            None => {
                // Of two late samples with the same time the first counts, though a block may have it.
                let first = *samples.entry(*at).or_insert(bits);
                assert!(first == bits || last.is_some_and(|last| *at <= last));
                model.waiting.push((appended.ticket, labels.to_string(), *at, first));
            }
            Some(Reason::OutOfOrder) => {
                assert!(last.is_some_and(|last| *at < last) && model.out_of_order == 0 && !import);
            }
            Some(Reason::Duplicate) => assert!(samples.get(at).is_some_and(|&first| first != bits)),
            Some(Reason::TooManyLate) => {}
            Some(Reason::TooOld) => {
                assert!(!import && last.is_some_and(|last| *at < last - model.out_of_order));
            }
            Some(reason) => panic!("{reason}"),
        }
    }
}

fn run(seed: u64) {
    let mut chance = Chance::new(seed);
    let mut disk = MemoryDisk::new();
    let (mut model, mut now) = (Model::default(), START);
    let mut store = open_store(&disk, &mut model, &mut chance);
    for _ in 0..400 {
        now += i64::try_from(chance.below(120_000)).unwrap_or(0);
        match chance.below(100) {
            0..60 => append_rows(&store, &mut model, now, &mut chance),
            60..84 => {
                if let Ok(durable) = store.commit() {
                    model.commit(durable);
                }
            }
            84..88 => drop(store.maintain(Timestamp(now))),
            88 => drop(store.flush(Timestamp(now))),
            89..91 => {
                disk.heal();
                assert_eq!(content(&store), model.content(), "seed {seed}");
            }
            91..95 => {
                let fault = [Fault::Io, Fault::Full, Fault::ShortWrite]
                    [usize::try_from(chance.below(3)).unwrap_or(0)];
                disk.fail(chance.below(6), 1 + chance.below(5), fault);
            }
            _ => {
                disk.heal();
                disk = if chance.below(3) == 0 { disk.kill() } else { disk.crash(chance.below(u64::MAX)) };
                store = open_store(&disk, &mut model, &mut chance);
                let found = content(&store);
                assert!(is_within(&model.acknowledged, &found), "seed {seed}: lost");
                assert!(is_within(&found, &model.content()), "seed {seed}: never taken");
                model.taken = found
                    .iter()
                    .map(|(name, samples)| (name.clone(), samples.iter().copied().collect()))
                    .collect();
                model.waiting.clear();
                // What survived unacknowledged need not survive the next time unless it is acknowledged then.
            }
        }
    }
    disk.heal();
    store.commit().expect("a healed disk takes commits");
    assert_eq!(content(&store), model.content(), "seed {seed}");
    assert_eq!(
        content(&open_store(&disk.crash(seed), &mut Model::default(), &mut chance)),
        model.content(),
        "seed {seed}"
    );
}

#[test]
fn under_many_seeds() {
    // These once lost samples. 87 and 104: a fault left valid records behind a hole, and a later start believed them.
    // 11: a segment of the log that never got a file was said to be covered, and its number came again.
    (0..40).chain([87, 104]).for_each(run);
}
