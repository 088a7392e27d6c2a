//! What waits for one integration of a receiver.

use std::collections::{HashMap, VecDeque};

use super::{AGE_MS_MAX, Breaker, Entry, Outcome, breaker::Standing, rate::Rate};
use crate::{
    channels::{AFTER_MS_MAX, Verdict},
    notice::{Notice, Reason},
    routing::{Alert, Severity},
};

/// Notices that wait for one integration; more are merged.
pub const QUEUE_MAX: usize = 1_000;
/// The wait after the first try that failed, and the longest, in milliseconds.
const BACKOFF_MS: f64 = 500.0;
const BACKOFF_MS_MAX: f64 = 60_000.0;
const GROWTH: f64 = 1.5;
/// The longest wait between two tries, in milliseconds: that, off by half.
const WAIT_MS_MAX: i64 = 90_000;

/// What waits for one integration.
#[derive(Clone, Debug)]
pub struct Queue {
    waiting: VecDeque<Waiting>,
    /// The notice that is being sent.
    sending: Option<u64>,
    breaker: Breaker,
    rate: Rate,
    /// Until when the receiver wants to be left alone.
    alone_until: i64,
    /// When something was sent last.
    pub last_sent_at: Option<i64>,
    /// Why something was not sent last.
    pub last_error: Option<String>,
}

#[derive(Clone, Debug)]
struct Waiting {
    entry: Entry,
    /// Tries since it was put at the end.
    tries: i32,
    next_at: i64,
    deadline: i64,
    /// It was taken back while it was being sent.
    is_off: bool,
}

/// What became of notices when another was queued.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Overflow {
    /// Notices that went into another.
    pub(super) merged: Vec<u64>,
    /// The notice that others went into, as it is now.
    pub(super) into: Option<Entry>,
    /// Notices that were given up.
    pub(super) dropped: Vec<Entry>,
}

impl Queue {
    pub(super) fn new(per_minute: u32, now: i64) -> Self {
        Self {
            waiting: VecDeque::new(),
            sending: None,
            breaker: Breaker::default(),
            rate: Rate::new(per_minute, now),
            alone_until: i64::MIN,
            last_sent_at: None,
            last_error: None,
        }
    }

    pub(super) fn limit(&mut self, per_minute: u32) {
        self.rate.limit(per_minute);
    }

    pub(super) fn release(&mut self) {
        self.sending = None;
    }

    /// How many notices wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none does.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How its breaker stands.
    pub fn breaker(&self, now: i64) -> Standing {
        self.breaker.standing(now)
    }

    /// What waits, each with when it is tried next.
    pub fn entries(&self) -> impl Iterator<Item = (&Entry, i64)> {
        self.waiting.iter().map(|waiting| (&waiting.entry, waiting.next_at))
    }

