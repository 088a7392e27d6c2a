//! Notices on their way to somebody: the outbox, the tries, and what came of them.
//!
//! A notice is put into the outbox in the transaction in which it was decided ([`Delivery::put`]) and taken up once that is
//! durable ([`Delivery::admit`]). One task ([`run`]) asks the machine of `barograph_alert::delivery` what is due and starts
//! each try as a task of its own, so a receiver that does not answer delays no other. What came of tries is noted in one
//! transaction, together with what alerting wants to know of it ([`Told`]); until that is durable it is noted again and
//! again, and nothing is sent twice for it.
//!
//! - `links`: by which a reader of a message acknowledges
//! - `outbox`: tables
//! - `pages`: pages of incidents, and those that nobody needs any more
//! - `receivers`: who can be told, and clients
//! - `send`, `smtp`: one try
//! - `show`: what is shown of all that, and trying a receiver out
//! - `instruments`: metrics

#[cfg(test)]
mod crashes;
mod instruments;
mod links;
mod outbox;
mod pages;
mod receivers;
mod send;
mod settings;
mod show;
mod smtp;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph_alert::{
    channels::Verdict,
    delivery::{Attempt, Entry, Machine, Outcome},
    notice::Notice,
};
use barograph_model::Timestamp;
use barograph_state::{Batch, Error as StateError, State};
use tokio::sync::{Notify, mpsc, watch};

use crate::{Engine, clock::Jumps, errors::chain, server::stopped};
pub(crate) use instruments::Instruments;
pub(crate) use links::Called;
pub(crate) use outbox::{Fate, Record};
pub(crate) use receivers::Receivers;
pub(crate) use show::{Wanted, attempt, preview, test};

/// How long the task sleeps at most.
const LOOK: Duration = Duration::from_secs(5);
/// Outcomes that could not be noted are noted again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// Tries whose outcome waits for being noted; more wait with their answer.
const OUTCOMES_MAX: usize = 1_024;

