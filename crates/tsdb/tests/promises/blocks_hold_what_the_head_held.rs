//! Cutting, merging and retention change where samples lie, never what is read.

use crate::support::*;
use barograph_disk::{Disk, MemoryDisk};
use barograph_model::{
    Budget, Labels, MatchOp, Matcher, Selection, Source, Tier, TimeRange, Timestamp, stale_marker,
};
use barograph_tsdb::{Maintenance, Options, Reason, Retention, Store};

const MINUTE: i64 = 60_000;

/// Ten series, a sample a minute each, some shifted in time, one of odd values; from `from` to `to`.
fn fill(store: &Store, from: i64, to: i64) -> Vec<Labels> {
    let all: Vec<_> = (0..10).map(|n| series(if n < 5 { "counter" } else { "gauge" }, n)).collect();
    for minute in from / MINUTE..to / MINUTE {
        let samples: Vec<_> = all
            .iter()
            .enumerate()
            .map(|(n, labels)| {
                let at = minute * MINUTE + if n == 3 { 17 } else { 0 };
                let value = match n {
                    0..5 => (minute * 3 + i64::try_from(n).expect("n is small")) as f64,
                    9 if minute % 7 == 0 => stale_marker(),
                    _ => (minute % 100) as f64 / 100.0,
                };
                (labels, at, value)
            })
            .collect();
        put(store, &samples);
    }
    store.commit().expect("the log can be written");
    all
}

fn raw_blocks(store: &Store) -> usize {
    store.levels()[Tier::Raw as usize].files
}

fn maintain(store: &Store, now: i64) -> Maintenance {
    store.maintain(Timestamp(now)).expect("blocks can be written")
}

#[test]
fn cut_when_due_and_read_the_same() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    fill(&store, START, START + 3 * HOUR);
    let before = content(&store);
    assert_eq!(maintain(&store, START + 2 * HOUR + 29 * MINUTE).blocks_cut, 0);
    let done = maintain(&store, START + 2 * HOUR + 30 * MINUTE);
    assert_eq!((done.blocks_cut, done.samples_cut), (1, 1200));
    assert_eq!(content(&store), before);
    for disk in [disk.kill(), disk.crash(7)] {
        let (again, recovery) = open(&disk);
        assert_eq!(content(&again), before);
        assert_eq!((recovery.blocks, recovery.samples), (4, 600), "one of samples, one of each tier");
    }
    assert_eq!(raw_blocks(&store), 1);
}

#[test]
fn the_log_shrinks_when_blocks_hold_it() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let gauge = barograph_model::Metadata { unit: "x".into(), ..Default::default() };
    store.set_metadata("gauge", &gauge);
    fill(&store, START, START + 2 * HOUR);
    let done = maintain(&store, START + 5 * HOUR);
    assert!(done.wal_bytes_deleted > 0);
    assert_eq!(done.series_forgotten, 10);
    let stats = store.stats();
    assert_eq!((stats.wal_segments, stats.series), (0, 0));
    assert!(stats.chunk_bytes <= 4 * 256 * 64, "a page of free pieces a lane: {}", stats.chunk_bytes);
    let (again, recovery) = open(&disk.kill());
    assert_eq!(content(&again), content(&store));
    assert_eq!((recovery.wal_bytes, again.metadata(None)), (0, vec![("gauge".to_owned(), gauge)]));
    fill(&again, START + 2 * HOUR, START + 3 * HOUR);
    assert_eq!(content(&again).values().map(Vec::len).sum::<usize>(), 1800);
}

#[test]
fn a_flush_in_the_middle_keeps_the_order_of_every_series() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let all = fill(&store, START, START + HOUR);
    store.set_metadata("gauge", &barograph_model::Metadata::default());
    let before = content(&store);
    let sizes = store.flush(Timestamp(START + HOUR)).unwrap();
    assert_eq!((sizes.samples, sizes.wal_bytes), (600, 0));
    assert!(sizes.raw_bytes > 0 && sizes.index_bytes > 0 && sizes.state_bytes > 0);
    assert_eq!(content(&store), before);

    let (reopened, recovery) = open(&disk.kill());
    assert_eq!((recovery.blocks, recovery.samples, recovery.series), (1, 0, 10));
    for store in [&store, &reopened] {
        let last = START + 59 * MINUTE;
        let (at, bits) = content(store)[&all[0].to_string()][59];
        assert_eq!(at, last);
        assert_eq!(put(store, &[(&all[0], last, f64::from_bits(bits))]), store.commit().unwrap());
        let other = append(store, &[(&all[0], last - HOUR - 1, 1.0), (&all[1], last, -1.0)]).unwrap();
        let reasons: Vec<_> = other.rejected.iter().map(|r| r.reason).collect();
        assert_eq!(reasons, [Reason::TooOld, Reason::Duplicate]);
        // A series that lags behind the others is still welcome.
        put(store, &[(&series("lagging", 1), START + 5 * MINUTE, 1.0)]);
        fill(store, START + HOUR, START + 3 * HOUR);
        let done = maintain(store, START + 3 * HOUR);
        assert_eq!((done.blocks_cut, done.blocks_merged), (1, 2), "both parts of the window became one");
        assert_eq!(content(store).values().map(Vec::len).sum::<usize>(), 1801);
    }
}

