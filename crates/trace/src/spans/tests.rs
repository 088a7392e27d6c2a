//! What was acknowledged is there again, whatever the disk did; what is over the limits goes, and is counted.

use std::collections::BTreeSet;

use barograph_disk::{Chance, Fault, MemoryDisk};

use super::*;

const OPTIONS: Options =
    Options { retention: Duration::from_secs(10), bytes: 1 << 20, segment_bytes: 400, pending_bytes: 4_000 };

fn open(disk: &MemoryDisk) -> (Spans, Recovery) {
    Spans::open(Arc::new(disk.clone()), OPTIONS).unwrap()
}

fn id(n: u64) -> TraceId {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&n.to_be_bytes());
    TraceId(id)
}

fn append(spans: &Spans, n: u64, now: i64) -> Result<u64, Error> {
    let body = n.to_le_bytes().repeat(3);
    spans.append(
        &Batch {
            owner: "",
            body: &body,
            traces: vec![id(n), id(1_000)],
            spans: 1,
            earliest: n,
            latest: n + 1,
        },
        now,
    )
}

fn add(spans: &Spans, n: u64, now: i64) {
    let ticket = append(spans, n, now).unwrap();
    spans.commit(ticket).unwrap();
}

/// The numbers of the batches that a trace is found in.
fn has(spans: &Spans, trace: u64) -> Vec<u64> {
    let found = spans.trace("", id(trace), 1 << 20).unwrap();
    found.bodies.iter().map(|body| u64::from_le_bytes(*body.first_chunk().unwrap())).collect()
}

#[test]
fn what_was_committed_is_found_and_found_again() {
    let disk = MemoryDisk::new();
    let (spans, _) = open(&disk);
    (0..50).for_each(|n| add(&spans, n, 0));
    let check = |spans: &Spans| {
        assert_eq!(has(spans, 7), [7]);
        assert_eq!(has(spans, 1_000), (0..50).collect::<Vec<_>>());
        assert_eq!(has(spans, 77), [0; 0]);
        let mut within = Vec::new();
        let scanned = spans.scan("", 10..12, |body| {
            within.push(u64::from_le_bytes(*body.first_chunk().unwrap()));
            ControlFlow::Continue(())
        });
        assert_eq!((scanned.unwrap().batches, within), (3, vec![9, 10, 11]));
    };
    check(&spans);
    assert!(spans.stats().segments > 5);
    drop(spans);
    let (spans, recovery) = open(&disk);
    assert_eq!((recovery.spans, recovery.torn_bytes, recovery.damage.len()), (50, 0, 0));
    check(&spans);
    add(&spans, 50, 0);
    assert_eq!(has(&spans, 1_000).len(), 51);
}

#[test]
fn what_waits_is_not_shown_and_is_limited() {
    let (spans, _) = open(&MemoryDisk::new());
    let mut last = 0;
    let refused = (0..1_000).find_map(|n| match append(&spans, n, 0) {
        Ok(ticket) => {
            last = ticket;
            None
        }
        Err(error) => Some(error),
    });
    assert!(matches!(refused, Some(Error::Overloaded { limit: 4_000 })));
    assert_eq!(has(&spans, 1), [0; 0]);
    assert_eq!(spans.commit(1).unwrap(), last);
    assert_eq!((has(&spans, 1), spans.stats().pending_bytes), (vec![1], 0));
}

#[test]
fn the_oldest_go_by_age_and_by_size() {
    let (spans, _) = open(&MemoryDisk::new());
    (0..50).for_each(|n| add(&spans, n, i64::try_from(n).unwrap() * 1_000));
    spans.maintain(30_000).unwrap();
    let (left, stats) = (has(&spans, 1_000), spans.stats());
    assert!(left[0] > 10 && left[0] <= 20, "{left:?}");
    assert_eq!(stats.removed_by_age + left.len() as u64, 50);
    spans.maintain(10_000_000).unwrap();
    assert_eq!(spans.stats().spans, 0);

    let small = Options { bytes: 4_000, ..OPTIONS };
    let (spans, _) = Spans::open(Arc::new(MemoryDisk::new()), small).unwrap();
    (0..200).for_each(|n| add(&spans, n, 0));
    let stats = spans.stats();
    assert!(stats.bytes <= 4_000 && stats.removed_by_size > 100, "{stats:?}");
    assert_eq!(stats.removed_by_size + stats.spans, 200);
    assert_eq!(has(&spans, 199), [199]);
}

#[test]
fn a_record_that_is_damaged_is_told_and_the_rest_serves() {
    let disk = MemoryDisk::new();
    let (spans, _) = open(&disk);
    (0..4).for_each(|n| add(&spans, n, 0));
    let path = "traces/0000000000000001.spans";
    disk.flip(path, 8 * 60);
    let found = spans.trace("", id(1_000), 1 << 20).unwrap();
    assert_eq!((found.bodies.len(), found.damaged), (3, 1));
    drop(spans);
    let (spans, recovery) = open(&disk);
    assert_eq!((recovery.damage.len(), recovery.spans), (1, 3));
    assert_eq!((recovery.damage[0].path.as_str(), recovery.damage[0].offset), (path, 16));
    assert_eq!(has(&spans, 1_000), [1, 2, 3]);
}

