//! What a collected metric is, as data.

use std::{borrow::Cow, ops::Deref, sync::Arc};

use barograph_model::{Metadata, MetricType};

use crate::{Unit, name};

/// A metric of a collector: a constant beside the code that reads it, or made at run time with [`Definition::named`].
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The name as given, dotted.
    pub given: Cow<'static, str>,
    /// What it is measured in.
    pub unit: Unit,
    /// What its values mean.
    pub kind: MetricType,
    /// One line for people.
    pub help: Cow<'static, str>,
    /// Whether the stored name is the given one with underscores and nothing appended.
    plain: bool,
}

impl Definition {
    /// A value that goes up and down.
    pub const fn gauge(given: &'static str, unit: Unit, help: &'static str) -> Self {
        Self::constant(MetricType::Gauge, given, unit, help)
    }

    /// A cumulative count.
    pub const fn counter(given: &'static str, unit: Unit, help: &'static str) -> Self {
        Self::constant(MetricType::Counter, given, unit, help)
    }

    const fn constant(kind: MetricType, given: &'static str, unit: Unit, help: &'static str) -> Self {
        Self { given: Cow::Borrowed(given), unit, kind, help: Cow::Borrowed(help), plain: false }
    }

    /// A metric that is known only when the program runs.
    pub fn named(kind: MetricType, given: impl Into<String>, unit: Unit, help: impl Into<String>) -> Self {
        Self { given: Cow::Owned(given.into()), unit, kind, help: Cow::Owned(help.into()), plain: false }
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
        match name::exposed(&self.given, self.unit, counter) {
            Ok(name) if !self.plain => name + if counter { "_total" } else { "" },
            _ => self.given.replace('.', "_"),
        }
    }

    /// The name under which it is exposed: the stored one, though counters and only they are seen to end in `_total`. Of
    /// another metric that ends so the unit follows, or the end is left out.
    pub fn exposed_name(&self) -> String {
        let name = self.stored_name();
        match (self.kind == MetricType::Counter, name.strip_suffix("_total")) {
            (true, None) => name + "_total",
            (false, Some(start)) if self.unit == Unit::None => start.to_owned(),
            (false, Some(_)) => format!("{name}_{}", self.unit.as_str()),
            _ => name,
        }
    }

    /// Type, unit and help, for the catalog.
    pub fn metadata(&self) -> Metadata {
        Metadata {
            kind: self.kind,
            unit: self.unit.as_str().to_owned(),
            help: self.help.clone().into_owned(),
        }
    }
}

/// A definition that a reading refers to: a constant, or one that is shared. Cloning it is cheap.
#[derive(Clone, Debug)]
pub enum Defined {
    /// A constant of the program.
    Constant(&'static Definition),
    /// Made at run time.
    Shared(Arc<Definition>),
}

impl Deref for Defined {
    type Target = Definition;

    fn deref(&self) -> &Definition {
        match self {
            Self::Constant(definition) => definition,
            Self::Shared(definition) => definition,
        }
    }
}

impl PartialEq for Defined {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<&'static Definition> for Defined {
    fn from(definition: &'static Definition) -> Self {
        Self::Constant(definition)
    }
}

impl From<&Arc<Definition>> for Defined {
    fn from(definition: &Arc<Definition>) -> Self {
        Self::Shared(definition.clone())
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
        check(Definition::counter("api.requests.failed", Unit::None, "").plain(), "api_requests_failed");
        let queue = format!("queue.{}", "mail");
        check(Definition::named(MetricType::Gauge, queue, Unit::Seconds, ""), "queue_mail_seconds");
    }

    #[test]
    fn only_counters_are_exposed_with_total() {
        let check = |definition: Definition, stored: &str, exposed: &str| {
            assert_eq!((&*definition.stored_name(), &*definition.exposed_name()), (stored, exposed));
        };
        check(Definition::gauge("heap.total", Unit::Bytes, "").plain(), "heap_total", "heap_total_bytes");
        check(Definition::gauge("files.total", Unit::None, "").plain(), "files_total", "files");
        check(Definition::counter("jobs", Unit::None, ""), "jobs_total", "jobs_total");
        check(Definition::counter("jobs.failed", Unit::None, "").plain(), "jobs_failed", "jobs_failed_total");
    }
}
