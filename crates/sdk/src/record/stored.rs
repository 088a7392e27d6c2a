//! Under which names records are stored.

use std::borrow::Cow;

use barograph_model::{Labels, LabelsBuilder, METRIC_NAME, Metadata, MetricType};

use super::{Measure, MetricRecord, RecordError, RecordKind};
use crate::name;

/// Where a record is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAs {
    /// The labels of its series, with the metric's name.
    pub labels: Labels,
    /// The name the catalog knows the metric by.
    pub name: String,
    /// Its type and unit.
    pub metadata: Metadata,
    /// What brings values into that unit.
    pub scale: f64,
}

impl MetricRecord {
    /// Under which names the record is stored, of a metric in base units of `word` if it does not say.
    ///
    /// # Errors
    /// The name is none, or the unit is too long.
    pub fn stored_as(&self, word: &str) -> Result<StoredAs, RecordError> {
        let measure = self.measure().unwrap_or(Measure { word, scale: 1.0 });
        let unit = measure.unit()?;
        let mut name = name::exposed(&self.name.replace('-', "_"), unit, self.kind.counts())?;
        if self.kind.counts() {
            name.push_str("_total");
        }
        let mut labels = LabelsBuilder::new();
        for (attribute, value) in self.full_attributes().iter() {
            labels.set(&label_name(attribute, if self.kind.distributes() { &["le"] } else { &[] }), value);
        }
        labels.set(METRIC_NAME, &name);
        let kind = match self.kind {
            RecordKind::Counter | RecordKind::Meter => MetricType::Counter,
            RecordKind::Gauge => MetricType::Gauge,
            RecordKind::Histogram | RecordKind::Timer => MetricType::Histogram,
        };
        let metadata = Metadata { kind, unit: unit.as_str().to_owned(), help: String::new() };
        Ok(StoredAs { labels: labels.build(), name, metadata, scale: measure.scale })
    }
}

/// The label for an attribute: letters, digits and underscores of it.
pub(super) fn label_name<'a>(attribute: &'a str, reserved: &[&str]) -> Cow<'a, str> {
    if name::exposed_label(attribute, reserved).is_ok_and(|label| label == attribute) {
        return Cow::Borrowed(attribute);
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let label: String = attribute.chars().map(plain).take(name::NAME_BYTES_MAX - 5).collect();
    match name::exposed_label(&label, reserved) {
        Ok(label) => Cow::Owned(label),
        Err(_) => Cow::Owned(format!("attr_{label}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_they_are_stored() {
        let check = |record: MetricRecord, expected: &str, scale| {
            let stored = record.stored_as("bytes").unwrap();
            assert_eq!((stored.labels.to_string(), stored.scale), (expected.to_owned(), scale));
        };
        let record = |kind, name| MetricRecord::new(kind, name, 1.0);
        let flow = record(RecordKind::Timer, "flow.execution.duration").attributes([("flow-id", "F")]);
        check(flow, "flow_execution_duration_seconds{flow_id=\"F\"}", 1e-3);
        check(record(RecordKind::Counter, "jobs").unit("count"), "jobs_total", 1.0);
        check(record(RecordKind::Gauge, "data.volume"), "data_volume_bytes", 1.0);
        check(record(RecordKind::Gauge, "x").unit("MB").component("c"), "x_bytes{componentId=\"c\"}", 1e6);
    }
}
