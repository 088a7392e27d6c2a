//! Writing a block: series by series in label order, columns as they fill up.

use std::collections::HashMap;

use barograph_codec::{
    Code, Layout, NUMBERS_MAX, encode_timestamps, encode_values,
    rollups::{Encoder, Times, TimesEncoder, Windows},
};
use barograph_disk::{Disk, Error, file};
use barograph_model::{Labels, Tier};
use xxhash_rust::xxh3::xxh3_128;

use super::{
    KIND, Meta, PAGE_SAMPLES_MAX,
    index::{Builder, Kind, Span, WrittenChunk},
    path_of,
};

/// What a block takes over, so that a restart knows what need not be read again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cover {
    pub(crate) level: u64,
    pub(crate) tier: Tier,
    pub(crate) histograms: bool,
    /// As in [`Meta`]; the block's own number if there is none.
    pub(crate) data: Option<u64>,
    pub(crate) rolled: u64,
    pub(crate) floor: i64,
    pub(crate) wal_covered: u32,
    pub(crate) late_covered: u32,
    pub(crate) replaces: Vec<u64>,
}

/// A block being written.
pub(crate) struct Writer<'d> {
    file: file::Writer<'d>,
    builder: Builder,
    times: Column<i64>,
    values: Column<f64>,
    /// In a block of a tier, in place of both.
    window_times: TimesEncoder,
    windows: Encoder,
    streams: Vec<Vec<u8>>,
    /// The metric of the values gathered; their chunk ends with it.
    metric: String,
    /// Pages of timestamps by their content. 128 bits of hash: two that differ do not meet.
    time_pages: HashMap<u128, u32>,
    samples: u64,
    min_at: i64,
    max_at: i64,
    out: Vec<u8>,
    code: Code,
    seq: u64,
}

/// From so many values on a chunk of the dense code ends with its series: what a chunk says of all its numbers suits
/// numbers of one series best, and is short beside so many.
const CHUNK_NUMBERS_MIN: usize = 512;

/// The most streams of a chunk.
const STREAMS_MAX: usize = 256;

/// Numbers that wait to become a chunk.
struct Column<T> {
    numbers: Vec<T>,
    counts: Vec<usize>,
}

impl<'d> Writer<'d> {
    /// Begins the block with a number, in the code that suits how long it will stay.
    pub(crate) fn create(disk: &'d dyn Disk, seq: u64, code: Code) -> Result<Self, Error> {
        Ok(Self {
            file: file::Writer::create(disk, &path_of(seq), KIND)?,
            builder: Builder::default(),
            times: Column { numbers: Vec::new(), counts: Vec::new() },
            values: Column { numbers: Vec::new(), counts: Vec::new() },
            window_times: TimesEncoder::default(),
            windows: Encoder::default(),
            streams: Vec::new(),
            metric: String::new(),
            time_pages: HashMap::new(),
            samples: 0,
            min_at: i64::MAX,
            max_at: i64::MIN,
            out: Vec::new(),
            code,
            seq,
        })
    }

    /// Adds a series, which comes after the one before in label order, with its samples in time order. A series
    /// without samples is left out.
    pub(crate) fn push(&mut self, labels: &Labels, timestamps: &[i64], values: &[f64]) -> Result<(), Error> {
        assert_eq!(timestamps.len(), values.len(), "a series has as many values as timestamps");
        let (Some(first), Some(last)) = (timestamps.first(), timestamps.last()) else { return Ok(()) };
        self.begin_metric(labels)?;
        let mut pages = Vec::new();
        for (timestamps, values) in timestamps.chunks(PAGE_SAMPLES_MAX).zip(values.chunks(PAGE_SAMPLES_MAX)) {
            pages.push(self.time_page(timestamps)?);
            if self.values.numbers.len() + values.len() > NUMBERS_MAX {
                self.flush_values()?;
            }
            self.values.numbers.extend_from_slice(values);
            self.values.counts.push(values.len());
        }
        if self.code == Code::Dense && self.values.numbers.len() >= CHUNK_NUMBERS_MIN {
            self.flush_values()?;
        }
        self.builder.add_series(labels, pages);
        self.samples += values.len() as u64;
        self.min_at = self.min_at.min(*first);
        self.max_at = self.max_at.max(*last);
        Ok(())
    }

