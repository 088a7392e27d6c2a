//! Pages of incidents: queued with the change that they are about, and taken back, as are reminders, once somebody has the
//! incident or it is over.
//!
//! One that is just being sent is taken back like the others: if it does not get through, it is not tried again, and a crash
//! does not bring it back.

use barograph_alert::{delivery::Entry, notice::Notice};
use barograph_state::{Batch, Error as StateError};

use super::{Delivery, lock, outbox};
use crate::incidents::Queue;

/// What a transaction that is not durable yet puts and takes back.
#[derive(Debug, Default)]
pub(super) struct Staged {
    entries: Vec<Entry>,
    taken_back: Vec<u64>,
    at: i64,
}

/// What the log says of a page that was taken back.
const TAKEN_BACK: &str = "somebody has it";

impl Queue for std::sync::Arc<Delivery> {
    fn put(
        &self,
        batch: &mut Batch<'_>,
        notices: &[Notice],
        cancelled: &[String],
        at: i64,
    ) -> Result<(), StateError> {
        let gone = self.standing().machine.pick(|entry| entry.notice.asks_again(cancelled));
        let told = lock(&self.told).clone();
        for entry in &gone {
            outbox::taken_back(batch, entry, TAKEN_BACK, at)?;
            // What it says waits no more: once nobody has the incident, it may be decided anew.
            if let Some(told) = &told {
                told.dead(batch, &entry.notice, TAKEN_BACK, at)?;
            }
        }
        // Later pages have later times, and those of one moment follow each other.
        let numbered =
            notices.iter().zip(at.cast_unsigned()..).map(|(notice, seq)| Notice { seq, ..notice.clone() });
        let entries = Delivery::put(self, batch, numbered.collect(), at)?;
        *lock(&self.staged) = Staged { entries, taken_back: gone.iter().map(|entry| entry.id).collect(), at };
        Ok(())
    }

    fn settled(&self, durable: bool) {
        let Staged { entries, taken_back, at } = std::mem::take(&mut *lock(&self.staged));
        if !durable {
            return;
        }
        {
            let mut standing = self.standing();
            taken_back.into_iter().for_each(|id| standing.machine.take_back(id));
        }
        if !entries.is_empty() {
            self.admit(entries, at);
        }
    }
}
