//! What tiers and backups are made of: pages and blocks of windows, notes of what was deleted, manifests.

use std::sync::Arc;

use barograph_codec::{
    Code, Layout, decode_histogram_rollups, encode_histogram_rollups,
    rollups::{Chunk, Encoder, Scratch, Times, TimesChunk, TimesEncoder, Windows},
};
use barograph_disk::{Disk, MemoryDisk};
use barograph_model::{
    Budget, Histogram, HistogramParts, HistogramRollup, Labels, Parts, Rollups, Selection, Source, Tier,
    TimeRange, Timestamp,
};
use barograph_tsdb::{Options, Retention, Row, Store, fuzzing};

use crate::{Shape, Target};

pub(super) const WINDOWS: Target = Target { name: "windows", run: run_windows, seeds: windows };

pub(super) const HISTOGRAM_WINDOWS: Target = Target {
    name: "histogram_windows",
    run: |input, shape| match decode_histogram_rollups(input) {
        Ok(windows) => shape.size(windows.len()),
        Err(error) => shape.message(error.what),
    },
    seeds: || {
        let mut bytes = Vec::new();
        let windows: Vec<_> = (0..3u32)
            .map(|n| {
                let parts = HistogramParts {
                    schema: 2,
                    count: f64::from(n * 3),
                    positive: vec![(1, f64::from(n)), (4, f64::from(2 * n))],
                    ..HistogramParts::default()
                };
                let histogram = Histogram::new(parts).expect("it is valid");
                let start = START + i64::from(n) * 60_000;
                HistogramRollup::of(start, start + 5, &histogram)
            })
            .collect();
        encode_histogram_rollups(&windows, &mut bytes);
        vec![bytes]
    },
};

pub(super) const DELETES: Target = Target {
    name: "deletes",
    run: |input, shape| shape.kind(fuzzing::deletes(input).map(|ranges| ranges.checked_ilog2())),
    // Of block 1, series 0 and 3: two ranges and one.
    seeds: || vec![vec![1, 2, 0, 2, 2, 4, 20, 40, 3, 1, 1, 1]],
};

pub(super) const MANIFEST: Target = Target {
    name: "manifest",
    run: |input, shape| shape.kind(fuzzing::manifest(input).map(|files| files.checked_ilog2())),
    seeds: || {
        let file = |path: &str| [&[path.len().to_le_bytes()[0]], path.as_bytes(), &[7], &[9; 32]].concat();
        vec![[&[1, 20, 2][..], &file("catalog"), &file("blocks/0000000001.block")].concat()]
    },
};

pub(super) const TIER_BLOCK: Target = Target { name: "tier_block", run: run_block, seeds: tier_blocks };

const START: i64 = 1_699_999_200_000;
const HOUR: i64 = 3_600_000;

/// Lengths of four parts, two bytes each, and the count of windows: meta and page of times, meta and page of the rest.
fn run_windows(input: &[u8], shape: &mut Shape) {
    let Some((head, rest)) = input.split_first_chunk::<8>() else { return };
    let number = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let mut rest = rest;
    let mut part = |len: usize| {
        let (part, after) = rest.split_at(len.min(rest.len()));
        rest = after;
        part
    };
    let (times_meta, times_page, meta) = (part(number(0)), part(number(2)), part(number(4)));
    let (page, count) = (part(usize::MAX), number(6));
    let mut times = Times::default();
    let read = TimesChunk::open(times_meta).and_then(|mut c| c.read_page(times_page, count, &mut times));
    if let Err(error) = read {
        return shape.message(error.what);
    }
    let mut windows = Windows::default();
    for parts in [Parts::SUM, Parts::ALL] {
        let read = Chunk::open(meta).and_then(|mut chunk| chunk.read_page(page, &times, parts, &mut windows));
        shape.kind(read.map_err(|error| error.what));
        let mut all = Rollups::default();
        windows.append_to(0..windows.len(), parts, &mut all);
        shape.size(all.len());
    }
}