    /// Takes a notice back; whether it is gone. One that is just being sent stays until it is known what came of that.
    pub(super) fn take_back(&mut self, id: u64) -> bool {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.entry.id == id) else { return true };
        if self.sending == Some(id) {
            self.waiting[at].is_off = true;
            return false;
        }
        self.waiting.remove(at);
        true
    }

    pub(super) fn entry_mut(&mut self, id: u64) -> Option<&mut Entry> {
        self.waiting.iter_mut().find(|waiting| waiting.entry.id == id).map(|waiting| &mut waiting.entry)
    }

    pub(super) fn push(&mut self, entry: Entry, now: i64) -> Overflow {
        let deadline = entry.notice.deadline.max(now.saturating_add(1));
        self.waiting.push_back(Waiting { entry, tries: 0, next_at: now, deadline, is_off: false });
        let mut overflow = Overflow::default();
        while let Some(earlier) = self.outdated_by(self.waiting.len() - 1) {
            let of_one = self.merge(earlier, self.waiting.len() - 1);
            overflow.merged.extend(of_one.merged);
            overflow.into = of_one.into;
        }
        if !overflow.merged.is_empty() {
            return overflow;
        }
        if self.waiting.len() > QUEUE_MAX { self.shrink() } else { Overflow::default() }
    }

    /// An earlier state of a group that still waits when there is a newer one: that it fires, or that it is over.
    fn outdated_by(&self, newest: usize) -> Option<usize> {
        let newer = &self.waiting[newest].entry.notice;
        let is_outdated = |waiting: &Waiting| {
            let notice = &waiting.entry.notice;
            Some(waiting.entry.id) != self.sending
                && notice.reason == newer.reason
                && notice.dedup_key == newer.dedup_key
                && notice.level == newer.level
        };
        if !matches!(newer.reason, Reason::Group | Reason::Resolved) {
            return None;
        }
        self.waiting.iter().take(newest).position(is_outdated)
    }

    /// Puts an earlier notice into a later one, with its tries; its age counts on.
    fn merge(&mut self, earlier: usize, later: usize) -> Overflow {
        let Some(gone) = self.waiting.remove(earlier).map(|waiting| waiting.entry) else {
            return Overflow::default();
        };
        let Some(kept) = self.waiting.get_mut(later - 1).map(|waiting| &mut waiting.entry) else {
            return Overflow::default();
        };
        merge(&mut kept.notice, gone.notice);
        // Whoever has the later one has not what the earlier one says.
        kept.taken.clear();
        kept.absorbed.push(gone.id);
        kept.queued_at = kept.queued_at.min(gone.queued_at);
        let newer = std::mem::replace(&mut kept.attempts, gone.attempts);
        newer.into_iter().for_each(|attempt| kept.note(attempt));
        Overflow { merged: vec![gone.id], into: Some(kept.clone()), dropped: Vec::new() }
    }

    /// Merges two notices of a group, or gives up the oldest that is not critical.
    fn shrink(&mut self) -> Overflow {
        let mut overflow = Overflow::default();
        let newest = self.waiting.len() - 1;
        let mergeable = |waiting: &Waiting| {
            Some(waiting.entry.id) != self.sending
                && matches!(waiting.entry.notice.reason, Reason::Group | Reason::Resolved)
        };
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (at, waiting) in self.waiting.iter().enumerate().filter(|(_, waiting)| mergeable(waiting)) {
            first.entry(&waiting.entry.notice.dedup_key).or_insert(at);
        }
        // Where the newest has no older one of its group, some other may.
        let mut later = (0..=newest).rev().filter(|at| mergeable(&self.waiting[*at])).take(QUEUE_MAX / 10);
        let pair = later.find_map(|later| {
            let earlier = *first.get(self.waiting[later].entry.notice.dedup_key.as_str())?;
            (earlier < later).then_some((earlier, later))
        });
        if let Some((earlier, later)) = pair {
            return self.merge(earlier, later);
        }
        let spare = self.waiting.iter().position(|waiting| {
            Some(waiting.entry.id) != self.sending && !is_critical(&waiting.entry.notice)
        });
        if let Some(gone) = spare.and_then(|at| self.waiting.remove(at)) {
            overflow.dropped.push(gone.entry);
        }
        overflow
    }

    /// When there may be something to do.
    pub(super) fn next(&self) -> Option<i64> {
        if self.sending.is_some() {
            return None;
        }
        let next = self.ready().map(|waiting| waiting.next_at).min()?;
        let closed = self.breaker.opens_at().unwrap_or(i64::MIN);
        Some(next.max(closed).max(self.alone_until))
    }

    /// Those that wait for no earlier one of their incident.
    fn ready(&self) -> impl Iterator<Item = &Waiting> {
        let mut seen = std::collections::HashSet::new();
        self.waiting.iter().filter(move |waiting| seen.insert(waiting.entry.notice.dedup_key.as_str()))
    }

    /// The wall clock jumped to `now`: nothing is older for that, and nothing waits longer.
    pub(super) fn shift(&mut self, by: i64, now: i64) {
        self.waiting.iter_mut().for_each(|waiting| waiting.entry.shift(by, now));
        // What was set by the clock as it is now would wait for as long as it jumped.
        let back = by.min(0);
        for waiting in &mut self.waiting {
            waiting.next_at = waiting.next_at.saturating_add(back);
        }
        self.alone_until = self.alone_until.saturating_add(back);
        self.breaker.shift(back);
    }

    /// No wait is longer than the longest there is, whatever the clock said when it began.
    fn reach(&mut self, now: i64) {
        let longest = |at: &mut i64, wait: i64| *at = (*at).min(now.saturating_add(wait));
        for waiting in &mut self.waiting {
            longest(&mut waiting.next_at, WAIT_MS_MAX);
        }
        longest(&mut self.alone_until, AFTER_MS_MAX);
        self.breaker.reach(now);
    }

    /// What is given up, and what is sent now.
    pub(super) fn due(&mut self, now: i64) -> (Vec<Entry>, Option<Entry>) {
        self.reach(now);
        let mut old = Vec::new();
        let sending = self.sending;
        self.waiting.retain(|waiting| {
            let is_old = now.saturating_sub(waiting.entry.queued_at) >= AGE_MS_MAX;
            let goes = is_old && Some(waiting.entry.id) != sending;
            if goes {
                old.push(waiting.entry.clone());
            }
            !goes
        });
        let is_closed = self.breaker.standing(now) == Standing::Open;
        if self.sending.is_some() || is_closed || now < self.alone_until {
            return (old, None);
        }
        let Some(id) = self.ready().find(|waiting| waiting.next_at <= now).map(|waiting| waiting.entry.id)
        else {
            return (old, None);
        };
        if let Err(at) = self.rate.take(now) {
            self.alone_until = at;
            return (old, None);
        }
        self.sending = Some(id);
        (old, self.entry_mut(id).map(|entry| entry.clone()))
    }

    /// What came of a try; `die` is between 0 and 1. `None` if it was taken back meanwhile and was not sent.
    pub(super) fn done(
        &mut self,
        id: u64,
        verdict: &Verdict,
        now: i64,
        die: f64,
    ) -> Option<(Entry, Outcome)> {
        let is_off = self.waiting.iter().any(|waiting| waiting.entry.id == id && waiting.is_off);
        let done = self.judged(id, verdict, now, die)?;
        if is_off && done.1 != Outcome::Sent {
            self.waiting.retain(|waiting| waiting.entry.id != id);
            return None;
        }
        Some(done)
    }

    fn judged(&mut self, id: u64, verdict: &Verdict, now: i64, die: f64) -> Option<(Entry, Outcome)> {
        if self.sending == Some(id) {
            self.sending = None;
        }
        let at = self.waiting.iter().position(|waiting| waiting.entry.id == id)?;
        match verdict {
            Verdict::Sent => {
                self.breaker.succeeded();
                self.last_sent_at = Some(now);
                Some((self.waiting.remove(at)?.entry, Outcome::Sent))
            }
            // It answers, so it is there.
            Verdict::Refused(why) => {
                self.breaker.succeeded();
                self.last_error = Some(why.clone());
                Some((self.waiting.remove(at)?.entry, Outcome::Dead(why.clone())))
            }
            Verdict::Again { why, after_ms } => {
                self.last_error = Some(why.clone());
                match after_ms {
                    Some(after) => self.alone_until = self.alone_until.max(now.saturating_add(*after)),
                    None => self.breaker.failed(now),
                }
                let mut waiting = self.waiting.remove(at)?;
                if now.saturating_sub(waiting.entry.queued_at) >= AGE_MS_MAX {
                    return Some((waiting.entry, Outcome::Dead(format!("given up after a day: {why}"))));
                }
                waiting.tries = waiting.tries.saturating_add(1);
                waiting.next_at = now.saturating_add(backoff(waiting.tries, die));
                let entry = waiting.entry.clone();
                let outcome = Outcome::Again(waiting.next_at);
                if waiting.next_at < waiting.deadline {
                    self.waiting.insert(at, waiting);
                } else {
                    self.requeue(waiting, now);
                }
                Some((entry, outcome))
            }
        }
    }

    /// At the end of the queue it begins anew, but not before others of its incident.
    fn requeue(&mut self, mut waiting: Waiting, now: i64) {
        let span = waiting.entry.notice.deadline.saturating_sub(waiting.entry.notice.at).max(1_000);
        waiting.deadline = now.saturating_add(span);
        waiting.tries = 0;
        let key = &waiting.entry.notice.dedup_key;
        let same = |other: &Waiting| other.entry.notice.dedup_key == *key;
        let at = self.waiting.iter().position(same).unwrap_or(self.waiting.len());
        self.waiting.insert(at, waiting);
    }
}

