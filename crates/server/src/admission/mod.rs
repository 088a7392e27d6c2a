//! Which requests are taken when more come than can be answered: health and alerts always, then samples, then questions.
//!
//! How many are at work at once finds itself ([`limit`]); a bounded number waits, not for long; who is refused is told when
//! to come again. A request counts from when its body is there to when the head of its answer is, so that a slow client
//! takes no place from others.

mod class;
mod controller;
mod limit;
#[cfg(test)]
mod simulation;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use barograph::{Counter, Family, Gauge, Registry};
use barograph_tenancy::{Shares, Tenant};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::{clock::Clock, config::AdmissionConfig, tenants::scope};
pub(crate) use class::Class;
use controller::{Controller, Verdict};

/// Admits requests. Clones are the same.
#[derive(Clone)]
pub(crate) struct Admission(Arc<Shared>);

struct Shared {
    clock: Arc<dyn Clock>,
    patience: Duration,
    waiting: Mutex<Waiting>,
    dice: AtomicU64,
    /// What tenants have of the places of each class.
    shares: Mutex<HashMap<Class, Shares>>,
    instruments: OnceLock<Instruments>,
}

struct Waiting {
    controller: Controller,
    called: HashMap<u64, oneshot::Sender<()>>,
}

struct Instruments {
    limit: Family<Gauge, 1>,
    in_flight: Family<Gauge, 1>,
    refused: Family<Counter, 1>,
}

/// A request is refused for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) class: Class,
    /// When to come again.
    pub(crate) after: Duration,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (class, seconds) = (self.class.as_str(), self.after.as_secs());
        write!(f, "too many requests of class {class} are at work; send again in {seconds} s")
    }
}

impl Admission {
    pub(crate) fn new(config: &AdmissionConfig, clock: Arc<dyn Clock>) -> Self {
        let waiting = Waiting { controller: Controller::new(config), called: HashMap::new() };
        Self(Arc::new(Shared {
            clock,
            patience: config.wait,
            waiting: Mutex::new(waiting),
            dice: AtomicU64::new(0),
            shares: Mutex::default(),
            instruments: OnceLock::new(),
        }))
    }

    /// From now on it is measured.
    ///
    /// # Errors
    /// A name stands twice.
    pub(crate) fn measure_in(&self, registry: &Registry) -> Result<(), barograph::Error> {
        let instruments = Instruments {
            limit: registry
                .gauge("barograph_admission_limit")
                .help("Requests that may be at work at once, by class.")
                .family(["class"])?,
            in_flight: registry
                .gauge("barograph_admission_in_flight")
                .help("Requests at work, by class.")
                .family(["class"])?,
            refused: registry
                .counter("barograph_admission_refused_total")
                .help("Requests refused because too many were at work, by class.")
                .family(["class"])?,
        };
        let _ = self.0.instruments.set(instruments);
        Ok(())
    }

    /// Asks for a place, and waits a moment for one.
    ///
    /// # Errors
    /// There is none.
    pub(crate) async fn admit(&self, class: Class) -> Result<Pass, Refused> {
        let share = self.share(class)?;
        let mut pass = self.place(class).await?;
        pass.share = share;
        Ok(pass)
    }

    /// A place in the share of whoever it is for, where there are tenants; what is critical is not shared.
    fn share(&self, class: Class) -> Result<Option<Share>, Refused> {
        let Some(working) = scope::working().filter(|_| !class.is_critical()) else { return Ok(None) };
        let waiting = self.lock();
        let Some(all) = waiting.controller.standing(class).limit else { return Ok(None) };
        let after = waiting.controller.retry_after(class);
        drop(waiting);
        let mut shares = self.0.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let tenant = &working.0.tenant;
        if shares.entry(class).or_default().take(tenant, all, self.0.clock.monotonic()) {
            return Ok(Some(Share { admission: self.clone(), class, tenant: tenant.clone() }));
        }
        drop(shares);
        working.0.figures.share_refused.fetch_add(1, Relaxed);
        Err(self.refused(class, after))
    }

    async fn place(&self, class: Class) -> Result<Pass, Refused> {
        let (number, mut called) = {
            let mut waiting = self.lock();
            match waiting.controller.ask(class, self.die()) {
                Verdict::Now => return Ok(self.pass(class, &waiting)),
                Verdict::Refused(after) => return Err(self.refused(class, after)),
                Verdict::Wait(number) => {
                    let (call, called) = oneshot::channel();
                    waiting.called.insert(number, call);
                    (number, Number { admission: self.clone(), class, number, called: Some(called) })
                }
            }
        };
        let Some(receiver) = called.called.as_mut() else { return Err(self.refused(class, self.0.patience)) };
        let is_called = tokio::time::timeout(self.0.patience, receiver).await.is_ok_and(|call| call.is_ok());
        let mut waiting = self.lock();
        called.called = None;
        waiting.called.remove(&number);
        if is_called || !waiting.controller.give_up(class, number) {
            return Ok(self.pass(class, &waiting));
        }
        let after = waiting.controller.retry_after(class);
        drop(waiting);
        Err(self.refused(class, after))
    }

