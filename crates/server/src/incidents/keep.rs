//! The task that asks the next level when it is due, and lets go what is too old.

use std::{sync::Arc, time::Duration};

use barograph_alert::{incident::KEPT_MAX, routing::Fingerprint};
use tokio::sync::watch;

use super::{EARLY, INCIDENTS, Incidents, Pending, TIMELINE};
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

    /// Lets go of the oldest that are over and too many, and of acknowledgements that no incident came for: `fires` says whether an
    /// alert fires since a time. Blocks on the disk.
    pub(super) fn prune(&self, fires: impl Fn(Fingerprint, i64) -> bool) {
        // Who else wants the book has it between one part and the next.
        while self.prune_some() == PRUNE_MAX {}
        self.prune_earlies(fires);
        self.prune_overrides();
    }

    /// How many went; none if that could not be stored.
    fn prune_some(&self) -> usize {
        let mut book = self.as_it_is();
        let gone = book.prune(KEPT_MAX, PRUNE_MAX);
        if gone.is_empty() {
            return 0;
        }
        let pruned = self.0.state.write(|batch| {
            for incident in &gone {
                batch.remove(&INCIDENTS, &incident.id)?;
                for seq in 1..=incident.rows {
                    batch.remove(&TIMELINE, &(incident.id.clone(), seq))?;
                }
            }
            Ok(())
        });
        match pruned {
            Ok(()) => gone.len(),
            Err(error) => {
                tracing::warn!(error = chain(&error), "old incidents are not removed for now");
                0
            }
        }
    }

    fn prune_earlies(&self, fires: impl Fn(Fingerprint, i64) -> bool) {
        let mut book = self.as_it_is();
        let stale = book.stale_earlies(fires);
        if stale.is_empty() {
            return;
        }
        let removed = self
            .0
            .state
            .write(|batch| stale.iter().try_for_each(|alert| batch.remove(&EARLY, &alert.0).map(drop)));
        match removed {
            Ok(()) => stale.into_iter().for_each(|alert| drop(book.forget_early(alert))),
            Err(error) => {
                tracing::warn!(error = chain(&error), "old acknowledgements are not removed for now");
            }
        }
    }
}

/// Looks until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    for round in 1u64.. {
        tokio::select! {
            () = stopped(&mut stopping) => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        let work = engine.clone();
        let _ = tokio::task::spawn_blocking(move || {
            work.incidents.tick();
            if round % PRUNE_ROUNDS == 30 {
                let now = work.clock.now().0;
                let since = |alert| work.alerting.firing(alert, now).map(|alert| alert.starts_at);
                work.incidents.prune(|alert, starts_at| since(alert) == Some(starts_at));
            }
        })
        .await;
    }
}
