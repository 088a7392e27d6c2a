//! What of delivery survives a restart: notices that wait, those that were given up, and the log of all.
//!
//! A notice is in the outbox from the transaction in which it was decided to that in which it is noted as sent. Whatever lies
//! between, a crash included, leaves it there, so it is sent again: at least once, and under the same key.

use barograph_alert::{
    delivery::{Attempt, Entry, Outcome},
    notice::{ALERTS_MAX, Notice, Reason},
};
use barograph_state::{Batch, Error as StateError, State, Table};
use serde::{Deserialize, Serialize};

/// Notices that wait, by id.
const OUTBOX: Table<u64, Entry> = Table::new("outbox");
/// Notices that were given up and can be sent again, by id.
const DEAD: Table<u64, Entry> = Table::new("outbox_dead");
/// What became of notices, by id.
const LOG: Table<u64, Record> = Table::new("deliveries");

/// Records that are kept of notices that are done.
pub(super) const RECORDS_MAX: usize = 10_000;
/// Notices that were given up and are kept.
pub(super) const DEAD_MAX: usize = 1_000;
/// Bytes that a notice takes at most in the outbox; alerts beyond are counted only.
const NOTICE_BYTES_MAX: usize = 768 << 10;

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fate {
    /// It was not tried yet.
    Queued,
    /// It was tried, and will be again.
    Retrying,
    /// It was sent.
    Sent,
    /// It was given up.
    Dead,
    /// It went into another.
    Coalesced,
}

/// A line of the log of deliveries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) receiver: String,
    pub(crate) integration: usize,
    pub(crate) channel: String,
    pub(crate) group_key: String,
    pub(crate) incident: Option<String>,
    pub(crate) reason: Reason,
    pub(crate) seq: u64,
    pub(crate) level: u32,
    pub(crate) alerts: usize,
    pub(crate) fate: Fate,
    pub(crate) queued_at: i64,
    pub(crate) settled_at: Option<i64>,
    pub(crate) why: Option<String>,
    pub(crate) attempts: Vec<Attempt>,
}

impl Record {
    /// The line of a notice.
    pub(super) fn of(entry: &Entry, fate: Fate) -> Self {
        let notice = &entry.notice;
        Self {
            id: entry.id,
            receiver: notice.receiver.clone(),
            integration: notice.integration,
            channel: entry.channel.clone(),
            group_key: notice.group_key.clone(),
            incident: notice.incident.clone(),
            reason: notice.reason,
            seq: notice.seq,
            level: notice.level,
            alerts: notice.alerts.len() + notice.truncated,
            fate,
            queued_at: entry.queued_at,
            settled_at: None,
            why: None,
            attempts: entry.attempts.clone(),
        }
    }

    fn settled(entry: &Entry, fate: Fate, why: Option<&str>, at: i64) -> Self {
        Self { settled_at: Some(at), why: why.map(str::to_owned), ..Self::of(entry, fate) }
    }
}

/// What was kept: notices that wait, in their order, and the number of the next.
pub(super) fn load(state: &State) -> Result<(Vec<Entry>, u64), StateError> {
    state.read(|view| {
        let waiting: Vec<Entry> = view.all(&OUTBOX)?.into_iter().map(|(_, entry)| entry).collect();
        let last = |found: Vec<(u64, Record)>| found.last().map_or(0, |(id, _)| *id);
        let logged = last(view.range(&LOG, 0..u64::MAX, 1)?);
        let next = waiting.iter().map(|entry| entry.id).max().unwrap_or(0).max(logged) + 1;
        Ok((waiting, next))
    })
}

/// Puts a notice into the outbox, as part of the transaction in which it was decided.
pub(super) fn put(batch: &mut Batch<'_>, entry: &Entry) -> Result<(), StateError> {
    batch.put(&OUTBOX, &entry.id, entry)
}

/// Notes of notices when they would have been queued by the clock as it is now.
pub(super) fn aged(batch: &mut Batch<'_>, waiting: &[Entry]) -> Result<(), StateError> {
    for Entry { id, queued_at, .. } in waiting {
        // It may have been settled since.
        if let Some(kept) = batch.get(&OUTBOX, id)? {
            batch.put(&OUTBOX, id, &Entry { queued_at: *queued_at, ..kept })?;
        }
    }
    Ok(())
}

