//! Incidents, as the server keeps them: the book of `alert` with the state database, live events and the time.
//!
//! There is one lock. Whatever changes the book is stored in one transaction and told only after it is durable; what could not
//! be stored is undone. A dispatch of alerts stores it in its own transaction, by [`Pending`], beside what it queues: an
//! incident, its timeline and what is queued for it are durable together, or nothing is.
//!
//! A page becomes [`Notice`]s, one for each integration of each receiver that it tells. What queues and cancels them is
//! connected once ([`Incidents::connect`]); without it pages are in the timeline and on the live stream only.

mod instruments;
mod keep;
pub(crate) mod links;
mod overrides;
mod pending;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, TryLockError},
};

use barograph_alert::{
    config::Config,
    incident::{Act, Book, Change, Early, Incident, Refused, Row},
    notice::Notice,
    routing::Fingerprint,
};
use barograph_state::{Batch, Error as StateError, State, Table};

use crate::{
    clock::{Clock, Jumps},
    current,
    errors::chain,
    events::Events,
};
pub(crate) use instruments::Instruments;
pub(crate) use keep::run;
pub(crate) use overrides::OverrideRefused;
pub(crate) use pending::Pending;

const INCIDENTS: Table<String, Incident> = Table::new("incidents");
const TIMELINE: Table<(String, u64), Row> = Table::new("incident_timeline");
const EARLY: Table<u64, Early> = Table::new("incident_early_acks");

/// Where pages go. One transaction is at work at a time.
pub(crate) trait Queue: Send + Sync {
    /// Queues notices and takes back those queued as escalations of some incidents, in the transaction of what they are about.
    fn put(
        &self,
        batch: &mut Batch<'_>,
        notices: &[Notice],
        cancelled: &[String],
        at: i64,
    ) -> Result<(), StateError>;

    /// Whether that transaction is durable; if not, nothing was put.
    fn settled(&self, durable: bool);
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDone {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("it could not be stored")]
    NotStored(#[from] barograph_state::Error),
}

/// All incidents. Cloning is cheap, and clones are the same.
#[derive(Clone)]
pub(crate) struct Incidents(Arc<Inner>);

struct Inner {
    book: Mutex<Book>,
    overrides: Mutex<BTreeMap<String, overrides::Kept>>,
    /// `None` until the first link is made.
    key: OnceLock<barograph_alert::incident::LinkKey>,
    config: RwLock<Arc<Config>>,
    queue: OnceLock<Box<dyn Queue>>,
    state: Arc<State>,
    clock: Arc<dyn Clock>,
    jumps: Mutex<Jumps>,
    events: Events,
    instruments: Instruments,
    /// Who tells it.
    node: String,
}

impl Incidents {
    /// What was kept of earlier runs. Blocks on the disk.
    pub(crate) fn load(
        state: Arc<State>,
        clock: Arc<dyn Clock>,
        events: Events,
        instruments: Instruments,
        node: String,
    ) -> Self {
        let read = state.read(|view| {
            let incidents = view.all(&INCIDENTS)?.into_iter().map(|(_, incident)| incident).collect();
            let early = view.all(&EARLY)?.into_iter().map(|(key, early)| (Fingerprint(key), early)).collect();
            Ok((Book::load(incidents, early), overrides::load(view)?))
        });
        let (book, overrides) = read.unwrap_or_else(|error| {
            tracing::error!(error = chain(&error), "incidents cannot be read; those from now on are kept");
            Default::default()
        });
        Self(Arc::new(Inner {
            book: Mutex::new(book),
            overrides: Mutex::new(overrides),
            key: OnceLock::new(),
            config: RwLock::new(Arc::new(Config::default())),
            queue: OnceLock::new(),
            state,
            jumps: Mutex::new(Jumps::since_now(&*clock)),
            clock,
            events,
            instruments,
            node,
        }))
    }

    /// From now on pages are queued.
    pub(crate) fn connect(&self, queue: Box<dyn Queue>) {
        let _ = self.0.queue.set(queue);
    }

