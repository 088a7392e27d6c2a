//! Reloading when the file changes, for those who ask for it.
//!
//! The content counts, not its time. A change counts when two looks in a row saw the same, so that a file which is being
//! written is left alone; one that cannot be read for a moment is no change.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{Engine, server::stopped};

/// How often it is looked whether anybody asks for it now.
const IDLE: Duration = Duration::from_secs(5);

/// Looks until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let checksum = |engine: &Engine| engine.configured.current().sources.clone().and_then(|of| of.checksum());
    let mut looks = Looks { applied: checksum(&engine), seen: None };
    loop {
        let interval = engine.configured.current().reloading.auto_reload_interval;
        let wait = if interval.is_zero() { IDLE } else { interval };
        tokio::select! {
            () = stopped(&mut stopping) => return,
            () = tokio::time::sleep(wait) => {}
        }
        let work = engine.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || checksum(&work)).await else { continue };
        if looks.changed(now) && !interval.is_zero() {
            // What is wrong with it is told there.
            let _ = super::reload(&engine).await;
        }
    }
}

struct Looks {
    applied: Option<u64>,
    seen: Option<u64>,
}

impl Looks {
    fn changed(&mut self, now: Option<u64>) -> bool {
        let Some(now) = now else { return false };
        let settled = self.seen == Some(now);
        self.seen = Some(now);
        let changed = settled && self.applied != Some(now);
        if changed {
            self.applied = Some(now);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_when_it_is_seen_twice() {
        let mut looks = Looks { applied: Some(1), seen: None };
        let seen: Vec<bool> = [Some(1), Some(2), None, Some(2), Some(2), Some(3), Some(1), Some(1)]
            .map(|now| looks.changed(now))
            .into();
        assert_eq!(seen, [false, false, false, true, false, false, false, true]);
    }
}
