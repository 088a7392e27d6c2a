//! Alerts, whoever raised them, and who is told: the one place where they meet.
//!
//! Rules and whoever posts tell their alerts to `Alerting::post`; one task (`dispatch`) looks at groups that are due.
//! What is decided is plain data of `barograph_alert::routing`; here are the lock around it, the state database and the time.
//! What was answered for survives a restart: alerts, silences, windows of maintenance, and what was told to whom.
//!
//! - `files`: `alertmanager.yml`
//! - `dispatch`: the task
//! - `from_rules`: alerts that our own rules raise
//! - `firings`: how often they did of late
//! - `kept`: tables
//! - `instruments`: metrics

mod dispatch;
mod files;
mod firings;
mod from_rules;
mod instruments;
mod kept;
mod silences;
mod told;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use barograph::Registry;
use barograph_alert::{
    config::Config as AlertConfig,
    routing::{
        Alert, Alerts, Announcements, Dispatcher, Fingerprint, GroupView, Inhibitor, Log, MutedBy, Mutes,
        Muting, Silences,
    },
};
use barograph_model::Timestamp;
use barograph_state::{Error as StateError, State};
use tokio::sync::Notify;

use crate::errors::chain;
pub(crate) use dispatch::run;
pub(crate) use files::Setup;
pub use files::check;
pub(crate) use firings::Fired;
use firings::Firings;
pub(crate) use from_rules::is_own_heartbeat;
pub(crate) use instruments::Instruments;
use kept::{ALERTS, KeptAlert, LOG, MAINTENANCE, SILENCES, key};
pub(crate) use silences::Refusal;

/// All of alerting.
pub(crate) struct Alerting {
    state: Arc<State>,
    /// Held by who writes what is kept, so that it is written in the order in which it came about.
    writing: Mutex<()>,
    standing: Mutex<Standing>,
    /// Told when there may be something to do earlier than was thought.
    wake: Notify,
    firings: Firings,
    instruments: Instruments,
}

/// How things are. Held for moments only, never while something is written.
pub(super) struct Standing {
    setup: Setup,
    alerts: Alerts,
    mutes: Mutes,
    dispatcher: Dispatcher,
    announcements: Announcements,
    /// When it was looked last whether what they hold is muted still.
    looked: i64,
}

/// An alert as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) alert: Alert,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) muted_by: Vec<MutedBy>,
    /// Names of receivers.
    pub(crate) receivers: Vec<String>,
}

/// What came of alerts that were told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Posted {
    /// How many were taken.
    pub(crate) taken: usize,
    /// How many were not, as there are too many.
    pub(crate) refused: usize,
}

impl Alerting {
    /// With what the state database kept. Blocks on the disk.
    pub(crate) fn load(state: Arc<State>, setup: Setup, now: Timestamp, instruments: Instruments) -> Self {
        let now = now.millis();
        let kept = state.read(|view| {
            let firings = Firings::load(view)?;
            Ok((view.all(&ALERTS)?, view.all(&SILENCES)?, view.all(&MAINTENANCE)?, view.all(&LOG)?, firings))
        });
        let (alerts, silences, maintenance, log, firings) = kept.unwrap_or_else(|error| {
            tracing::error!(
                error = chain(&error),
                "alerts and silences cannot be read; there are none for now"
            );
            Default::default()
        });
        let config = setup.config.clone();
        let alerts = alerts.into_iter().map(|(_, kept)| (kept.alert, kept.over));
        let alerts = Alerts::restore(alerts, config.global.resolve_timeout, now);
        let mut inhibitor = Inhibitor::new(&config.inhibit_rules);
        alerts.all().for_each(|alert| inhibitor.note(alert));
        let mut dispatcher = Dispatcher::new(config, Log::restore(log));
        dispatcher.resume(alerts.all().cloned(), now);
        instruments.file(true);
        let standing = Standing {
            setup,
            alerts,
            mutes: Mutes {
                inhibitor,
                silences: Silences::restore(silences.into_iter().map(|(_, silence)| silence)),
                maintenance: maintenance.into_iter().collect(),
            },
            dispatcher,
            announcements: Announcements::default(),
            looked: now,
        };
        Self {
            state,
            writing: Mutex::default(),
            standing: Mutex::new(standing),
            wake: Notify::new(),
            firings,
            instruments,
        }
    }

    /// Its instruments.
    pub(crate) fn register(registry: &Registry) -> Result<Instruments, barograph::Error> {
        Instruments::register(registry)
    }

