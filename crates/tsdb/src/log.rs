//! The log, followed: what was appended, read once more in the order in which it was acknowledged.
//!
//! A [`LogFollower`] stands at a [`LogPosition`], which its owner stores and begins with again. It gives out only what is
//! durable. Segments that blocks hold stay for it as long as [`Store::keep_log`] says and their limit allows; where one was
//! let go before it was read, the follower goes on behind it and says so.

use std::collections::HashMap;

use barograph_disk::{Error as DiskError, record};
use barograph_model::{Histogram, Labels, Metadata, Timestamp};

use crate::{
    Error, Store,
    wal::{self, Entry, HEADER_LEN, Part},
};

/// So much of a file is read at once, unless one record is longer.
const READ_BYTES: usize = 1 << 20;

/// A place in the log: everything up to and with a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// The segment.
    pub segment: u32,
    /// The last record of it that counts as read; none if it is zero.
    pub record: u64,
}

/// Something that was appended.
#[derive(Clone, Debug, PartialEq)]
pub enum LogEntry {
    /// A float sample.
    Sample(Labels, Timestamp, f64),
    /// A native histogram.
    Histogram(Labels, Timestamp, Histogram),
    /// What was said of a metric.
    Metadata(String, Metadata),
}

/// What one call read.
#[derive(Clone, Debug, Default)]
pub struct LogRead {
    /// In the order of the log.
    pub entries: Vec<LogEntry>,
    /// Where the follower stands now.
    pub position: LogPosition,
    /// Segments, or parts of one, that were gone before they were read, or could not be read.
    pub lost: u64,
    /// Whether there is nothing more for now.
    pub caught_up: bool,
}

/// Who reads the log.
#[derive(Debug, Default)]
pub struct LogFollower {
    position: LogPosition,
    /// The file that is read, and how far.
    file: Option<(Part, u64)>,
    /// The series of the segment by the names it has for them, as the owner wants to see them; `None` for those it does
    /// not.
    series: HashMap<(u64, u64), Option<Labels>>,
}

impl LogFollower {
    /// One that goes on after a position.
    pub fn at(position: LogPosition) -> Self {
        Self { position, ..Self::default() }
    }

    /// Where it stands.
    pub fn position(&self) -> LogPosition {
        self.position
    }
}

impl Store {
    /// The end of the log: what is appended from now on comes after it.
    pub fn log_end(&self) -> LogPosition {
        LogPosition { segment: self.wal.segment(), record: self.wal.last_seq() }
    }

    /// Keeps the segments of the log from a position on until it is said otherwise, up to so many bytes beyond those that
    /// the store needs itself; `None` keeps none.
    ///
    /// # Errors
    /// Files that are not kept any more cannot be removed.
    pub fn keep_log(&self, from: Option<LogPosition>, bytes_max: u64) -> Result<(), Error> {
        self.wal.keep(from.map(|position| position.segment), bytes_max)
    }

    /// Bytes of the log that are kept for followers alone, and how many segments were given up before they were read.
    pub fn kept_log(&self) -> (u64, u64) {
        self.wal.kept()
    }

    /// Reads on: about `entries_max` entries, of the series that `wanted` returns, with the labels that it returns.
    ///
    /// # Errors
    /// The disk fails. The follower may be asked again.
    pub fn follow_log(
        &self,
        follower: &mut LogFollower,
        entries_max: usize,
        wanted: &mut dyn FnMut(Labels) -> Option<Labels>,
    ) -> Result<LogRead, Error> {
        let mut read = LogRead::default();
        loop {
            // In this order: what is listed after a file was finished before it was listed.
            let durable = self.wal.durable();
            let (files, given_up) = self.wal.files_from(follower.position.segment);
            let next = follower.next_file(&files, given_up, &mut read.lost);
            let Some((part, kept, followed)) = next else {
                read.caught_up = true;
                break;
            };
            let path = if kept { part.kept_path() } else { part.path() };
            let bound = if kept { u64::MAX } else { durable };
            match follower.read_file(self.wal.disk(), &path, bound, entries_max, wanted, &mut read) {
                Err(error) if error.is_not_found() => {
                    // It was renamed or let go in between: the next list says which.
                    read.caught_up = true;
                    break;
                }
                done => {
                    let end = done?;
                    if end == End::Full {
                        break;
                    }
                    if !followed {
                        read.caught_up = true;
                        break;
                    }
                    read.lost += u64::from(end == End::Damaged);
                    follower.finish(part, &files);
                }
            }
        }
        read.position = follower.position;
        Ok(read)
    }
}

/// Why reading a file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// There is nothing more that is whole and durable.
    Nothing,
    /// There is more that is no record.
    Damaged,
    /// Enough was read.
    Full,
}

