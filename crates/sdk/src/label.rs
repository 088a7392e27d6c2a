//! Labels whose values are known when the program is compiled, and families by them.
//!
//! A value is the variant of an enum, a label set a struct of such enums; both are derived (feature `derive`). Each
//! has a dense index, so that a family finds a series by one index into one array: no hash, no comparison.

use std::{
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use barograph_model::{Labels, LabelsBuilder};

use crate::{
    handle::SINK,
    instrument::Instrument,
    metric::{Metric, OVERFLOW},
};

/// A label whose values are the variants of an enum. Derive it.
///
/// ```
/// use barograph::Label;
///
/// #[derive(Clone, Copy, Label)]
/// enum Outcome {
///     Ok,
///     NotFound,
///     #[label(rename = "timed out")]
///     Late,
/// }
///
/// assert_eq!(Outcome::NAME, "outcome");
/// assert_eq!(Outcome::VALUES, ["ok", "not_found", "timed out"]);
/// ```
pub trait Label: Copy + 'static {
    /// The name of the label.
    const NAME: &'static str;
    /// The values, at their indices.
    const VALUES: &'static [&'static str];

    /// Which of the values this is.
    fn index(self) -> usize;
}

/// Labels that come together. Derive it for a struct; one [`Label`] is a set by itself.
pub trait LabelSet: Copy + 'static {
    /// The labels: names, and values at their indices.
    const LABELS: &'static [(&'static str, &'static [&'static str])];

    /// Which of all combinations this is: the indices of its values as digits, the first label's the greatest.
    fn index(self) -> usize;
}

impl<L: Label> LabelSet for L {
    const LABELS: &'static [(&'static str, &'static [&'static str])] = &[(L::NAME, L::VALUES)];

    #[inline]
    fn index(self) -> usize {
        Label::index(self)
    }
}

/// The most combinations that the values of a [`LabelSet`] may have; more do not compile.
pub const COMBINATIONS_MAX: usize = 1 << 16;

/// A metric with labels of type `L`. Cloning it is cheap, and clones are the same metric.
///
/// ```
/// use barograph::{Counter, Label, LabelSet, StaticEnumFamily};
///
/// #[derive(Clone, Copy, Label)]
/// enum Queue { Mail, Print }
/// #[derive(Clone, Copy, Label)]
/// enum Outcome { Done, Failed }
/// #[derive(Clone, Copy, LabelSet)]
/// struct Job { queue: Queue, outcome: Outcome }
///
/// static JOBS: StaticEnumFamily<Counter, Job> = StaticEnumFamily::counter("jobs_total", "Jobs by outcome.");
///
/// JOBS.with(Job { queue: Queue::Mail, outcome: Outcome::Done }).inc();
/// ```
pub struct EnumFamily<H, L> {
    /// The handle of each combination, or [`UNKNOWN`].
    cells: Arc<[AtomicU32]>,
    /// `None` where nothing could be registered: then all handles are the sink.
    source: Option<Source>,
    types: PhantomData<fn(L) -> H>,
}

/// Where the series of a family are.
#[derive(Clone)]
struct Source {
    metric: Arc<Metric>,
    names: Arc<[String]>,
    fixed: Labels,
}

/// No series was asked for yet.
const UNKNOWN: u32 = u32::MAX;

impl<H: Instrument, L: LabelSet> EnumFamily<H, L> {
    const COMBINATIONS: usize = combinations(L::LABELS);

    pub(crate) fn new(metric: Arc<Metric>, names: Vec<String>, fixed: Labels) -> Self {
        let source = Source { metric, names: names.into(), fixed };
        Self { cells: Self::all(UNKNOWN), source: Some(source), types: PhantomData }
    }

    /// A family that records nothing.
    pub(crate) fn sink() -> Self {
        Self { cells: Self::all(SINK), source: None, types: PhantomData }
    }

    fn all(index: u32) -> Arc<[AtomicU32]> {
        (0..Self::COMBINATIONS).map(|_| AtomicU32::new(index)).collect()
    }

    /// The instrument for these labels. The lock of the metric is taken the first time only.
    #[inline]
    pub fn with(&self, labels: L) -> H {
        let at = labels.index();
        match self.cells[at].load(Relaxed) {
            UNKNOWN => H::from_index(self.find(at)),
            index => H::from_index(index),
        }
    }

    #[cold]
    #[inline(never)]
    fn find(&self, at: usize) -> u32 {
        let Some(source) = &self.source else { return SINK };
        let Ok((index, overflowed)) = source.metric.cell(&source.labels(L::LABELS, at), &source.overflow())
        else {
            return SINK;
        };
        if !overflowed {
            self.cells[at].store(index, Relaxed);
        }
        index
    }
}

impl Source {
    fn labels(&self, labels: &[(&str, &[&str])], mut at: usize) -> Labels {
        let mut builder = LabelsBuilder::from(&self.fixed);
        for (name, (_, values)) in self.names.iter().zip(labels).rev() {
            builder.set(name, values[at % values.len()]);
            at /= values.len();
        }
        builder.build()
    }

    fn overflow(&self) -> Labels {
        let mut builder = LabelsBuilder::from(&self.fixed);
        for name in &*self.names {
            builder.set(name, OVERFLOW);
        }
        builder.build()
    }
}

impl<H, L> Clone for EnumFamily<H, L> {
    fn clone(&self) -> Self {
        Self { cells: Arc::clone(&self.cells), source: self.source.clone(), types: PhantomData }
    }
}

impl<H, L> fmt::Debug for EnumFamily<H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.source.as_ref().map_or("nothing", |source| &source.metric.name);
        write!(f, "EnumFamily({name} in {} combinations)", self.cells.len())
    }
}

const fn combinations(labels: &[(&str, &[&str])]) -> usize {
    let (mut all, mut i) = (1, 0);
    while i < labels.len() {
        all *= labels[i].1.len();
        assert!(all <= COMBINATIONS_MAX, "these labels have more combinations than a family may have series");
        i += 1;
    }
    all
}
