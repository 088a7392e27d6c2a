//! A thread that tells a registry the time.

use std::{
    io,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use barograph_model::Timestamp;

use crate::{Registry, clock};

/// How often a registry is told the time.
const EVERY: Duration = Duration::from_secs(1);

/// Calls [`Registry::tick`] every second from a thread of its own, until it is dropped or stopped.
///
/// Recording never needs it: without one, windows do not move and meters have no rates.
#[derive(Debug)]
#[must_use = "it stops when it is dropped"]
pub struct Ticker {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread `barograph-tick`.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(registry: &Registry) -> io::Result<Self> {
        let registry = registry.clone();
        Self::every_second(move |now| registry.tick(now))
    }

    /// The same for anything that wants the time every second.
    pub(crate) fn every_second(mut tick: impl FnMut(Timestamp) + Send + 'static) -> io::Result<Self> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let told = Arc::clone(&stop);
        let run = move || {
            let (stopped, wake) = &*told;
            let mut stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner);
            while !*stopped {
                drop(stopped);
                tick(clock::now());
                stopped = told.0.lock().unwrap_or_else(PoisonError::into_inner);
                if !*stopped {
                    stopped = wake.wait_timeout(stopped, EVERY).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        };
        let thread = thread::Builder::new().name("barograph-tick".to_owned()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops the thread and waits until it has ended, which takes no longer than one tick.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // It only ends by itself if a tick panicked, which was told on stderr.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_and_stops() {
        let registry = Registry::new();
        let ticker = Ticker::start(&registry).unwrap();
        while registry.ticked().is_none() {
            thread::yield_now();
        }
        ticker.stop();
    }
}
