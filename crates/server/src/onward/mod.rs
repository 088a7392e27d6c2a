//! Alerts of our rules, sent on to Alertmanagers elsewhere.
//!
//! ```text
//! rules ──► what is due (told) ──► labels (message) ──► a queue for each Alertmanager ──► requests (sending)
//!                                                         ▲
//!                          discovery ──► groups ──────────┘
//! ```
//!
//! It is what Prometheus does: an alert is told when it begins, when it ends, and again each minute while it fires and for a
//! quarter of an hour after. It says until when it holds, so that it ends by itself if nobody tells it any more. Nothing is kept
//! on disk, and what could not be sent is not tried again: the next minute tells it anew. Each Alertmanager has a queue and a
//! task of its own, so one that is dead delays no other, and whoever tells alerts never waits. Our own routing is told as well,
//! whether there are Alertmanagers or not.

mod groups;
mod instruments;
mod message;
mod queue;
mod sending;
mod told;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph::Registry;
use barograph_alert::routing::Alert;
use barograph_model::Timestamp;
use tokio::{sync::watch, task::JoinSet};

use crate::{Engine, alerting::is_own_heartbeat, config::Config, server::stopped};
use groups::{Group, Groups};
use instruments::Instruments;
use message::Message;
pub(crate) use queue::QUEUE_MAX;
use told::Told;

/// How often files that name Alertmanagers are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// When the server stops, what waits has so long to be sent; what fires is told again after the next start.
const FAREWELL: Duration = Duration::from_secs(5);

/// All Alertmanagers, and what they were told of late.
#[derive(Debug)]
pub(crate) struct Onward {
    groups: Mutex<Arc<[Group]>>,
    told: Mutex<Told>,
    instruments: Instruments,
}

impl Onward {
    /// Nobody is told before [`run`] finds somebody.
    ///
    /// # Errors
    /// A name of a metric is not valid or stands twice, which a test would have found.
    pub(crate) fn new(registry: &Registry) -> Result<Self, barograph::Error> {
        Ok(Self {
            groups: Mutex::new(Arc::from([])),
            told: Mutex::default(),
            instruments: Instruments::register(registry)?,
        })
    }

    /// Takes the alerts of rules as they are after an evaluation, and queues those that are to be told now. Never waits.
    pub(crate) fn tell(&self, config: &Config, alerts: &[Alert], now: Timestamp) {
        let groups = self.groups();
        if alerts.is_empty() || groups.iter().all(|group| group.active.is_empty()) {
            return;
        }
        let due = lock(&self.told).due(alerts, now);
        self.instruments.unremembered.add(due.unremembered);
        // That all is well somebody else is told only by a rule of their own.
        let wanted = due.alerts.into_iter().filter(|alert| !is_own_heartbeat(alert));
        let (external, rules) = (&config.global.external_labels, &config.alerting.alert_relabel_configs);
        let messages: Vec<Message> = wanted.filter_map(|alert| Message::of(alert, external, rules)).collect();
        let encoded: Vec<_> = messages.iter().map(Message::encode).collect();
        for group in groups.iter().filter(|group| !group.active.is_empty()) {
            let own: Vec<_> = match group.rules.is_empty() {
                true => encoded.clone(),
                false => messages
                    .iter()
                    .filter_map(|message| Some(message.relabelled(&group.rules)?.encode()))
                    .collect(),
            };
            group.active.iter().for_each(|alertmanager| alertmanager.offer(&own));
        }
    }

    /// The URLs of Alertmanagers that are told, and of those that relabelling or a limit left out.
    pub(crate) fn urls(&self) -> (Vec<String>, Vec<String>) {
        let groups = self.groups();
        let active = groups.iter().flat_map(|group| &group.active).map(|it| it.url().to_owned());
        (active.collect(), groups.iter().flat_map(|group| group.dropped.clone()).collect())
    }

    fn groups(&self) -> Arc<[Group]> {
        lock(&self.groups).clone()
    }

    /// Goes on with these. Somebody who is new is told of what fires with the next evaluation of each rule.
    fn set(&self, groups: Vec<Group>, is_anybody_new: bool) {
        let active: usize = groups.iter().map(|group| group.active.len()).sum();
        self.instruments.discovered.set(active as f64);
        *lock(&self.groups) = groups.into();
        if is_anybody_new {
            *lock(&self.told) = Told::default();
        }
    }
}

/// Looks for Alertmanagers and sends to them, until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let mut configured = engine.configured.subscribe();
    let mut ticks = tokio::time::interval(LOOK);
    let mut groups = Groups::new(engine.clone());
    let asked = groups.asked();
    let mut given = Some(configured.borrow_and_update().clone());
    loop {
        let work = tokio::task::spawn_blocking(move || {
            groups.refresh(given);
            groups
        });
        groups = work.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        given = tokio::select! {
            () = stopped(&mut stopping) => break,
            Ok(()) = configured.changed() => Some(configured.borrow_and_update().clone()),
            _ = ticks.tick() => None,
            () = asked.notified() => None,
            Some(ended) = groups.tasks.join_next() => {
                survive(ended);
                None
            }
        };
    }
    groups.close();
    let mut tasks = std::mem::take(&mut groups.tasks);
    let _ = tokio::time::timeout(FAREWELL, finish(&mut tasks)).await;
}

async fn finish(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        survive(ended);
    }
}

/// Whoever supervises us starts everything again after a panic.
fn survive(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
