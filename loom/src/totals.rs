//! Counters, gauges, and shards that change hands.
//!
//! One thread at a time has a shard, so of two at a time one writes to the shared shard; of two one after the other the
//! second has the shard of the first.

use std::sync::atomic::Ordering::Relaxed;

use crate::{
    Counter, FloatCounter, Gauge, UpDownCounter,
    handle::COUNTER_INDICES,
    play, shard, sync,
    sync::thread::{join_all, spawn},
};

const COUNTER: Counter = Counter(1);
/// On another page.
const OTHER: Counter = Counter(2);

/// Once threads are done all they recorded is in the sum, whichever shard it went to.
pub fn are_exact_once_threads_end() {
    play(|| {
        // Its shard is free when both others come.
        spawn(|| COUNTER.add(8)).join();
        let threads = [1, 2].map(|n| {
            spawn(move || {
                COUNTER.add(n);
                OTHER.inc();
                COUNTER.add(n);
            })
        });
        join_all(threads);
        assert_eq!((COUNTER.value(), OTHER.value()), (14, 2));
        assert!(shard::all().len() <= 2);
    });
}

/// A reading is never less than one before it, nor more than was recorded.
pub fn never_go_back() {
    play(|| {
        let threads = [1, 4].map(|n| {
            spawn(move || {
                COUNTER.add(n);
                COUNTER.add(n);
            })
        });
        let readings = [COUNTER.value(), COUNTER.value(), COUNTER.value()];
        assert!(readings.is_sorted() && readings[2] <= 10, "{readings:?}");
        join_all(threads);
        assert_eq!(COUNTER.value(), 10);
    });
}

/// The shard of a thread that ends is taken over with what it counted, while somebody reads it.
pub fn survive_their_thread() {
    play(|| {
        let first = spawn(|| COUNTER.add(1));
        let second = spawn(move || {
            let before = COUNTER.value();
            COUNTER.add(2);
            first.join();
            spawn(|| COUNTER.add(4)).join();
            assert!(COUNTER.value() >= before + 6);
        });
        let readings = [COUNTER.value(), COUNTER.value()];
        assert!(readings.is_sorted() && readings[1] <= 7, "{readings:?}");
        second.join();
        assert_eq!(COUNTER.value(), 7);
    });
}

/// Threads that share a shard lose nothing to each other.
pub fn of_late_threads_are_exact() {
    play(|| {
        // The one shard there is.
        COUNTER.inc();
        let threads = [2, 4].map(|n| {
            spawn(move || {
                COUNTER.add(n);
                COUNTER.add(n);
            })
        });
        join_all(threads);
        assert_eq!(COUNTER.value(), 13);
    });
}

/// A shard that was given back is used again.
pub fn go_on_in_the_same_shard() {
    play(|| {
        let record = || {
            COUNTER.inc();
            assert!(shard::own_counter(1).is_some_and(|cell| cell.load(Relaxed) == COUNTER.value()));
        };
        (0..3).for_each(|_| spawn(record).join());
        assert_eq!((COUNTER.value(), shard::all().len()), (3, 2));
    });
}

/// What a thread records while its thread-locals are destroyed counts, before its shard is given back and after.
pub fn hold_what_destructors_record() {
    struct AtEnd;
    impl Drop for AtEnd {
        fn drop(&mut self) {
            COUNTER.inc();
        }
    }
    sync::thread_local! {
        static BEFORE: AtEnd = const { AtEnd };
        static AFTER: AtEnd = const { AtEnd };
    }
    play(|| {
        let thread = || {
            // Destroyed after the shard is given back.
            AFTER.with(|_| {});
            COUNTER.inc();
            BEFORE.with(|_| {});
        };
        let threads = [spawn(thread), spawn(thread)];
        join_all(threads);
        assert_eq!(COUNTER.value(), 6);
    });
}

/// Amounts that are no whole numbers are exact, too.
pub fn of_amounts_are_exact() {
    const AMOUNT: FloatCounter = FloatCounter(3);
    play(|| {
        let threads = [0.5, 2.0].map(|amount| {
            spawn(move || {
                AMOUNT.add(amount);
                AMOUNT.add(amount);
            })
        });
        let readings = [AMOUNT.value(), AMOUNT.value()];
        assert!(readings.is_sorted(), "{readings:?}");
        join_all(threads);
        assert_eq!(AMOUNT.value(), 5.0);
    });
}

/// What one thread adds and another takes away is nothing in the end. A reading meanwhile may see either alone.
pub fn of_differences_meet() {
    const HELD: UpDownCounter = UpDownCounter(1);
    play(|| {
        let held = spawn(|| {
            let held = HELD.hold();
            spawn(move || drop(held))
        });
        assert!((-1..=1).contains(&HELD.value()));
        held.join().join();
        assert_eq!(HELD.value(), 0);
    });
}

/// Steps of a gauge are whole, whoever takes them.
pub fn of_gauges_are_one() {
    const GAUGE: Gauge = Gauge(1);
    play(|| {
        // Nothing is taken from a gauge at zero.
        GAUGE.lower();
        assert_eq!(GAUGE.value(), 0.0);
        GAUGE.set(4.0);
        let up = spawn(|| GAUGE.add(2.0));
        let down = spawn(|| GAUGE.lower());
        assert!([3.0, 4.0, 5.0, 6.0].contains(&GAUGE.value()));
        up.join();
        down.join();
        assert_eq!(GAUGE.value(), 5.0);
    });
}

/// An index is given out once, and no more than there are.
pub fn have_cells_of_their_own() {
    play(|| {
        let take = || [COUNTER_INDICES.take(), COUNTER_INDICES.take()];
        let other = spawn(take);
        let mut taken: Vec<_> = take().into_iter().chain(other.join()).flatten().collect();
        taken.sort_unstable();
        assert_eq!(taken, [1, 2, 3]);
    });
}