/// What alerting wants to know of what became of a notice, as part of the transaction in which it is noted.
pub(crate) trait Told: Send + Sync {
    /// It was sent.
    ///
    /// # Errors
    /// As those of the batch.
    fn sent(&self, batch: &mut Batch<'_>, notice: &Notice, at: i64) -> Result<(), StateError>;

    /// It was given up, or taken back.
    ///
    /// # Errors
    /// As those of the batch.
    fn dead(&self, batch: &mut Batch<'_>, notice: &Notice, why: &str, at: i64) -> Result<(), StateError>;
}

/// All of delivery.
pub(crate) struct Delivery {
    state: Arc<State>,
    standing: Mutex<Standing>,
    wake: Notify,
    told: Mutex<Option<Arc<dyn Told>>>,
    called: Mutex<Arc<Called>>,
    /// What a transaction of incidents put that is not durable yet.
    staged: Mutex<pages::Staged>,
    instruments: Instruments,
}

struct Standing {
    machine: Machine,
    receivers: Arc<Receivers>,
    next_id: u64,
    dice: u64,
}

impl Delivery {
    /// With what the state database kept. Blocks on the disk.
    pub(crate) fn load(
        state: Arc<State>,
        receivers: Receivers,
        instruments: Instruments,
        now: Timestamp,
    ) -> Self {
        let (waiting, next_id) = outbox::load(&state).unwrap_or_else(|error| {
            tracing::error!(
                error = chain(&error),
                "notices that wait cannot be read; there are none for now"
            );
            // What is there keeps its numbers for when it can be read.
            (Vec::new(), now.millis().max(1).cast_unsigned())
        });
        let dice = now.millis().cast_unsigned();
        let standing =
            Standing { machine: Machine::default(), receivers: Arc::new(receivers), next_id, dice };
        let delivery = Self {
            state,
            standing: Mutex::new(standing),
            wake: Notify::new(),
            told: Mutex::default(),
            called: Mutex::default(),
            staged: Mutex::default(),
            instruments,
        };
        delivery.admit(waiting, now.millis());
        delivery
    }

    /// Who is told what became of notices.
    pub(crate) fn tells(&self, told: Arc<dyn Told>) {
        *lock(&self.told) = Some(told);
    }

    /// From now on this server is called so.
    pub(crate) fn call(&self, called: Called) {
        *lock(&self.called) = Arc::new(called);
    }

    /// Goes on with other receivers.
    pub(crate) fn configure(&self, receivers: Receivers) {
        let mut standing = self.standing();
        standing.machine.keep(|receiver, integration| receivers.channel(receiver, integration).is_some());
        standing.receivers = Arc::new(receivers);
        drop(standing);
        self.wake.notify_one();
    }

    /// Puts notices into the outbox, as part of the transaction in which they were decided. Once that is durable, what is
    /// returned is to be given to [`Delivery::admit`].
    ///
    /// # Errors
    /// As those of the batch.
    pub(crate) fn put(
        &self,
        batch: &mut Batch<'_>,
        notices: Vec<Notice>,
        now: i64,
    ) -> Result<Vec<Entry>, StateError> {
        let entries: Vec<Entry> = {
            let mut standing = self.standing();
            notices.into_iter().map(|notice| standing.entry(notice, now)).collect()
        };
        for entry in &entries {
            outbox::put(batch, entry)?;
        }
        Ok(entries)
    }

    /// Takes up notices that are in the outbox.
    pub(crate) fn admit(&self, entries: Vec<Entry>, now: i64) {
        let (mut merged, mut dropped) = (Vec::new(), Vec::new());
        {
            let mut standing = self.standing();
            for entry in entries {
                let pushed = standing.push(entry, now);
                merged.extend(pushed.into.map(|into| (pushed.merged, into)));
                dropped.extend(pushed.dropped);
            }
        }
        if !(merged.is_empty() && dropped.is_empty()) {
            let written = self.state.write(|batch| {
                for (gone, into) in &merged {
                    gone.iter().try_for_each(|id| outbox::merged(batch, *id, into, now))?;
                }
                let full = Outcome::Dead("the queue was full".to_owned());
                dropped.iter().try_for_each(|entry| self.note(batch, entry, &full, now))
            });
            if let Err(error) = written {
                // After a restart they are in the queue again, and merged again.
                self.instruments.unkept();
                tracing::error!(
                    error = chain(&error),
                    "notices that went into others could not be noted as merged"
                );
            }
            merged.iter().for_each(|(gone, _)| gone.iter().for_each(|_| self.instruments.coalesced()));
            dropped.iter().for_each(|entry| self.instruments.dead(&entry.channel));
        }
        self.wake.notify_one();
    }

    /// The wall clock jumped: what waits is as old as it was, after a restart, too. Blocks on the disk.
    fn shift(&self, by: i64, now: i64) {
        let waiting = self.standing().machine.shift(by, now);
        if waiting.is_empty() {
            return;
        }
        if let Err(error) = self.state.write(|batch| outbox::aged(batch, &waiting)) {
            self.instruments.unkept();
            tracing::error!(error = chain(&error), "how old notices are cannot be noted as the clock jumped");
        }
    }

    fn called(&self) -> Arc<Called> {
        lock(&self.called).clone()
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.standing)
    }

    fn receivers(&self) -> Arc<Receivers> {
        self.standing().receivers.clone()
    }

    /// Notes an outcome, and what alerting wants to know of it.
    fn note(
        &self,
        batch: &mut Batch<'_>,
        entry: &Entry,
        outcome: &Outcome,
        at: i64,
    ) -> Result<(), StateError> {
        outbox::settle(batch, entry, outcome, at)?;
        let told = lock(&self.told).clone();
        match (outcome, told) {
            (Outcome::Sent, Some(told)) => told.sent(batch, &entry.notice, at),
            (Outcome::Dead(why), Some(told)) => told.dead(batch, &entry.notice, why, at),
            _ => Ok(()),
        }
    }

    /// Notes what came of tries, in one transaction. Blocks on the disk.
    fn note_all(&self, outcomes: &[(Entry, Outcome, i64)], prunes: bool) -> Result<(), StateError> {
        self.state.write(|batch| {
            for (entry, outcome, at) in outcomes {
                self.note(batch, entry, outcome, *at)?;
            }
            if prunes { outbox::prune(batch) } else { Ok(()) }
        })?;
        let mut standing = self.standing();
        outcomes.iter().for_each(|(entry, ..)| standing.machine.noted(entry.id));
        Ok(())
    }

    /// What a try came to.
    fn done(&self, id: u64, verdict: &Verdict, attempt: Attempt, now: i64) -> Option<(Entry, Outcome, i64)> {
        let mut standing = self.standing();
        let die = standing.die();
        if let Some(entry) = standing.machine.entry_mut(id) {
            self.instruments.attempted(&entry.channel, attempt.ok, attempt.took_ms);
            entry.note(attempt);
        }
        let (entry, outcome) = standing.machine.done(id, verdict, now, die)?;
        match &outcome {
            Outcome::Sent => self.instruments.sent(&entry.channel),
            Outcome::Dead(why) => {
                self.instruments.dead(&entry.channel);
                tracing::error!(
                    receiver = entry.notice.receiver,
                    channel = entry.channel,
                    why,
                    "a notice was given up"
                );
            }
            Outcome::Again(_) => {}
        }
        Some((entry, outcome, now))
    }
}

impl Standing {
    fn entry(&mut self, notice: Notice, now: i64) -> Entry {
        let id = self.next_id;
        self.next_id += 1;
        let channel = self.receivers.channel(&notice.receiver, notice.integration);
        let channel = channel.map_or("dashboard", |channel| channel.kind()).to_owned();
        Entry {
            id,
            notice: outbox::bounded(notice),
            channel,
            queued_at: now,
            attempts: Vec::new(),
            taken: Vec::new(),
            absorbed: Vec::new(),
        }
    }

    fn push(&mut self, entry: Entry, now: i64) -> barograph_alert::delivery::Pushed {
        let channel = self.receivers.channel(&entry.notice.receiver, entry.notice.integration);
        let per_minute = channel.map_or(60, |channel| channel.per_minute);
        self.machine.push(entry, per_minute, now)
    }