impl LogFollower {
    /// The file to read on, whether it is kept, and whether another follows it.
    fn next_file(
        &mut self,
        files: &[(Part, bool)],
        given_up: u32,
        lost: &mut u64,
    ) -> Option<(Part, bool, bool)> {
        let current = self.file.map(|(part, _)| part);
        let at = match current {
            Some(part) => files.iter().position(|(file, _)| *file >= part)?,
            None => 0,
        };
        let (part, kept) = *files.get(at)?;
        if current != Some(part) {
            self.open(part, given_up, lost);
        }
        Some((part, kept, at + 1 < files.len()))
    }

    /// Begins a file. `given_up` is the last segment that went before it was read.
    fn open(&mut self, part: Part, given_up: u32, lost: &mut u64) {
        if part.segment != self.position.segment {
            let unread = self.position.segment > 0 && given_up >= self.position.segment;
            *lost += u64::from(unread);
            self.position = LogPosition { segment: part.segment, record: 0 };
        }
        if self.file.is_none_or(|(file, _)| file.segment != part.segment) {
            self.series.clear();
        }
        self.file = Some((part, HEADER_LEN as u64));
    }

    /// Goes to the file after one that was read to its end.
    fn finish(&mut self, part: Part, files: &[(Part, bool)]) {
        if let Some((next, _)) = files.iter().find(|(file, _)| *file > part) {
            if next.segment != part.segment {
                self.series.clear();
                self.position = LogPosition { segment: next.segment, record: 0 };
            }
            self.file = Some((*next, HEADER_LEN as u64));
        }
    }