    /// As [`Writer::push`], in a block of a tier. The windows have their sketches.
    pub(crate) fn push_windows(&mut self, labels: &Labels, windows: &Windows) -> Result<(), Error> {
        let starts = &windows.times().starts;
        let (Some(first), Some(last)) = (starts.first(), starts.last()) else { return Ok(()) };
        self.begin_metric(labels)?;
        let mut pages = Vec::new();
        for range in windows.pages() {
            pages.push(self.window_times_page(windows.times().part(range.clone()))?);
            if !self.windows.has_room(windows, &range) {
                self.flush_values()?;
            }
            self.windows.push(windows, range);
        }
        self.builder.add_series(labels, pages);
        self.samples += starts.len() as u64;
        self.min_at = self.min_at.min(*first);
        self.max_at = self.max_at.max(*last);
        Ok(())
    }

    /// Begins with a series: a chunk ends with its metric.
    fn begin_metric(&mut self, labels: &Labels) -> Result<(), Error> {
        let metric = labels.metric_name().unwrap_or_default();
        if self.metric != metric {
            self.flush_values()?;
            metric.clone_into(&mut self.metric);
        }
        Ok(())
    }

    /// Adds a series of which each page is a stream of bytes: the times of its entries, and the stream. A block holds
    /// either such series or such as [`Writer::push`] adds.
    pub(crate) fn push_streams(
        &mut self,
        labels: &Labels,
        pages: Vec<(Vec<i64>, Vec<u8>)>,
    ) -> Result<(), Error> {
        let mut numbers = Vec::with_capacity(pages.len());
        for (times, stream) in pages {
            let (Some(first), Some(last)) = (times.first(), times.last()) else { continue };
            self.min_at = self.min_at.min(*first);
            self.max_at = self.max_at.max(*last);
            self.samples += times.len() as u64;
            numbers.push(self.time_page(&times)?);
            self.streams.push(stream);
            if self.streams.len() >= STREAMS_MAX {
                self.flush_streams()?;
            }
        }
        if !numbers.is_empty() {
            self.builder.add_series(labels, numbers);
        }
        Ok(())
    }

    /// The page with these times, a new one if there is none yet.
    fn window_times_page(&mut self, times: Times) -> Result<u32, Error> {
        self.out.clear();
        times.starts.iter().for_each(|at| self.out.extend_from_slice(&at.to_le_bytes()));
        for column in [&times.counts, &times.firsts, &times.lasts] {
            column.iter().for_each(|number| self.out.extend_from_slice(&number.to_le_bytes()));
        }
        let hash = xxh3_128(&self.out);
        if let Some(&page) = self.time_pages.get(&hash) {
            return Ok(page);
        }
        if !self.window_times.has_room(times.len()) {
            self.flush_times()?;
        }
        self.window_times.push(&times);
        Ok(self.add_span(hash, &times.starts))
    }

    /// The page with these timestamps, a new one if there is none yet.
    fn time_page(&mut self, timestamps: &[i64]) -> Result<u32, Error> {
        self.out.clear();
        timestamps.iter().for_each(|at| self.out.extend_from_slice(&at.to_le_bytes()));
        let hash = xxh3_128(&self.out);
        if let Some(&page) = self.time_pages.get(&hash) {
            return Ok(page);
        }
        if self.times.numbers.len() + timestamps.len() > NUMBERS_MAX {
            self.flush_times()?;
        }
        self.times.numbers.extend_from_slice(timestamps);
        self.times.counts.push(timestamps.len());
        Ok(self.add_span(hash, timestamps))
    }

