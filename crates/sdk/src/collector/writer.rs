//! Where collectors put what they read.

use std::{collections::BTreeMap, sync::Arc};

use barograph_model::{Labels, MetricType, Timestamp};
use barograph_wire::exposition::{Family, Point};

use super::{Defined, Definition};
use crate::{Unit, name};

/// How many readings a writer takes; the rest is counted and left out.
pub const READINGS_MAX: usize = 10_000;

/// One value of one metric, as of the time its collector was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The metric.
    pub definition: Defined,
    /// Labels without the metric's name.
    pub labels: Labels,
    /// The value, in the metric's unit.
    pub value: f64,
}

/// One value with its time, under the name that was given.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDataPoint {
    /// The metric's name as given, perhaps dotted.
    pub name: String,
    /// When it was read.
    pub timestamp: Timestamp,
    /// The value.
    pub value: f64,
    /// What tells it from others of the metric.
    pub labels: Labels,
}

impl Reading {
    /// The name under which it is stored.
    pub fn stored_name(&self) -> String {
        self.definition.stored_name()
    }

    /// The same as a point of its own.
    pub fn data_point(&self, timestamp: Timestamp) -> MetricDataPoint {
        let name = self.definition.given.clone().into_owned();
        MetricDataPoint { name, timestamp, value: self.value, labels: self.labels.clone() }
    }
}

/// The readings of one or more runs. Clear and use it again, to keep its memory.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    readings: Vec<Reading>,
    dropped: u64,
    /// What metrics are that come by name alone.
    kind: MetricType,
    /// Those metrics.
    named: BTreeMap<String, Arc<Definition>>,
}

impl Writer {
    /// A writer with no readings.
    pub fn new() -> Self {
        Self { kind: MetricType::Gauge, ..Self::default() }
    }

    /// Adds a value without labels. NaN is no reading and is left out.
    pub fn write(&mut self, definition: impl Into<Defined>, value: f64) {
        self.write_with(definition, Labels::empty(), value);
    }

    /// Adds a value with labels.
    pub fn write_with(&mut self, definition: impl Into<Defined>, labels: Labels, value: f64) {
        if value.is_nan() {
            return;
        }
        if self.readings.len() < READINGS_MAX {
            self.readings.push(Reading { definition: definition.into(), labels, value });
        } else {
            self.dropped += 1;
        }
    }

    /// Adds a value of a metric that has no definition: it has no unit and is what its collector says all are
    /// ([`metric_type`](super::MetricCollector::metric_type)). A name or label that cannot be exposed is counted as
    /// dropped.
    #[doc(alias = "createDataPoint")]
    pub fn data_point(&mut self, name: &str, value: f64, labels: &[(&str, &str)]) {
        let (Some(definition), Ok(labels)) = (self.named(name), Labels::from_pairs(labels.iter().copied()))
        else {
            self.dropped += 1;
            return;
        };
        self.write_with(&definition, labels, value);
    }

    /// The definition of a metric that comes by name.
    fn named(&mut self, given: &str) -> Option<Arc<Definition>> {
        let known = self.named.get(given).filter(|definition| definition.kind == self.kind);
        if let Some(definition) = known {
            return Some(definition.clone());
        }
        let fits = name::is_identifier(&given.replace('.', "_")) && given.len() <= name::NAME_BYTES_MAX;
        if !fits || self.named.len() >= READINGS_MAX {
            return None;
        }
        let definition = Arc::new(Definition::named(self.kind, given, Unit::None, ""));
        self.named.insert(given.to_owned(), definition.clone());
        Some(definition)
    }

    /// From now on, metrics that come by name alone are of this type.
    pub(super) fn set_kind(&mut self, kind: MetricType) {
        self.kind = kind;
    }

    /// What was written, in that order.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// The value last written for a metric by its given name, of whichever labels.
    pub fn value(&self, given: &str) -> Option<f64> {
        self.readings
            .iter()
            .rev()
            .find(|reading| reading.definition.given == given)
            .map(|reading| reading.value)
    }

    /// What was written, for good.
    pub(super) fn into_readings(self) -> Vec<Reading> {
        self.readings
    }

    /// How many readings did not fit, or had a name that cannot be exposed.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes all readings out, keeping the memory.
    pub fn clear(&mut self) {
        self.readings.clear();
    }

    /// The readings as families to expose, by exposed name.
    pub fn families(&self) -> Vec<Family> {
        families(&self.readings)
    }
}

/// Readings as families to expose, by exposed name.
pub(super) fn families<'r>(readings: impl IntoIterator<Item = &'r Reading>) -> Vec<Family> {
    let mut families: BTreeMap<&str, Family> = BTreeMap::new();
    for reading in readings {
        let definition = &*reading.definition;
        let family = families.entry(&definition.given).or_insert_with(|| Family {
            name: definition.exposed_name(),
            help: definition.help.clone().into_owned(),
            unit: definition.unit.as_str().to_owned(),
            kind: definition.kind,
            points: Vec::new(),
        });
        family.points.push(Point::new("", reading.labels.clone(), reading.value));
    }
    families.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    static READS: Definition = Definition::counter("disk.reads", Unit::None, "Reads.");

    #[test]
    fn families_gather_what_belongs_together() {
        let mut out = Writer::new();
        for disk in ["sda", "sdb"] {
            out.write_with(&READS, Labels::empty().with("disk", disk), 1.0);
        }
        let mut text = String::new();
        barograph_wire::exposition::write(
            &mut text,
            &out.families(),
            barograph_wire::exposition::Format::Text004,
        );
        assert_eq!(
            text,
            "# HELP disk_reads_total Reads.\n# TYPE disk_reads_total counter\n\
             disk_reads_total{disk=\"sda\"} 1\ndisk_reads_total{disk=\"sdb\"} 1\n"
        );
    }

    #[test]
    fn a_name_is_definition_enough() {
        let mut out = Writer::new();
        out.data_point("custom.metric", 123.45, &[("unit", "ms")]);
        out.data_point("custom.metric", 1.0, &[]);
        out.data_point("not a name", 1.0, &[]);
        out.data_point("x", 1.0, &[("__name__", "a"), ("__name__", "b")]);
        let point = out.readings()[0].data_point(Timestamp(7));
        assert_eq!((&*point.name, point.timestamp, point.value), ("custom.metric", Timestamp(7), 123.45));
        assert_eq!(
            (point.labels.value("unit"), out.readings()[1].stored_name()),
            (Some("ms"), "custom_metric".into())
        );
        assert_eq!((out.readings().len(), out.dropped(), out.named.len()), (2, 2, 2));
        assert_eq!((out.value("custom.metric"), out.value("x")), (Some(1.0), None));
    }

    #[test]
    fn is_bounded_and_takes_no_nan() {
        let mut out = Writer::new();
        out.write(&READS, f64::NAN);
        assert!(out.readings().is_empty());
        (0..READINGS_MAX + 3).for_each(|_| out.write(&READS, 1.0));
        assert_eq!((out.readings().len(), out.dropped()), (READINGS_MAX, 3));
    }
}
