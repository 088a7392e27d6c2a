//! Results of range queries, kept in pieces and used again.
//!
//! A dashboard asks the same of a range that slides: nearly all of what is evaluated was evaluated before. A range query
//! is cut into aligned blocks of steps ([`grid`]). Blocks that are kept are taken from the [`shelf`], the others are
//! evaluated, those that follow each other at once, and [`piece`] puts all together. What comes of it is what evaluating
//! the whole gives, to the bit, with the same messages.
//!
//! That is so because
//!
//! - only queries are kept whose steps are each for itself ([`footprint`]);
//! - only steps are kept of which all that they read is before a settled time, after which nothing was changed there
//!   that the source did not note ([`Changes`](barograph_model::Changes));
//! - only steps are kept that are answered from raw samples, or from stored windows of the tier that was asked for;
//! - where an answer comes with messages, blocks are evaluated one by one, so that each knows what is said of it.

mod footprint;
mod grid;
mod piece;
mod shelf;
mod work;

use std::{
    cell::Cell,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use barograph_model::{Budget, Source, Timestamp};

use crate::{Answer, Error, Options, Steps, Value, ast::Expr, evaluate_range};
use piece::{Part, Said, join};
use shelf::Shelf;
use work::{Run, Work};

/// Pieces of results, of one source, for all queries.
#[derive(Debug)]
pub struct Cache {
    shelf: Mutex<Shelf>,
    hits: AtomicU64,
    misses: AtomicU64,
    steps_kept: AtomicU64,
    steps_evaluated: AtomicU64,
    evicted: AtomicU64,
    changed: AtomicU64,
}

/// A cache in numbers, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheCounts {
    /// Queries that were answered from it, wholly or in part.
    pub hits: u64,
    /// Queries that could have been, and were not.
    pub misses: u64,
    /// Steps that were taken from it.
    pub steps_kept: u64,
    /// Steps of the same queries that were evaluated.
    pub steps_evaluated: u64,
    /// Pieces that went because there was no room.
    pub evicted: u64,
    /// Pieces that did not hold any more, because what they were made of was changed.
    pub changed: u64,
    /// Pieces that are there.
    pub pieces: usize,
    /// Bytes that they take, roughly.
    pub bytes: usize,
    /// Bytes that they may take.
    pub bytes_max: usize,
}

impl Cache {
    /// A cache of so many bytes; zero keeps nothing.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            shelf: Mutex::new(Shelf::new(bytes_max)),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            steps_kept: AtomicU64::new(0),
            steps_evaluated: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            changed: AtomicU64::new(0),
        }
    }

    /// Limits the bytes from now on, and lets go of what is over it.
    pub fn limit(&self, bytes_max: usize) {
        let gone = self.shelf().limit(bytes_max);
        self.evicted.fetch_add(gone as u64, Ordering::Relaxed);
    }

    /// The cache in numbers.
    pub fn counts(&self) -> CacheCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let shelf = self.shelf();
        CacheCounts {
            hits: of(&self.hits),
            misses: of(&self.misses),
            steps_kept: of(&self.steps_kept),
            steps_evaluated: of(&self.steps_evaluated),
            evicted: of(&self.evicted),
            changed: of(&self.changed),
            pieces: shelf.pieces(),
            bytes: shelf.bytes(),
            bytes_max: shelf.bytes_max(),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cache as one question uses it.
#[derive(Debug)]
pub struct Reuse<'a> {
    cache: &'a Cache,
    /// What lies before it is not expected to change.
    settled: Timestamp,
    infos: bool,
    kept: Cell<usize>,
    evaluated: Cell<usize>,
}

/// How much of an answer was taken from the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reused {
    /// All of it.
    All,
    /// Some steps, or some of several parts.
    Some,
    /// Nothing.
    Nothing,
}

impl Reused {
    /// One word for headers and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "hit",
            Self::Some => "partial",
            Self::Nothing => "miss",
        }
    }
}

/// An answer with more messages than this of a kind is neither kept nor put together with what is.
const NOTES_MAX: usize = 8;

/// Bytes of a sample in an answer.
const SAMPLE_BYTES: u64 = 16;

impl<'a> Reuse<'a> {
    /// Samples before `settled` are kept in results: samples in order should not be expected there any more. If some come
    /// all the same, nothing is wrong; what was kept of their times is evaluated again.
    pub fn new(cache: &'a Cache, settled: Timestamp) -> Self {
        Self { cache, settled, infos: true, kept: Cell::new(0), evaluated: Cell::new(0) }
    }

    /// The same for one who does not look at infos: they are left out of answers.
    #[must_use]
    pub fn without_infos(self) -> Self {
        Self { infos: false, ..self }
    }

    /// How much was taken from the cache so far.
    pub fn reused(&self) -> Reused {
        match (self.kept.get(), self.evaluated.get()) {
            (0, _) => Reused::Nothing,
            (_, 0) => Reused::All,
            _ => Reused::Some,
        }
    }

    /// As [`evaluate_range`](crate::evaluate_range), from what is kept as far as possible.
    ///
    /// # Errors
    /// As of that.
    pub fn evaluate_range(
        &self,
        source: &dyn Source,
        expr: &Expr,
        steps: Steps,
        options: &Options,
        budget: &Budget,
    ) -> Result<Answer, Error> {
        let evaluate = |steps: Steps| {
            let mut answer = evaluate_range(source, expr, steps, options, budget)?;
            if !self.infos {
                answer.infos.clear();
            }
            Ok::<_, Error>(answer)
        };
        let count = usize::try_from(steps.count()).unwrap_or(0);
        let Some(work) = Work::of(self.cache, source, expr, (steps, options), (self.settled, self.infos))
        else {
            self.evaluated.set(self.evaluated.get() + count);
            return evaluate(steps);
        };
        let (runs, kept) = work.runs();
        self.count(kept, count - kept);
        let (mut said, mut parts) = (Said::default(), Vec::new());
        for run in runs {
            let numbers = match run {
                Run::Kept(piece, numbers) => {
                    said.add(&piece.said);
                    parts.push(Part::Kept(piece, numbers));
                    continue;
                }
                Run::Missing(numbers) => numbers,
            };
            let answer = evaluate(work.numbered.steps(numbers))?;
            let whole = numbers == work.numbers;
            let many = answer.warnings.len().max(answer.infos.len()) > NOTES_MAX;
            // By how much quantiles are off is said once, for all steps.
            if many || self.infos && answer.error > 0.0 {
                return if whole { Ok(answer) } else { evaluate(steps) };
            }
            work.keep(&answer, numbers);
            if whole {
                return Ok(answer);
            }
            said.add(&Said::of(&answer));
            if let Value::Matrix(matrix) = answer.value {
                parts.push(Part::Fresh(matrix));
            }
        }
        let series = parts.iter().map(Part::series).max().unwrap_or(0);
        budget.charge(0)?;
        budget.reserve(SAMPLE_BYTES.saturating_mul((series * count) as u64))?;
        Ok(said.about(Value::Matrix(join(parts, work.numbered, count))))
    }

    fn count(&self, kept: usize, evaluated: usize) {
        self.kept.set(self.kept.get() + kept);
        self.evaluated.set(self.evaluated.get() + evaluated);
        let cache = self.cache;
        let outcome = if kept > 0 { &cache.hits } else { &cache.misses };
        outcome.fetch_add(1, Ordering::Relaxed);
        cache.steps_kept.fetch_add(kept as u64, Ordering::Relaxed);
        cache.steps_evaluated.fetch_add(evaluated as u64, Ordering::Relaxed);
    }
}
