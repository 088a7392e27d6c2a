//! Which questions were answered at once the last time they were asked.
//!
//! Those are answered on the thread that took the request: handing work to another thread and the answer back takes longer
//! than many a look-up. Pages and dashboards ask the same again and again, so the last time tells the next. A question
//! that took longer than [`QUICK_MAX`] goes to a thread that may block, where it can be stopped.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use barograph_query::When;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::About;

/// A thread that serves connections works on one answer for so long at most, as far as one can know.
const QUICK_MAX: Duration = Duration::from_micros(300);

/// So many questions are remembered; of two in one place the later is.
const QUESTIONS: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Quick(Box<[AtomicU64]>);

/// A question, whenever it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key(u64);

impl Key {
    pub(super) fn of(expression: &str, about: &About) -> Self {
        let form = match about {
            About::Expression(_, When::Instant(_), _) => 1,
            About::Expression(_, When::Range(steps), _) => {
                steps.end.0.wrapping_sub(steps.start.0).rotate_left(32) ^ steps.step_ms
            }
            About::Document(..) => 2,
            About::Index => 3,
            About::Stream => 4,
        };
        Self(xxh3_64_with_seed(expression.as_bytes(), form.cast_unsigned()) | 1)
    }
}

impl Quick {
    pub(super) fn was(&self, key: Key) -> bool {
        self.place(key).load(Ordering::Relaxed) == key.0
    }

    pub(super) fn note(&self, key: Key, took: Duration) {
        let place = self.place(key);
        if took <= QUICK_MAX {
            place.store(key.0, Ordering::Relaxed);
        } else {
            let _ = place.compare_exchange(key.0, 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    fn place(&self, key: Key) -> &AtomicU64 {
        let number = usize::try_from(key.0 >> 32).unwrap_or_default();
        &self.0[number % QUESTIONS]
    }
}

impl Default for Quick {
    fn default() -> Self {
        Self((0..QUESTIONS).map(|_| AtomicU64::new(0)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_counts() {
        let quick = Quick::default();
        let (a, b) = (Key::of("a", &About::Index), Key::of("b", &About::Index));
        assert!(!quick.was(a));
        quick.note(a, Duration::from_micros(20));
        quick.note(b, Duration::from_millis(20));
        assert!(quick.was(a) && !quick.was(b));
        quick.note(a, Duration::from_millis(20));
        assert!(!quick.was(a));
    }
}
