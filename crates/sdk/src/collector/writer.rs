//! Where collectors put what they read.

use std::collections::BTreeMap;

use barograph_model::Labels;
use barograph_wire::exposition::{Family, Point};

use super::Definition;

/// How many readings a writer takes; the rest is counted and left out.
pub const READINGS_MAX: usize = 10_000;

/// One value of one metric, as of the time its collector was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The metric.
    pub definition: &'static Definition,
    /// Labels without the metric's name.
    pub labels: Labels,
    /// The value, in the metric's unit.
    pub value: f64,
}

impl Reading {
    /// The name under which it is stored.
    pub fn stored_name(&self) -> String {
        self.definition.stored_name()
    }
}

/// The readings of one or more runs. Clear and use it again, to keep its memory.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    readings: Vec<Reading>,
    dropped: u64,
}

impl Writer {
    /// A writer with no readings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value without labels. NaN is no reading and is left out.
    pub fn write(&mut self, definition: &'static Definition, value: f64) {
        self.write_with(definition, Labels::empty(), value);
    }

    /// Adds a value with labels.
    pub fn write_with(&mut self, definition: &'static Definition, labels: Labels, value: f64) {
        if value.is_nan() {
            return;
        }
        if self.readings.len() < READINGS_MAX {
            self.readings.push(Reading { definition, labels, value });
        } else {
            self.dropped += 1;
        }
    }

    /// What was written, in that order.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// How many readings did not fit.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes all readings out, keeping the memory.
    pub fn clear(&mut self) {
        self.readings.clear();
    }

    /// The readings as families to expose, by exposed name.
    pub fn families(&self) -> Vec<Family> {
        let mut families: BTreeMap<&str, Family> = BTreeMap::new();
        for reading in &self.readings {
            let Definition { given, kind, help, .. } = *reading.definition;
            let family = families.entry(given).or_insert_with(|| Family {
                name: reading.definition.exposed_name(),
                help: help.to_owned(),
                unit: reading.definition.unit.as_str().to_owned(),
                kind,
                points: Vec::new(),
            });
            family.points.push(Point::new("", reading.labels.clone(), reading.value));
        }
        families.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unit;

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
    fn is_bounded_and_takes_no_nan() {
        let mut out = Writer::new();
        out.write(&READS, f64::NAN);
        assert!(out.readings().is_empty());
        (0..READINGS_MAX + 3).for_each(|_| out.write(&READS, 1.0));
        assert_eq!((out.readings().len(), out.dropped()), (READINGS_MAX, 3));
    }
}
