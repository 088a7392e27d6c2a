//! What flows between operators: series with one value a step.
//!
//! A step without a value holds [`ABSENT`], the bits of the staleness marker, which no selector lets through and no
//! operation makes. A column is either as wide as the steps, or one wide if it is the same at all of them.
//!
//! Native histograms stand beside the floats: a step with a histogram has no float, so what knows floats alone passes
//! it by. Series without any have no column of them.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use barograph_model::{Budget, Labels, METRIC_NAME, is_stale, stale_marker};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Error;
use crate::native::FloatHistogram;

/// Stands where a series has no value.
pub(super) const ABSENT: f64 = stale_marker();

/// Whether there is a value.
pub(super) const fn is_present(value: f64) -> bool {
    !is_stale(value)
}

/// A series, evaluated.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) labels: Labels,
    /// Whether the metric name is to be dropped at the end.
    pub(super) drop_name: bool,
    pub(super) values: Vec<f64>,
    /// As many as there are values, or none at all.
    pub(super) histograms: Vec<Option<Shared>>,
}

/// A histogram that several columns may hold.
pub(super) type Shared = Arc<FloatHistogram>;

/// What a series has at a step.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Absent,
    Float(f64),
    Histogram(Shared),
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        if is_present(value) { Self::Float(value) } else { Self::Absent }
    }
}

impl Series {
    /// A series of floats.
    pub(super) fn floats(labels: Labels, drop_name: bool, values: Vec<f64>) -> Self {
        Self { labels, drop_name, values, histograms: Vec::new() }
    }

    /// A series of these cells.
    pub(super) fn of_cells(labels: Labels, drop_name: bool, cells: Vec<Cell>) -> Self {
        let mut series = Self::floats(labels, drop_name, vec![ABSENT; cells.len()]);
        for (step, cell) in cells.into_iter().enumerate() {
            series.put(step, cell);
        }
        series
    }

    /// The float at a step.
    pub(super) fn at(&self, step: usize) -> f64 {
        at(&self.values, step)
    }

    /// The histogram at a step.
    pub(super) fn histogram(&self, step: usize) -> Option<&Shared> {
        match self.histograms.as_slice() {
            [] => None,
            [one] => one.as_ref(),
            many => many[step].as_ref(),
        }
    }

    /// What there is at a step.
    pub(super) fn cell(&self, step: usize) -> Cell {
        match self.histogram(step) {
            Some(histogram) => Cell::Histogram(histogram.clone()),
            None => self.at(step).into(),
        }
    }

    /// Puts a cell at a step, as far as the column goes.
    pub(super) fn put(&mut self, step: usize, cell: Cell) {
        let histogram = match cell {
            Cell::Histogram(histogram) => {
                self.values[step] = ABSENT;
                Some(histogram)
            }
            Cell::Float(value) => {
                self.values[step] = value;
                None
            }
            Cell::Absent => {
                self.values[step] = ABSENT;
                None
            }
        };
        if self.histograms.is_empty() && histogram.is_some() {
            self.histograms = vec![None; self.values.len()];
        }
        if !self.histograms.is_empty() {
            self.histograms[step] = histogram;
        }
    }

    /// Whether there is anything at a step.
    pub(super) fn is_present(&self, step: usize) -> bool {
        is_present(self.at(step)) || self.histogram(step).is_some()
    }

    /// Whether there is anything at any step.
    pub(super) fn is_present_anywhere(&self) -> bool {
        self.values.iter().copied().any(is_present) || self.histograms.iter().any(Option::is_some)
    }
}

/// The value of a column at a step.
pub(super) fn at(values: &[f64], step: usize) -> f64 {
    if values.len() == 1 { values[0] } else { values[step] }
}

/// Series whose columns are all equally wide.
#[derive(Clone, Debug, Default)]
pub(super) struct Vector {
    pub(super) series: Vec<Series>,
    /// How many values each column has: as many as there are steps, or one for all of them.
    pub(super) width: usize,
}

impl Vector {
    pub(super) fn empty() -> Self {
        Self { series: Vec::new(), width: 1 }
    }

    /// Makes the columns `width` wide.
    pub(super) fn widen(&mut self, budget: &Budget, width: usize) -> Result<(), Error> {
        if self.width < width {
            for series in &mut self.series {
                budget.hold(width)?;
                let value = series.values[0];
                series.values.resize(width, value);
                if let [one] = series.histograms.as_slice() {
                    budget.hold(width)?;
                    series.histograms = vec![one.clone(); width];
                }
            }
            self.width = width;
        }
        Ok(())
    }

    /// Whether any series has histograms.
    pub(super) fn has_histograms(&self) -> bool {
        self.series.iter().any(|series| !series.histograms.is_empty())
    }

    /// Changes all floats that are there, and leaves histograms out. The result may be [`ABSENT`].
    pub(super) fn map(&mut self, change: impl Fn(f64) -> f64) {
        for series in &mut self.series {
            series.histograms.clear();
            for value in series.values.iter_mut().filter(|value| is_present(**value)) {
                *value = change(*value);
            }
        }
    }