#[test]
fn idle_series_leave_when_memory_is_short_and_come_back() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let (idle, busy) = (series("idle", 1), series("busy", 1));
    put(&store, &[(&idle, START, 1.0), (&idle, START + 1000, 2.0), (&busy, START + 300_000, 3.0)]);
    let minute = std::time::Duration::from_secs(60);
    assert_eq!(store.shed(minute, Timestamp(START + 310_000)).expect("the disk works"), 1);
    assert_eq!(store.stats().series, 1);
    // Sent again with another value: the first stays, as ever. Then it goes on.
    put(&store, &[(&idle, START + 1000, 9.0), (&idle, START + 320_000, 4.0), (&busy, START + 320_000, 5.0)]);
    let found = content(&store);
    let samples = |labels: &Labels| -> Vec<_> {
        found[&labels.to_string()].iter().map(|&(at, bits)| (at - START, f64::from_bits(bits))).collect()
    };
    assert_eq!(samples(&idle), [(0, 1.0), (1000, 2.0), (320_000, 4.0)]);
    assert_eq!(samples(&busy), [(300_000, 3.0), (320_000, 5.0)]);
    store.commit().expect("the log can be written");
    drop(store);
    assert_eq!(content(&open(&disk).0), found);
}

#[test]
fn a_day_becomes_one_block() {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk);
    let day = START - START % (24 * HOUR) + 24 * HOUR;
    for hour in (0..26).step_by(2) {
        fill(&store, day + hour * HOUR, day + (hour + 2) * HOUR);
        maintain(&store, day + (hour + 2) * HOUR + 30 * MINUTE);
    }
    let stats = store.stats();
    assert_eq!((raw_blocks(&store), stats.block_samples, stats.series), (2, 26 * 600, 0));
    let content_now = content(&store);
    assert_eq!(content_now.values().map(Vec::len).sum::<usize>(), 26 * 600);
    for seed in 0..5 {
        let (again, recovery) = open(&disk.crash(seed));
        assert_eq!((content(&again) == content_now, recovery.blocks), (true, stats.blocks));
    }
    // Bytes a sample, with the index.
    assert!(stats.block_bytes < 2 * stats.block_samples, "{stats:?}");
}

#[test]
fn selections_see_head_and_blocks_as_one() {
    let (store, _) = open(&MemoryDisk::new());
    fill(&store, START, START + 3 * HOUR);
    let whole = content(&store);
    maintain(&store, START + 3 * HOUR);
    put(&store, &[(&series("fresh", 1), START + 3 * HOUR, 1.0)]);
    let matcher = |name, op, value| Matcher::new(name, op, value).unwrap();
    let cases: &[(&[Matcher], usize)] = &[
        (&[matcher("__name__", MatchOp::Equal, "counter")], 5),
        (&[matcher("__name__", MatchOp::Regex, "counter|gauge"), matcher("n", MatchOp::Regex, "[0-5]")], 6),
        (&[matcher("__name__", MatchOp::NotEqual, "counter")], 6),
        (&[matcher("none", MatchOp::Equal, ""), matcher("n", MatchOp::Equal, "3")], 1),
        (&[matcher("none", MatchOp::NotEqual, "")], 0),
    ];
    for (matchers, count) in cases {
        let found = content_of(&store, matchers, TimeRange::ALL);
        assert_eq!(found.len(), *count, "{matchers:?}");
        assert!(
            found.iter().filter(|(name, _)| !name.starts_with("fresh")).all(|(name, s)| whole[name] == *s)
        );
    }
    let range = TimeRange::new(Timestamp(START + HOUR), Timestamp(START + 2 * HOUR + 5 * MINUTE));
    let found = content_of(&store, &[], range);
    for (name, samples) in &whole {
        let within: Vec<_> = samples.iter().filter(|s| range.contains(Timestamp(s.0))).copied().collect();
        assert_eq!(found[name], within);
    }
    let budget = Budget::unlimited();
    let gauges = [Matcher::equal("__name__", "gauge")];
    let selection = Selection { matchers: &gauges, range: TimeRange::ALL };
    let (labels, more) = store.series(&selection, 3, &budget).unwrap();
    assert_eq!((labels.len(), more, labels.is_sorted()), (3, true, true));
    assert_eq!(store.label_values("n", &selection, &budget).unwrap(), ["5", "6", "7", "8", "9"]);
    let all = Selection { matchers: &[], range: TimeRange::ALL };
    assert_eq!(store.label_names(&all, &budget).unwrap(), ["__name__", "job", "n"]);
    assert_eq!(store.label_values("__name__", &all, &budget).unwrap(), ["counter", "fresh", "gauge"]);
    let little = Budget::new(1000);
    let mut cursor = store.select(&all, &little).unwrap();
    let mut read = || -> Result<(), barograph_model::SourceError> {
        while cursor.next_series()?.is_some() {
            while cursor.next_batch()?.is_some() {}
        }
        Ok(())
    };
    assert!(matches!(read(), Err(barograph_model::SourceError::Budget(_))));
}

#[test]
fn old_blocks_go() {
    let disk = MemoryDisk::new();
    let mut options = Options::default();
    let six_hours = std::time::Duration::from_secs(6 * 3600);
    options.retention = Retention::default().with(Tier::Raw, Some(six_hours));
    let (store, _) = open_with(&disk, options.clone());
    for hour in [0, 2, 4] {
        fill(&store, START + hour * HOUR, START + (hour + 2) * HOUR);
        maintain(&store, START + (hour + 2) * HOUR + 30 * MINUTE);
    }
    assert_eq!(raw_blocks(&store), 3);
    assert_eq!(maintain(&store, START + 8 * HOUR).blocks_deleted, 1);
    assert_eq!(raw_blocks(&store), 2);
    assert_eq!(content(&store).values().map(Vec::len).sum::<usize>(), 2400);
    drop(store);
    options.retention_bytes = Some(1);
    let (store, recovery) = open_with(&disk, options);
    assert_eq!((recovery.blocks, content(&store).len()), (0, 0));
    assert_eq!(disk.list("blocks").unwrap(), []);
}