    /// The number of a page of times that was just added.
    fn add_span(&mut self, hash: u128, timestamps: &[i64]) -> u32 {
        let count = u32::try_from(timestamps.len()).expect("a page is short");
        let page = u32::try_from(self.builder.spans.len()).expect("a block has fewer than 2^32 pages");
        let (first, last) = (timestamps[0], timestamps[timestamps.len() - 1]);
        self.builder.spans.push(Span { count, first, last });
        self.time_pages.insert(hash, page);
        page
    }

    fn flush_times(&mut self) -> Result<(), Error> {
        if !self.window_times.is_empty() {
            self.out.clear();
            let layout = self.window_times.finish(self.code, &mut self.out);
            self.write_chunk(Kind::Times, &layout)?;
        }
        if self.times.counts.is_empty() {
            return Ok(());
        }
        self.out.clear();
        let layout = encode_timestamps(&self.times.numbers, &self.times.counts, self.code, &mut self.out);
        self.times.numbers.clear();
        self.times.counts.clear();
        self.write_chunk(Kind::Timestamps, &layout)
    }

    fn flush_values(&mut self) -> Result<(), Error> {
        if !self.windows.is_empty() {
            self.out.clear();
            let layout = self.windows.finish(self.code, &mut self.out);
            self.write_chunk(Kind::Windows, &layout)?;
        }
        if self.values.counts.is_empty() {
            return Ok(());
        }
        self.out.clear();
        let layout = encode_values(&self.values.numbers, &self.values.counts, self.code, &mut self.out);
        self.values.numbers.clear();
        self.values.counts.clear();
        self.write_chunk(Kind::Values, &layout)
    }

    fn flush_streams(&mut self) -> Result<(), Error> {
        if self.streams.is_empty() {
            return Ok(());
        }
        self.out.clear();
        let page_lens = self.streams.iter().map(Vec::len).collect();
        self.streams.drain(..).for_each(|stream| self.out.extend_from_slice(&stream));
        self.write_chunk(Kind::Streams, &Layout { meta_len: 0, page_lens })
    }

    fn write_chunk(&mut self, kind: Kind, layout: &Layout) -> Result<(), Error> {
        let (meta, mut rest) = self.out.split_at(layout.meta_len);
        let mut pages = Vec::with_capacity(layout.page_lens.len());
        for &len in &layout.page_lens {
            let (page, after) = rest.split_at(len);
            pages.push((len, file::checksum(page)));
            rest = after;
        }
        let (meta_len, meta_crc) = (meta.len(), file::checksum(meta));
        self.builder.chunks.push(WrittenChunk { kind, meta_len, meta_crc, pages });
        self.file.append(&self.out)
    }

    /// Writes the index and the footer and gives the block its name. `None`, with nothing left, if it has no series.
    pub(crate) fn publish(mut self, cover: Cover) -> Result<Option<(Meta, u64)>, Error> {
        if self.samples == 0 {
            self.file.abandon();
            return Ok(None);
        }
        self.flush_times()?;
        self.flush_values()?;
        self.flush_streams()?;
        let series = self.builder.series_count();
        let index_at = self.file.position();
        let mut index_crc = 0;
        let file = &mut self.file;
        self.builder.encode(self.min_at, &mut |bytes| {
            index_crc = file::checksum_on(index_crc, bytes);
            file.append(bytes)
        })?;
        let meta = Meta {
            seq: self.seq,
            level: cover.level,
            tier: cover.tier,
            histograms: cover.histograms,
            data: cover.data.unwrap_or(self.seq),
            rolled: cover.rolled,
            min_at: self.min_at,
            max_at: self.max_at,
            floor: cover.floor,
            wal_covered: cover.wal_covered,
            late_covered: cover.late_covered,
            samples: self.samples,
            series,
            replaces: cover.replaces,
            index_at,
            index_len: self.file.position() - index_at,
            index_crc,
        };
        let size = self.file.publish(&meta.encode())?;
        Ok(Some((meta, size)))
    }
}
