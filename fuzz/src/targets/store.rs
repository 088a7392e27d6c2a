//! Files of the store and the codes inside them, checksums mended where they would stop everything at the door.

use std::sync::Arc;

use barograph_codec::{
    Code, ColumnChunk, Decoder, Encoder, HistogramDecoder, HistogramEncoder, encode_timestamps, encode_values,
};
use barograph_disk::{Disk, MemoryDisk, record};
use barograph_model::{
    Budget, Histogram, HistogramParts, Labels, MatchOp, Matcher, Metadata, Selection, Source, TimeRange,
    Timestamp, stale_marker,
};
use barograph_tsdb::{Options, Row, Store, fuzzing};

use crate::{Shape, Target};

pub(super) const LOG_RECORD: Target = Target {
    name: "log_record",
    run: |input, shape| shape.kind(fuzzing::log_record(input).map(usize::ilog2_or_zero)),
    seeds: || records().into_iter().map(|(kind, payload)| [&[kind], payload.as_slice()].concat()).collect(),
};

pub(super) const LOG: Target = Target { name: "log", run: run_log, seeds: || vec![log()] };

pub(super) const BLOCK_FOOTER: Target = Target {
    name: "block_footer",
    run: |input, shape| shape.kind(fuzzing::block_footer(input).map(usize::ilog2_or_zero)),
    seeds: || vec![block_parts().0],
};

pub(super) const BLOCK_INDEX: Target = Target {
    name: "block_index",
    run: |input, shape| {
        let matchers = [("n", MatchOp::Regex, "[12]|"), ("__name__", MatchOp::NotEqual, "a")];
        let matchers = matchers.map(|(name, op, value)| Matcher::new(name, op, value).expect("it is valid"));
        shape.kind(fuzzing::block_index(input, &matchers).map(usize::ilog2_or_zero));
        shape.kind(fuzzing::block_index(input, &[]).map(usize::ilog2_or_zero));
    },
    seeds: || vec![block_parts().1],
};

pub(super) const BLOCK: Target = Target { name: "block", run: run_block, seeds: || vec![block()] };

pub(super) const CATALOG: Target = Target {
    name: "catalog",
    run: |input, shape| shape.kind(fuzzing::catalog(input).map(usize::ilog2_or_zero)),
    seeds: || {
        let metadata = records().into_iter().filter(|(kind, _)| *kind == 3).map(|(_, payload)| payload);
        let metadata: Vec<_> = metadata.collect();
        let count = u8::try_from(metadata.len()).expect("there are few");
        // No time of a query follows.
        vec![[&[2, 0, count], metadata.concat().as_slice(), &[0]].concat(), vec![1, 0]]
    },
};

pub(super) const COLUMNS: Target = Target { name: "columns", run: run_columns, seeds: columns };

pub(super) const STREAM: Target = Target {
    name: "stream",
    run: |input, shape| {
        let Some((count, bytes)) = input.split_first_chunk() else { return };
        let samples = Decoder::new(bytes, u16::from_le_bytes(*count));
        shape.size(samples.count());
    },
    seeds: || {
        let (mut encoder, mut bytes) = (Encoder::new(), Vec::new());
        for (at, value) in samples() {
            bytes.extend_from_slice(encoder.push(at, value).expect("one chunk takes all").as_slice());
        }
        vec![[&encoder.count().to_le_bytes(), bytes.as_slice()].concat()]
    },
};

pub(super) const HISTOGRAMS: Target = Target {
    name: "histograms",
    run: |input, shape| {
        let mut decoder = HistogramDecoder::new(input);
        shape.size(decoder.by_ref().take(1000).count());
        shape.kind(decoder.is_done());
    },
    seeds: || {
        let (mut encoder, mut bytes) = (HistogramEncoder::default(), Vec::new());
        for at in 0..4u32 {
            let parts = HistogramParts {
                schema: 2,
                count: f64::from(at * 3),
                positive: vec![(1, f64::from(at)), (4, f64::from(2 * at))],
                ..HistogramParts::default()
            };
            let histogram = Histogram::new(parts).expect("it is valid");
            encoder.push(i64::from(at) * 15_000, &histogram, &mut bytes);
        }
        vec![bytes]
    },
};

