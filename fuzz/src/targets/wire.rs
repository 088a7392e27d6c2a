//! Formats that others send, in bytes.

use barograph_codec::varint;
use barograph_disk::file;
use barograph_model::{Exemplar, Labels, Metadata, Sample, Timestamp};
use barograph_wire::{
    json_lines,
    prometheus_tsdb::{Frame, Index, Meta, Tombstones, check_segment, frame},
    remote_read,
    remote_write::{
        Bounds, DECODED_BYTES_MAX, Entry, SeriesV2, Unreadable, Writer, WriterV2, decompress, entries,
        parse_labels, unpack, unpack_v2, v2,
    },
};

use crate::{Shape, Target};

pub(super) const SNAPPY: Target = Target {
    name: "snappy",
    run: |input, shape| match decompress(input, &mut Vec::new(), DECODED_BYTES_MAX) {
        Ok(bytes) => shape.size(bytes.len()),
        Err(error) => shape.message(error),
    },
    seeds: || vec![writer().compressed().expect("it is small")],
};

/// A large request, in small: what is not given up early comes out as it does whole.
pub(super) const SNAPPY_EARLY: Target = Target {
    name: "snappy_early",
    run: |input, shape| {
        let bounds = Bounds { large: 0, label_bytes: 64, symbols: 8 };
        let (mut first, mut second, mut third) = (Vec::new(), Vec::new(), Vec::new());
        let whole = decompress(input, &mut first, DECODED_BYTES_MAX).ok();
        match unpack(input, &mut second, DECODED_BYTES_MAX, bounds) {
            Ok(unpacked) => {
                shape.kind(unpacked.cut.is_some());
                shape.size(unpacked.bytes.len());
                let whole = whole.filter(|_| unpacked.cut.is_none());
                whole.inspect(|whole| assert_eq!(unpacked.bytes, *whole));
                // Of what is cut, the rest may be no block.
                assert!(whole.is_some() || unpacked.cut.is_some());
            }
            Err(error) => {
                assert!(whole.is_none());
                shape.message(error);
            }
        }
        match unpack_v2(input, &mut third, DECODED_BYTES_MAX, bounds) {
            Ok(bytes) => assert_eq!(Some(bytes), whole),
            Err(Unreadable::Message(error)) => shape.message(error),
            Err(_) => assert!(whole.is_none()),
        }
    },
    seeds: || vec![writer().compressed().expect("it is small")],
};

pub(super) const REMOTE_WRITE: Target =
    Target { name: "remote_write", run: run_remote_write, seeds: || vec![writer().as_bytes().to_vec()] };

pub(super) const REMOTE_WRITE_V2: Target = Target {
    name: "remote_write_v2",
    run: |input, shape| {
        let request = match v2::Request::read(input) {
            Ok(request) => request,
            Err(error) => return shape.message(error),
        };
        for series in request.series() {
            let series = match series {
                Ok(series) => series,
                Err(error) => return shape.message(error),
            };
            let mut labels = Vec::new();
            match series.put_labels(&mut labels) {
                Ok(()) => shape.kind(parse_labels(&labels).is_ok()),
                Err(error) => shape.message(error),
            }
            shape.size(series.samples().filter(Result::is_ok).count());
            for entry in series.histograms() {
                shape.kind(entry.is_ok_and(|entry| entry.histogram.is_ok()));
            }
            for entry in series.exemplars() {
                shape.kind(entry.is_ok_and(|entry| entry.labels.is_ok()));
            }
            shape.kind(series.metadata().is_ok_and(|metadata| metadata.is_some()));
        }
    },
    seeds: || {
        let sample = Sample { at: Timestamp(1_700_000_000_000), value: 0.5 };
        let exemplar = Exemplar { labels: labels(), sample };
        let metadata = Metadata { help: "Help.".to_owned(), ..Metadata::default() };
        let mut writer = WriterV2::new();
        let series = SeriesV2 {
            samples: &[sample],
            exemplars: &[exemplar],
            metadata: Some(&metadata),
            ..SeriesV2::default()
        };
        writer.series(&labels(), &series);
        vec![writer.to_bytes()]
    },
};

pub(super) const REMOTE_READ: Target = Target {
    name: "remote_read",
    run: |input, shape| match remote_read::Request::read(input) {
        Ok(request) => {
            shape.kind(matches!(request.accepted, remote_read::Accepted::Chunks));
            request.queries.iter().for_each(|query| shape.size(query.matchers.len()));
        }
        Err(error) => shape.message(error),
    },
    // One query from 1 to 2 with a matcher, chunks or samples.
    seeds: || vec![b"\x0a\x11\x08\x01\x10\x02\x1a\x0b\x08\x02\x12\x03job\x1a\x02a.\x12\x02\x01\x00".to_vec()],
};