/// How long to wait after so many tries that failed.
fn backoff(tries: i32, die: f64) -> i64 {
    let wait = (BACKOFF_MS * GROWTH.powi(tries.saturating_sub(1).min(64))).min(BACKOFF_MS_MAX);
    #[expect(clippy::cast_possible_truncation, reason = "at most a minute and a half")]
    let wait = (wait * (0.5 + die.clamp(0.0, 1.0))) as i64;
    wait.max(1)
}

fn is_critical(notice: &Notice) -> bool {
    notice.alerts.iter().any(|alert| alert.severity() == Severity::Critical)
}

/// Puts what an earlier notice has and a later one has not into the later: what is over. What fired and is not in the later
/// one is muted meanwhile, or over for a receiver that does not hear of that.
fn merge(later: &mut Notice, earlier: Notice) {
    let known: std::collections::HashSet<_> = later.alerts.iter().map(Alert::fingerprint).collect();
    let missing = earlier
        .alerts
        .into_iter()
        .filter(|alert| alert.ends_at.is_some() && !known.contains(&alert.fingerprint()));
    later.alerts.extend(missing);
    later.truncated = later.truncated.max(earlier.truncated);
    later.reminder &= earlier.reminder;
    // So that the size of what is kept stays within its bound.
    let most = crate::notice::ALERTS_MAX;
    if later.alerts.len() > most {
        later.truncated += later.alerts.len() - most;
        later.alerts.truncate(most);
    }
}