    /// How all classes fare.
    pub(crate) fn describe(&self) -> Value {
        let waiting = self.lock();
        let classes: Vec<_> = Class::ALL
            .into_iter()
            .map(|class| {
                let standing = waiting.controller.standing(class);
                json!({
                    "class": class.as_str(),
                    "limit": standing.limit,
                    "in_flight": standing.in_flight,
                    "waiting": standing.waiting,
                    "admitted": standing.admitted,
                    "refused": standing.refused,
                })
            })
            .collect();
        json!({
            "classes": classes,
            "in_flight": waiting.controller.in_flight(),
            "total": waiting.controller.total(),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass(&self, class: Class, waiting: &Waiting) -> Pass {
        self.measure(class, waiting);
        Pass { admission: self.clone(), class, began: self.0.clock.monotonic(), is_done: false, share: None }
    }

    fn refused(&self, class: Class, after: Duration) -> Refused {
        if let Some(instruments) = self.0.instruments.get() {
            instruments.refused.with([class.as_str()]).inc();
        }
        Refused { class, after }
    }

    fn leave(&self, class: Class, done: Option<Duration>) {
        let mut waiting = self.lock();
        let called = waiting.controller.leave(class, done, self.0.clock.monotonic());
        for number in called {
            // Who went away meanwhile gives the place back by itself.
            let _ = waiting.called.remove(&number).map(|call| call.send(()));
        }
        self.measure(class, &waiting);
    }

    fn measure(&self, class: Class, waiting: &Waiting) {
        let Some(instruments) = self.0.instruments.get() else { return };
        let standing = waiting.controller.standing(class);
        instruments.in_flight.with([class.as_str()]).set(standing.in_flight as f64);
        if let Some(limit) = standing.limit {
            instruments.limit.with([class.as_str()]).set(limit as f64);
        }
    }

    /// A number from 0 to 1, evenly; which comes next need not be hard to tell.
    fn die(&self) -> f64 {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut x = self.0.dice.fetch_add(GOLDEN, Relaxed);
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Someone who waits. Whoever goes away while they do leaves the queue, or the place that was theirs already.
struct Number {
    admission: Admission,
    class: Class,
    number: u64,
    called: Option<oneshot::Receiver<()>>,
}

impl Drop for Number {
    fn drop(&mut self) {
        if self.called.is_none() {
            return;
        }
        let waits = {
            let mut waiting = self.admission.lock();
            waiting.called.remove(&self.number);
            waiting.controller.give_up(self.class, self.number)
        };
        if !waits {
            self.admission.leave(self.class, None);
        }
    }
}

/// A place, until it is dropped.
pub(crate) struct Pass {
    admission: Admission,
    class: Class,
    began: Duration,
    is_done: bool,
    share: Option<Share>,
}

/// A place in the share of a tenant, until it is dropped.
struct Share {
    admission: Admission,
    class: Class,
    tenant: Tenant,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.admission.0.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shares) = shares.get_mut(&self.class) {
            shares.give(&self.tenant);
        }
    }
}

impl Pass {
    /// The work is done, and how long it took counts. What was given up tells nothing.
    pub(crate) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        drop(self.share.take());
        let took = self.admission.0.clock.monotonic().saturating_sub(self.began);
        self.admission.leave(self.class, self.is_done.then_some(took));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::SystemClock, config::ClassLimits};

    fn admission(limit: usize, queue: usize, wait: Duration) -> Admission {
        let query = ClassLimits { min: limit, max: limit, initial: limit, queue };
        let config = AdmissionConfig { query, wait, ..AdmissionConfig::default() };
        Admission::new(&config, Arc::new(SystemClock::new()))
    }

    #[tokio::test]
    async fn a_place_is_handed_on() {
        let admission = admission(1, 1, Duration::from_secs(60));
        let first = admission.admit(Class::Query).await.ok().unwrap();
        let mut second = Box::pin(admission.admit(Class::Query));
        assert!(futures_util::poll!(&mut second).is_pending());
        let refused = admission.admit(Class::Query).await.err().unwrap();
        assert_eq!((refused.class, refused.after >= Duration::from_secs(1)), (Class::Query, true));
        assert!(admission.admit(Class::Health).await.is_ok());
        first.done();
        second.await.ok().unwrap().done();
        assert_eq!(admission.lock().controller.in_flight(), 0);
    }

    #[tokio::test]
    async fn who_waits_too_long_or_goes_away_leaves_no_trace() {
        let admission = admission(1, 1, Duration::from_millis(10));
        let first = admission.admit(Class::Query).await.ok().unwrap();
        assert!(admission.admit(Class::Query).await.is_err());
        let mut gone = Box::pin(admission.admit(Class::Query));
        assert!(futures_util::poll!(&mut gone).is_pending());
        drop(gone);
        let mut called = Box::pin(admission.admit(Class::Query));
        assert!(futures_util::poll!(&mut called).is_pending());
        first.done();
        // The place is theirs, and they go.
        drop(called);
        let waiting = admission.lock();
        assert_eq!((waiting.controller.in_flight(), waiting.called.len()), (0, 0));
    }
}
