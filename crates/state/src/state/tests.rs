//! A store that is opened, written, damaged and opened again.

use barograph_disk::{Fault, MemoryDisk, RealDisk};

use super::*;
use crate::{Bounds, Event, History};

const NUMBERS: Table<u64, String> = Table::new("numbers");
const EVENTS: History<u64> = History::new("events");

fn put(state: &State, numbers: std::ops::Range<u64>) -> Result<(), Error> {
    state.write(|batch| numbers.into_iter().try_for_each(|n| batch.put(&NUMBERS, &n, &format!("number {n}"))))
}

fn numbers(state: &State) -> Vec<u64> {
    state.read(|view| view.all(&NUMBERS)).unwrap().into_iter().map(|(number, _)| number).collect()
}

#[test]
fn what_is_written_is_there_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
    let state = State::open(disk.clone()).unwrap();
    put(&state, 0..100).unwrap();
    state.write(|batch| batch.remove(&NUMBERS, &7)).unwrap();
    state.close();
    assert!(put(&state, 0..1).is_err());
    let state = State::open(disk).unwrap();
    assert_eq!(state.take_set_aside(), None);
    assert_eq!(state.read(|view| view.get(&NUMBERS, &8)).unwrap().unwrap(), "number 8");
    let part = state.read(|view| view.range(&NUMBERS, 5..10, 3)).unwrap();
    assert_eq!(part.into_iter().map(|(number, _)| number).collect::<Vec<_>>(), [6, 8, 9]);
    assert!(state.bytes() > 0);
}

#[test]
fn a_copy_is_of_one_moment_and_leaves_no_file() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let state = State::open(disk.clone()).unwrap();
    put(&state, 0..1_000).unwrap();
    let copy = state.copy().unwrap();
    put(&state, 1_000..2_000).unwrap();
    assert!(disk.list("").unwrap().iter().all(|entry| entry.name != COPY));
    let mut bytes = vec![0; usize::try_from(copy.len()).unwrap()];
    copy.read_at(0, &mut bytes).unwrap();
    let elsewhere: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    elsewhere.edit(State::PATH).unwrap().write_at(0, &bytes).unwrap();
    let copied = State::open(elsewhere).unwrap();
    assert_eq!((numbers(&copied).len(), copied.take_set_aside()), (1_000, None));
    assert_eq!(numbers(&state).len(), 2_000);
}

#[test]
fn a_part_of_a_page_at_the_end_is_cut_off() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let state = State::open(disk.clone()).unwrap();
    put(&state, 0..100).unwrap();
    drop(state);
    let file = disk.edit(State::PATH).unwrap();
    for part in [1, 511, 3_904, 3 * 4096 + 7] {
        file.set_len(file.len().unwrap() + part).unwrap();
        let state = State::open(disk.clone()).unwrap();
        assert_eq!((numbers(&state).len(), state.take_set_aside()), (100, None), "{part}");
    }
}

#[test]
fn a_batch_is_written_whole_or_not_at_all() {
    let state = State::open(Arc::new(MemoryDisk::new())).unwrap();
    put(&state, 0..3).unwrap();
    let refused = state.write(|batch| {
        batch.put(&NUMBERS, &9, &"nine".to_owned())?;
        batch.put(&NUMBERS, &10, &"x".repeat(State::VALUE_BYTES_MAX + 1))
    });
    assert!(matches!(refused, Err(Error::TooLarge { table: "numbers", .. })));
    assert_eq!(numbers(&state), [0, 1, 2]);
}

#[test]
fn what_was_committed_survives_kill_and_power_loss() {
    for seed in 0..40 {
        let disk = MemoryDisk::new();
        let state = State::open(Arc::new(disk.clone())).unwrap();
        put(&state, 0..50).unwrap();
        put(&state, 50..80).unwrap();
        for survivor in [disk.kill(), disk.crash(seed)] {
            let again = State::open(Arc::new(survivor)).unwrap();
            assert_eq!((numbers(&again).len(), again.take_set_aside()), (80, None), "seed {seed}");
        }
        // In the middle of a batch: all of it, or nothing.
        disk.fail(seed % 8, 1, Fault::Io);
        let written = put(&state, 80..90).is_ok();
        let again = State::open(Arc::new(disk.crash(seed))).unwrap();
        assert_eq!(again.take_set_aside(), None, "seed {seed}");
        let found = numbers(&again).len();
        assert!(found == 90 || !written && found == 80, "seed {seed}: {found}");
    }
}

