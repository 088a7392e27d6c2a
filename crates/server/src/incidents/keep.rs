//! The task that asks the next level when it is due, and lets go what is too old.

use std::{sync::Arc, time::Duration};

use barograph_alert::incident::KEPT_MAX;
use tokio::sync::watch;

use super::{INCIDENTS, Incidents, Pending, TIMELINE};
use crate::{Engine, errors::chain, server::stopped};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);
/// What is too old goes so often, in rounds of [`EVERY`].
const PRUNE_ROUNDS: u64 = 600;
/// So many incidents go at once.
const PRUNE_MAX: usize = 200;

impl Incidents {
    /// Asks what is due now. Blocks on the disk.
    pub(crate) fn tick(&self) {
        let config = self.config();
        let (mut book, now) = self.book();
        let changes = book.tick(&config.policies, now);
        if changes.is_empty() {
            return;
        }
        if let Err(error) = Pending::of(self, book, changes, now).store_alone() {
            // The deadline stays, so the next look asks.
            self.0.instruments.not_stored.inc();
            tracing::error!(error = chain(&error), "an escalation cannot be stored; it is tried again");
        }
    }

    /// Lets go of the oldest that are over and too many, and of acknowledgements that no incident came for. Blocks on the disk.
    fn prune(&self) {
        let mut book = self.as_it_is();
        let kept = book.iter().count().saturating_sub(PRUNE_MAX).max(KEPT_MAX);
        let gone = book.prune(kept);
        let pruned = self.0.state.write(|batch| {
            for incident in &gone {
                batch.remove(&INCIDENTS, &incident.id)?;
                for seq in 1..=incident.rows {
                    batch.remove(&TIMELINE, &(incident.id.clone(), seq))?;
                }
            }
            Ok(())
        });
        if let Err(error) = pruned {
            tracing::warn!(error = chain(&error), "old incidents are not removed for now");
        }
        drop(book);
        self.prune_overrides();
    }
}

/// Looks until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    for round in 1u64.. {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        let incidents = engine.incidents.clone();
        let _ = tokio::task::spawn_blocking(move || {
            incidents.tick();
            if round % PRUNE_ROUNDS == 30 {
                incidents.prune();
            }
        })
        .await;
    }
}
