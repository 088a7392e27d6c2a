//! What is found when the folder is opened.
//!
//! Each segment is known by its index, or walked from one record to the next where it has none: the one that was written
//! last, and any whose index is lost. What a crash left half written at the end is cut off. Records that are not what was
//! written between others that are, stay where they are, are passed over, and are told.

use std::sync::Arc;

use barograph_disk::{Disk, Error, TEMPORARY, file, record as frame};

use crate::{
    index::Index,
    log::{FOLDER, KIND},
    record,
    shelf::{Segment, index_of, path_of},
};

/// Bytes that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: String,
    /// Where they begin.
    pub offset: u64,
    /// How many there are.
    pub bytes: u64,
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segments.
    pub segments: usize,
    /// Spans in them.
    pub spans: u64,
    /// Bytes that a crash left at the end of segments, and that were cut off.
    pub torn_bytes: u64,
    /// Bytes within segments that are passed over.
    pub damage: Vec<Damage>,
}

/// What a walk through a segment found.
pub(crate) struct Walked {
    pub(crate) index: Index,
    pub(crate) damage: Vec<Damage>,
}

/// What goes on from what was found.
pub(crate) struct Recovered {
    /// The segments, in order.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// The number that the next one gets.
    pub(crate) next: u64,
    /// The number of the last record.
    pub(crate) last_seq: u64,
    /// What is told.
    pub(crate) recovery: Recovery,
}

/// Finds the segments of the folder.
pub(crate) fn recover(disk: &dyn Disk) -> Result<Recovered, Error> {
    disk.create_dir(FOLDER)?;
    let (mut numbers, mut indexes) = (Vec::new(), Vec::new());
    for entry in disk.list(FOLDER)? {
        if entry.name.ends_with(TEMPORARY) {
            disk.remove(&format!("{FOLDER}/{}", entry.name))?;
        } else if let Some(number) = number_of(&entry.name, ".spans") {
            numbers.push((number, entry.len));
        } else if let Some(number) = number_of(&entry.name, ".index") {
            indexes.push(number);
        }
    }
    numbers.sort_unstable();
    for number in indexes.iter().filter(|&&number| !numbers.iter().any(|other| other.0 == number)) {
        disk.remove(&index_of(*number))?;
    }
    let (mut recovery, mut segments, mut last_seq) = (Recovery::default(), Vec::new(), 0);
    for &(number, len) in &numbers {
        let known = match Index::load(disk, &index_of(number)) {
            Ok(index) if index.len <= len => Some(index),
            Ok(_) => None,
            Err(error) if error.is_not_found() || error.is_corrupt() => None,
            Err(error) => return Err(error),
        };
        let segment = match known {
            Some(index) => {
                last_seq = last_seq.max(index.last_seq);
                Segment::of(number, &index, index.len)
            }
            None => {
                let Some(index) = walk_and_cut(disk, number, len, &mut recovery)? else { continue };
                last_seq = last_seq.max(index.last_seq);
                let len = index.len;
                Segment::saved(disk, number, index, len)
            }
        };
        recovery.spans += segment.spans;
        segments.push(Arc::new(segment));
    }
    recovery.segments = segments.len();
    let next = numbers.last().map_or(1, |last| last.0 + 1);
    Ok(Recovered { segments, next, last_seq, recovery })
}

/// The records of a segment without an index, which ends after the last of them; `None` if there are none.
fn walk_and_cut(
    disk: &dyn Disk,
    number: u64,
    len: u64,
    recovery: &mut Recovery,
) -> Result<Option<Index>, Error> {
    let path = path_of(number);
    // A process that was killed may have left what only seems to be on the disk.
    disk.sync_file(&path)?;
    let walked = walk(disk, &path)?;
    if walked.index.records.is_empty() {
        if walked.damage.is_empty() {
            recovery.torn_bytes += len;
            disk.remove(&path)?;
        }
        recovery.damage.extend(walked.damage);
        return Ok(None);
    }
    recovery.damage.extend(walked.damage);
    if walked.index.len < len {
        recovery.torn_bytes += len - walked.index.len;
        disk.truncate(&path, walked.index.len)?;
    }
    Ok(Some(walked.index))
}

/// Reads a whole segment.
pub(crate) fn walk(disk: &dyn Disk, path: &str) -> Result<Walked, Error> {
    let bytes = disk.read_whole(path)?;
    let mut walked = Walked { index: Index::default(), damage: Vec::new() };
    // Records of a version that is not known are not guessed at; else the header has nothing that they do not have.
    let header = KIND.check_header(path, bytes.get(..file::HEADER_LEN).unwrap_or_default());
    if let Err(error @ Error::Version { .. }) = header {
        return Err(error);
    }
    let damaged = |from: usize, to: usize| Damage {
        path: path.to_owned(),
        offset: from as u64,
        bytes: (to - from) as u64,
    };
    let mut at = file::HEADER_LEN;
    let mut last_seq = None;
    while at < bytes.len() {
        let Some(found) = frame::read(&bytes[at..]) else {
            // The first record of a segment has any number.
            let Some(next) = next_record(&bytes, at + 1, last_seq) else { break };
            walked.damage.push(damaged(at, next));
            at = next;
            continue;
        };
        let end = at + found.framed_len();
        let in_order = last_seq.is_none_or(|last| found.seq > last);
        match record::read(found.kind, found.payload).filter(|_| in_order) {
            Some(payload) => {
                let place = (at as u64, u32::try_from(end - at).unwrap_or(u32::MAX));
                walked.index.add(found.seq, place, &payload.head, payload.keys());
                last_seq = Some(found.seq);
            }
            None => walked.damage.push(damaged(at, end)),
        }
        at = end;
    }
    Ok(walked)
}

fn next_record(bytes: &[u8], from: usize, last_seq: Option<u64>) -> Option<usize> {
    if let Some(last) = last_seq {
        return frame::find(bytes, from, last);
    }
    (from..bytes.len()).find(|&at| frame::read(&bytes[at..]).is_some())
}

pub(crate) fn number_of(name: &str, end: &str) -> Option<u64> {
    let digits = name.strip_suffix(end)?;
    (digits.len() == 16).then(|| digits.parse().ok())?
}
