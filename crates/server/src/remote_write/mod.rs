//! What is stored, sent on to others by remote write.
//!
//! ```text
//! log of the store ──► endpoint (reads, relabels) ──► shards (by series) ──► requests
//!        ▲                        │ what is settled
//!        └── keeps segments ◄── positions ──► state
//! ```
//!
//! Each endpoint follows the log from a position that is stored, so a restart or a kill loses nothing: what was not known
//! to be sent is sent again, which does no harm. The log keeps its segments until every endpoint has passed them, within
//! `storage.wal_kept`; what is given up beyond that is counted and logged. A shard sends one request after the other, so
//! the samples of a series arrive in order. What cannot be sent now is tried again; what the other side refuses for good is
//! counted.

mod batch;
mod beside;
mod endpoint;
mod instruments;
mod positions;
mod shard;
mod sharding;

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};

use crate::{Engine, config::RemoteWriteConfig, errors::chain};
pub(crate) use instruments::Instruments;
pub(crate) use positions::Positions;

/// Finds where each endpoint stands, and has the log keep what they have not read. Before anything else drives the store.
pub(crate) async fn prepare(
    engine: &Arc<Engine>,
    configs: &[RemoteWriteConfig],
    kept: u64,
) -> Arc<Positions> {
    let names = configs.iter().map(|config| config.name.clone()).collect();
    let (state, store) = (engine.state.clone(), engine.store.clone());
    let found = tokio::task::spawn_blocking(move || {
        let positions = Positions::load(names, &state, &store, kept);
        // Where one begins that is new: a kill before it is kept would lose what came meanwhile.
        if let Err(error) = positions.keep(&state, &store) {
            tracing::warn!(error, "positions of remote write are not kept; after a restart it begins anew");
        }
        positions
    });
    let found = found.await;
    Arc::new(found.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())))
}

/// Sends on until the server stops.
pub(crate) async fn run(
    engine: Arc<Engine>,
    configs: Vec<RemoteWriteConfig>,
    positions: Arc<Positions>,
    stopping: watch::Receiver<bool>,
) {
    if configs.is_empty() {
        return;
    }
    let mut tasks = JoinSet::new();
    for config in configs {
        let told = Told::of(&engine, config);
        tasks.spawn(endpoint::run(engine.clone(), told, positions.clone(), stopping.clone()));
    }
    let mut keeping = tokio::time::interval(positions::EVERY);
    loop {
        tokio::select! {
            _ = keeping.tick() => {}
            done = tasks.join_next() => {
                match done {
                    None => break,
                    // Whoever supervises us starts all of them again, from their positions.
                    Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Some(_) => continue,
                }
            }
        }
        keep(&engine, &positions).await;
    }
    keep(&engine, &positions).await;
}

async fn keep(engine: &Arc<Engine>, positions: &Arc<Positions>) {
    let (engine, positions) = (engine.clone(), positions.clone());
    let kept = tokio::task::spawn_blocking(move || {
        let kept = positions.keep(&engine.state, &engine.store);
        let (bytes, given_up) = engine.store.kept_log();
        engine.telemetry.remote_write.observe_log(bytes, given_up);
        kept
    });
    if let Ok(Err(error)) = kept.await {
        tracing::warn!(error, "positions of remote write are not kept; after a restart more is sent again");
    }
}

/// An endpoint and what its parts share.
pub(crate) struct Told {
    pub(crate) config: RemoteWriteConfig,
    pub(crate) client: crate::outgoing::Client,
    pub(crate) measured: instruments::Endpoint,
}

impl Told {
    fn of(engine: &Engine, config: RemoteWriteConfig) -> Arc<Self> {
        let measured = engine.telemetry.remote_write.endpoint(&config.name);
        Arc::new(Self { client: crate::outgoing::Client::new(config.client.clone()), measured, config })
    }

    /// Says what went wrong; never where to, as secrets may stand in there.
    pub(crate) fn warn(&self, error: &dyn std::error::Error, what: &str) {
        tracing::warn!(endpoint = self.config.name, error = chain(error), "{what}");
    }
}