    fn read_file(
        &mut self,
        disk: &dyn barograph_disk::Disk,
        path: &str,
        durable: u64,
        entries_max: usize,
        wanted: &mut dyn FnMut(Labels) -> Option<Labels>,
        read: &mut LogRead,
    ) -> Result<End, DiskError> {
        let file = disk.open(path)?;
        let mut size = READ_BYTES;
        loop {
            let Some((part, offset)) = self.file else { return Ok(End::Nothing) };
            let left = file.len().saturating_sub(offset);
            let mut bytes = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(size)];
            file.read_at(offset, &mut bytes)?;
            let mut rest = bytes.as_slice();
            while let Some(record) = record::read(rest) {
                if record.seq > durable {
                    return Ok(End::Nothing);
                }
                let len = record.framed_len();
                self.take(record.kind, record.seq, record.payload, wanted, &mut read.entries);
                rest = &rest[len..];
                let done = (bytes.len() - rest.len()) as u64;
                self.file = Some((part, offset + done));
                if read.entries.len() >= entries_max {
                    return Ok(End::Full);
                }
            }
            let whole = bytes.len() as u64 == left;
            match (whole, rest.len() == bytes.len()) {
                (true, _) if rest.is_empty() => return Ok(End::Nothing),
                (true, _) => return Ok(End::Damaged),
                // Not even one record was in it.
                (false, true) if size > record::PAYLOAD_MAX + record::HEADER_LEN => return Ok(End::Damaged),
                (false, true) => size *= 2,
                (false, false) => {}
            }
        }
    }

    /// Takes a record. Those before the position only tell how series are called.
    fn take(
        &mut self,
        kind: u8,
        seq: u64,
        payload: &[u8],
        wanted: &mut dyn FnMut(Labels) -> Option<Labels>,
        entries: &mut Vec<LogEntry>,
    ) {
        let is_new = seq > self.position.record;
        match wal::decode(kind, payload) {
            Ok(Entry::Definitions(definitions)) => {
                let lane = definitions.lane;
                for (slot, labels) in definitions {
                    let labels = Labels::from_canonical_bytes(labels).and_then(&mut *wanted);
                    self.series.insert((lane, slot), labels);
                }
            }
            Ok(Entry::Samples(samples) | Entry::Late(samples)) if is_new => {
                let lane = samples.lane;
                for (slot, at, value) in samples {
                    if let Some(Some(labels)) = self.series.get(&(lane, slot)) {
                        entries.push(LogEntry::Sample(labels.clone(), Timestamp(at), value));
                    }
                }
            }
            Ok(Entry::Histograms(histograms) | Entry::LateHistograms(histograms)) if is_new => {
                for (labels, at, histogram) in histograms {
                    if let Some(labels) = wanted(labels) {
                        entries.push(LogEntry::Histogram(labels, Timestamp(at), histogram));
                    }
                }
            }
            Ok(Entry::Metadata(entry)) if is_new => {
                entries.push(LogEntry::Metadata(entry.name.to_owned(), entry.metadata));
            }
            _ => {}
        }
        self.position.record = self.position.record.max(seq);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use barograph_disk::MemoryDisk;

    use super::*;
    use crate::{Options, Row};

    const T: i64 = 1_700_000_000_000;

    fn options() -> Options {
        Options { segment_bytes: 200, ..Options::default() }
    }

    fn append(store: &Store, name: &str, at: i64, value: f64) {
        let labels = Labels::from_pairs([("__name__", name)]).unwrap();
        let rows = [Row { labels: labels.as_bytes(), at, value }];
        assert_eq!(store.append(&rows, Timestamp(at)).unwrap().stored, 1);
    }

    /// Names and values of all that can be read, a few at a time.
    fn drain(store: &Store, follower: &mut LogFollower) -> (Vec<(String, f64)>, u64) {
        let (mut found, mut lost) = (Vec::new(), 0);
        loop {
            let read = store.follow_log(follower, 3, &mut Some).unwrap();
            lost += read.lost;
            for entry in read.entries {
                if let LogEntry::Sample(labels, _, value) = entry {
                    found.push((labels.metric_name().unwrap().to_owned(), value));
                }
            }
            if read.caught_up {
                return (found, lost);
            }
        }
    }

    fn numbers(range: std::ops::Range<i64>) -> Vec<(String, f64)> {
        range.map(|n| (format!("m{}", n % 3), n as f64)).collect()
    }

    fn append_numbers(store: &Store, range: std::ops::Range<i64>) {
        for n in range {
            append(store, &format!("m{}", n % 3), T + n * 1000, n as f64);
            store.commit().unwrap();
        }
    }

    #[test]
    fn what_is_durable_is_read_in_order_and_once() {
        let disk = Arc::new(MemoryDisk::new());
        let (store, _) = Store::open(disk, options(), Timestamp(T)).unwrap();
        let mut follower = LogFollower::default();
        assert_eq!(drain(&store, &mut follower), (vec![], 0));
        append_numbers(&store, 0..20);
        assert_eq!(drain(&store, &mut follower), (numbers(0..20), 0));
        append(&store, "m2", T + 20_000, 20.0);
        assert_eq!(drain(&store, &mut follower), (vec![], 0), "it is not durable yet");
        store.commit().unwrap();
        append_numbers(&store, 21..23);
        assert_eq!(drain(&store, &mut follower), (numbers(20..23), 0));
        let mut from_the_end = LogFollower::at(store.log_end());
        append_numbers(&store, 23..30);
        assert_eq!(drain(&store, &mut from_the_end), (numbers(23..30), 0));
        assert_eq!(drain(&store, &mut follower), (numbers(23..30), 0));
    }

    #[test]
    fn a_position_outlives_a_restart_and_a_flush() {
        let disk = Arc::new(MemoryDisk::new());
        let (store, _) = Store::open(disk.clone(), options(), Timestamp(T)).unwrap();
        store.keep_log(Some(LogPosition::default()), u64::MAX).unwrap();
        let mut follower = LogFollower::default();
        append_numbers(&store, 0..10);
        assert_eq!(drain(&store, &mut follower).0, numbers(0..10));
        let position = follower.position();
        append_numbers(&store, 10..20);
        store.flush(Timestamp(T + 20_000)).unwrap();
        assert!(store.kept_log().0 > 0, "segments stay for who follows");
        drop(store);
        let (store, _) = Store::open(disk.clone(), options(), Timestamp(T)).unwrap();
        store.keep_log(Some(position), u64::MAX).unwrap();
        append_numbers(&store, 20..25);
        let mut follower = LogFollower::at(position);
        assert_eq!(drain(&store, &mut follower), (numbers(10..25), 0));
        store.keep_log(Some(follower.position()), u64::MAX).unwrap();
        store.flush(Timestamp(T + 25_000)).unwrap();
        append_numbers(&store, 25..26);
        assert_eq!(drain(&store, &mut follower), (numbers(25..26), 0));
        store.keep_log(None, u64::MAX).unwrap();
        assert_eq!(store.kept_log(), (0, 0));
    }

    #[test]
    fn what_is_over_the_limit_is_given_up_and_told() {
        let disk = Arc::new(MemoryDisk::new());
        let (store, _) = Store::open(disk, options(), Timestamp(T)).unwrap();
        let mut follower = LogFollower::default();
        append_numbers(&store, 0..3);
        assert_eq!(drain(&store, &mut follower).0, numbers(0..3));
        store.keep_log(Some(follower.position()), 300).unwrap();
        append_numbers(&store, 3..30);
        store.flush(Timestamp(T + 30_000)).unwrap();
        let (bytes, given_up) = store.kept_log();
        assert!(bytes <= 300 && given_up > 0, "{bytes} {given_up}");
        append_numbers(&store, 30..32);
        let (found, lost) = drain(&store, &mut follower);
        assert!(lost > 0 && found.len() < 29, "{lost} {found:?}");
        assert!(found.ends_with(&numbers(30..32)), "{found:?}");
    }

    #[test]
    fn series_that_nobody_wants_are_left_out() {
        let disk = Arc::new(MemoryDisk::new());
        let (store, _) = Store::open(disk, options(), Timestamp(T)).unwrap();
        append_numbers(&store, 0..3);
        let mut only =
            |labels: Labels| (labels.metric_name() == Some("m1")).then(|| labels.with("region", "north"));
        let read = store.follow_log(&mut LogFollower::default(), 100, &mut only).unwrap();
        let expected = Labels::from_pairs([("__name__", "m1"), ("region", "north")]).unwrap();
        assert_eq!(read.entries, [LogEntry::Sample(expected, Timestamp(T + 1000), 1.0)]);
    }
}
