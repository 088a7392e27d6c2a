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

    /// The name under which it is stored: the given one in Prometheus spelling, with unit, and `_total`
    /// for a counter. A name that cannot be spelled so is kept with underscores.
    pub fn stored_name(&self) -> String {
        let counter = self.kind == MetricType::Counter;
        match name::exposed(self.given, self.unit, counter) {
            Ok(name) if !self.plain => name + if counter { "_total" } else { "" },
            _ => self.given.replace('.', "_"),
        }
    }

    /// The name under which it is exposed: the stored one, though only counters may be seen to end in `_total`, so
    /// that the unit follows where another metric's stored name does.
    pub fn exposed_name(&self) -> String {
        let name = self.stored_name();
        let misleading = self.kind != MetricType::Counter && name.ends_with("_total");
        if misleading && self.unit != Unit::None { format!("{name}_{}", self.unit.as_str()) } else { name }
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

    #[test]
    fn only_counters_are_exposed_with_total() {
        let heap = Definition::gauge("heap.total", Unit::Bytes, "").plain();
        assert_eq!(
            (heap.stored_name().as_str(), heap.exposed_name().as_str()),
            ("heap_total", "heap_total_bytes")
        );
        assert_eq!(Definition::counter("jobs", Unit::None, "").exposed_name(), "jobs_total");
    }
}
