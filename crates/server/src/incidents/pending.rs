//! Changes of the book that are not durable yet.

use std::sync::MutexGuard;

use barograph_alert::{
    incident::{Book, Change, Page, Standing, document, notices},
    notice::Notice,
    routing::{Alert, Flush},
};
use barograph_state::Batch;

use super::{EARLY, INCIDENTS, Incidents, TIMELINE};
use crate::events::Bus;

/// Changes that hold the book until they are stored: undone if this goes before [`Pending::committed`].
#[must_use]
pub(crate) struct Pending<'i> {
    incidents: &'i Incidents,
    book: MutexGuard<'i, Book>,
    changes: Vec<Change>,
    notices: Vec<Notice>,
    now: i64,
}

impl<'i> Pending<'i> {
    pub(super) fn of(
        incidents: &'i Incidents,
        mut book: MutexGuard<'i, Book>,
        mut changes: Vec<Change>,
        now: i64,
    ) -> Self {
        let asks = changes.iter().any(|change| !change.pages.is_empty() || !change.acks.is_empty());
        let notices = match asks {
            true => notices(&mut book, &mut changes, &incidents.config(), &incidents.schedules(), now),
            false => Vec::new(),
        };
        Self { incidents, book, changes, notices, now }
    }

    /// What follows of one dispatch: for each flush how its incident stands, if it is in one.
    pub(crate) fn flushed(
        incidents: &'i Incidents,
        flushes: &[Flush],
        now: i64,
    ) -> (Self, Vec<Option<Standing>>) {
        let config = incidents.config();
        let (mut book, _) = incidents.book();
        let refused = book.refused();
        let (mut standings, mut changes) = (Vec::with_capacity(flushes.len()), Vec::new());
        for flush in flushes {
            let (standing, change) = book.flushed(flush, &config.policies, now);
            standings.push(standing);
            changes.extend(change);
        }
        incidents.0.instruments.refused.add(book.refused() - refused);
        (Self::of(incidents, book, changes, now), standings)
    }

    /// Puts it into a transaction.
    pub(crate) fn store(&self, batch: &mut Batch<'_>) -> Result<(), barograph_state::Error> {
        let mut cancelled = Vec::new();
        for change in &self.changes {
            if change.cancel {
                cancelled.push(change.incident.clone());
            }
            let Some(incident) = self.book.get(&change.incident) else { continue };
            if change.before.as_deref() == Some(incident) {
                continue;
            }
            batch.put(&INCIDENTS, &incident.id, incident)?;
            for row in &change.rows {
                batch.put(&TIMELINE, &(row.incident.clone(), row.seq), row)?;
            }
            // What it was acknowledged by before it was there counts for this incident now.
            if change.before.is_none() {
                for fingerprint in incident.members.keys() {
                    batch.remove(&EARLY, &fingerprint.0)?;
                }
            }
        }
        match self.incidents.0.queue.get() {
            Some(queue) if !self.notices.is_empty() || !cancelled.is_empty() => {
                queue.put(batch, &self.notices, &cancelled, self.now)
            }
            _ => Ok(()),
        }
    }

    /// The transaction is durable: all that it says is told.
    pub(crate) fn committed(mut self) -> Vec<Change> {
        let changes = std::mem::take(&mut self.changes);
        for change in changes.iter().filter(|change| change.before.is_none()) {
            let members = self.book.get(&change.incident).map(|incident| incident.members.keys().copied());
            let members: Vec<_> = members.into_iter().flatten().collect();
            members.into_iter().for_each(|fingerprint| drop(self.book.forget_early(fingerprint)));
        }
        let incidents = self.incidents;
        if let Some(queue) = incidents.0.queue.get() {
            queue.settled(true);
        }
        let documents: Vec<_> = changes
            .iter()
            .filter(|change| !change.rows.is_empty())
            .filter_map(|change| self.book.get(&change.incident).map(document::incident))
            .collect();
        incidents.0.instruments.changed(&changes);
        incidents.0.instruments.observe(&self.book);
        drop(self);
        for change in &changes {
            change.acks.iter().for_each(|ack| incidents.tell_ack(ack));
            change.pages.iter().for_each(|page| incidents.tell_page(page));
        }
        for document in documents {
            incidents.0.events.publish(Bus::Alerts, "incidents", "incident", &document);
        }
        changes
    }

    /// Stores it in a transaction of its own.
    pub(super) fn store_alone(self) -> Result<Vec<Change>, barograph_state::Error> {
        let nothing = |change: &Change| change.before.as_deref() == self.book.get(&change.incident);
        if self.changes.iter().all(nothing) {
            return Ok(self.committed());
        }
        self.incidents.0.state.write(|batch| self.store(batch))?;
        Ok(self.committed())
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        // After `committed` there is nothing that waits for being settled.
        if let Some(queue) = self.incidents.0.queue.get() {
            queue.settled(false);
        }
        self.book.undo(std::mem::take(&mut self.changes));
    }
}

impl Incidents {
    /// Tells that an alert fires, on the topic of what happened; of a threshold also the figure.
    pub(crate) fn tell_alert(&self, alert: &Alert, now: i64) {
        let told = document::SystemAlert::of(alert, now);
        self.0.events.publish(Bus::Alerts, "system_alert", "system_alert", &told);
        if let Some(figure) = document::MetricAlert::of(alert, &self.0.node, now) {
            self.0.events.publish(Bus::Alerts, "metric_alert", "metric_alert", &figure);
        }
    }

    pub(super) fn tell_ack(&self, ack: &barograph_alert::incident::Ack) {
        let document = document::AlertAck::from(ack);
        self.0.events.publish(Bus::Alerts, "alert_ack", "alert_ack", &document);
    }

    fn tell_page(&self, page: &Page) {
        let document = document::AlertEscalation::from(&page.escalation);
        self.0.events.publish(Bus::Alerts, "alert_escalation", "alert_escalation", &document);
    }
}
