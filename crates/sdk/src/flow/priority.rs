//! Which flow is next: permits in the order of importance.
//!
//! So many flows may run at a time. Where more want to, the one that matters most goes first, and of those that matter
//! alike the one that has waited longest. Whoever waits rises by one class every ten seconds, so that nothing waits for
//! ever. How many wait is limited too; one more is refused at once.

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use crate::{clock, sampling::Importance};

/// How many flows may wait.
pub const WAITING_MAX: usize = 10_000;
/// How many flows may have an importance of their own; more have the usual one.
pub const PRIORITIES_MAX: usize = 10_000;
/// After so long who waits rises by one class.
const AGE: Duration = Duration::from_secs(10);

/// Gives permits to run, the most important first. Cloning it is cheap, and clones are the same.
#[derive(Clone)]
pub struct FlowPriorityManager(Arc<Mutex<State>>);

struct State {
    free: usize,
    importance: BTreeMap<String, Importance>,
    waiting: Vec<Waiting>,
    /// Permits that are given to someone who has not come for them yet, by ticket.
    given: Vec<u64>,
    tickets: u64,
}

struct Waiting {
    ticket: u64,
    importance: Importance,
    since: Instant,
    waker: Option<Waker>,
}

/// Too many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room to wait: {WAITING_MAX} flows wait already")
    }
}

impl std::error::Error for Full {}

impl FlowPriorityManager {
    /// One that lets this many run at a time.
    pub fn new(permits: usize) -> Self {
        let (importance, waiting, given) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self(Arc::new(Mutex::new(State { free: permits, importance, waiting, given, tickets: 0 })))
    }

    /// Says how much depends on a flow; `false` if too many have one of their own.
    pub fn assign(&self, flow: &str, importance: Importance) -> bool {
        let mut state = self.state();
        let room = state.importance.len() < PRIORITIES_MAX || state.importance.contains_key(flow);
        if room {
            state.importance.insert(flow.to_owned(), importance);
        }
        room
    }

    /// How much depends on a flow.
    pub fn priority(&self, flow: &str) -> Importance {
        self.state().importance.get(flow).copied().unwrap_or_default()
    }

    /// All flows that have an importance of their own.
    pub fn priorities(&self) -> BTreeMap<String, Importance> {
        self.state().importance.clone()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// A permit, if one is free and nobody waits for it.
    pub fn try_acquire(&self) -> Option<Permit> {
        let mut state = self.state();
        (state.free > 0).then(|| {
            state.free -= 1;
            Permit(self.clone())
        })
    }

    /// Queues up for a permit for this flow.
    ///
    /// # Errors
    /// [`Full`] if too many wait.
    pub fn acquire(&self, flow: &str) -> Result<Acquire, Full> {
        self.acquire_at(flow, clock::monotonic())
    }

    /// Waits for a permit for this flow, on this thread.
    ///
    /// # Errors
    /// [`Full`] if too many wait.
    pub fn acquire_blocking(&self, flow: &str) -> Result<Permit, Full> {
        struct Unpark(Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut acquire = self.acquire(flow)?;
        loop {
            match Pin::new(&mut acquire).poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(permit) => return Ok(permit),
                Poll::Pending => thread::park(),
            }
        }
    }

    fn acquire_at(&self, flow: &str, now: Instant) -> Result<Acquire, Full> {
        let mut state = self.state();
        if state.waiting.len() >= WAITING_MAX {
            return Err(Full);
        }
        let importance = state.importance.get(flow).copied().unwrap_or_default();
        let ticket = state.tickets;
        state.tickets += 1;
        if state.free > 0 {
            state.free -= 1;
            state.given.push(ticket);
        } else {
            state.waiting.push(Waiting { ticket, importance, since: now, waker: None });
        }
        Ok(Acquire { manager: self.clone(), ticket })
    }

    /// Gives a permit that came back to whoever is next, or keeps it.
    fn release_at(&self, now: Instant) {
        let mut state = self.state();
        // Tickets ascend, so the first of a class has waited longest.
        let class = |waiting: &Waiting| {
            let rises = now.saturating_duration_since(waiting.since).as_secs() / AGE.as_secs();
            let class = (waiting.importance as u64).saturating_add(rises).min(Importance::Critical as u64);
            (class, std::cmp::Reverse(waiting.ticket))
        };
        let next = (0..state.waiting.len()).max_by_key(|i| class(&state.waiting[*i]));
        let Some(next) = next.map(|i| state.waiting.remove(i)) else {
            state.free += 1;
            return;
        };
        state.given.push(next.ticket);
        drop(state);
        if let Some(waker) = next.waker {
            waker.wake();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FlowPriorityManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "FlowPriorityManager({} free, {} waiting)", state.free, state.waiting.len())
    }
}

/// Permission to run, until it is dropped.
#[derive(Debug)]
#[must_use = "the permit goes back when it is dropped"]
pub struct Permit(FlowPriorityManager);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release_at(clock::monotonic());
    }
}

