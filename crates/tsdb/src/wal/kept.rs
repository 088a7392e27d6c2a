//! Segments that blocks hold and that stay for those who follow the log.
//!
//! Their files have another name, so nothing that opens the store takes them for a part of what it has to bring back.
//! They are limited in bytes; where there are more, the oldest go and are counted.

use std::collections::BTreeMap;

use barograph_disk::{Disk, Error};

use super::{
    segment::{DIR, Part},
    writer::Segment,
};

/// What is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    segments: BTreeMap<u32, Segment>,
    /// The first segment that someone has not read; `None` if nobody follows.
    from: Option<u32>,
    bytes_max: u64,
    /// Segments that were let go before they were read.
    pub(super) given_up: u64,
    /// The last of them.
    pub(super) given_up_to: u32,
}

impl Kept {
    /// What an earlier process left behind. A folder that cannot be read has nothing.
    pub(super) fn find(disk: &dyn Disk) -> Self {
        let mut kept = Self::default();
        for entry in disk.list(DIR).unwrap_or_default() {
            if let Some(part) = Part::of_kept_name(&entry.name) {
                let segment = kept.segments.entry(part.segment).or_default();
                segment.parts.push(part.part);
                segment.bytes += disk.open(&part.kept_path()).map_or(0, |file| file.len());
            }
        }
        kept.segments.values_mut().for_each(|segment| segment.parts.sort_unstable());
        kept
    }

    pub(super) fn last_segment(&self) -> u32 {
        self.segments.last_key_value().map_or(0, |(number, _)| *number)
    }

    pub(super) fn set(&mut self, from: Option<u32>, bytes_max: u64) {
        (self.from, self.bytes_max) = (from, bytes_max);
    }

    /// Whether a segment is to be kept.
    pub(super) fn wants(&self, segment: u32) -> bool {
        self.from.is_some_and(|from| segment >= from)
    }

    /// Takes over the files of a segment.
    pub(super) fn take(&mut self, disk: &dyn Disk, number: u32, segment: &Segment) -> Result<(), Error> {
        // The newest part goes first: a part is read together with the ones before it.
        for &part in segment.parts.iter().rev() {
            let part = Part { segment: number, part };
            disk.rename(&part.path(), &part.kept_path())?;
        }
        self.segments.insert(number, segment.clone());
        Ok(())
    }

    /// Lets go of what was read, and of what is too much.
    pub(super) fn limit(&mut self, disk: &dyn Disk) -> Result<(), Error> {
        while let Some((&number, _)) = self.segments.first_key_value() {
            let wanted = self.wants(number);
            if wanted && self.bytes() <= self.bytes_max {
                break;
            }
            for &part in
                self.segments.get(&number).map(|segment| segment.parts.as_slice()).unwrap_or_default()
            {
                match disk.remove(&Part { segment: number, part }.kept_path()) {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
            }
            self.segments.remove(&number);
            if wanted {
                self.given_up += 1;
                self.given_up_to = number;
            }
        }
        Ok(())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// Numbers and parts of the segments from one on.
    pub(super) fn from(&self, segment: u32) -> impl Iterator<Item = (u32, &Vec<u32>)> {
        self.segments.range(segment..).map(|(number, segment)| (*number, &segment.parts))
    }
}
