//! The running configuration, and reading it again while the server runs.
//!
//! All parts read settings through one handle, [`Configured`], whose configuration is swapped as a whole. A reload reads file,
//! environment and flags again, and the rule files they name; if anything in them is wrong nothing changes, and metric, log
//! and pages say so until a reload succeeds. What takes effect at once is in `LIVE`; whatever else changed is named as
//! waiting for a restart, so a setting that somebody adds is told truly before anybody makes it live.

mod apply;
mod instruments;
pub(crate) mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barograph_model::Timestamp;
pub use instruments::Instruments;
use tokio::sync::watch as channel;

use crate::{
    Engine, alerting,
    config::{Config, ConfigError, Document},
    errors::chain,
    rules,
};

/// What takes effect without a restart: sections, and single keys.
pub(crate) const LIVE: [&str; 32] = [
    "scrape_configs",
    "alerting",
    "rule_files",
    "ready_rules",
    "alertmanager_config",
    "global",
    "retention",
    "storage.retention_raw",
    "storage.cleanup_interval",
    "storage.cleanupInterval",
    "query.lookback",
    "query.timeout",
    "query.max_samples",
    "query.max_series",
    "query.max_bytes",
    "query.max_concurrency",
    "query.max_concurrency_per_caller",
    "query.max_queued",
    "query.slow",
    "query.experimental",
    "collectors",
    "health.checks",
    "health.heartbeats",
    "health.cluster",
    "limits",
    "rate_limit",
    "diagnostics.thresholds",
    "tenancy.limits",
    "tenancy.tenants",
    "tenancy.max",
    "log",
    "config",
];

/// What of these waits for a restart all the same.
const FIXED: [&str; 6] = [
    "collectors.data.hot",
    "collectors.data.warm",
    "collectors.data.cold",
    "collectors.business.preset",
    "limits.connections",
    "limits.connections_per_address",
];

/// The running configuration, and how the last reload went.
#[derive(Debug)]
pub struct Configured {
    current: channel::Sender<Arc<Config>>,
    /// What was given at the start.
    at_start: Document,
    last: Mutex<Last>,
    /// Held by who reloads: one at a time.
    turn: tokio::sync::Mutex<()>,
}

/// How the last reload went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Last {
    /// When the running configuration was read.
    pub(crate) succeeded: Option<Timestamp>,
    /// Why the one that was read last is not it, and since when.
    pub(crate) failed: Option<(Timestamp, String)>,
    /// What was changed since the start and takes effect with the next.
    pub(crate) waiting: Vec<String>,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// What differs from the configuration before: paths of settings.
    pub changed: Vec<String>,
    /// What differs from the one at the start, and takes effect with the next.
    pub needs_restart: Vec<String>,
}

/// Why a configuration is not taken; the one before runs on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The server has its configuration from a program, not from a file.
    #[error("the configuration comes from the program that runs the server, and cannot be read again")]
    NoSources,
    /// Something is wrong in it.
    #[error("{}", chain(.0))]
    Config(#[from] ConfigError),
    /// Something is wrong in rule files that it names.
    #[error("{0}")]
    Rules(String),
    /// Something is wrong in `alertmanager.yml`.
    #[error("{0}")]
    Alertmanager(String),
    /// The environment says how to measure in a way that is not valid.
    #[error("{0}")]
    Measuring(String),
}

impl Configured {
    pub(crate) fn new(config: Config, now: Timestamp) -> Self {
        let last = Last { succeeded: Some(now), ..Last::default() };
        Self {
            at_start: config.document.clone(),
            current: channel::Sender::new(Arc::new(config)),
            last: Mutex::new(last),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The configuration that runs.
    pub fn current(&self) -> Arc<Config> {
        self.current.borrow().clone()
    }

    /// Tells of each configuration that takes the place of another.
    pub(crate) fn subscribe(&self) -> channel::Receiver<Arc<Config>> {
        self.current.subscribe()
    }

    pub(crate) fn last(&self) -> Last {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a setting takes effect without a restart.
fn is_live(path: &str) -> bool {
    let within = |of: &str| path == of || path.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'));
    LIVE.iter().any(|of| within(of)) && !FIXED.iter().any(|of| within(of))
}

/// Reads the configuration again and has it take effect.
///
/// # Errors
/// It cannot be used: the one before runs on, and that is told.
pub(crate) async fn reload(engine: &Arc<Engine>) -> Result<Reloaded, ReloadError> {
    let configured = &engine.configured;
    let _turn = configured.turn.lock().await;
    let before = configured.current();
    let sources = before.sources.clone().ok_or(ReloadError::NoSources)?;
    let read = tokio::task::spawn_blocking(move || {
        let config = sources.load()?;
        // Read once to see that they can be; who runs rules reads them then.
        rules::Setup::read(&config).map_err(ReloadError::Rules)?;
        alerting::Setup::read(&config).map_err(ReloadError::Alertmanager)?;
        config.metrics.settings().map_err(|error| ReloadError::Measuring(error.to_string()))?;
        Ok::<_, ReloadError>(config)
    });
    let read = read.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    let now = engine.clock.now();
    match read {
        Err(error) => {
            engine.telemetry.reload.failed();
            tracing::error!(%error, "the configuration cannot be used; the one before runs on");
            configured.lock().failed = Some((now, error.to_string()));
            engine.events.system("config_reload_failed");
            Err(error)
        }
        Ok(config) => {
            let changed = before.document.differences(&config.document);
            let mut needs_restart = configured.at_start.differences(&config.document);
            needs_restart.retain(|path| !is_live(path));
            let config = apply::keep_fixed(config, &before);
            apply::apply(engine, &before, &config);
            configured.current.send_replace(Arc::new(config));
            engine.telemetry.reload.succeeded(now);
            *configured.lock() = Last { succeeded: Some(now), failed: None, waiting: needs_restart.clone() };
            let waits = needs_restart.join(", ");
            tracing::info!(
                changed = changed.len(),
                needs_restart = waits,
                "the configuration was read again"
            );
            engine.events.system("config_reloaded");
            Ok(Reloaded { changed, needs_restart })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_effect_at_once_is_told_from_what_does_not() {
        for path in
            ["scrape_configs", "retention.raw", "retention.by_type.gauge.raw", "log.level", "query.slow"]
        {
            assert!(is_live(path), "{path}");
        }
        for path in [
            "storage.durability",
            "query.cache",
            "limits.connections",
            "collectors.data.hot",
            "queryx",
            "otlp.x",
        ] {
            assert!(!is_live(path), "{path}");
        }
    }
}
