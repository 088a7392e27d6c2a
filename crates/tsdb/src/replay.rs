//! The log back into the head and the catalog, after a restart.
//!
//! Lanes, slots and limits may be others than when the log was written, so the names by which a segment calls its series
//! are looked up anew. What was acknowledged is taken whatever the limits say now.

use std::collections::BTreeMap;

use barograph_disk::Disk;
use barograph_model::{Labels, Metadata};
use hashbrown::{HashTable, hash_table};

use crate::{
    Error, Recovery,
    guard::Guard,
    head::{Head, Place, hash_of},
    wal::{self, Entry},
};

/// Reads the log after the segment `covered` into the head and the catalog.
pub(crate) fn replay(
    disk: &dyn Disk,
    covered: u32,
    head: &Head,
    metrics: &mut BTreeMap<String, Metadata>,
    recovery: &mut Recovery,
) -> Result<wal::Found, Error> {
    let mut names = Names::default();
    let visit = |segment: u32, entry: Entry<'_>, recovery: &mut Recovery| {
        if names.segment != segment {
            names = Names { segment, ..Names::default() };
        }
        let mut last_at = None;
        match entry {
            Entry::Metadata(entry) => drop(metrics.insert(entry.name.to_owned(), entry.metadata)),
            Entry::Definitions(definitions) => {
                let lane = definitions.lane;
                for (slot, labels) in definitions {
                    if let Some(labels) = Labels::from_canonical_bytes(labels) {
                        names.set(lane, slot, head.place_of(labels));
                    }
                }
            }
            Entry::Samples(samples) => {
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
                    recovery.samples += u64::from(held.1.replay(place.slot, at, value));
                }
            }
        }
        last_at
    };
    Ok(wal::recover(disk, covered, recovery, visit)?)
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
