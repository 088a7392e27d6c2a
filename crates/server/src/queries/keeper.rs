//! Turns handed out to tasks. Whoever goes away while waiting leaves the queue; a turn that is dropped is over.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::turns::{TurnLimits, Turns, Verdict};

/// Hands out turns.
#[derive(Debug)]
pub(crate) struct Keeper(Mutex<State>);

#[derive(Debug)]
struct State {
    turns: Turns,
    /// Those who wait, by ticket.
    waiting: HashMap<u64, oneshot::Sender<Turn>>,
    last_ticket: u64,
}

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    keeper: Arc<Keeper>,
    caller: Arc<str>,
}

/// Too many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowded;

impl Keeper {
    pub(crate) fn new(limits: TurnLimits) -> Self {
        Self(Mutex::new(State { turns: Turns::new(limits), waiting: HashMap::new(), last_ticket: 0 }))
    }

    /// Hands out turns by other limits from now on; those that are out stay out.
    pub(crate) fn configure(&self, limits: TurnLimits) {
        self.lock().turns.configure(limits);
    }

    /// Waits for a turn.
    pub(crate) async fn turn(self: &Arc<Self>, caller: &Arc<str>) -> Result<Turn, Crowded> {
        let (ticket, given) = {
            let mut state = self.lock();
            state.last_ticket += 1;
            let ticket = state.last_ticket;
            match state.turns.ask(caller, ticket) {
                Verdict::Now => return Ok(Turn { keeper: self.clone(), caller: caller.clone() }),
                Verdict::Refused => return Err(Crowded),
                Verdict::Wait { displaced } => {
                    // Whose sender goes hears of it.
                    drop(displaced.and_then(|other| state.waiting.remove(&other)));
                    let (give, given) = oneshot::channel();
                    state.waiting.insert(ticket, give);
                    (ticket, given)
                }
            }
        };
        // Dropped with this future, and then whatever was given meanwhile is dropped too, which ends that turn.
        let mut place = Place { keeper: self, ticket, given };
        (&mut place.given).await.map_err(|_| Crowded)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().turns.waiting()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue.
struct Place<'k> {
    keeper: &'k Keeper,
    ticket: u64,
    given: oneshot::Receiver<Turn>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = self.keeper.lock();
        if state.waiting.remove(&self.ticket).is_some() {
            state.turns.leave(self.ticket);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut state = self.keeper.lock();
            let next = state.turns.finish(&self.caller);
            next.and_then(|(ticket, caller)| Some((state.waiting.remove(&ticket)?, caller)))
        };
        if let Some((give, caller)) = next {
            // If nobody takes it after all, it comes back, is dropped here, and goes to the one after.
            drop(give.send(Self { keeper: self.keeper.clone(), caller }));
        }
    }
}