    /// A number from 0 to 1, evenly; which comes next need not be hard to tell.
    fn die(&mut self) -> f64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.dice >> 33).unwrap_or_default()) / f64::from(1_u32 << 31)
    }
}

/// Sends what is due until told to stop.
pub(crate) async fn run(engine: Arc<Engine>, mut stopping: watch::Receiver<bool>) {
    let (outcomes, mut answers) = mpsc::channel(OUTCOMES_MAX);
    let mut unkept: Vec<(Entry, Outcome, i64)> = Vec::new();
    let mut settled = 0_usize;
    let mut jumps = Jumps::since_now(&*engine.clock);
    engine.delivery.standing().machine.release();
    prepare_links(&engine).await;
    loop {
        let delivery = &engine.delivery;
        // What was sent is noted before anything else is sent, so a crash repeats at most one notice at a receiver.
        if !unkept.is_empty() {
            settled += unkept.len();
            let prunes = settled >= 100;
            unkept = keep(&engine, unkept, prunes).await;
            settled = if prunes { 0 } else { settled };
        }
        if unkept.is_empty() {
            let (now, jumped) = jumps.look(&*engine.clock);
            let now = now.millis();
            if let Some(by) = jumped {
                follow(&engine, by, now).await;
            }
            let (jobs, old) = delivery.standing().machine.due(now);
            for job in jobs {
                start(&engine, job.entry, outcomes.clone());
            }
            for entry in old {
                delivery.instruments.dead(&entry.channel);
                unkept.push((entry, Outcome::Dead("given up after a day".to_owned()), now));
            }
            if !unkept.is_empty() {
                continue;
            }
        }
        let next = {
            let standing = delivery.standing();
            delivery.instruments.waiting(standing.machine.len());
            standing.machine.next()
        };
        let now = engine.clock.now().millis();
        let wait = next.map_or(LOOK, |next| {
            Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0)).min(LOOK)
        });
        let wait = if unkept.is_empty() { wait } else { AGAIN };
        tokio::select! {
            () = stopped(&mut stopping) => return,
            () = delivery.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
            Some((id, verdict, attempt)) = answers.recv() => {
                let mut answer = Some((id, verdict, attempt));
                while let Some((id, verdict, attempt)) = answer {
                    let now = engine.clock.now().millis();
                    unkept.extend(delivery.done(id, &verdict, attempt, now));
                    answer = answers.try_recv().ok();
                }
            }
        }
    }
}

/// What waits goes with a clock that jumped: it is as old as it was.
async fn follow(engine: &Arc<Engine>, by: i64, now: i64) {
    let work = engine.clone();
    let followed = tokio::task::spawn_blocking(move || work.delivery.shift(by, now)).await;
    if followed.is_err() {
        tracing::error!("a part of delivery panicked as the clock jumped");
    }
}

/// Makes the key of links, if there is none, so that no try waits for the disk.
async fn prepare_links(engine: &Arc<Engine>) {
    let incidents = engine.incidents.clone();
    let _ = tokio::task::spawn_blocking(move || incidents.key().map(drop)).await;
}

/// Notes outcomes; what could not be noted comes back.
async fn keep(
    engine: &Arc<Engine>,
    outcomes: Vec<(Entry, Outcome, i64)>,
    prunes: bool,
) -> Vec<(Entry, Outcome, i64)> {
    let work = engine.clone();
    let noted = tokio::task::spawn_blocking(move || {
        let noted = work.delivery.note_all(&outcomes, prunes);
        (noted, outcomes)
    });
    match noted.await {
        Ok((Ok(()), _)) => Vec::new(),
        Ok((Err(error), outcomes)) => {
            engine.delivery.instruments.unkept();
            tracing::error!(
                error = chain(&error),
                "what became of notices cannot be noted; it is tried again"
            );
            outcomes
        }
        Err(_) => {
            tracing::error!("noting what became of notices panicked");
            Vec::new()
        }
    }
}

type Answer = (u64, Verdict, Attempt);

/// Starts a try.
fn start(engine: &Arc<Engine>, entry: Entry, outcomes: mpsc::Sender<Answer>) {
    let engine = engine.clone();
    tokio::spawn(async move {
        let receivers = engine.delivery.receivers();
        let notice = &entry.notice;
        let channel = receivers.channel(&notice.receiver, notice.integration);
        let (verdict, attempt) = match channel.filter(|channel| channel.kind() == entry.channel) {
            Some(channel) => send::send(&engine, &receivers, channel, notice, &entry.taken).await,
            None => {
                let why = "this channel is not configured any more".to_owned();
                let attempt = Attempt {
                    at: engine.clock.now().millis(),
                    error: Some(why.clone()),
                    ..Attempt::default()
                };
                (Verdict::Refused(why), attempt)
            }
        };
        // Nobody listens once the server stops; what was sent is sent again then, under the same key.
        let _ = outcomes.send((entry.id, verdict, attempt)).await;
    });
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