    /// Takes alerts, and returns when those that began or ended are kept. Blocks on the disk.
    ///
    /// # Errors
    /// The state database cannot be written: the alerts are there, and should be told again.
    pub(crate) fn post(&self, alerts: Vec<Alert>, now: Timestamp) -> Result<Posted, StateError> {
        let now = now.millis();
        let _turn = lock(&self.writing);
        let (mut posted, mut changed) = (Posted::default(), Vec::new());
        {
            let mut standing = self.standing();
            for alert in alerts {
                self.instruments.received(alert.ends_at.is_some_and(|end| end <= now));
                let before = standing.alerts.one(alert.fingerprint()).cloned();
                match standing.alerts.take(alert, now) {
                    Ok(taken) => {
                        posted.taken += 1;
                        standing.mutes.inhibitor.note(&taken.alert);
                        standing.announcements.note(&taken);
                        if taken.changed {
                            if !self.firings.note(before.as_ref(), &taken.alert, now) {
                                self.instruments.uncounted.inc();
                            }
                            changed.push(taken.alert.clone());
                        }
                        standing.dispatcher.insert([taken.alert], now);
                    }
                    Err(_) => {
                        posted.refused += 1;
                        self.instruments.refused.inc();
                    }
                }
            }
        }
        self.wake.notify_one();
        self.keep(&changed, now)?;
        Ok(posted)
    }

    fn keep(&self, changed: &[Alert], now: i64) -> Result<(), StateError> {
        if changed.is_empty() {
            return Ok(());
        }
        let written = self.state.write(|batch| {
            for alert in changed {
                put(batch, alert, now)?;
            }
            self.firings.store(batch)
        });
        let counted = written.inspect_err(|_| self.instruments.unkept.inc())?;
        self.firings.kept(&counted);
        let mut standing = self.standing();
        changed.iter().for_each(|alert| standing.alerts.kept(alert, now));
        Ok(())
    }

    /// The alerts as they are shown: those that fire, and with `over` those that were over lately.
    pub(crate) fn alerts(&self, over: bool, now: Timestamp) -> Vec<Shown> {
        let now = now.millis();
        let standing = self.standing();
        let muting = standing.muting();
        let intervals: Vec<_> =
            standing.setup.config.route.all().iter().map(|route| muting.of_route(route, now)).collect();
        let wanted = standing.alerts.all().filter(|alert| over || alert.ends_at.is_none_or(|end| end > now));
        let shown = |alert: &Alert| {
            let routes = standing.setup.config.route.of(&alert.labels);
            let mut muted_by = muting.of_alert(&alert.labels, now);
            // It is muted by times only if nobody would be told.
            if routes.iter().all(|route| intervals.get(route.number).is_some_and(|all| !all.is_empty())) {
                muted_by
                    .extend(routes.iter().filter_map(|route| intervals.get(route.number)).flatten().cloned());
            }
            let mut receivers: Vec<_> = routes.iter().map(|route| route.receiver.clone()).collect();
            receivers.sort();
            receivers.dedup();
            let fingerprint = alert.fingerprint();
            Shown { alert: alert.clone(), fingerprint, muted_by, receivers }
        };
        wanted.map(shown).collect()
    }

    /// How often the rule fired whose alerts have this name.
    pub(crate) fn fired(&self, name: &str, now: Timestamp) -> Fired {
        self.firings.of(name, now.millis())
    }

    /// The groups.
    pub(crate) fn groups(&self) -> Vec<GroupView> {
        self.standing().dispatcher.groups()
    }

    /// The configuration that runs.
    pub(crate) fn config(&self) -> Arc<AlertConfig> {
        self.standing().setup.config.clone()
    }

    /// Its text, with secrets masked.
    pub(crate) fn shown_config(&self) -> Arc<str> {
        self.standing().setup.shown.clone()
    }

    /// Alerts that were told and could not be used.
    pub(crate) fn count_invalid(&self, alerts: usize) {
        self.instruments.invalid.add(u64::try_from(alerts).unwrap_or(u64::MAX));
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.standing)
    }
}

impl Standing {
    fn muting(&self) -> Muting<'_> {
        self.mutes.with(&self.setup.config.time_intervals)
    }

    /// Goes on with another configuration.
    fn configure(&mut self, setup: Setup, now: i64) {
        let config = setup.config.clone();
        self.setup = setup;
        self.mutes.inhibitor = Inhibitor::new(&config.inhibit_rules);
        self.alerts.all().for_each(|alert| self.mutes.inhibitor.note(alert));
        self.dispatcher.configure(config, self.alerts.all().cloned(), now);
    }
}

fn put(batch: &mut barograph_state::Batch<'_>, alert: &Alert, now: i64) -> Result<(), StateError> {
    let over = alert.ends_at.is_some_and(|end| end <= now);
    batch.put(&ALERTS, &key(alert.fingerprint()), &KeptAlert { alert: alert.clone(), over })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
