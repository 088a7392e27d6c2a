//! Where spans that ended wait until someone takes them.
//!
//! A few small buffers, each behind a lock of its own. A thread puts a span into the one it is used to, or into the
//! next if that is busy or full; it never waits. Where all are full the span is dropped and counted, since old spans
//! tell how it began.

use std::{
    fmt,
    sync::{
        Arc, LazyLock, Mutex, PoisonError, TryLockError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
};

use super::Span;
use crate::{Error, Registry};

const PARTS: usize = 8;

/// How many spans wait at most if nothing else is said.
pub const SPANS_MAX: usize = 8_192;

/// Spans that ended. Cloning it is cheap, and clones are the same buffer.
#[derive(Clone)]
pub struct Spans(Arc<Shared>);

struct Shared {
    parts: [Mutex<Vec<Span>>; PARTS],
    /// How many each part takes.
    part_max: usize,
    recorded: AtomicU64,
    dropped: AtomicU64,
}

impl Default for Spans {
    fn default() -> Self {
        Self::new(SPANS_MAX)
    }
}

impl Spans {
    /// A buffer for about this many spans.
    pub fn new(spans_max: usize) -> Self {
        let (recorded, dropped) = (AtomicU64::new(0), AtomicU64::new(0));
        let part_max = spans_max.div_ceil(PARTS);
        Self(Arc::new(Shared { parts: Default::default(), part_max, recorded, dropped }))
    }

    /// The buffer of the process. Its counts are in the global registry, as by [`Spans::register`].
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<Spans> = LazyLock::new(|| {
            let spans = Spans::default();
            if let Err(problem) = spans.register(Registry::global()) {
                Registry::global().note_problem(problem);
            }
            spans
        });
        &GLOBAL
    }

    /// Lets a registry tell `barograph_sdk_spans_total` and `barograph_sdk_spans_dropped_total`.
    ///
    /// # Errors
    /// Metrics of these names that are others.
    pub fn register(&self, registry: &Registry) -> Result<(), Error> {
        let (recorded, dropped) = (self.clone(), self.clone());
        registry
            .counter("barograph_sdk_spans_total")
            .help("Spans that ended and are or were in the buffer.")
            .observe(move || recorded.recorded() as f64)?;
        registry
            .counter("barograph_sdk_spans_dropped_total")
            .help("Spans that were dropped because the buffer was full.")
            .observe(move || dropped.dropped() as f64)
    }

    /// Puts a span in; `false` if it was dropped.
    pub fn push(&self, span: Span) -> bool {
        let own = own_part();
        for part in (0..PARTS).map(|i| &self.0.parts[(own + i) % PARTS]) {
            let mut part = match part.try_lock() {
                Ok(part) => part,
                Err(TryLockError::Poisoned(part)) => part.into_inner(),
                Err(TryLockError::WouldBlock) => continue,
            };
            if part.len() < self.0.part_max {
                part.push(span);
                self.0.recorded.fetch_add(1, Relaxed);
                return true;
            }
        }
        self.0.dropped.fetch_add(1, Relaxed);
        false
    }

    /// Takes out all that wait, by the time at which they ended.
    pub fn drain(&self) -> Vec<Span> {
        let take = |part: &Mutex<Vec<Span>>| {
            std::mem::take(&mut *part.lock().unwrap_or_else(PoisonError::into_inner))
        };
        let mut spans: Vec<Span> = self.0.parts.iter().flat_map(take).collect();
        spans.sort_by_key(|span| span.end);
        spans
    }

    /// How many were put in.
    pub fn recorded(&self) -> u64 {
        self.0.recorded.load(Relaxed)
    }

    /// How many were dropped.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spans({} recorded, {} dropped)", self.recorded(), self.dropped())
    }
}

/// The part this thread is used to; threads take turns.
fn own_part() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = THREADS.fetch_add(1, Relaxed) % PARTS;
    }
    OWN.try_with(|own| *own).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span::tests::span;

    #[test]
    fn what_does_not_fit_is_counted() {
        let spans = Spans::new(16);
        let pushed = (0..20).filter(|i| spans.push(span(*i))).count();
        assert_eq!((pushed, spans.recorded(), spans.dropped()), (16, 16, 4));
        let drained: Vec<u64> = spans.drain().iter().map(|span| span.end).collect();
        assert_eq!(drained, (0..16).collect::<Vec<_>>());
        assert!(spans.push(span(1)) && spans.drain().len() == 1 && spans.drain().is_empty());
    }

    #[test]
    fn threads_lose_none_that_are_not_counted() {
        let spans = Spans::new(1_000_000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for i in 0..1_000 {
                        spans.push(span(i));
                    }
                });
            }
        });
        assert_eq!(spans.recorded() + spans.dropped(), 4_000);
        assert_eq!(spans.drain().len() as u64, spans.recorded());
        let registry = Registry::new();
        spans.register(&registry).unwrap();
        assert!(registry.expose(crate::exposition::Format::Text004).contains("barograph_sdk_spans_total "));
    }
}