#[test]
fn after_the_disk_failed_the_next_call_opens_it_anew() {
    let disk = MemoryDisk::new();
    let state = State::open(Arc::new(disk.clone())).unwrap();
    put(&state, 0..5).unwrap();
    disk.fail(0, u64::MAX, Fault::Full);
    assert!(matches!(put(&state, 5..500), Err(Error::Io { .. })));
    assert!(put(&state, 5..500).is_err());
    disk.heal();
    put(&state, 5..8).unwrap();
    assert_eq!(numbers(&state), (0..8).collect::<Vec<_>>());
    assert_eq!(state.take_set_aside(), None);
}

#[test]
fn what_is_no_database_is_set_aside() {
    for content in [&b"not a database"[..], &[0xff; 9000], &[0; 9000]] {
        let disk = MemoryDisk::new();
        disk.write_whole(State::PATH, content).unwrap();
        let state = State::open(Arc::new(disk.clone())).unwrap();
        let set_aside = state.take_set_aside().unwrap();
        assert_eq!(set_aside.path, "state.corrupt");
        assert_eq!(disk.read_whole(ASIDE).unwrap(), content);
        put(&state, 0..3).unwrap();
        assert_eq!(numbers(&state), [0, 1, 2]);
    }
}

#[test]
fn flipped_bits_are_found_or_harmless_and_never_a_panic() {
    let written = MemoryDisk::new();
    let state = State::open(Arc::new(written.clone())).unwrap();
    put(&state, 0..200).unwrap();
    state.close();
    let bytes = written.read_whole(State::PATH).unwrap();
    let mut chance = barograph_disk::Chance::new(7);
    let mut found = 0;
    for _ in 0..60 {
        let mut flipped = bytes.clone();
        // Where something stands.
        let byte = loop {
            let byte = chance.index(bytes.len());
            if bytes[byte] != 0 {
                break byte;
            }
        };
        flipped[byte] ^= 1 << chance.below(8);
        let disk = MemoryDisk::new();
        disk.write_whole(State::PATH, &flipped).unwrap();
        let state = State::open(Arc::new(disk)).unwrap();
        match state.take_set_aside() {
            Some(_) => found += 1,
            None => assert_eq!(numbers(&state).len(), 200, "byte {byte}"),
        }
    }
    assert!(found > 10, "{found}");
}

#[test]
fn a_newer_version_is_left_alone() {
    let disk = MemoryDisk::new();
    let state = State::open(Arc::new(disk.clone())).unwrap();
    state.write(|batch| batch.put(&META, &"version".to_owned(), &2)).unwrap();
    state.close();
    let refused = State::open(Arc::new(disk.clone())).err().unwrap();
    assert_eq!(refused.to_string(), "the state database has format version 2, this program reads up to 1");
    assert_eq!(disk.paths(), [State::PATH]);
}

#[test]
fn history_keeps_within_its_bounds() {
    let state = State::open(Arc::new(MemoryDisk::new())).unwrap();
    let event = |subject: &str, at, value| Event { subject: subject.to_owned(), at, value };
    state
        .write(|batch| {
            for at in 0..10 {
                EVENTS.push(batch, &event("a", at, 1))?;
                EVENTS.push(batch, &event("b", at * 100, 2))?;
            }
            EVENTS.push(batch, &event("a", 9, 3))
        })
        .unwrap();
    let of = |subject: &str| state.read(|view| EVENTS.of(view, subject, i64::MIN..i64::MAX, 99)).unwrap();
    assert_eq!((of("a").len(), of("b").len()), (11, 10));
    assert_eq!(of("a").last(), Some(&event("a", 9, 3)));
    let prune = |bounds| state.write(|batch| EVENTS.prune(batch, bounds, 1000)).unwrap();
    assert_eq!(prune(Bounds { per_subject: 4, total: 99, age_ms: 5000 }), 13);
    assert_eq!(of("a").iter().map(|event| event.at).collect::<Vec<_>>(), [7, 8, 9, 9]);
    assert_eq!(prune(Bounds { per_subject: 4, total: 99, age_ms: 250 }), 6);
    assert_eq!(prune(Bounds { per_subject: 4, total: 1, age_ms: 250 }), 1);
    assert_eq!(of("b").iter().map(|event| event.at).collect::<Vec<_>>(), [900]);
    let between = state.read(|view| EVENTS.of(view, "b", 900..901, 99)).unwrap();
    assert_eq!(between.len(), 1);
}