#[test]
fn an_index_that_is_lost_is_made_again() {
    let disk = MemoryDisk::new();
    let (spans, _) = open(&disk);
    (0..50).for_each(|n| add(&spans, n, 0));
    for (place, path) in disk.paths().iter().filter(|path| path.ends_with(".index")).enumerate() {
        if place % 2 == 0 { disk.remove(path).unwrap() } else { disk.flip(path, 200) }
    }
    assert_eq!(has(&spans, 1_000).len(), 50);
    drop(spans);
    let (spans, recovery) = open(&disk);
    assert_eq!((has(&spans, 1_000).len(), recovery.damage.len()), (50, 0));
}

#[test]
fn owners_have_traces_of_their_own() {
    let disk = MemoryDisk::new();
    let (spans, _) = open(&disk);
    for (owner, body) in [("", "nobody"), ("a", "first"), ("b", "second"), ("a", "third")] {
        let body = body.as_bytes();
        let batch = Batch { owner, body, traces: vec![id(7)], spans: 1, earliest: 5, latest: 6 };
        let ticket = spans.append(&batch, 0).unwrap();
        spans.commit(ticket).unwrap();
    }
    let check = |spans: &Spans| {
        for (owner, expected) in
            [("", &["nobody"][..]), ("a", &["first", "third"]), ("b", &["second"]), ("c", &[])]
        {
            let found = spans.trace(owner, id(7), 1 << 20).unwrap();
            let found =
                (found.bodies.iter().map(|body| str::from_utf8(body).unwrap()).collect(), found.damaged);
            assert_eq!(found, (expected.to_vec(), 0), "{owner:?}");
            let mut visited = Vec::new();
            let scanned = spans.scan(owner, 0..9, |body| {
                visited.push(String::from_utf8(body.to_vec()).unwrap());
                ControlFlow::Continue(())
            });
            assert_eq!(
                (scanned.unwrap().batches, visited),
                (expected.len(), found.0.iter().map(|body| (*body).to_owned()).collect())
            );
        }
    };
    check(&spans);
    drop(spans);
    // Once without an index, which is made again, and once with it.
    for _ in 0..2 {
        let (spans, recovery) = open(&disk);
        assert_eq!((recovery.spans, recovery.damage.len()), (4, 0));
        check(&spans);
    }
}

#[test]
fn answers_are_bounded() {
    let (spans, _) = open(&MemoryDisk::new());
    (0..9).for_each(|n| add(&spans, n, 0));
    let found = spans.trace("", id(1_000), 100).unwrap();
    assert_eq!((found.bodies.len(), found.cut), (4, true));
}

/// Plays random appends, commits, faults, kills and power losses: what was acknowledged is there, and nothing that was never
/// appended.
fn play(seed: u64) {
    let mut chance = Chance::new(seed);
    let mut disk = MemoryDisk::new();
    let (mut acknowledged, mut appended) = (BTreeSet::new(), BTreeSet::new());
    let mut next = 0;
    for _ in 0..4 {
        let (spans, _) = open(&disk);
        let check = |what: &str| {
            let found: BTreeSet<u64> = has(&spans, 1_000).into_iter().collect();
            assert!(found.is_superset(&acknowledged), "seed {seed}: {what}: {acknowledged:?} in {found:?}");
            assert!(found.is_subset(&appended), "seed {seed}: {what}: {found:?} of {appended:?}");
        };
        check("opened");
        let mut waiting = Vec::new();
        for _ in 0..chance.below(40) {
            if chance.once_in(8) {
                let fault = *chance.pick(&[Fault::Io, Fault::Full, Fault::ShortWrite]);
                disk.fail(chance.below(6), 1 + chance.below(3), fault);
            }
            match append(&spans, next, 0) {
                Ok(_) => waiting.push(next),
                Err(Error::Overloaded { .. }) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
            appended.insert(next);
            next += 1;
            if chance.once_in(2) && spans.commit(u64::MAX).is_ok() {
                acknowledged.extend(waiting.drain(..));
            }
            if chance.once_in(20) {
                let _ = spans.maintain(0);
            }
        }
        disk.heal();
        let found: BTreeSet<u64> = has(&spans, 1_000).into_iter().collect();
        assert!(found.is_superset(&acknowledged), "seed {seed}: before the end");
        let lost = if chance.once_in(2) { disk.kill() } else { disk.crash(chance.next()) };
        drop(spans);
        disk = lost;
    }
    let (spans, _) = open(&disk);
    let found: BTreeSet<u64> = has(&spans, 1_000).into_iter().collect();
    assert!(found.is_superset(&acknowledged) && found.is_subset(&appended), "seed {seed}: at the end");
}

#[test]
fn nothing_acknowledged_is_lost_whatever_happens() {
    (0..200).for_each(play);
}
