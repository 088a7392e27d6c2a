//! Work that comes due: cutting blocks, deleting what is past its retention.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{Engine, errors::chain, server::stopped, storage::space_at};

/// How often the store is asked whether something is due.
const EVERY: Duration = Duration::from_secs(15);

/// Maintains the store until told to stop. Failures are logged and counted, and tried again the next time.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopped(&mut stopping) => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let work = engine.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = work.store.maintain(work.clock.now());
            work.telemetry.storage.observe(&work.store.stats(), space_at(&work.data_dir));
            done
        })
        .await;
        match done {
            Ok(Ok(_)) => {}
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
