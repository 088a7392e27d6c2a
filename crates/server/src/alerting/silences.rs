//! Silences and windows of maintenance: made, changed and ended, and kept before anybody is told that they are.

use std::{collections::BTreeMap, fmt::Write};

use barograph_alert::routing::{
    KeptMaintenance, MAINTENANCE_MAX, Maintenance, Silence, SilenceError, Silences,
};
use barograph_model::Timestamp;
use barograph_state::{Error as StateError, Event};
use ring::rand::{SecureRandom, SystemRandom};

use super::{
    Alerting,
    kept::{MAINTENANCE, SILENCE_HISTORY, SILENCES},
    lock,
};
use crate::errors::chain;

/// Why something is not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// What was asked for is wrong.
    Invalid(String),
    /// There is none.
    Missing(String),
    /// It cannot be kept now.
    Unkept(String),
}

impl From<SilenceError> for Refusal {
    fn from(error: SilenceError) -> Self {
        match error {
            SilenceError::Unknown(_) => Self::Missing(error.to_string()),
            _ => Self::Invalid(error.to_string()),
        }
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::Unkept(chain(&error))
    }
}

impl Alerting {
    /// All silences that are kept.
    pub(crate) fn silences(&self) -> Vec<Silence> {
        self.standing().mutes.silences.all().cloned().collect()
    }

    /// One of them.
    pub(crate) fn silence(&self, id: &str) -> Option<Silence> {
        self.standing().mutes.silences.one(id).cloned()
    }

    /// Makes or changes a silence; its id. Blocks on the disk.
    pub(crate) fn set_silence(&self, silence: Silence, now: Timestamp) -> Result<String, Refusal> {
        let now = now.millis();
        let _turn = lock(&self.writing);
        let before = self.standing().mutes.silences.clone();
        let (id, changed) = self.standing().mutes.silences.set(silence, new_id(), now)?;
        self.keep_silences(&changed, now).inspect_err(|_| self.standing().mutes.silences.undo(before))?;
        self.wake.notify_one();
        Ok(id)
    }

    /// Ends a silence; one that is over already stays as it is. Blocks on the disk.
    pub(crate) fn expire_silence(&self, id: &str, now: Timestamp) -> Result<(), Refusal> {
        let now = now.millis();
        let _turn = lock(&self.writing);
        let before = self.standing().mutes.silences.clone();
        let ended = match self.standing().mutes.silences.expire(id, now) {
            Err(SilenceError::Expired(_)) => return Ok(()),
            ended => ended?,
        };
        self.keep_silences(&[ended], now).inspect_err(|_| self.standing().mutes.silences.undo(before))?;
        Ok(())
    }

    fn keep_silences(&self, changed: &[Silence], now: i64) -> Result<(), StateError> {
        let written = self.state.write(|batch| {
            for silence in changed {
                batch.put(&SILENCES, &silence.id, silence)?;
                let event = Event { subject: silence.id.clone(), at: now, value: silence.clone() };
                SILENCE_HISTORY.push(batch, &event)?;
            }
            Ok(())
        });
        written.inspect_err(|_| self.instruments.unkept.inc())
    }

    /// The forms a silence had, the oldest first.
    pub(crate) fn silence_history(&self, id: &str) -> Result<Vec<Silence>, Refusal> {
        let events = self.state.read(|view| SILENCE_HISTORY.of(view, id, i64::MIN..i64::MAX, 100))?;
        Ok(events.into_iter().map(|event| event.value).collect())
    }

    /// What mutes alerts and is known now: silences, those that are over among them, and windows of maintenance.
    pub(crate) fn known_mutes(&self) -> (Silences, BTreeMap<String, Maintenance>) {
        let standing = self.standing();
        (standing.mutes.silences.clone(), standing.mutes.maintenance.clone())
    }

    /// Windows of maintenance.
    pub(crate) fn maintenance(&self) -> Vec<Maintenance> {
        self.standing().mutes.maintenance.values().cloned().collect()
    }

    /// Makes a window, or changes the one of its id; as it is now. Blocks on the disk.
    pub(crate) fn set_maintenance(
        &self,
        mut wanted: KeptMaintenance,
        now: Timestamp,
    ) -> Result<Maintenance, Refusal> {
        let _turn = lock(&self.writing);
        let known = self.standing().mutes.maintenance.contains_key(&wanted.id);
        if !wanted.id.is_empty() && !known {
            return Err(Refusal::Missing(format!("there is no window of maintenance {}", wanted.id)));
        }
        if !known && self.standing().mutes.maintenance.len() >= MAINTENANCE_MAX {
            let text = format!("there are {MAINTENANCE_MAX} windows of maintenance already; delete some");
            return Err(Refusal::Invalid(text));
        }
        if wanted.id.is_empty() {
            wanted.id = new_id();
        }
        let window: Maintenance = wanted.try_into().map_err(Refusal::Invalid)?;
        if window.over(now.millis()) {
            return Err(Refusal::Invalid("the window is over already".to_owned()));
        }
        self.state.write(|batch| batch.put(&MAINTENANCE, &window.id, &window))?;
        self.standing().mutes.maintenance.insert(window.id.clone(), window.clone());
        self.wake.notify_one();
        Ok(window)
    }

    /// Deletes a window. Blocks on the disk.
    pub(crate) fn delete_maintenance(&self, id: &str) -> Result<(), Refusal> {
        let _turn = lock(&self.writing);
        if !self.standing().mutes.maintenance.contains_key(id) {
            return Err(Refusal::Missing(format!("there is no window of maintenance {id}")));
        }
        self.state.write(|batch| batch.remove(&MAINTENANCE, &id.to_owned()))?;
        self.standing().mutes.maintenance.remove(id);
        Ok(())
    }
}

/// An id that nobody can guess and nobody else has: a UUID of version 4.
fn new_id() -> String {
    let mut bytes = [0u8; 16];
    // A system without random numbers gives ids of zeros, which collide and are refused nowhere; none is known to do so.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut id = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            id.push('-');
        }
        let _ = write!(id, "{byte:02x}");
    }
    id
}