/// Leaves out of a notice what would be too much to be kept.
pub(super) fn bounded(mut notice: Notice) -> Notice {
    let cut = |notice: &mut Notice, most: usize| {
        notice.truncated += notice.alerts.len().saturating_sub(most);
        notice.alerts.truncate(most);
    };
    cut(&mut notice, ALERTS_MAX);
    let bytes = |notice: &Notice| {
        let of = |labels: &barograph_alert::routing::LabelSet| -> usize {
            // Each byte may take six once it is escaped.
            labels.iter().map(|(name, value)| 6 * (name.len() + value.len()) + 8).sum()
        };
        let evidence = |alert: &barograph_alert::routing::Alert| {
            let cause = alert.cause.as_ref().and_then(|cause| cause.evidence.as_ref());
            cause.map_or(0, |evidence| evidence.to_string().len())
        };
        let each = |alert: &barograph_alert::routing::Alert| {
            of(&alert.labels) + of(&alert.annotations) + 6 * alert.generator_url.len() + evidence(alert) + 400
        };
        notice.alerts.iter().map(each).collect::<Vec<_>>()
    };
    let mut left = NOTICE_BYTES_MAX;
    let fits = bytes(&notice).into_iter().take_while(|size| {
        let fits = *size <= left;
        left = left.saturating_sub(*size);
        fits
    });
    let fits = fits.count();
    cut(&mut notice, fits);
    notice
}

/// Notes what came of tries, all in one transaction.
pub(super) fn settle(
    batch: &mut Batch<'_>,
    entry: &Entry,
    outcome: &Outcome,
    at: i64,
) -> Result<(), StateError> {
    match outcome {
        // It may have been taken back since, or the clock set.
        Outcome::Again(_) => {
            if let Some(Entry { queued_at, .. }) = batch.get(&OUTBOX, &entry.id)? {
                batch.put(&OUTBOX, &entry.id, &Entry { queued_at, ..entry.clone() })?;
            }
        }
        Outcome::Sent => {
            batch.remove(&OUTBOX, &entry.id)?;
            batch.put(&LOG, &entry.id, &Record::settled(entry, Fate::Sent, None, at))?;
        }
        Outcome::Dead(why) => {
            batch.remove(&OUTBOX, &entry.id)?;
            batch.put(&DEAD, &entry.id, entry)?;
            batch.put(&LOG, &entry.id, &Record::settled(entry, Fate::Dead, Some(why), at))?;
        }
    }
    Ok(())
}

/// Notes that a notice went into another. Of a row of notices each of which went into the next, as while nobody answers, the log
/// keeps the last, which has all that they said and all their tries.
pub(super) fn merged(batch: &mut Batch<'_>, gone: u64, into: &Entry, at: i64) -> Result<(), StateError> {
    if let Some(entry) = batch.get(&OUTBOX, &gone)? {
        batch.remove(&OUTBOX, &gone)?;
        for earlier in &entry.absorbed {
            batch.remove(&LOG, earlier)?;
        }
        let why = format!("there was more to tell before it was sent; it is told with {}", into.id);
        batch.put(&LOG, &gone, &Record::settled(&entry, Fate::Coalesced, Some(&why), at))?;
    }
    // It may have been sent since.
    if batch.get(&OUTBOX, &into.id)?.is_some() { batch.put(&OUTBOX, &into.id, into) } else { Ok(()) }
}

/// Notes that a notice is not to be sent any more.
pub(super) fn taken_back(batch: &mut Batch<'_>, entry: &Entry, why: &str, at: i64) -> Result<(), StateError> {
    batch.remove(&OUTBOX, &entry.id)?;
    batch.put(&LOG, &entry.id, &Record::settled(entry, Fate::Dead, Some(why), at))
}

/// Takes a notice that was given up out again, to be sent anew.
pub(super) fn revive(batch: &mut Batch<'_>, id: u64, at: i64) -> Result<Option<Entry>, StateError> {
    let Some(mut entry) = batch.get(&DEAD, &id)? else { return Ok(None) };
    entry.queued_at = at;
    let span = entry.notice.deadline.saturating_sub(entry.notice.at).max(1_000);
    entry.notice.deadline = at.saturating_add(span);
    batch.remove(&DEAD, &id)?;
    batch.remove(&LOG, &id)?;
    batch.put(&OUTBOX, &id, &entry)?;
    Ok(Some(entry))
}

/// Lets the oldest of too many go.
pub(super) fn prune(batch: &mut Batch<'_>) -> Result<(), StateError> {
    let keys = batch.keys(&LOG)?;
    for key in keys.iter().take(keys.len().saturating_sub(RECORDS_MAX)) {
        batch.remove(&LOG, key)?;
    }
    let keys = batch.keys(&DEAD)?;
    for key in keys.iter().take(keys.len().saturating_sub(DEAD_MAX)) {
        batch.remove(&DEAD, key)?;
    }
    Ok(())
}

/// The newest records, oldest first.
pub(super) fn records(state: &State, limit: usize) -> Result<Vec<Record>, StateError> {
    let found = state.read(|view| view.range(&LOG, 0..u64::MAX, limit))?;
    Ok(found.into_iter().map(|(_, record)| record).collect())
}
