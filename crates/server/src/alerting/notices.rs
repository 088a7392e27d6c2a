//! What follows from looks at groups: notices for the outbox, and what became of them.
//!
//! Notices are put into the outbox in the transaction of the look. What queues them is connected once ([`Alerting::connect`]);
//! it gives back what is to be done once that transaction is durable.

use barograph_alert::{incident::Standing as OfIncident, notice::Notice, routing::Flush};
use barograph_state::{Batch, Error as StateError};

use super::{Alerting, Standing, kept::LOG};

/// What is to be done once a transaction is durable.
pub(crate) type Afterwards = Box<dyn FnOnce() + Send>;

/// Puts notices into the outbox, decided at a time, as part of a transaction.
pub(crate) type Outbox =
    dyn Fn(&mut Batch<'_>, Vec<Notice>, i64) -> Result<Afterwards, StateError> + Send + Sync;

impl Alerting {
    /// From now on notices are queued.
    #[expect(dead_code, reason = "the delivery of notices connects itself")]
    pub(crate) fn connect(&self, outbox: Box<Outbox>) {
        let _ = self.outbox.set(outbox);
    }

    /// A notice was sent: it is known from now on what its receiver was told.
    ///
    /// # Errors
    /// As those of the batch.
    #[expect(dead_code, reason = "the delivery of notices connects itself")]
    pub(crate) fn notice_sent(
        &self,
        batch: &mut Batch<'_>,
        notice: &Notice,
        at: i64,
    ) -> Result<(), StateError> {
        let mut standing = self.standing();
        standing.dispatcher.sent_notice(notice, at);
        standing.keep_log(batch)
    }

    /// A notice was given up: the next look at its group decides anew.
    ///
    /// # Errors
    /// As those of the batch.
    #[expect(dead_code, reason = "the delivery of notices connects itself")]
    pub(crate) fn notice_dead(&self, batch: &mut Batch<'_>, notice: &Notice) -> Result<(), StateError> {
        let mut standing = self.standing();
        standing.dispatcher.dropped(&notice.group_key, &notice.receiver, notice.integration);
        standing.keep_log(batch)
    }
}

impl Standing {
    /// The notices of looks, of which each may be in an incident.
    pub(super) fn notices(
        &mut self,
        flushes: &[Flush],
        incidents: &[Option<OfIncident>],
        now: i64,
    ) -> Vec<Notice> {
        let config = self.setup.config.clone();
        let mut all = Vec::new();
        for (flush, incident) in flushes.iter().zip(incidents) {
            let channels =
                config.receivers.get(&flush.receiver).map_or(&[][..], |receiver| &receiver.channels);
            let hears = |index: usize| channels.get(index).is_some_and(|channel| channel.send_resolved);
            let id = incident.as_ref().map(|standing| standing.incident.as_str());
            let level = incident.as_ref().map_or(1, |standing| standing.level);
            let dedup_key = match incident {
                Some(standing) => standing.dedup_key(&flush.group_key, &flush.receiver),
                None => format!("{}:{}", flush.group_key, flush.receiver),
            };
            for mut notice in flush.notices(hears, id, level, &dedup_key, 0) {
                // Who has it is not reminded.
                if incident.as_ref().is_some_and(|standing| standing.quiet)
                    && self.dispatcher.repeats(&notice)
                {
                    self.dispatcher.sent_notice(&notice, now);
                    continue;
                }
                notice.seq = self.dispatcher.seq(&notice);
                all.push(notice);
            }
        }
        all
    }

    /// Writes what changed in the notification log.
    pub(super) fn keep_log(&mut self, batch: &mut Batch<'_>) -> Result<(), StateError> {
        for (key, entry) in self.dispatcher.log().changes() {
            match entry {
                Some(entry) => batch.put(&LOG, &key, &entry)?,
                None => drop(batch.remove(&LOG, &key)?),
            }
        }
        Ok(())
    }
}