/// Windows whose values are kept, and windows that are summed up.
fn windows() -> Vec<Vec<u8>> {
    let samples = (0..400i64).map(|n| (START + n * 15_000, (n * n % 101) as f64 / 8.0));
    let (timestamps, values): (Vec<_>, Vec<_>) = samples.unzip();
    let mut seeds = Vec::new();
    for (tier, code) in [(Tier::Minute, Code::Light), (Tier::Hour, Code::Dense)] {
        let mut windows = Windows::default();
        windows.roll(tier, &timestamps, &values, &mut Scratch::default());
        let (mut times, mut rest) = (TimesEncoder::default(), Encoder::default());
        times.push(windows.times());
        rest.push(&windows, 0..windows.len());
        let (mut times_bytes, mut bytes) = (Vec::new(), Vec::new());
        let of_times: Layout = times.finish(code, &mut times_bytes);
        let of_rest: Layout = rest.finish(code, &mut bytes);
        let mut seed = Vec::new();
        for len in [of_times.meta_len, of_times.page_lens[0], of_rest.meta_len, windows.len()] {
            seed.extend_from_slice(&u16::try_from(len).expect("parts are short").to_le_bytes());
        }
        seeds.push([seed, times_bytes, bytes].concat());
    }
    seeds
}

/// The number of a block in its path, which its footer has too.
const BLOCK_PATH: &str = "blocks/0000000002.block";

fn open(disk: &MemoryDisk) -> Result<(Store, barograph_tsdb::Recovery), barograph_tsdb::Error> {
    let mut options = Options::default();
    options.lanes = 1;
    options.retention = Retention::FOREVER;
    Store::open(Arc::new(disk.clone()), options, Timestamp(START))
}

/// A block of windows of a minute.
fn tier_blocks() -> Vec<Vec<u8>> {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    let series = ["1", "2"].map(|n| Labels::from_pairs([("__name__", "a"), ("n", n)]).expect("it is valid"));
    for minute in 0..30 {
        let at = START + minute * 60_000;
        let rows =
            series.each_ref().map(|labels| Row { labels: labels.as_bytes(), at, value: minute as f64 });
        store.append(&rows, Timestamp(at)).expect("the log is open");
    }
    store.maintain_all(Timestamp(START + 5 * HOUR)).expect("memory takes it");
    vec![disk.read_whole(BLOCK_PATH).expect("there is a block of minutes")]
}

/// A directory with one block of windows: opened, read, worked on, and opened again.
fn run_block(input: &[u8], shape: &mut Shape) {
    let disk = MemoryDisk::new();
    disk.write_whole(BLOCK_PATH, input).expect("memory takes it");
    let (store, recovery) = match open(&disk) {
        Ok(opened) => opened,
        Err(error) => return shape.message(error),
    };
    shape.kind(recovery.set_aside.len());
    let windows = count(&store, shape);
    let labels = Labels::from_pairs([("__name__", "a"), ("n", "1")]).expect("it is valid");
    // A sample of a window that the block may have.
    let row = Row { labels: labels.as_bytes(), at: START + 90_001, value: 1.0 };
    let now = Timestamp(START + 6 * HOUR);
    shape.kind(store.append(&[row], now).map(|appended| appended.stored).ok());
    shape.kind((store.maintain_all(now).is_ok(), store.flush(now).is_ok()));
    assert!(count(&store, shape) >= windows.min(1), "what a tier has is not lost over a sample");
    drop(store);
    open(&disk).expect("a store that was opened opens again");
}

/// How many windows there are in all tiers. Those of damaged pages are left out.
fn count(store: &Store, shape: &mut Shape) -> usize {
    let budget = Budget::unlimited();
    let selection = Selection { matchers: &[], range: TimeRange::ALL };
    let mut count = 0;
    for tier in Tier::ROLLED {
        let mut cursor = match store.rollups(tier, Parts::ALL, &selection, &budget) {
            Ok(cursor) => cursor,
            Err(error) => {
                shape.message(error);
                continue;
            }
        };
        while cursor.next_series().expect("memory is read").is_some() {
            let mut windows = Rollups::default();
            while cursor.next_batch(&mut windows).expect("memory is read") {}
            assert!(windows.starts.is_sorted_by(|a, b| a < b), "windows come in order");
            count += windows.list(0..windows.len()).count();
        }
    }
    shape.size(count);
    count
}
