//! What became of notices, noted in the notification log.

use barograph_alert::notice::Notice;
use barograph_state::{Batch, Error as StateError};

use super::{Alerting, Standing, kept::LOG};
use crate::delivery::Told;

impl Told for Alerting {
    fn sent(&self, batch: &mut Batch<'_>, notice: &Notice, at: i64) -> Result<(), StateError> {
        self.noted(batch, |standing| standing.dispatcher.sent_notice(notice, at))
    }

    fn dead(&self, batch: &mut Batch<'_>, notice: &Notice, _: &str, _: i64) -> Result<(), StateError> {
        self.noted(batch, |standing| standing.dispatcher.given_up(notice))
    }
}

impl Alerting {
    fn noted(&self, batch: &mut Batch<'_>, note: impl FnOnce(&mut Standing)) -> Result<(), StateError> {
        let changes = {
            let mut standing = self.standing();
            note(&mut standing);
            standing.dispatcher.log().changes()
        };
        for (key, entry) in &changes {
            match entry {
                Some(entry) => batch.put(&LOG, key, entry)?,
                None => drop(batch.remove(&LOG, key)?),
            }
        }
        Ok(())
    }
}
