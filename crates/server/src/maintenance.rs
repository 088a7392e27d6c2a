//! Work that comes due: cutting blocks, deleting what is past its retention.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{Engine, errors::chain, server::stopped, storage::space_at};

/// How often it is looked whether late samples fill memory, and what room the disk has.
const EVERY: Duration = Duration::from_secs(15);

/// Maintains the store at its interval until told to stop, and before where late samples must not wait for it. Failures
/// are logged and counted, and tried again the next time.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let interval = engine.storage.aggregation_interval;
    let mut maintained = engine.clock.monotonic();
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => return,
            () = tokio::time::sleep(EVERY.min(interval)) => {}
        }
        let now = engine.clock.monotonic();
        let due = now - maintained >= interval;
        if due {
            maintained = now;
        }
        let work = engine.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = match due || work.store.needs_upkeep() {
                true => work.store.maintain(work.clock.now()).map(drop),
                false => Ok(()),
            };
            work.telemetry.storage.observe(&work.store.stats(), space_at(&work.data_dir));
            done
        })
        .await;
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                engine.telemetry.maintenance_failures.inc();
                tracing::error!(error = chain(&error), "maintenance failed; it is tried again");
            }
            Err(_) => {
                engine.telemetry.maintenance_failures.inc();
                tracing::error!("maintenance panicked; it is tried again");
            }
        }
    }
}