pub(super) const JSON_LINES: Target = Target {
    name: "json_lines",
    run: |input, shape| match json_lines::parse(input) {
        Ok(json_lines::Line::Sample(labels, _) | json_lines::Line::Histogram(labels, _, _)) => {
            shape.size(labels.as_bytes().len());
        }
        Ok(json_lines::Line::Rollup(labels, tier, _)) => {
            shape.size(labels.as_bytes().len());
            shape.kind(tier);
        }
        Ok(json_lines::Line::HistogramRollup(labels, _)) => shape.size(labels.as_bytes().len()),
        Err(error) => shape.message(error),
    },
    seeds: || {
        let labels = labels();
        let mut line = String::new();
        json_lines::SeriesText::new(&labels).sample(&mut line, 1_700_000_000_000, 0.5);
        vec![line.into_bytes()]
    },
};

pub(super) const PROMETHEUS_INDEX: Target = Target {
    name: "prometheus_index",
    run: |input, shape| {
        match Index::parse("index", input) {
            Ok(index) => {
                let series: Vec<_> = index.series().collect();
                shape.size(series.len());
                series.into_iter().filter_map(Result::err).take(3).for_each(|error| shape.message(error));
            }
            Err(error) => shape.message(error),
        }
        shape.kind(Meta::parse("meta.json", input).is_ok());
        shape.kind(Tombstones::parse("tombstones", input).is_ok());
    },
    seeds: Vec::new,
};

pub(super) const PROMETHEUS_CHUNK: Target = Target {
    name: "prometheus_chunk",
    run: |input, shape| {
        shape.kind(check_segment("000001", input).is_ok());
        shape.kind(frame("000001", 8, input, true).is_ok());
        // Behind the length and before the checksum lies what is worth changing.
        let mut whole = Vec::new();
        varint::put(&mut whole, (input.len() as u64).saturating_sub(1));
        whole.extend_from_slice(input);
        whole.extend_from_slice(&file::checksum(input).to_be_bytes());
        match frame("000001", 8, &whole, true) {
            Ok(Frame::Whole(chunk)) => {
                let mut samples = Vec::new();
                if let Err(error) = chunk.floats(&mut samples) {
                    shape.message(error);
                }
                shape.size(samples.len());
            }
            Ok(Frame::Needs(_)) => shape.kind("needs more"),
            Err(error) => shape.message(error),
        }
    },
    // Two samples, 1.5 at 1,000 ms and again 15 s later.
    seeds: || {
        let first = [&[1, 0, 2, 0xd0, 0x0f][..], &1.5f64.to_be_bytes()].concat();
        vec![[&first[..], &[0x98, 0x75, 0]].concat()]
    },
};

fn labels() -> Labels {
    Labels::from_pairs([("__name__", "a"), ("n", "1")]).expect("it is valid")
}

fn writer() -> Writer {
    let mut writer = Writer::new();
    let sample = |at, value| Sample { at: Timestamp(at), value };
    let exemplar = Exemplar { labels: labels(), sample: sample(2, 0.25) };
    writer.series(labels().as_bytes(), &[sample(1_700_000_000_000, 1.5)]);
    writer.series_with_exemplars(labels().as_bytes(), &[sample(1, 1.0), sample(2, f64::NAN)], &[exemplar]);
    writer.metadata("a", &Metadata { help: "Sent.".to_owned(), ..Metadata::default() });
    writer
}

fn run_remote_write(input: &[u8], shape: &mut Shape) {
    let (mut count, mut errors) = (0, Vec::new());
    for entry in entries(input) {
        match entry {
            Ok(Entry::Sample { labels, .. }) => {
                count += 1;
                errors.extend(parse_labels(labels).err().map(|error| error.to_string()));
            }
            Ok(Entry::Series(series)) => {
                count += series.samples().count();
                errors.extend(parse_labels(&series.labels).err().map(|error| error.to_string()));
                errors
                    .extend(series.exemplars().filter_map(|read| read.err().map(|error| error.to_string())));
                errors
                    .extend(series.histograms().filter_map(|read| read.err().map(|error| error.to_string())));
            }
            Ok(Entry::Metadata(metadata)) => shape.kind(metadata.metadata.kind),
            Err(error) => errors.push(error.to_string()),
        }
    }
    errors.iter().take(2).for_each(|error| shape.message(error));
    shape.size(errors.len());
    shape.size(count);
}
