//! What follows from looks at groups: notices for the outbox.
//!
//! Who has an incident is not reminded of it as time passes; whatever is new is told all the same.

use super::{Dispatcher, Flush};
use crate::{incident::Standing as OfIncident, notice::Notice};

impl Dispatcher {
    /// The notices of looks, of which each may be in an incident.
    pub fn notices(&mut self, flushes: &[Flush], incidents: &[Option<OfIncident>], now: i64) -> Vec<Notice> {
        let config = self.config.clone();
        let mut all = Vec::new();
        for (flush, incident) in flushes.iter().zip(incidents) {
            let channels =
                config.receivers.get(&flush.receiver).map_or(&[][..], |receiver| &receiver.channels);
            let hears = |index: usize| channels.get(index).is_some_and(|channel| channel.send_resolved);
            let id = incident.as_ref().map(|standing| standing.incident.as_str());
            let level = incident.as_ref().map_or(1, |standing| standing.level);
            let dedup_key = match incident {
                Some(standing) => standing.dedup_key(&flush.group_key, &flush.receiver),
                None => {
                    let text = format!("{}\0{}", flush.group_key, flush.receiver);
                    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
                }
            };
            for mut notice in flush.notices(hears, id, level, &dedup_key, 0) {
                // Who has it is not reminded.
                notice.reminder = self.repeats(&notice);
                if notice.reminder && incident.as_ref().is_some_and(|standing| standing.quiet) {
                    self.withheld(&notice, flush, now);
                    continue;
                }
                notice.seq = self.seq(&notice);
                all.push(notice);
            }
        }
        all
    }
}
