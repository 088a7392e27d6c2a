//! The task that looks at groups when they are due, and at `alertmanager.yml` when it changes.
//!
//! One look is one transaction: what ended, what is told and what follows from it are kept together, or the groups are looked
//! at again. Waits are of a clock that only goes on: when the wall clock jumps, what was to come goes with it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use barograph_alert::routing::{Alert, Flush, MuteKind, SilenceState};
use tokio::sync::watch;

use super::{
    Alerting, Setup,
    files::{self, Stamp},
    kept::{ALERTS, LOG, MAINTENANCE, SILENCE_BOUNDS, SILENCE_HISTORY, SILENCES, key},
    lock, put,
};
use crate::{Engine, clock::Jumps, errors::chain, incidents::Pending, server::stopped};

/// How often the file is looked at, and nothing is waited for longer.
const LOOK: Duration = Duration::from_secs(2);
/// How often what is too old is forgotten.
const PRUNE: Duration = Duration::from_secs(60);
/// Whether alerts are muted still that live streams were not told of is looked at so often, in milliseconds.
const MUTED: i64 = 2_000;
/// A look whose outcome could not be kept is repeated after this, in milliseconds.
const AGAIN: i64 = 1_000;

/// Runs until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let mut configured = engine.configured.subscribe();
    engine.incidents.configure(engine.alerting.config());
    let mut looks = Looks::of(&engine.alerting);
    let mut jumps = Jumps::since_now(&*engine.clock);
    let mut pruned = engine.clock.monotonic();
    let mut looked = pruned;
    loop {
        let due = engine.alerting.next().map(|next| next.saturating_sub(engine.clock.now().millis()));
        let wait = due.map_or(LOOK, |due| Duration::from_millis(u64::try_from(due).unwrap_or(0)).min(LOOK));
        tokio::select! {
            () = stopped(&mut stopping) => return,
            () = engine.alerting.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
            Ok(()) = configured.changed() => {
                let config = configured.borrow_and_update().clone();
                let read = blocking(move || Setup::read(&config)).await;
                if let Some(read) = read {
                    looks = take(&engine, read, looks);
                }
            }
        }
        if let (now, Some(jumped)) = jumps.look(&*engine.clock) {
            tracing::warn!(jumped_ms = jumped, "the clock jumped; alerts go on with their waits");
            engine.alerting.standing().shift(jumped, now.millis());
        }
        let prunes = engine.clock.monotonic().saturating_sub(pruned) >= PRUNE;
        if prunes {
            pruned = engine.clock.monotonic();
        }
        let work = engine.clone();
        blocking(move || work.alerting.dispatch(&work, prunes)).await;
        if engine.clock.monotonic().saturating_sub(looked) >= LOOK {
            looked = engine.clock.monotonic();
            let path = looks.path.clone();
            let stamp = blocking(move || path.as_deref().and_then(files::stamp)).await;
            if let Some(path) = looks.path.clone()
                && looks.changed(stamp.flatten())
                && let Some(read) = blocking(move || Setup::of(&path)).await
            {
                looks = take(&engine, read, looks);
            }
        }
    }
}

/// Runs what blocks; `None` if it panicked.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.inspect_err(|_| tracing::error!("a part of alerting panicked; it is tried again")).ok()
}

/// What was seen of the file.
struct Looks {
    path: Option<PathBuf>,
    applied: Stamp,
    seen: Stamp,
}

impl Looks {
    fn of(alerting: &Alerting) -> Self {
        let standing = alerting.standing();
        let stamp = standing.setup.stamp;
        Self { path: standing.setup.path.clone(), applied: stamp, seen: stamp }
    }

    /// Whether the file is another than that which was read, and is written to no more.
    fn changed(&mut self, now: Stamp) -> bool {
        let changed = now == self.seen && now != self.applied;
        if changed {
            self.applied = now;
        }
        self.seen = now;
        changed
    }
}

/// Goes on with what was read, if it can be used.
fn take(engine: &Engine, read: Result<Setup, String>, looks: Looks) -> Looks {
    let alerting = &engine.alerting;
    match read {
        Ok(setup) => {
            let changed = {
                let mut standing = alerting.standing();
                let changed = setup.shown != standing.setup.shown || setup.stamp != standing.setup.stamp;
                if changed {
                    engine.incidents.configure(setup.config.clone());
                    engine.delivery.configure(setup.receivers());
                    standing.configure(setup, engine.clock.now().millis());
                }
                changed
            };
            alerting.instruments.file(true);
            if changed {
                tracing::info!("alertmanager.yml was read again");
                engine.events.system("alertmanager_config_reloaded");
            }
            Looks::of(alerting)
        }
        Err(faults) => {
            alerting.instruments.file(false);
            tracing::error!(faults, "alertmanager.yml cannot be used; the one before runs on");
            engine.events.system("alertmanager_config_failed");
            looks
        }
    }
}

impl Alerting {
    /// When a group is due next.
    fn next(&self) -> Option<i64> {
        self.standing().dispatcher.next()
    }

