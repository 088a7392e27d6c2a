//! All queues together.

use std::collections::BTreeMap;

use super::{Entry, Outcome, Queue, queue::Overflow};
use crate::channels::Verdict;

/// Queues by receiver and integration.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    queues: BTreeMap<(String, usize), Queue>,
    places: BTreeMap<u64, (String, usize)>,
    /// Notices that are sent or given up, which is not written down yet: after a crash they would be here again.
    unnoted: BTreeMap<u64, Entry>,
}

/// A notice that is to be sent now.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The notice, and what is known of it.
    pub entry: Entry,
}

/// What became of other notices when one was queued.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pushed {
    /// Notices that went into another.
    pub merged: Vec<u64>,
    /// The notice that they went into, as it is now.
    pub into: Option<Entry>,
    /// Notices that were given up, as there is no room.
    pub dropped: Vec<Entry>,
}

impl Machine {
    /// Queues a notice for an integration that takes so many a minute.
    pub fn push(&mut self, entry: Entry, per_minute: u32, now: i64) -> Pushed {
        let place = (entry.notice.receiver.clone(), entry.notice.integration);
        self.places.insert(entry.id, place.clone());
        let queue = self.queues.entry(place).or_insert_with(|| Queue::new(per_minute, now));
        queue.limit(per_minute);
        let Overflow { merged, into, dropped } = queue.push(entry, now);
        for id in merged.iter().chain(dropped.iter().map(|entry| &entry.id)) {
            self.places.remove(id);
        }
        Pushed { merged, into, dropped }
    }

    /// The wall clock jumped to `now` by so many milliseconds: what waits is given up no earlier and tried no later for that. The
    /// notices that are to be kept as they are now, those among them that would be here after a crash only.
    pub fn shift(&mut self, by: i64, now: i64) -> Vec<Entry> {
        self.queues.values_mut().for_each(|queue| queue.shift(by, now));
        self.unnoted.values_mut().for_each(|entry| entry.shift(by, now));
        self.pick(|_| true)
    }

    /// When there may be something to do.
    pub fn next(&self) -> Option<i64> {
        self.queues.values().filter_map(Queue::next).min()
    }

    /// What is to be sent now, one notice of a queue at most, and what is given up for its age.
    pub fn due(&mut self, now: i64) -> (Vec<Job>, Vec<Entry>) {
        let (mut jobs, mut old) = (Vec::new(), Vec::new());
        for queue in self.queues.values_mut() {
            let (gone, job) = queue.due(now);
            old.extend(gone);
            jobs.extend(job.map(|entry| Job { entry }));
        }
        for entry in &old {
            self.places.remove(&entry.id);
            self.unnoted.insert(entry.id, entry.clone());
        }
        (jobs, old)
    }

    /// What came of a try; `die` is between 0 and 1. `None` if nobody knows the notice any more, or nobody wants it.
    pub fn done(&mut self, id: u64, verdict: &Verdict, now: i64, die: f64) -> Option<(Entry, Outcome)> {
        let place = self.places.get(&id)?;
        let done = self.queues.get_mut(place)?.done(id, verdict, now, die);
        if let Some((_, Outcome::Again(_))) = done {
            return done;
        }
        self.places.remove(&id);
        self.unnoted.extend(done.iter().map(|(entry, _)| (id, entry.clone())));
        done
    }

    /// What came of a notice is written down.
    pub fn noted(&mut self, id: u64) {
        self.unnoted.remove(&id);
    }

    /// The notices that a test picks out of all that would be here after a crash.
    pub fn pick(&self, test: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let entries = self.queues.values().flat_map(Queue::entries).map(|(entry, _)| entry);
        entries.chain(self.unnoted.values()).filter(|entry| test(entry)).cloned().collect()
    }

    /// Takes a notice back: it is not sent, or if it is just being sent, not again.
    pub fn take_back(&mut self, id: u64) {
        let queue = self.places.get(&id).and_then(|place| self.queues.get_mut(place));
        if queue.is_some_and(|queue| queue.take_back(id)) {
            self.places.remove(&id);
        }
    }

    /// Nobody sends anything any more: what was begun is due again.
    pub fn release(&mut self) {
        self.queues.values_mut().for_each(Queue::release);
    }

    /// Changes what is known of a notice that waits.
    pub fn entry_mut(&mut self, id: u64) -> Option<&mut Entry> {
        self.queues.get_mut(self.places.get(&id)?)?.entry_mut(id)
    }

    /// The queue of an integration, if it ever had anything.
    pub fn queue(&self, receiver: &str, integration: usize) -> Option<&Queue> {
        self.queues.get(&(receiver.to_owned(), integration))
    }

    /// All queues, by receiver and integration.
    pub fn queues(&self) -> impl Iterator<Item = (&(String, usize), &Queue)> {
        self.queues.iter()
    }

    /// How many notices wait.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Forgets queues without notices whose receiver is gone.
    pub fn keep(&mut self, exists: impl Fn(&str, usize) -> bool) {
        self.queues
            .retain(|(receiver, integration), queue| !queue.is_empty() || exists(receiver, *integration));
    }
}
