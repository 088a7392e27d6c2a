//! What a collected metric is, as data.

use barograph_model::{Metadata, MetricType};

use crate::{Unit, name};

/// A metric of a collector: a constant beside the code that reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Definition {
    /// The name as given, dotted.
    pub given: &'static str,
    /// What it is measured in.
    pub unit: Unit,
    /// What its values mean.
    pub kind: MetricType,
    /// One line for people.
    pub help: &'static str,
    /// Whether the stored name is the given one with underscores and nothing appended.
    plain: bool,
}

impl Definition {
    /// A value that goes up and down.
    pub const fn gauge(given: &'static str, unit: Unit, help: &'static str) -> Self {
        Self { given, unit, kind: MetricType::Gauge, help, plain: false }
    }

    /// A cumulative count.
    pub const fn counter(given: &'static str, unit: Unit, help: &'static str) -> Self {
        Self { given, unit, kind: MetricType::Counter, help, plain: false }
    }

    /// The same, stored under the given name with underscores, without unit or `_total`.
    #[must_use]
    pub const fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// The name under which it is stored and exposed: the given one in Prometheus spelling, with unit, and `_total`
    /// for a counter. A name that cannot be spelled so is kept with underscores.
    pub fn stored_name(&self) -> String {
        let counter = self.kind == MetricType::Counter;
        match name::exposed(self.given, self.unit, counter) {
            Ok(name) if !self.plain => name + if counter { "_total" } else { "" },
            _ => self.given.replace('.', "_"),
        }
    }

    /// Type, unit and help, for the catalog.
    pub fn metadata(&self) -> Metadata {
        Metadata { kind: self.kind, unit: self.unit.as_str().to_owned(), help: self.help.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_names_follow_the_translation_unless_plain() {
        let check = |definition: Definition, stored| assert_eq!(definition.stored_name(), stored);
        check(Definition::gauge("disk.free", Unit::Bytes, ""), "disk_free_bytes");
        check(Definition::counter("disk.reads", Unit::None, ""), "disk_reads_total");
        check(Definition::gauge("system.cpu.usage", Unit::Percent, "").plain(), "system_cpu_usage");
    }
}