    /// As [`Vector::map`], with the step.
    pub(super) fn map_steps(&mut self, mut change: impl FnMut(usize, f64) -> f64) {
        for series in &mut self.series {
            series.histograms.clear();
            for (step, value) in series.values.iter_mut().enumerate().filter(|pair| is_present(*pair.1)) {
                *value = change(step, *value);
            }
        }
    }

    /// Changes all cells that are there, histograms too.
    pub(super) fn map_cells(&mut self, change: impl Fn(usize, Cell) -> Cell) {
        for series in &mut self.series {
            if series.histograms.is_empty() {
                for (step, value) in series.values.iter_mut().enumerate().filter(|pair| is_present(*pair.1)) {
                    match change(step, Cell::Float(*value)) {
                        Cell::Float(changed) => *value = changed,
                        // Floats become nothing else.
                        Cell::Absent | Cell::Histogram(_) => *value = ABSENT,
                    }
                }
                continue;
            }
            for step in 0..series.values.len() {
                if series.is_present(step) {
                    let cell = change(step, series.cell(step));
                    series.put(step, cell);
                }
            }
        }
    }

    /// Marks all names as to be dropped.
    pub(super) fn drop_names(mut self, delayed: bool) -> Result<Self, Error> {
        for series in &mut self.series {
            series.drop_name = true;
        }
        if delayed { Ok(self) } else { self.settle() }
    }

    /// Drops the names that are to be dropped. Series that become the same are joined, if they have no step in
    /// common.
    pub(super) fn settle(mut self) -> Result<Self, Error> {
        if !self.series.iter().any(|series| series.drop_name) {
            return self.unique();
        }
        for series in &mut self.series {
            if series.drop_name {
                series.drop_name = false;
                series.labels = without_name(&series.labels);
            }
        }
        self.unique()
    }

    /// Joins series of equal labels.
    pub(super) fn unique(self) -> Result<Self, Error> {
        let mut rows = Rows::new(self.width);
        for series in self.series {
            rows.join(series).map_err(|()| same_labels())?;
        }
        Ok(rows.finish())
    }
}

/// The labels without those that say what the metric is.
pub(super) fn without_name(labels: &Labels) -> Labels {
    labels.without(is_name_label)
}

/// Whether a label says what the metric is, which no longer holds after computing with it.
pub(super) fn is_name_label(name: &[u8]) -> bool {
    name.starts_with(b"__") && [METRIC_NAME, "__type__", "__unit__"].iter().any(|n| n.as_bytes() == name)
}

pub(super) fn same_labels() -> Error {
    Error::Execution("vector cannot contain metrics with the same labelset".into())
}

/// A map from label sets, or from parts of them.
pub(super) type Map<K, V> = HashMap<K, V, BuildHasherDefault<LabelHasher>>;

/// Hashes the bytes of a label set at once, as the store does. Several times as fast as the standard library's hasher.
#[derive(Default)]
pub(super) struct LabelHasher(u64);

impl Hasher for LabelHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    /// Only lengths come this way, and those of the parts of a key are in what is hashed.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A vector in the making, each label set once.
pub(super) struct Rows {
    index: Map<Labels, usize>,
    series: Vec<Series>,
    width: usize,
}

impl Rows {
    pub(super) fn new(width: usize) -> Self {
        Self { index: Map::default(), series: Vec::new(), width }
    }

    /// The row of a label set, all absent if it is new, and then charged to the budget before it takes memory.
    pub(super) fn row(&mut self, budget: &Budget, labels: Labels, drop_name: bool) -> Result<usize, Error> {
        if let Some(&row) = self.index.get(&labels) {
            return Ok(row);
        }
        budget.charge_series(labels.as_bytes().len())?;
        budget.hold(self.width)?;
        self.index.insert(labels.clone(), self.series.len());
        self.series.push(Series::floats(labels, drop_name, vec![ABSENT; self.width]));
        Ok(self.series.len() - 1)
    }

    /// Puts a cell into a row.
    pub(super) fn put(&mut self, row: usize, step: usize, cell: Cell) {
        self.series[row].put(step, cell);
    }

    /// The float of a row at a step.
    pub(super) fn cell(&mut self, row: usize, step: usize) -> &mut f64 {
        &mut self.series[row].values[step]
    }

    /// Adds a series; an error if another of the same labels has a value at the same step.
    pub(super) fn join(&mut self, series: Series) -> Result<(), ()> {
        if self.fill(series) { Ok(()) } else { Err(()) }
    }

    /// Adds a series where no other of the same labels has a value; whether that was so at every step.
    pub(super) fn fill(&mut self, series: Series) -> bool {
        debug_assert_eq!(series.values.len(), self.width, "columns of a vector are equally wide");
        let next = self.series.len();
        let row = *self.index.entry(series.labels.clone()).or_insert(next);
        if row == next {
            self.series.push(series);
            return true;
        }
        let mine = &mut self.series[row];
        let mut free = true;
        for step in (0..self.width).filter(|&step| series.is_present(step)) {
            if mine.is_present(step) {
                free = false;
            } else {
                mine.put(step, series.cell(step));
            }
        }
        free
    }

    /// The vector as it stands.
    pub(super) fn finish(self) -> Vector {
        Vector { series: self.series, width: self.width }
    }
}
