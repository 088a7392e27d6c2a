//! The disk fails at each of its calls in turn, once and for good: no panic, no false acknowledgement, nothing lost,
//! of samples in order and of late ones.

use std::sync::Arc;

use crate::support::*;
use barograph_disk::{Fault, MemoryDisk};
use barograph_model::{Budget, Metadata, Selection, Source, TimeRange, Timestamp};
use barograph_tsdb::{Options, Store};

/// Rows that were taken, and those of them that were acknowledged.
#[derive(Default)]
struct Outcome {
    taken: Content,
    acknowledged: Content,
}

fn record(content: &mut Content, name: &str, sample: (i64, u64)) {
    let samples = content.entry(name.to_owned()).or_default();
    if samples.last() != Some(&sample) {
        samples.push(sample);
    }
}

fn open_small(disk: &MemoryDisk) -> Result<Store, barograph_tsdb::Error> {
    let mut options = Options::default();
    options.segment_bytes = 400;
    options.late_bytes_max = 1500;
    // Room for two of the three series: every cut makes several blocks.
    options.index_bytes_max = 360;
    Ok(Store::open(Arc::new(disk.clone()), options, Timestamp(START))?.0)
}

/// Appends, commits, cuts, flushes, reads and reopens, going on after every failure.
fn work(disk: &MemoryDisk, outcome: &mut Outcome) {
    let mut store = None;
    let mut waiting: Vec<(u64, String, (i64, u64))> = Vec::new();
    for step in 0..24i64 {
        if store.is_none() {
            store = open_small(disk).ok();
            waiting.clear();
        }
        let Some(open) = &store else { continue };
        let at = START + step * 10 * 60_000;
        // The last one is a sample that comes late.
        for (n, at) in [(0, at), (1, at), (2, at), (1, at - 15 * 60_000 + 7)] {
            let (labels, value) = (series("a", n), step as f64);
            let Ok(appended) = append(open, &[(&labels, at, value)]) else { continue };
            let sample = (at, value.to_bits());
            if appended.stored == 1 {
                record(&mut outcome.taken, &labels.to_string(), sample);
                waiting.push((appended.ticket, labels.to_string(), sample));
            }
        }
        open.set_metadata("a", &Metadata { help: step.to_string(), ..Metadata::default() });
        if let Ok(durable) = open.commit() {
            for (_, name, sample) in waiting.extract_if(.., |(ticket, ..)| *ticket <= durable) {
                record(&mut outcome.acknowledged, &name, sample);
            }
        }
        match step {
            9 | 18 => drop(open.flush(Timestamp(at))),
            5 | 15 | 23 => drop(open.maintain(Timestamp(at + if step == 5 { 0 } else { 3 * HOUR }))),
            // The process ends without a word.
            12 | 20 => store = None,
            _ => {}
        }
        if let Some(open) = &store {
            let budget = Budget::unlimited();
            let mut cursor = match open.select(&Selection { matchers: &[], range: TimeRange::ALL }, &budget) {
                Ok(cursor) => cursor,
                Err(_) => continue,
            };
            while let Ok(Some(_)) = cursor.next_series() {
                while let Ok(Some(_)) = cursor.next_batch() {}
            }
        }
    }
}

fn check(fault: Fault, count: u64) {
    let undisturbed = MemoryDisk::new();
    work(&undisturbed, &mut Outcome::default());
    let calls = undisturbed.calls();
    assert!(calls > 200, "{calls}");
    for call in 0..calls {
        let (disk, mut outcome) = (MemoryDisk::new(), Outcome::default());
        disk.fail(call, count, fault);
        work(&disk, &mut outcome);
        disk.heal();
        for (how, disk) in [("killed", disk.kill()), ("crashed", disk.crash(call))] {
            let store = open_small(&disk).expect("a healed disk opens");
            let found = content(&store);
            assert!(is_within(&outcome.acknowledged, &found), "{fault:?} at {call}, {how}: lost");
            assert!(is_within(&found, &outcome.taken), "{fault:?} at {call}, {how}: never taken");
            put(&store, &[(&series("a", 0), START + 9 * HOUR, 1.0)]);
            store.commit().expect("a healed disk takes commits");
        }
    }
}

#[test]
fn input_output_error_once() {
    check(Fault::Io, 1);
}

#[test]
fn input_output_error_for_a_while() {
    check(Fault::Io, 12);
}

#[test]
fn full_for_a_while() {
    check(Fault::Full, 12);
}

#[test]
fn full_for_good() {
    check(Fault::Full, u64::MAX);
}

#[test]
fn short_write() {
    check(Fault::ShortWrite, 1);
    check(Fault::ShortWrite, 12);
}
