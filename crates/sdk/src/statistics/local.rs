//! Recording and framing in this process, over a registry.

use std::sync::Arc;

use super::{AggregationPolicy, PolicyError, RetentionPolicy, StatisticsLifecycle, StatisticsProvider};
use crate::{
    Registry,
    record::{MetricRecord, RecordError, RecordKind, Recorder},
    scope::Attributes,
};

/// [`StatisticsProvider`] and [`StatisticsLifecycle`] over a registry. Clones are the same.
///
/// Timestamps of records are not kept: a registry has no past. Nor has it anything of which a policy could keep
/// more or less.
#[derive(Clone, Debug)]
pub struct Local(Recorder);

impl Local {
    /// Records into `registry`.
    pub fn new(registry: &Registry) -> Self {
        Self(Recorder::new(registry))
    }

    /// The registry that is recorded into.
    pub fn registry(&self) -> &Registry {
        self.0.registry()
    }
}

impl StatisticsProvider for Local {
    fn record_number(
        &self,
        kind: RecordKind,
        name: &str,
        value: f64,
        attributes: &Attributes,
    ) -> Result<(), RecordError> {
        self.0.number(kind, name, value, attributes)
    }

    fn batch_record(&self, records: Vec<MetricRecord>) -> Vec<Result<(), RecordError>> {
        self.0.record_all(&records)
    }
}

impl StatisticsLifecycle for Local {
    fn provider(&self) -> Arc<dyn StatisticsProvider> {
        Arc::new(self.clone())
    }

    fn configure_aggregation(&self, _metric: &str, _policy: AggregationPolicy) -> Result<(), PolicyError> {
        Err(PolicyError::NoStore)
    }

    fn set_retention_policy(&self, _metric: &str, _policy: RetentionPolicy) -> Result<(), PolicyError> {
        Err(PolicyError::NoStore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Unit, scope};

    fn count(registry: &Registry, name: &str, attributes: &[(&str, &str)]) -> u64 {
        let builder = registry.histogram(name).unit(Unit::Seconds);
        let builder = attributes.iter().fold(builder, |builder, (name, value)| builder.label(name, value));
        builder.register().unwrap().read().sketch.count()
    }

    #[test]
    fn a_timer_records_once_whichever_way_it_ends() {
        let local = Local::new(&Registry::new());
        let fails = |local: &Local| -> Result<(), std::num::ParseIntError> {
            let _timer = local.start_timer("work", [("a", "1")].into());
            "no number".parse::<u8>().map(drop)
        };
        let _ = fails(&local);
        let took = local.start_timer("work", [("a", "1")].into()).stop();
        local.start_timer("work", [("a", "1")].into()).discard();
        assert!(took.as_secs() < 60);
        assert_eq!(count(local.registry(), "work", &[("a", "1")]), 2);
    }

    #[test]
    fn a_scope_records_its_duration_and_results() {
        let local = Local::new(&Registry::new());
        let object: &dyn StatisticsLifecycle = &local;
        object.begin_scope("import", [("flowId", "F1")].into());
        object.end_scope(vec![("rows".into(), 12.0.into()), ("state".into(), "done".into())]);
        object.end_scope(vec![]);
        assert!(scope::current().is_empty());
        let attributes = [("flowId", "F1"), ("scope", "import")];
        assert_eq!(count(local.registry(), "scope.duration", &attributes), 1);
        let text = local.registry().expose(crate::exposition::Format::Text004);
        assert!(
            text.contains("scope_result_sum{flowId=\"F1\",result=\"rows\",scope=\"import\"} 12\n"),
            "{text}"
        );
    }

    #[test]
    fn a_batch_keeps_what_is_good() {
        let local = Local::new(&Registry::new());
        let results = local.batch_record(vec![
            MetricRecord::new(RecordKind::Counter, "jobs", 2.0),
            MetricRecord::new(RecordKind::Counter, "jobs", -2.0),
            MetricRecord::new(RecordKind::Gauge, "depth", 3.0).component("queue"),
        ]);
        assert!(results[0].is_ok() && results[1].is_err() && results[2].is_ok());
        let text = local.registry().expose(crate::exposition::Format::Text004);
        assert!(
            text.contains("jobs_total 2\n") && text.contains("depth{componentId=\"queue\"} 3\n"),
            "{text}"
        );
    }
}