/// Numbers by their order of magnitude.
trait Magnitude {
    fn ilog2_or_zero(self) -> u32;
}

impl Magnitude for usize {
    fn ilog2_or_zero(self) -> u32 {
        self.checked_ilog2().unwrap_or(0)
    }
}

const START: i64 = 1_699_999_200_000;
const LOG_PATH: &str = "wal/00000001-00.wal";
const LOG_HEADER_LEN: usize = 36;
const BLOCK_PATH: &str = "blocks/0000000001.block";

fn samples() -> Vec<(i64, f64)> {
    let values = [1.0, 2.5, 2.5, stale_marker(), 0.1 + 0.2, -7.0, 1e300];
    values.into_iter().zip(0..).map(|(value, n): (f64, i64)| (START + n * 15_000 + n % 2, value)).collect()
}

fn open(disk: &MemoryDisk) -> Result<(Store, barograph_tsdb::Recovery), barograph_tsdb::Error> {
    let mut options = Options::default();
    options.lanes = 1;
    options.retention = barograph_tsdb::Retention::FOREVER;
    Store::open(Arc::new(disk.clone()), options, Timestamp(START))
}

/// A store with some samples in its log.
fn filled() -> (MemoryDisk, Store) {
    let disk = MemoryDisk::new();
    let (store, _) = open(&disk).expect("an empty disk opens");
    for (name, help) in [("a", "Sent."), ("b", "")] {
        let metadata = Metadata { help: help.to_owned(), unit: "bytes".to_owned(), ..Metadata::default() };
        store.set_metadata(name, &metadata);
    }
    let series = [("a", "1"), ("a", "2"), ("b", "3")]
        .map(|(name, n)| Labels::from_pairs([("__name__", name), ("n", n)]).expect("it is valid"));
    for (at, value) in samples() {
        let rows = series.each_ref().map(|labels| Row { labels: labels.as_bytes(), at, value });
        store.append(&rows, Timestamp(at)).expect("the log is open");
    }
    store.commit().expect("memory takes it");
    (disk, store)
}

fn log() -> Vec<u8> {
    filled().0.read_whole(LOG_PATH).expect("there is a log")
}

/// Kinds and payloads of the log.
fn records() -> Vec<(u8, Vec<u8>)> {
    let bytes = log();
    let mut rest = &bytes[LOG_HEADER_LEN..];
    let mut records = Vec::new();
    while let Some(record) = record::read(rest) {
        records.push((record.kind, record.payload.to_vec()));
        rest = &rest[record.framed_len()..];
    }
    records
}

fn flushed() -> MemoryDisk {
    let (disk, store) = filled();
    store.flush(Timestamp(START)).expect("memory takes it");
    disk
}

fn block() -> Vec<u8> {
    flushed().read_whole(BLOCK_PATH).expect("there is a block")
}

fn block_parts() -> (Vec<u8>, Vec<u8>) {
    fuzzing::parts_of_block(&flushed(), BLOCK_PATH, 1).expect("the block is sound")
}

/// A log whose records are valid as far as their lengths go, read back; then the store must work, and read the same
/// once more.
fn run_log(input: &[u8], shape: &mut Shape) {
    let header_len = LOG_HEADER_LEN.min(input.len());
    let mut bytes = input[..header_len].to_vec();
    let mut rest = &input[header_len..];
    let mut seq = 0;
    while let Some(header) = rest.first_chunk::<{ record::HEADER_LEN }>() {
        let len = u16::from_le_bytes([header[0], header[1]]);
        let payload = &rest[record::HEADER_LEN..];
        let payload = &payload[..usize::from(len).min(payload.len())];
        seq += 1;
        record::write(&mut bytes, header[8], seq, &[payload]);
        rest = &rest[record::HEADER_LEN + payload.len()..];
    }
    bytes.extend_from_slice(rest);
    let disk = MemoryDisk::new();
    disk.write_whole(LOG_PATH, &bytes).expect("memory takes it");
    work(&disk, shape);
}