    /// Looks at what is due.
    fn dispatch(&self, engine: &Engine, prunes: bool) {
        let began = engine.clock.monotonic();
        let now = engine.clock.now().millis();
        let _turn = lock(&self.writing);
        let (begun, flushes, ended, gone) = {
            let mut standing = self.standing();
            let begun = standing.begun(now);
            let gone = if prunes { standing.prune(now) } else { Gone::default() };
            (begun, standing.flush(now), standing.alerts.ended(now), gone)
        };
        begun.iter().for_each(|alert| engine.incidents.tell_alert(alert, now));
        if flushes.is_empty() && ended.is_empty() && !prunes {
            return;
        }
        let (pending, incidents) = Pending::flushed(&engine.incidents, &flushes, now);
        let (notices, log) = {
            let mut standing = self.standing();
            let notices = standing.dispatcher.notices(&flushes, &incidents, now);
            (notices, standing.dispatcher.log().changes())
        };
        let written = self.state.write(|batch| {
            for alert in &ended {
                put(batch, alert, now)?;
            }

            for (key, entry) in &log {
                match entry {
                    Some(entry) => batch.put(&LOG, key, entry)?,
                    None => drop(batch.remove(&LOG, key)?),
                }
            }
            pending.store(batch)?;
            gone.forget(batch, now)?;
            engine.delivery.put(batch, notices, now)
        });
        match written {
            Ok(entries) => {
                pending.committed();
                engine.delivery.admit(entries, now);
                let mut standing = self.standing();
                ended.iter().for_each(|alert| standing.alerts.kept(alert, now));
                flushes.iter().for_each(|flush| self.instruments.flushed(flush));
            }
            Err(error) => {
                drop(pending);
                self.instruments.unkept.inc();
                tracing::error!(
                    error = chain(&error),
                    "what is to be told cannot be kept; it is decided anew"
                );
                let mut standing = self.standing();
                standing.dispatcher.log().unkept(log.into_iter().map(|(key, _)| key));
                flushes.iter().for_each(|flush| standing.dispatcher.again(flush, now + AGAIN));
            }
        }
        if prunes {
            self.measure(now);
        }
        self.instruments.duration.record((engine.clock.monotonic() - began).as_secs_f64());
    }

    fn measure(&self, now: i64) {
        let mut standing = self.standing();
        let limited = standing.dispatcher.log().limited();
        let known = self.instruments.log_limited.value();
        self.instruments.log_limited.add(limited.saturating_sub(known));
        let muting = standing.muting();
        let (mut active, mut muted) = (0, 0);
        for alert in standing.alerts.all().filter(|alert| alert.ends_at.is_none_or(|end| end > now)) {
            let by = muting.of_alert(&alert.labels, now);
            let count =
                if by.iter().any(|by| by.kind <= MuteKind::Inhibition) { &mut muted } else { &mut active };
            *count += 1;
        }
        let mut silences = [0; 3];
        for silence in standing.mutes.silences.all() {
            silences[match silence.state(now) {
                SilenceState::Active => 0,
                SilenceState::Pending => 1,
                SilenceState::Expired => 2,
            }] += 1;
        }
        self.instruments.standing(active, muted, silences, standing.dispatcher.len());
        let refused = standing.dispatcher.refused();
        let known = self.instruments.groups_refused.value();
        self.instruments.groups_refused.add(refused.saturating_sub(known));
    }
}

/// What is too old to be kept.
#[derive(Default)]
struct Gone {
    alerts: Vec<u64>,
    silences: Vec<String>,
    maintenance: Vec<String>,
    prunes: bool,
}

impl Gone {
    fn forget(&self, batch: &mut barograph_state::Batch<'_>, now: i64) -> Result<(), barograph_state::Error> {
        for alert in &self.alerts {
            batch.remove(&ALERTS, alert)?;
        }
        for silence in &self.silences {
            batch.remove(&SILENCES, silence)?;
        }
        for window in &self.maintenance {
            batch.remove(&MAINTENANCE, window)?;
        }
        if self.prunes && !self.silences.is_empty() {
            SILENCE_HISTORY.prune(batch, SILENCE_BOUNDS, now)?;
        }
        Ok(())
    }
}

impl super::Standing {
    /// The wall clock jumped: waits stay as long as they were, and so does what ends unless it is told again.
    fn shift(&mut self, by: i64, now: i64) {
        self.alerts.shift(by, now);
        self.dispatcher.shift(by, now);
    }

    /// Alerts that live streams are told of now.
    fn begun(&mut self, now: i64) -> Vec<Alert> {
        let looks = self.looked.saturating_add(MUTED) <= now || self.looked > now;
        if looks {
            self.looked = now;
        }
        let muting = self.mutes.with(&self.setup.config.time_intervals);
        self.announcements.due(&self.alerts, &muting, now, looks)
    }

    /// Looks at the groups that are due.
    fn flush(&mut self, now: i64) -> Vec<Flush> {
        self.dispatcher.flush(now, &self.mutes.with(&self.setup.config.time_intervals))
    }

    /// Forgets what was over for long.
    fn prune(&mut self, now: i64) -> Gone {
        let alerts = self.alerts.prune(now);
        alerts.iter().for_each(|alert| self.mutes.inhibitor.forget(alert));
        let over: Vec<_> = self
            .mutes
            .maintenance
            .values()
            .filter(|window| window.over(now))
            .map(|window| window.id.clone())
            .collect();
        over.iter().for_each(|id| drop(self.mutes.maintenance.remove(id)));
        Gone {
            alerts: alerts.iter().map(|alert| key(alert.fingerprint())).collect(),
            silences: self.mutes.silences.prune(now),
            maintenance: over,
            prunes: true,
        }
    }
}
