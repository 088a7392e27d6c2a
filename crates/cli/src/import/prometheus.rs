//! The blocks of a Prometheus data directory, the oldest first.
//!
//! A block is sent two hours at a time, which is how the server cuts its own: a long block series by series would make it
//! hold all times at once. What cannot be read is told with file and offset, and the rest goes on.

use super::{
    Findings,
    blocks::{Block, BlockError, Segments},
    cannot_read,
    send::{Sender, Totals},
};
use crate::{
    client::Client,
    error::Error,
    terminal::{Role, Terminal},
    time,
};
use barograph_model::{Histogram, Sample, TimeRange, Timestamp};
use barograph_wire::prometheus_tsdb::{ChunkPlace, Encoding, Index, IndexedSeries, Malformed};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
};

/// The time that is sent at once, in milliseconds, aligned to the epoch.
const WINDOW_MS: i64 = 2 * 3_600_000;

pub(super) fn run(
    client: &Client,
    folder: &Path,
    range: TimeRange,
    terminal: &Terminal,
    findings: &mut Findings,
) -> Result<Totals, Error> {
    let blocks = find(folder, findings).map_err(|error| cannot_read(folder, &error))?;
    if blocks.is_empty() {
        return Err(Error::Failed {
            what: "cannot import",
            source: format!("there are no blocks in {}", folder.display()).into(),
        });
    }
    let has_any =
        |name: &str| fs::read_dir(folder.join(name)).is_ok_and(|mut entries| entries.next().is_some());
    if has_any("wal") || has_any("chunks_head") {
        let why = "the newest samples, up to three hours of them, are not in blocks yet and are left out; to have them, \
                   start Prometheus with --web.enable-admin-api, POST /api/v1/admin/tsdb/snapshot, and import the \
                   snapshot";
        terminal.message(Role::Info, why);
    }
    let mut import =
        Import { sender: Sender::new(client), range, skipped: BTreeMap::new(), deleted: 0, findings };
    for (number, block) in blocks.iter().enumerate() {
        let before = import.sender.given();
        import.block(block)?;
        let span = [block.meta.min_time, block.meta.max_time].map(|at| time::format(Timestamp(at)));
        let count = import.sender.given() - before;
        let (ulid, of) = (&block.meta.ulid, blocks.len());
        terminal.note(&format!(
            "{}/{of} {ulid} from {} to {}: {count} samples",
            number + 1,
            span[0],
            span[1]
        ));
    }
    if import.deleted > 0 {
        terminal
            .message(Role::Info, &format!("{} samples were deleted there and are left out", import.deleted));
    }
    for (encoding, count) in import.skipped {
        import.findings.add(format!("{count} samples of the unknown encoding {encoding} were left out"));
    }
    import.sender.finish()
}

/// The blocks in a folder, or the folder itself if it is one; by time.
fn find(folder: &Path, findings: &mut Findings) -> io::Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut open = |folder: &Path| match Block::open(folder) {
        Ok(block) => blocks.push(block),
        Err(error) => findings.add(error),
    };
    if folder.join("meta.json").exists() {
        open(folder);
    } else {
        for entry in fs::read_dir(folder)? {
            let entry = entry?.path();
            if entry.join("meta.json").exists() {
                open(&entry);
            }
        }
    }
    blocks.sort_by(|a, b| (a.meta.min_time, &a.meta.ulid).cmp(&(b.meta.min_time, &b.meta.ulid)));
    Ok(blocks)
}

struct Import<'a> {
    sender: Sender<'a>,
    range: TimeRange,
    /// Samples that are left out, by the number of their encoding.
    skipped: BTreeMap<u8, u64>,
    deleted: u64,
    findings: &'a mut Findings,
}

