//! The blocks of a Prometheus data directory, the oldest first.
//!
//! A block is sent two hours at a time, which is how the server cuts its own: a long block series by series would make it
//! hold all times at once. What cannot be read is told with file and offset, and the rest goes on.

use super::{
    Findings,
    blocks::{Block, BlockError},
    cannot_read,
    send::{Sender, Totals},
};
use crate::{
    client::Client,
    error::Error,
    terminal::{Role, Terminal},
    time,
};
use barograph_model::{TimeRange, Timestamp};
use barograph_wire::prometheus_tsdb::{Encoding, Index, IndexedSeries, Malformed};
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
        let what = match encoding {
            Encoding::Histogram | Encoding::FloatHistogram => "native histograms".to_owned(),
            Encoding::Xor => "floats".to_owned(),
            Encoding::Other(number) => format!("samples of the unknown encoding {number}"),
        };
        import.findings.add(format!("{count} {what} were left out"));
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
    /// Samples that are left out, by how they are written.
    skipped: BTreeMap<Encoding, u64>,
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
                let mut samples = Vec::new();
                for place in &series.chunks {
                    if place.first >= range.end.0 || place.last < range.start.0 {
                        continue;
                    }
                    let before = samples.len();
                    let read = segments.chunk(*place, |chunk| match chunk.encoding {
                        Encoding::Xor => chunk.floats(&mut samples).map(|()| None),
                        encoding => Ok(Some((encoding, chunk.sample_count()))),
                    });
                    // What is wrong with a chunk is told once, with the first window that has a part of it.
                    let first_time = window == first_window(place.first, self.range);
                    match read {
                        Ok(Some((encoding, count))) if first_time => {
                            *self.skipped.entry(encoding).or_default() += u64::from(count);
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
                samples.retain(|sample| range.contains(sample.at));
                self.deleted += block.tombstones.apply(series.id, &mut samples) as u64;
                samples.sort_by_key(|sample| sample.at);
                self.sender.series(&series.labels, &samples)?;
            }
        }
        Ok(())
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
