//! Reading the log back after a restart.
//!
//! Damage at the end of the last file, with nothing valid behind it, is a write that a crash interrupted: it was never
//! acknowledged and is cut off. What lies behind the records that the next part of the same segment repeats, too.
//! Damage anywhere else is corruption: the file is copied aside, the valid records stay, and the loss is reported.

use std::collections::BTreeMap;

use barograph_disk::{
    Disk, Error,
    record::{self, Record},
};

use super::{
    payload::{self, Entry},
    segment::{DIR, HEADER_LEN, Part},
    writer::Segment,
};
use crate::recovery::{CORRUPT, Recovery};

/// What the log holds.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) segments: BTreeMap<u32, Segment>,
    /// The highest number a segment had; it must not come again.
    pub(crate) last_segment: u32,
    pub(crate) last_seq: u64,
}

/// Reads all segments after `covered` in order, and removes the others, which blocks hold. No segment up to `used` comes
/// again, though it may have no file. `visit` gets the segment and each entry, and answers the latest time of a sample
/// in it.
pub(crate) fn recover(
    disk: &dyn Disk,
    covered: u32,
    used: u32,
    report: &mut Recovery,
    mut visit: impl FnMut(u32, Entry<'_>, &mut Recovery) -> Option<i64>,
) -> Result<Found, Error> {
    let mut parts: Vec<Part> =
        disk.list(DIR)?.iter().filter_map(|entry| Part::of_name(&entry.name)).collect();
    parts.sort_unstable();
    for part in parts.extract_if(.., |part| part.segment <= covered) {
        disk.remove(&part.path())?;
    }
    // A process that was killed may have left records that only the page cache knows. From here on they count as
    // durable: a row that repeats one is acknowledged without being written again.
    parts.iter().try_for_each(|part| disk.sync_file(&part.path()))?;
    let last_segment = parts.last().map_or(used, |part| part.segment.max(used));
    let mut found = Found { last_segment, ..Found::default() };
    let starts = parts.iter().map(|part| begin(disk, *part)).collect::<Result<Vec<_>, _>>()?;
    for (number, part) in parts.iter().enumerate() {
        let after = &starts[number + 1..];
        let same_segment =
            parts[number + 1..].iter().zip(after).take_while(|(next, _)| next.segment == part.segment);
        let repeated_from = same_segment.map(|(_, begin)| begin).find_map(|begin| match begin {
            Begin::With(first_seq) => Some(*first_seq),
            Begin::Unused | Begin::Damaged => None,
        });
        let last = after.iter().all(|begin| matches!(begin, Begin::Unused));
        let bytes = disk.read_whole(&part.path())?;
        let file = File { part: *part, bytes: &bytes, repeated_from, last };
        read_file(disk, &file, &mut found, report, &mut visit)?;
    }
    Ok(found)
}

/// What the beginning of a file says.
enum Begin {
    /// It holds records from this one on.
    With(u64),
    /// It was created, and a crash or a fault came before anything in it was durable.
    Unused,
    /// It holds records, and no header.
    Damaged,
}

fn begin(disk: &dyn Disk, part: Part) -> Result<Begin, Error> {
    let file = disk.open(&part.path())?;
    let mut header = [0; HEADER_LEN];
    if file.len() >= HEADER_LEN as u64 {
        file.read_at(0, &mut header)?;
    }
    match part.check_header(&header) {
        Ok(first_seq) => Ok(Begin::With(first_seq)),
        Err(error @ Error::Version { .. }) => Err(error),
        Err(_) => {
            // Records come after the header is durable, so where there are some the header was damaged later.
            let bytes = disk.read_whole(&part.path())?;
            let first = bytes.get(HEADER_LEN..).and_then(record::read);
            Ok(if first.is_some() { Begin::Damaged } else { Begin::Unused })
        }
    }
}

struct File<'a> {
    part: Part,
    bytes: &'a [u8],
    /// The first record that the next part has again. From there on this file is not believed: some of its records may
    /// be valid by chance and others not, and the next part has them all.
    repeated_from: Option<u64>,
    /// Whether no file with anything in it follows.
    last: bool,
}