    /// From now on these policies, schedules and receivers hold.
    pub(crate) fn configure(&self, config: Arc<Config>) {
        *self.0.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// What holds, with overrides that were set while running.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.0.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The book, and the time. Deadlines go with a clock that jumped. Blocks on the disk.
    fn book(&self) -> (MutexGuard<'_, Book>, i64) {
        let mut book = self.as_it_is();
        let (now, jumped) = self.0.jumps.lock().unwrap_or_else(PoisonError::into_inner).look(&*self.0.clock);
        if let Some(by) = jumped {
            self.shift(&mut book, by);
        }
        (book, now.millis())
    }

    fn as_it_is(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shift(&self, book: &mut Book, by: i64) {
        let shifted = book.shift(by);
        if shifted.is_empty() {
            return;
        }
        let kept = self.0.state.write(|batch| {
            let incidents = shifted.iter().filter_map(|id| book.get(id));
            incidents.into_iter().try_for_each(|incident| batch.put(&INCIDENTS, &incident.id, incident))
        });
        if let Err(error) = kept {
            self.0.instruments.not_stored.inc();
            tracing::error!(
                error = chain(&error),
                "deadlines cannot be kept as the clock jumped; those before hold after a restart"
            );
        }
    }

    fn now(&self) -> i64 {
        self.0.clock.now().0
    }

    /// Calls with all incidents. Whoever stores a change holds them until it is durable, so this waits on a thread that may.
    pub(crate) async fn look<T: Send + 'static>(&self, look: impl FnOnce(&Book) -> T + Send + 'static) -> T {
        if let Some(book) = self.at_once() {
            return look(&book);
        }
        let incidents = self.clone();
        let looked = current::blocking(move || incidents.look_here(look)).await;
        looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// The same for who may wait for the disk.
    pub(crate) fn look_here<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.as_it_is())
    }

    /// The book, if nobody has it.
    fn at_once(&self) -> Option<MutexGuard<'_, Book>> {
        match self.0.book.try_lock() {
            Ok(book) => Some(book),
            Err(TryLockError::Poisoned(book)) => Some(book.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// What happened to an incident, the last `limit` rows in order. Blocks on the disk.
    pub(crate) fn timeline(&self, id: &str, limit: usize) -> Result<Vec<Row>, barograph_state::Error> {
        let keys = (id.to_owned(), 0)..(id.to_owned(), u64::MAX);
        let rows = self.0.state.read(|view| view.range(&TIMELINE, keys, limit))?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// What somebody does with an incident. Durable when it returns; blocks on the disk.
    pub(crate) fn act(&self, id: &str, act: Act, by: &str, message: &str) -> Result<Change, NotDone> {
        let config = self.config();
        let (mut book, now) = self.book();
        let change = book.act(id, act, by, message, &config.policies, now)?;
        let pending = Pending::of(self, book, vec![change], now);
        let changes = pending.store_alone()?;
        changes.into_iter().next().ok_or_else(|| Refused::Unknown(id.to_owned()).into())
    }

    /// What somebody does with an alert: with each incident it is in that is not over. Durable when it returns; blocks on the
    /// disk.
    pub(crate) fn act_on_alert(
        &self,
        fingerprint: Fingerprint,
        act: &Act,
        by: &str,
        message: &str,
    ) -> Result<Vec<Change>, NotDone> {
        let config = self.config();
        let (mut book, now) = self.book();
        let ids: Vec<String> = book.of_alert(fingerprint).map(|incident| incident.id.clone()).collect();
        let (mut changes, mut refused) = (Vec::new(), None);
        for id in ids {
            match book.act(&id, act.clone(), by, message, &config.policies, now) {
                Ok(change) => changes.push(change),
                Err(why) => refused = Some(why),
            }
        }
        match (changes.is_empty(), refused) {
            (true, Some(why)) => Err(why.into()),
            (true, None) => Err(Refused::Unknown(format!("of alert_{fingerprint}")).into()),
            _ => Ok(Pending::of(self, book, changes, now).store_alone()?),
        }
    }

    /// Somebody acknowledges an alert that is in no incident yet. Durable when it returns; blocks on the disk.
    pub(crate) fn acknowledge_early(&self, fingerprint: Fingerprint, early: Early) -> Result<(), NotDone> {
        let mut book = self.as_it_is();
        let before = book.early(fingerprint).cloned();
        if before.as_ref().is_some_and(|it| it.starts_at == early.starts_at && it.ack.by == early.ack.by) {
            return Ok(());
        }
        book.acknowledge_early(fingerprint, early.clone())?;
        if let Err(error) = self.0.state.write(|batch| batch.put(&EARLY, &fingerprint.0, &early)) {
            book.forget_early(fingerprint);
            if let Some(before) = before {
                // It was there a moment ago, so there is room for it.
                let _ = book.acknowledge_early(fingerprint, before);
            }
            return Err(error.into());
        }
        drop(book);
        self.tell_ack(&early.ack);
        Ok(())
    }

    /// Such an acknowledgement is taken back, or counts no more; whether there was one. Blocks on the disk.
    pub(crate) fn forget_early(&self, fingerprint: Fingerprint) -> Result<bool, NotDone> {
        let mut book = self.as_it_is();
        let Some(early) = book.forget_early(fingerprint) else { return Ok(false) };
        if let Err(error) = self.0.state.write(|batch| batch.remove(&EARLY, &fingerprint.0)) {
            let _ = book.acknowledge_early(fingerprint, early);
            return Err(error.into());
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