/// A place in the queue; becomes a permit. Dropped before, the place is given up.
#[derive(Debug)]
#[must_use = "the place in the queue is given up when this is dropped"]
pub struct Acquire {
    manager: FlowPriorityManager,
    ticket: u64,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let mut state = self.manager.state();
        if let Some(i) = state.given.iter().position(|ticket| *ticket == self.ticket) {
            state.given.swap_remove(i);
            return Poll::Ready(Permit(self.manager.clone()));
        }
        if let Some(waiting) = state.waiting.iter_mut().find(|waiting| waiting.ticket == self.ticket) {
            waiting.waker = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let mut state = self.manager.state();
        state.waiting.retain(|waiting| waiting.ticket != self.ticket);
        let given = state.given.iter().position(|ticket| *ticket == self.ticket);
        if let Some(i) = given {
            state.given.swap_remove(i);
            drop(state);
            self.manager.release_at(clock::monotonic());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    fn ready(acquire: &mut Acquire) -> Option<Permit> {
        match Pin::new(acquire).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    fn manager() -> FlowPriorityManager {
        let manager = FlowPriorityManager::new(1);
        for (flow, importance) in [("pay", Importance::Critical), ("report", Importance::Low)] {
            assert!(manager.assign(flow, importance));
        }
        manager
    }

    /// In which order flows get the one permit, each of which came some seconds before it was given back.
    #[track_caller]
    fn check(came: &[(&str, u64)], expected: &[&str]) {
        let manager = manager();
        let now = clock::monotonic() + Duration::from_secs(1_000);
        let mut running = manager.try_acquire();
        let place = |&(flow, ago)| (flow, manager.acquire_at(flow, now - Duration::from_secs(ago)).unwrap());
        let mut waiting: Vec<(&str, Acquire)> = came.iter().map(place).collect();
        let mut order = Vec::new();
        while !waiting.is_empty() {
            std::mem::forget(running.take());
            manager.release_at(now);
            let next = waiting.iter_mut().position(|(_, acquire)| {
                running = ready(acquire);
                running.is_some()
            });
            order.push(waiting.remove(next.unwrap()).0);
        }
        assert_eq!(order, expected);
    }

    #[test]
    fn the_most_important_goes_first() {
        check(&[("report", 1), ("mail", 1), ("pay", 1)], &["pay", "mail", "report"]);
        check(&[("mail", 3), ("print", 2), ("pay", 1)], &["pay", "mail", "print"]);
    }

    #[test]
    fn who_waits_long_rises() {
        check(&[("report", 35), ("pay", 1)], &["report", "pay"]);
        check(&[("report", 25), ("pay", 1)], &["pay", "report"]);
    }

    #[test]
    fn a_place_that_is_given_up_blocks_nobody() {
        let manager = manager();
        let permit = manager.try_acquire().unwrap();
        let given = manager.acquire("pay").unwrap();
        let mut next = manager.acquire("mail").unwrap();
        drop(manager.acquire("mail").unwrap());
        assert_eq!(manager.waiting(), 2);
        drop(permit);
        assert!(ready(&mut next).is_none());
        drop(given);
        drop(ready(&mut next).unwrap());
        assert!(manager.try_acquire().is_some());
    }

    #[test]
    fn threads_take_turns() {
        let (manager, running, most) =
            (FlowPriorityManager::new(2), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let _permit = manager.acquire_blocking("mail").unwrap();
                        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        running.fetch_sub(1, SeqCst);
                    }
                });
            }
        });
        assert!((1..=2).contains(&most.load(SeqCst)));
        assert!(manager.waiting() == 0 && manager.try_acquire().is_some());
    }
}
