//! What was deleted is not read any more, whatever happens after; the rest is as it was.

use crate::support::*;
use barograph_disk::{Disk, Fault, MemoryDisk};
use barograph_model::{Budget, Matcher, Selection, Source, TimeRange, Timestamp};
use barograph_tsdb::{Deleted, Store, verify};

const NOW: Timestamp = Timestamp(START + 6 * HOUR);

/// Three series, a sample a minute each, for five hours, in blocks and head.
fn fill(store: &Store) {
    for minute in 0..300 {
        let at = START + minute * 60_000;
        let samples: Vec<_> = (0..3).map(|n| (series("a", n), at, minute as f64)).collect();
        put(store, &samples.iter().map(|(labels, at, value)| (labels, *at, *value)).collect::<Vec<_>>());
        if minute == 200 {
            store.maintain(Timestamp(at)).expect("blocks can be written");
        }
    }
    store.commit().expect("the log can be written");
}

fn range(from: i64, to: i64) -> TimeRange {
    TimeRange::new(Timestamp(START + from * 60_000), Timestamp(START + to * 60_000))
}

/// What is left when series `n` lost the minutes `from..to`.
fn without(whole: &Content, n: usize, from: i64, to: i64) -> Content {
    let mut left = whole.clone();
    let name = series("a", n).to_string();
    let range = range(from, to);
    left.get_mut(&name).expect("it was filled").retain(|sample| !range.contains(Timestamp(sample.0)));
    left.retain(|_, samples| !samples.is_empty());
    left
}

fn names(store: &Store, range: TimeRange) -> Vec<String> {
    let selection = Selection { matchers: &[], range };
    store.label_values("n", &selection, &Budget::unlimited()).expect("the store can be read")
}

#[test]
fn a_time_of_one_series() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    fill(&store);
    let whole = content(&store);
    let deleted = store.delete(&[Matcher::equal("n", "1")], range(100, 250), NOW).unwrap();
    assert_eq!(deleted, Deleted { series: 5, blocks: 5, cut_windows: 0 });
    let left = without(&whole, 1, 100, 250);
    assert_eq!(content(&store), left);
    assert_eq!(names(&store, range(110, 240)), ["0", "2"]);
    assert_eq!(names(&store, range(90, 240)), ["0", "1", "2"]);
    for seed in 0..5 {
        assert_eq!(content(&open(&disk.crash(seed)).0), left);
    }
    // Again is no harm, and new samples of the series are welcome.
    assert_eq!(store.delete(&[Matcher::equal("n", "1")], range(100, 250), NOW).unwrap().blocks, 0);
    assert_eq!(store.clean_deletes().unwrap(), 5);
    assert_eq!((content(&store), store.clean_deletes().unwrap()), (left.clone(), 0));
    assert!(files(&disk, "blocks").iter().all(|path| path.ends_with(".block")));
    put(&store, &[(&series("a", 1), START + 301 * 60_000, 1.0)]);
    drop(store);
    let (store, recovery) = open(&disk.crash(9));
    assert_eq!((content(&store), recovery.set_aside), (left, vec![]));
}

#[test]
fn everything_and_then_compaction() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    fill(&store);
    let whole = content(&store);
    store.delete(&[Matcher::equal("n", "2")], TimeRange::ALL, NOW).unwrap();
    let left = without(&whole, 2, 0, 300);
    assert_eq!(
        (content(&store), names(&store, TimeRange::ALL)),
        (left.clone(), vec!["0".into(), "1".into()])
    );
    let next_day = START + 30 * HOUR;
    put(&store, &[(&series("b", 0), next_day, 1.0)]);
    store.maintain(Timestamp(next_day + 5 * HOUR)).unwrap();
    store.delete(&[], TimeRange::ALL, Timestamp(next_day)).unwrap();
    assert_eq!(content(&store).len(), 0);
    assert!(store.clean_deletes().unwrap() > 0);
    assert_eq!((store.stats().blocks, files(&disk, "blocks")), (0, vec![]));
    assert_eq!(content(&open(&disk.crash(3)).0).len(), 0);
}

#[test]
fn a_corrupt_note_is_set_aside_and_the_block_serves() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    fill(&store);
    let whole = content(&store);
    store.delete(&[Matcher::equal("n", "0")], range(0, 300), NOW).unwrap();
    drop(store);
    let notes: Vec<_> =
        files(&disk, "blocks").into_iter().filter(|path| path.ends_with(".deletes")).collect();
    assert_eq!(notes.len(), 6);
    assert_eq!(verify(&disk).unwrap().damaged, []);
    notes.iter().for_each(|path| disk.flip(path, 150));
    let damaged: Vec<_> = verify(&disk).unwrap().damaged.into_iter().map(|damage| damage.path).collect();
    assert_eq!(damaged, notes);
    // One whose block is not there is of no use.
    disk.write_whole("blocks/0000000099.deletes", b"").unwrap();
    let (store, recovery) = open(&disk);
    assert_eq!((content(&store), recovery.set_aside.len()), (whole, 6));
    assert!(!files(&disk, "blocks").contains(&"blocks/0000000099.deletes".to_owned()));
}

#[test]
fn a_disk_that_fails_at_any_call_leaves_what_was_or_what_shall_be() {
    let calls = {
        let disk = MemoryDisk::new();
        let (store, _) = open(&disk);
        fill(&store);
        let before = disk.calls();
        store.delete(&[Matcher::equal("n", "1")], range(100, 250), NOW).unwrap();
        store.clean_deletes().unwrap();
        disk.calls() - before
    };
    for call in 0..calls {
        let disk = MemoryDisk::new();
        let (store, _) = open(&disk);
        fill(&store);
        let whole = content(&store);
        let left = without(&whole, 1, 100, 250);
        disk.fail(call, 1, Fault::Io);
        let deleted = store.delete(&[Matcher::equal("n", "1")], range(100, 250), NOW);
        let _ = store.clean_deletes();
        disk.heal();
        for disk in [disk.kill(), disk.crash(call)] {
            let found = content(&open(&disk).0);
            assert!(is_within(&found, &whole) && is_within(&left, &found), "call {call}");
            assert!(deleted.is_err() || found == left, "call {call}");
        }
    }
}
