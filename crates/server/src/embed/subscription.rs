//! A subscription inside an application: a thread that looks at a metric every second and calls a handler.
//!
//! It holds no service: one that is shut down is looked for again until it runs, and one that is gone ends it.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use barograph::statistics::{ConsumerError, NotificationHandler, SubscriptionHandle, Update};
use barograph_model::Timestamp;

use super::{
    Pending,
    service::{Running, Shared},
    statistics::{NOT_RUNNING, attributes, caller, refused},
};
use crate::follower::{Follower, NAME_BYTES_MAX, STEP, Samples};

/// So many subscriptions one service has.
const SUBSCRIPTIONS_MAX: usize = 256;
/// So long the end of a subscription waits for a handler that is running.
const END_WAIT: Duration = Duration::from_secs(10);

/// Calls `handler` for each new value of a metric until the handle is dropped.
pub(super) fn start(
    service: &Arc<Shared>,
    metric: &str,
    mut handler: NotificationHandler,
) -> Result<SubscriptionHandle, ConsumerError> {
    if metric.is_empty() || metric.len() > NAME_BYTES_MAX {
        let reason = "the name of the metric is empty or too long".to_owned();
        return Err(ConsumerError::Refused { reason });
    }
    let unavailable = |reason: &str| ConsumerError::Unavailable { reason: reason.to_owned() };
    let engine = service.running().ok_or_else(|| unavailable(NOT_RUNNING))?.engine;
    let follower = Follower::new(&engine, caller(), metric, engine.clock.now());
    let follower = follower.map_err(|error| refused(error.into()))?;
    let follower = Arc::new(tokio::sync::Mutex::new(follower));
    let room = |count: usize| (count < SUBSCRIPTIONS_MAX).then_some(count + 1);
    if service.subscribers.fetch_update(Relaxed, Relaxed, room).is_err() {
        return Err(ConsumerError::TooManySubscriptions { max: SUBSCRIPTIONS_MAX });
    }
    let counted = Counted(Arc::downgrade(service));
    let (service, metric) = (Arc::downgrade(service), metric.to_owned());
    let turn = Arc::new(Turn::default());
    let own = turn.clone();
    let work = move || {
        let _ended = EndOnDrop(&own);
        while own.wait(STEP) {
            let Some(samples) = look(&service, &follower) else { return };
            for (labels, at, value) in samples {
                if own.ends() {
                    return;
                }
                let (metric, labels) = (metric.clone(), attributes(&labels));
                handler(&Update { metric, labels, at: Timestamp(at), value });
            }
        }
    };
    let thread = thread::Builder::new().name("barograph-follow".to_owned()).spawn(work);
    thread.map_err(|_| unavailable("the system has no thread"))?;
    Ok(SubscriptionHandle::new(move || {
        turn.end(END_WAIT);
        drop(counted);
    }))
}

/// What came since the last look; `None` when the service is gone. What could not be looked at is found by the next look.
fn look(service: &Weak<Shared>, follower: &Arc<tokio::sync::Mutex<Follower>>) -> Option<Samples> {
    let Some(Running { engine, runtime, .. }) = service.upgrade()?.running() else {
        return Some(Samples::new());
    };
    let follower = follower.clone();
    let looked = runtime.spawn(async move {
        let now = engine.clock.now();
        follower.lock().await.look(&engine, now).await
    });
    // A runtime that ends drops what it was at.
    let looked = Pending::new(looked).wait();
    Some(looked.map_or_else(|_| Samples::new(), Result::unwrap_or_default))
}

/// One of the subscriptions of a service, while it is there.
struct Counted(Weak<Shared>);

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(service) = self.0.upgrade() {
            service.subscribers.fetch_sub(1, Relaxed);
        }
    }
}

/// What a subscription's thread and its handle tell each other.
#[derive(Default)]
struct Turn {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ends: bool,
    ended: bool,
}

impl Turn {
    /// Waits until it is time for the next look; whether there is to be one.
    fn wait(&self, long: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), long, |state| !state.ends);
        !waited.unwrap_or_else(PoisonError::into_inner).0.ends
    }

    fn ends(&self) -> bool {
        self.state().ends
    }

    /// Ends it, and waits until no handler is called any more.
    fn end(&self, within: Duration) {
        let mut state = self.state();
        state.ends = true;
        self.changed.notify_all();
        let _ = self.changed.wait_timeout_while(state, within, |state| !state.ended);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells that a thread is at its end, also by a handler that panicked.
struct EndOnDrop<'a>(&'a Turn);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.state().ended = true;
        self.0.changed.notify_all();
    }
}
