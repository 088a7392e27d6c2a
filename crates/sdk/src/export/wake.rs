//! A thread that sends: woken when there is something to do, and ended within a bound.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    time::{Duration, Instant},
};

use crate::clock;

/// What wakes a sending thread.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Something is to be done before the time.
    called: bool,
    /// Everything must have ended by then.
    ends: Option<Instant>,
}

impl Wake {
    /// When everything must have ended, if that was said.
    pub(crate) fn ends(&self) -> Option<Instant> {
        self.state().ends
    }

    /// Wakes the thread.
    pub(crate) fn call(&self) {
        self.state().called = true;
        self.changed.notify_all();
    }

    fn end(&self, at: Instant) {
        self.state().ends = Some(at);
        self.changed.notify_all();
    }

    /// Waits until called, ended or so long.
    pub(crate) fn wait(&self, long: Duration) {
        let idle = |state: &mut State| !state.called && state.ends.is_none();
        let waited = self.changed.wait_timeout_while(self.state(), long, idle);
        waited.unwrap_or_else(PoisonError::into_inner).0.called = false;
    }

    /// Waits so long, or until ended.
    pub(crate) fn sleep(&self, long: Duration) {
        let before = self.ends().is_some();
        let same = |state: &mut State| state.ends.is_some() == before;
        let _ = self.changed.wait_timeout_while(self.state(), long, same);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that does its last work when it is ended.
#[derive(Debug)]
pub(crate) struct Worker {
    wake: Arc<Wake>,
    done: Mutex<mpsc::Receiver<()>>,
}

impl Worker {
    /// Starts `work`, which is to return once [`Wake::ends`] says so. `None` if the system has no thread.
    pub(crate) fn start(name: &str, work: impl FnOnce(&Wake) + Send + 'static) -> Option<Self> {
        let (wake, (over, done)) = (Arc::new(Wake::default()), mpsc::channel());
        let own = Arc::clone(&wake);
        let thread = std::thread::Builder::new().name(name.to_owned());
        let spawned = thread.spawn(move || {
            work(&own);
            let _ = over.send(());
        });
        spawned.ok().map(|_| Self { wake, done: Mutex::new(done) })
    }

    pub(crate) fn wake(&self) -> &Wake {
        &self.wake
    }

    /// Says that the work is to end within a time. Once is enough.
    pub(crate) fn end(&self, within: Duration) {
        if self.wake.ends().is_none() {
            self.wake.end(clock::monotonic() + within);
        }
    }

    /// Ends the work, and waits no longer than `within`; whether it was done by then.
    pub(crate) fn shutdown(&self, within: Duration) -> bool {
        self.end(within);
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        // It hung up if it was waited for before.
        !matches!(done.recv_timeout(within), Err(mpsc::RecvTimeoutError::Timeout))
    }
}