impl Import<'_> {
    fn block(&mut self, block: &Block) -> Result<(), Error> {
        let (name, bytes) = match block.index() {
            Ok(index) => index,
            Err(error) => return self.found(error),
        };
        let index = match Index::parse(&name, &bytes) {
            Ok(index) => index,
            Err(error) => return self.found(error.into()),
        };
        let windows = windows_of(&index, self.range, self.findings);
        let mut segments = block.segments();
        for window in windows {
            let range = TimeRange::new(
                self.range.start.max(Timestamp(window)),
                self.range.end.min(Timestamp(window.saturating_add(WINDOW_MS))),
            );
            for series in index.series().flatten() {
                let (samples, histograms) = self.read(&series, window, range, &mut segments);
                let deleted = |at| block.tombstones.deleted(series.id, at);
                let samples = self.kept(samples, |sample| sample.at, range, deleted);
                let histograms = self.kept(histograms, |pair| pair.0, range, deleted);
                self.sender.series(&series.labels, &samples)?;
                self.sender.histograms(&series.labels, &histograms)?;
            }
        }
        Ok(())
    }

    /// All that the chunks of a series hold that have a part in the range, which is that of a window.
    fn read(
        &mut self,
        series: &IndexedSeries,
        window: i64,
        range: TimeRange,
        segments: &mut Segments,
    ) -> (Vec<Sample>, Vec<(Timestamp, Histogram)>) {
        let (mut samples, mut histograms) = (Vec::new(), Vec::new());
        let within = |place: &&ChunkPlace| place.first < range.end.0 && place.last >= range.start.0;
        for place in series.chunks.iter().filter(within) {
            let before = samples.len();
            let read = segments.chunk(*place, |chunk| match chunk.encoding {
                Encoding::Xor => chunk.floats(&mut samples).map(|()| None),
                Encoding::Histogram | Encoding::FloatHistogram => {
                    histograms.extend(chunk.histograms()?);
                    Ok(None)
                }
                Encoding::Other(number) => Ok(Some((number, chunk.sample_count()))),
            });
            // What is wrong with a chunk is told once, with the first window that has a part of it.
            let first_time = window == first_window(place.first, self.range);
            match read {
                Ok(Some((number, count))) if first_time => {
                    *self.skipped.entry(number).or_default() += u64::from(count);
                }
                Err(error) => {
                    samples.truncate(before);
                    if first_time {
                        self.findings.add(error);
                    }
                }
                Ok(_) => {}
            }
        }
        (samples, histograms)
    }

    /// Those in the range that were not deleted, in the order of time: chunks may overlap.
    fn kept<T>(
        &mut self,
        all: Vec<T>,
        at: impl Fn(&T) -> Timestamp,
        range: TimeRange,
        deleted: impl Fn(Timestamp) -> bool,
    ) -> Vec<T> {
        let mut kept: Vec<T> = all.into_iter().filter(|one| range.contains(at(one))).collect();
        let before = kept.len();
        kept.retain(|one| !deleted(at(one)));
        self.deleted += (before - kept.len()) as u64;
        kept.sort_by_key(at);
        kept
    }

    fn found(&mut self, error: BlockError) -> Result<(), Error> {
        self.findings.add(error);
        Ok(())
    }
}

/// The window in which the part of a chunk that is wanted begins.
fn first_window(first: i64, range: TimeRange) -> i64 {
    first.max(range.start.0).div_euclid(WINDOW_MS).saturating_mul(WINDOW_MS)
}

/// The windows in which a block has samples. Series that cannot be read are told here.
fn windows_of(index: &Index<'_>, range: TimeRange, findings: &mut Findings) -> BTreeSet<i64> {
    let mut windows = BTreeSet::new();
    let mut see = |series: IndexedSeries| {
        for chunk in series.chunks {
            let (first, last) =
                (chunk.first.max(range.start.0), chunk.last.min(range.end.0.saturating_sub(1)));
            let (first, last) = (first.div_euclid(WINDOW_MS), last.div_euclid(WINDOW_MS));
            if last - first < SPAN_WINDOWS_MAX {
                windows.extend((first..=last).map(|number| number.saturating_mul(WINDOW_MS)));
            }
        }
    };
    for series in index.series() {
        match series {
            Ok(series) => see(series),
            Err(error @ Malformed { .. }) => findings.add(error),
        }
    }
    windows
}

/// A chunk that spans more windows than two years have is not one.
const SPAN_WINDOWS_MAX: i64 = 2 * 366 * 12;
