//! What flows between operators: series with one value a step.
//!
//! A step without a value holds [`ABSENT`], the bits of the staleness marker, which no selector lets through and no
//! operation makes. A column is either as wide as the steps, or one wide if it is the same at all of them.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

use barograph_model::{Budget, Labels, METRIC_NAME, is_stale, stale_marker};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Error;

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
}

impl Series {
    /// The value at a step.
    pub(super) fn at(&self, step: usize) -> f64 {
        at(&self.values, step)
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
                budget.charge(width)?;
                let value = series.values[0];
                series.values.resize(width, value);
            }
            self.width = width;
        }
        Ok(())
    }

    /// Changes all values that are there. The result may be [`ABSENT`].
    pub(super) fn map(&mut self, change: impl Fn(f64) -> f64) {
        for series in &mut self.series {
            for value in series.values.iter_mut().filter(|value| is_present(**value)) {
                *value = change(*value);
            }
        }
    }

    /// As [`Vector::map`], with the step.
    pub(super) fn map_steps(&mut self, mut change: impl FnMut(usize, f64) -> f64) {
        for series in &mut self.series {
            for (step, value) in series.values.iter_mut().enumerate().filter(|pair| is_present(*pair.1)) {
                *value = change(step, *value);
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

    /// The row of a label set, all absent if it is new.
    pub(super) fn row(&mut self, labels: Labels, drop_name: bool) -> usize {
        let next = self.series.len();
        let row = *self.index.entry(labels.clone()).or_insert(next);
        if row == next {
            self.series.push(Series { labels, drop_name, values: vec![ABSENT; self.width] });
        }
        row
    }

    /// The value of a row at a step.
    pub(super) fn cell(&mut self, row: usize, step: usize) -> &mut f64 {
        &mut self.series[row].values[step]
    }

    /// Adds a series; an error if another of the same labels has a value at the same step.
    pub(super) fn join(&mut self, series: Series) -> Result<(), ()> {
        debug_assert_eq!(series.values.len(), self.width, "columns of a vector are equally wide");
        let next = self.series.len();
        let row = *self.index.entry(series.labels.clone()).or_insert(next);
        if row == next {
            self.series.push(series);
            return Ok(());
        }
        let values = &mut self.series[row].values;
        for (value, &other) in values.iter_mut().zip(&series.values).filter(|pair| is_present(*pair.1)) {
            if is_present(*value) {
                return Err(());
            }
            *value = other;
        }
        Ok(())
    }

    /// The vector as it stands.
    pub(super) fn finish(self) -> Vector {
        Vector { series: self.series, width: self.width }
    }
}
