//! The log back into the head and the catalog, after a restart.
//!
//! Lanes, slots and limits may be others than when the log was written, so the names by which a segment calls its series
//! are looked up anew. What was acknowledged is taken whatever the limits say now.

use barograph_disk::Disk;
use barograph_model::Labels;
use hashbrown::{HashTable, hash_table};

use crate::{
    Error, Recovery,
    catalog::Saved,
    guard::Guard,
    head::{Head, Lane, Place, hash_of},
    histograms,
    wal::{self, Entry, Samples},
};

/// What of the log is in blocks.
#[derive(Clone, Copy)]
pub(crate) struct Covered {
    /// Everything up to this segment.
    pub(crate) all: u32,
    /// Late samples up to this one.
    pub(crate) late: u32,
}

/// Reads what of the log is in no block into the head and the catalog.
pub(crate) fn replay(
    disk: &dyn Disk,
    covered: Covered,
    head: &Head,
    histograms: &histograms::Head,
    saved: &mut Saved,
    recovery: &mut Recovery,
) -> Result<wal::Found, Error> {
    let mut names = Names::default();
    let visit = |segment: u32, entry: Entry<'_>, recovery: &mut Recovery| {
        if names.segment != segment {
            names = Names { segment, ..Names::default() };
        }
        let mut last_at = None;
        match entry {
            Entry::Metadata(entry) if segment > saved.covered => {
                saved.metrics.insert(entry.name.to_owned(), entry.metadata);
                saved.outdated = true;
            }
            Entry::Metadata(_) => {}
            Entry::Histograms(entries) => {
                let floor = head.floor();
                for (labels, at, histogram) in entries {
                    last_at = last_at.max(Some(at));
                    if at >= floor {
                        recovery.histograms += u64::from(histograms.replay(labels, at, &histogram));
                    }
                }
            }
            Entry::LateHistograms(entries) => {
                for (labels, at, histogram) in entries {
                    last_at = last_at.max(Some(at));
                    recovery.histograms += u64::from(histograms.replay_late(labels, at, &histogram));
                }
            }
            Entry::Definitions(definitions) => {
                let lane = definitions.lane;
                for (slot, labels) in definitions {
                    if let Some(labels) = Labels::from_canonical_bytes(labels) {
                        names.set(lane, slot, head.place_of(labels));
                    }
                }
            }
            Entry::Samples(samples) => {
                last_at = take(head, &names, samples, recovery, Lane::replay);
            }
            Entry::Late(samples) if segment <= covered.late => {
                last_at = samples.map(|(_, at, _)| at).max();
            }
            Entry::Late(samples) => {
                last_at = take(head, &names, samples, recovery, Lane::replay_late);
            }
        }
        last_at
    };
    let mut found = wal::recover(disk, covered.all, covered.all.max(covered.late), recovery, visit)?;
    // No new segment may have a number of which the catalog would not believe anything.
    found.last_segment = found.last_segment.max(saved.covered);
    Ok(found)
}

/// Takes the samples of a record by `replay`; the latest time of one.
fn take(
    head: &Head,
    names: &Names,
    samples: Samples<'_>,
    recovery: &mut Recovery,
    replay: impl Fn(&mut Lane, u32, i64, f64) -> bool,
) -> Option<i64> {
    let mut last_at = None;
    let lane = samples.lane;
    // Nearly always all series of a record are in one lane.
    let mut held = (0, head.lane(0));
    for (slot, at, value) in samples {
        last_at = last_at.max(Some(at));
        let Some(place) = names.find(lane, slot) else {
            recovery.orphans += 1;
            continue;
        };
        if held.0 != place.lane {
            drop(held);
            held = (place.lane, head.lane(place.lane));
        }
        recovery.samples += u64::from(replay(&mut held.1, place.slot, at, value));
    }
    last_at
}

/// The series of a segment by the names it has for them.
#[derive(Default)]
struct Names {
    segment: u32,
    places: HashTable<Name>,
}

struct Name {
    lane: u64,
    slot: u64,
    place: Place,
}

impl Names {
    fn find(&self, lane: u64, slot: u64) -> Option<Place> {
        let same = |name: &Name| (name.lane, name.slot) == (lane, slot);
        self.places.find(Self::hash(lane, slot), same).map(|name| name.place)
    }

    fn set(&mut self, lane: u64, slot: u64, place: Place) {
        let same = |name: &Name| (name.lane, name.slot) == (lane, slot);
        let rehash = |name: &Name| Self::hash(name.lane, name.slot);
        match self.places.entry(Self::hash(lane, slot), same, rehash) {
            hash_table::Entry::Occupied(mut known) => known.get_mut().place = place,
            hash_table::Entry::Vacant(vacant) => drop(vacant.insert(Name { lane, slot, place })),
        }
    }

    fn hash(lane: u64, slot: u64) -> u64 {
        (slot << 6 | lane & 63).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Head {
    /// The place of a series that was acknowledged before a restart, whatever the limit says.
    pub(crate) fn place_of(&self, labels: Labels) -> Place {
        self.find_or_insert(labels, |guard, labels| {
            guard.count(labels);
            true
        })
        .expect("the series is let in")
    }

    /// The place of a series that a block holds, if there is room for it.
    pub(crate) fn place_with_room(&self, labels: Labels) -> Option<Place> {
        self.find_or_insert(labels, |guard, labels| guard.admit_known(labels).is_ok())
    }

    fn find_or_insert(&self, labels: Labels, let_in: impl FnOnce(&Guard, &Labels) -> bool) -> Option<Place> {
        let hash = hash_of(labels.as_bytes());
        let number = self.lane_of(hash);
        let mut lane = self.lane(number);
        let slot = match lane.find(hash, labels.as_bytes()) {
            Some(slot) => slot,
            None if let_in(&self.guard, &labels) => lane.insert(hash, labels),
            None => return None,
        };
        Some(Place { lane: number, slot })
    }
}