/// A directory with one block as it is.
fn run_block(input: &[u8], shape: &mut Shape) {
    let disk = MemoryDisk::new();
    disk.write_whole(BLOCK_PATH, input).expect("memory takes it");
    work(&disk, shape);
}

/// Opens a store, reads it, appends, cuts, and opens it again: what was there is still there.
fn work(disk: &MemoryDisk, shape: &mut Shape) {
    let (store, recovery) = match open(disk) {
        Ok(opened) => opened,
        Err(error) => return shape.message(error),
    };
    shape.kind((recovery.set_aside.len(), recovery.torn_bytes > 0, recovery.orphans > 0));
    shape.size(usize::try_from(recovery.samples).unwrap_or(0));
    let before = count(&store);
    shape.size(before);
    let labels = Labels::from_pairs([("__name__", "after")]).expect("it is valid");
    let now = Timestamp(START + 86_400_000);
    let row = Row { labels: labels.as_bytes(), at: now.millis(), value: 1.0 };
    let stored = store.append(&[row], now).expect("the log is open").stored;
    store.commit().expect("memory takes it");
    shape.kind(store.flush(now).is_ok());
    assert_eq!(count(&store), before + stored, "cut samples are read as before");
    drop(store);
    let (store, recovery) = open(disk).expect("a store that was opened opens again");
    assert!(recovery.set_aside.is_empty(), "what was set aside is not found again");
    assert_eq!(count(&store), before + stored, "samples are read as before the restart");
}

/// How many samples there are. Those of damaged pages are left out.
fn count(store: &Store) -> usize {
    let budget = Budget::unlimited();
    let selection = Selection { matchers: &[], range: TimeRange::ALL };
    let mut cursor = store.select(&selection, &budget).expect("memory is read");
    let mut count = 0;
    while cursor.next_series().expect("memory is read").is_some() {
        let mut last = None;
        while let Some(batch) = cursor.next_batch().expect("memory is read") {
            assert!(batch.timestamps.is_sorted_by(|a, b| a < b), "samples come in order");
            assert!(last < batch.timestamps.first().copied(), "batches come in order");
            last = batch.timestamps.last().copied();
            count += batch.timestamps.len();
        }
    }
    count
}

/// Two bytes for the length of the meta, two for the count, a kind, meta, page.
fn run_columns(input: &[u8], shape: &mut Shape) {
    let Some((&[l0, l1, c0, c1, kind], rest)) = input.split_first_chunk() else { return };
    let len = usize::from(u16::from_le_bytes([l0, l1])).min(rest.len());
    let count = usize::from(u16::from_le_bytes([c0, c1]));
    let (meta, page) = rest.split_at(len);
    let outcome =
        match kind % 2 {
            0 => ColumnChunk::<i64>::open(meta)
                .and_then(|mut chunk| chunk.read_page(page, count, &mut Vec::new())),
            _ => ColumnChunk::<f64>::open(meta)
                .and_then(|mut chunk| chunk.read_page(page, count, &mut Vec::new())),
        };
    shape.kind(outcome.map_err(|error| error.what));
    shape.size(count);
}

fn columns() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let (times, values): (Vec<_>, Vec<_>) = samples().into_iter().cycle().take(300).unzip();
    let counts = [times.len()];
    for (kind, code) in [(0u8, Code::Dense), (1, Code::Dense), (0, Code::Light), (1, Code::Light)] {
        let mut bytes = Vec::new();
        let layout = match kind {
            0 => encode_timestamps(&times, &counts, code, &mut bytes),
            _ => encode_values(&values, &counts, code, &mut bytes),
        };
        let len = u16::try_from(layout.meta_len).expect("a meta is short").to_le_bytes();
        let count = u16::try_from(times.len()).expect("a few").to_le_bytes();
        seeds.push([&len[..], &count[..], &[kind], &bytes].concat());
    }
    seeds
}
