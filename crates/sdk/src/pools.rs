//! Pools of database connections: how many are in use, and how long one waits for one.
//!
//! [`PoolMeter::acquire`] goes around whatever a pool's `acquire` gives, and the connection it hands out is a guard.
//! A caller that gives up waiting is counted as such, once.

use std::{
    ops::{Deref, DerefMut},
    sync::LazyLock,
    time::Instant,
};

use crate::{
    Counter, Error, Family, Gauge, Held, Histogram, Registry, Unit, UpDownCounter, clock, global::group,
};

/// The instruments of all pools. Cloning is cheap, and clones are the same.
///
/// | metric | |
/// |---|---|
/// | `db_pool_connections_in_use{pool}` | connections handed out |
/// | `db_pool_connections_idle{pool}` | connections that wait to be, as the pool was last asked |
/// | `db_pool_waiting{pool}` | callers that wait for a connection |
/// | `db_pool_acquisitions_total{pool,outcome}` | ends of waiting: `acquired`, `timeout`, `error`, `cancelled` |
/// | `db_pool_wait_seconds{pool}` | how long callers waited, whatever came of it |
#[derive(Clone, Debug)]
pub struct Pools {
    in_use: Family<UpDownCounter, 1>,
    idle: Family<Gauge, 1>,
    waiting: Family<UpDownCounter, 1>,
    acquisitions: Family<Counter, 2>,
    wait: Family<Histogram, 1>,
}

/// What came of waiting for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquisition {
    /// A connection.
    Acquired,
    /// It took longer than it may.
    Timeout,
    /// The pool, or the database, said no.
    Error,
    /// The caller gave up.
    Cancelled,
}

impl Acquisition {
    const ALL: [Self; 4] = [Self::Acquired, Self::Timeout, Self::Error, Self::Cancelled];

    /// The value of the label `outcome`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Acquired => "acquired",
            Self::Timeout => "timeout",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Pools {
    /// Registers the instruments.
    ///
    /// # Errors
    /// A metric of the same name that is another.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            in_use: registry
                .up_down_counter("db_pool_connections_in_use")
                .help("Connections handed out.")
                .family(["pool"])?,
            idle: registry
                .gauge("db_pool_connections_idle")
                .help("Connections that wait to be handed out.")
                .family(["pool"])?,
            waiting: registry
                .up_down_counter("db_pool_waiting")
                .help("Callers that wait for a connection.")
                .family(["pool"])?,
            acquisitions: registry
                .counter("db_pool_acquisitions_total")
                .help("Ends of waiting for a connection, by outcome.")
                .family(["pool", "outcome"])?,
            wait: registry
                .histogram("db_pool_wait")
                .unit(Unit::Seconds)
                .help("How long callers waited for a connection.")
                .family(["pool"])?,
        })
    }

    /// Those of the global registry.
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<Pools> = LazyLock::new(|| group(Pools::register));
        &GLOBAL
    }

    /// The instruments of one pool. Looks them up; keep what it gives.
    pub fn pool(&self, name: &str) -> PoolMeter {
        PoolMeter {
            in_use: self.in_use.with([name]),
            idle: self.idle.with([name]),
            waiting: self.waiting.with([name]),
            acquisitions: Acquisition::ALL.map(|outcome| self.acquisitions.with([name, outcome.as_str()])),
            wait: self.wait.with([name]),
        }
    }
}

/// The instruments of one pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolMeter {
    in_use: UpDownCounter,
    idle: Gauge,
    waiting: UpDownCounter,
    acquisitions: [Counter; 4],
    wait: Histogram,
}

impl PoolMeter {
    /// Sets how many connections are idle, which only the pool knows.
    pub fn idle(&self, connections: u32) {
        self.idle.set(f64::from(connections));
    }

    /// Begins to wait for a connection. Dropped without an end the caller gave up.
    pub fn wait(&self) -> Waiting {
        Waiting {
            pool: *self,
            begun: clock::monotonic(),
            outcome: Acquisition::Cancelled,
            _waiting: self.waiting.hold(),
        }
    }

    /// Waits for what `acquire` gives, from when it is first polled. Of an error `is_timeout` tells whether it was
    /// one.
    ///
    /// # Errors
    /// Those of `acquire`.
    pub async fn acquire<C, E>(
        self,
        acquire: impl Future<Output = Result<C, E>>,
        is_timeout: impl FnOnce(&E) -> bool,
    ) -> Result<Pooled<C>, E> {
        let waiting = self.wait();
        match acquire.await {
            Ok(connection) => Ok(Pooled { connection, _in_use: waiting.acquired() }),
            Err(error) => {
                waiting.end(if is_timeout(&error) { Acquisition::Timeout } else { Acquisition::Error });
                Err(error)
            }
        }
    }
}

/// Waits for a connection while this lives.
#[must_use = "dropped at once it counts as given up"]
#[derive(Debug)]
pub struct Waiting {
    pool: PoolMeter,
    begun: Instant,
    outcome: Acquisition,
    _waiting: Held,
}

impl Waiting {
    /// A connection was acquired, which is in use as long as the guard lives.
    pub fn acquired(self) -> Held {
        let in_use = self.pool.in_use.hold();
        self.end(Acquisition::Acquired);
        in_use
    }

    /// The waiting is over.
    pub fn end(mut self, outcome: Acquisition) {
        self.outcome = outcome;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.pool.wait.record_duration(clock::monotonic().saturating_duration_since(self.begun));
        self.pool.acquisitions[self.outcome as usize].inc();
    }
}

/// A connection that is in use while this lives.
#[derive(Debug)]
pub struct Pooled<C> {
    connection: C,
    _in_use: Held,
}

impl<C> Deref for Pooled<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C> DerefMut for Pooled<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn poll<F: Future>(future: F) -> Option<F::Output> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }
    }

    #[test]
    fn connections_and_waiting() {
        let pool = Pools::register(&Registry::new()).unwrap().pool("main");
        let check = |in_use, ends: [u64; 4]| {
            assert_eq!((pool.in_use.value(), pool.acquisitions.map(Counter::value)), (in_use, ends));
            assert_eq!((pool.waiting.value(), pool.wait.read().sketch.count()), (0, ends.iter().sum()));
        };
        let is_timeout = |error: &&str| *error == "timeout";
        let mut connection = poll(pool.acquire(ready(Ok(1)), is_timeout)).unwrap().unwrap();
        *connection += 1;
        assert_eq!(*connection, 2);
        check(1, [1, 0, 0, 0]);
        drop(connection);
        check(0, [1, 0, 0, 0]);
        assert!(poll(pool.acquire(ready(Err::<(), _>("timeout")), is_timeout)).unwrap().is_err());
        assert!(poll(pool.acquire(ready(Err::<(), _>("down")), is_timeout)).unwrap().is_err());
        assert!(poll(pool.acquire(pending::<Result<(), _>>(), is_timeout)).is_none());
        check(0, [1, 1, 1, 1]);
        let waiting = pool.wait();
        assert_eq!(pool.waiting.value(), 1);
        let held = waiting.acquired();
        pool.idle(3);
        check(1, [2, 1, 1, 1]);
        assert_eq!(pool.idle.value(), 3.0);
        drop(held);
    }
}