fn read_file(
    disk: &dyn Disk,
    file: &File<'_>,
    found: &mut Found,
    report: &mut Recovery,
    visit: &mut impl FnMut(u32, Entry<'_>, &mut Recovery) -> Option<i64>,
) -> Result<(), Error> {
    let path = file.part.path();
    let bytes = file.bytes;
    let mut last_seq = found.last_seq;
    let mut damaged = None;
    match file.part.check_header(bytes) {
        Ok(first_seq) => last_seq = first_seq.saturating_sub(1),
        Err(error @ Error::Version { .. }) => return Err(error),
        Err(_) => damaged = Some(0),
    }
    // Only parts of the same segment repeat each other's records.
    let same_segment = found.segments.contains_key(&file.part.segment);
    let mut segment_seq = if same_segment { found.last_seq } else { 0 };
    let mut valid = Vec::new();
    let mut offset = HEADER_LEN.min(bytes.len());
    let mut info = Segment { last_at: None, bytes: 0, parts: vec![file.part.part] };
    let mut torn = None;
    let repeated = |record: &Record<'_>| file.repeated_from.is_some_and(|first| record.seq >= first);
    while offset < bytes.len() {
        let record = record::read(&bytes[offset..]).filter(|record| record.seq > last_seq);
        let Some(record) = record else {
            let next = record::find(bytes, offset + 1, last_seq);
            let next = next.filter(|&at| !record::read(&bytes[at..]).is_some_and(|record| repeated(&record)));
            if let Some(next) = next {
                damaged = damaged.or(Some(offset));
                offset = next;
                continue;
            }
            torn = Some(offset);
            break;
        };
        if repeated(&record) {
            torn = Some(offset);
            break;
        }
        valid.push(offset..offset + record.framed_len());
        offset += record.framed_len();
        last_seq = record.seq;
        if record.seq > segment_seq {
            segment_seq = record.seq;
            match payload::decode(record.kind, record.payload) {
                Ok(entry) => info.last_at = info.last_at.max(visit(file.part.segment, entry, report)),
                Err(_) => damaged = damaged.or(Some(offset)),
            }
        }
    }
    found.last_seq = found.last_seq.max(segment_seq);
    // Everything up to what the next part repeats is there, or nothing of note follows: then the rest was never
    // acknowledged. It goes for good, or a later start might take it for something.
    let complete = file.last || file.repeated_from.is_some_and(|first| last_seq + 1 >= first);
    if valid.is_empty() && complete {
        report.torn_bytes += bytes.len() as u64;
        disk.remove(&path)?;
        return Ok(());
    }
    match torn {
        Some(offset) if complete => {
            report.torn_bytes += (bytes.len() - offset) as u64;
            disk.truncate(&path, offset as u64)?;
        }
        Some(offset) => damaged = damaged.or(Some(offset)),
        None => {}
    }
    if let Some(offset) = damaged {
        disk.write_whole(&format!("{path}{CORRUPT}"), bytes)?;
        let first_seq =
            valid.first().and_then(|range| record::read(&bytes[range.clone()])).map_or(0, |r| r.seq);
        let mut clean = file.part.header(first_seq);
        valid.iter().for_each(|range| clean.extend_from_slice(&bytes[range.clone()]));
        disk.write_whole(&path, &clean)?;
        report.set_aside(
            &path,
            format!("corrupt {} at byte {offset}", if offset == 0 { "header" } else { "record" }),
        );
    }
    info.bytes = (HEADER_LEN + valid.iter().map(|range| range.len()).sum::<usize>()) as u64;
    report.wal_bytes += info.bytes;
    let merged = found.segments.entry(file.part.segment).or_default();
    merged.last_at = merged.last_at.max(info.last_at);
    merged.bytes += info.bytes;
    merged.parts.extend(info.parts);
    Ok(())
}
