//! Pages, series and exemplars that several threads come to first.

use std::ptr;

use loom::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use barograph_model::Timestamp;

use crate::{
    Counter, Histogram, Trace,
    distribution::{self, Layout},
    exemplar,
    handle::HISTOGRAM_INDICES,
    play,
    slab::Slab,
    sync::thread::{Thread, spawn},
};

/// A cell is the same for all, and who sees its page sees it made.
pub fn of_cells_are_made_once() {
    play(|| {
        let slab: Arc<Slab<AtomicU64, 2, 2>> = Arc::new(Slab::new());
        let threads = [1, 2].map(|n| {
            let slab = Arc::clone(&slab);
            spawn(move || {
                slab.cell(3).fetch_add(n, Relaxed);
                ptr::from_ref(slab.cell(3)) as usize
            })
        });
        let seen = slab.peek(3).map(|cell| cell.load(Relaxed));
        assert!(seen.unwrap_or_default() <= 3);
        let [first, second] = threads.map(Thread::join);
        assert_eq!(first, second);
        assert_eq!(slab.cell(3).load(Relaxed), 3);
    });
}

/// A handle is an index, which needs nothing with it to be good: whoever has it comes to the same series, with its
/// bounds.
pub fn of_series_need_an_index_only() {
    play(|| {
        let index = Arc::new(AtomicU64::new(0));
        let given = Arc::clone(&index);
        let maker = spawn(move || {
            let index = HISTOGRAM_INDICES.take().expect("the first is free");
            distribution::create(index, std::sync::Arc::new(Layout::new(&[1.5])));
            given.store(index.into(), Relaxed);
        });
        if let Ok(index @ 1..) = u32::try_from(index.load(Relaxed)) {
            Histogram(index).record(1.5);
            assert_eq!(Histogram(index).read().classic, [(1.5, 1)]);
        }
        maker.join();
    });
}

fn trace(n: u8) -> Trace {
    Trace { trace_id: n.into(), span_id: n.into(), at: Timestamp(n.into()) }
}

/// An exemplar has the value, trace and time of one recording, and once there is one, there is one.
pub fn of_exemplars_hold_one() {
    play(|| {
        let threads = [1, 2].map(|n| spawn(move || Counter(1).add_with_exemplar(n.into(), trace(n))));
        let read = || {
            let exemplar = exemplar::read(&exemplar::COUNTERS, 1, 0)?;
            let n = exemplar.sample.value;
            assert_eq!(exemplar.sample.at.0 as f64, n);
            assert_eq!(exemplar.labels.value("trace_id"), Some(&format!("{n:032}") as &str));
            assert_eq!(exemplar.labels.value("span_id"), Some(&format!("{n:016}") as &str));
            Some(n)
        };
        let [one, other] = threads;
        one.join();
        let first = read();
        other.join();
        let last = read();
        // Whoever finds the place taken by somebody who is at it, or by a reader, lets it be.
        assert!(first.is_none() || first == last);
        assert_eq!(Counter(1).value(), 3);
    });
}
