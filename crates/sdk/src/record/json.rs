//! Records as JSON, written.

use std::fmt::Write as _;

use barograph_model::{Sketch, upper_bound};
use barograph_wire::exposition::json::{number, string};

use super::{MetricRecord, RecordValue};

impl MetricRecord {
    /// Appends the record as a JSON object. Its attributes are its own; those of scopes must be among them already.
    pub fn write_json(&self, out: &mut String) {
        out.push_str("{\"name\":");
        string(out, &self.name);
        let _ = write!(out, ",\"type\":\"{}\",\"value\":", self.kind);
        match &self.value {
            RecordValue::Number(value) => number(out, *value),
            RecordValue::Distribution(sketch) => distribution(out, sketch),
        }
        if let Some(unit) = &self.unit {
            out.push_str(",\"unit\":");
            string(out, unit);
        }
        if !self.attributes.is_empty() {
            for (i, (name, value)) in self.attributes.iter().enumerate() {
                out.push_str(if i == 0 { ",\"attributes\":{" } else { "," });
                string(out, name);
                out.push(':');
                string(out, value);
            }
            out.push('}');
        }
        if let Some(at) = self.timestamp {
            let _ = write!(out, ",\"timestamp\":{}", at.millis());
        }
        if let Some(component) = &self.component {
            out.push_str(",\"component\":");
            string(out, component);
        }
        if let Some(sampling) = self.sampling {
            let _ = write!(out, ",\"sampling\":{{\"strategy\":\"{}\",\"rate\":", sampling.strategy);
            number(out, sampling.rate);
            out.push_str(",\"weight\":");
            number(out, sampling.weight);
            out.push('}');
        }
        out.push('}');
    }
}

/// A sketch: its moments, its buckets as upper bound and count, and quantiles for whoever reads it.
fn distribution(out: &mut String, sketch: &Sketch) {
    let _ = write!(out, "{{\"count\":{},\"zeros\":{},\"sum\":", sketch.count(), sketch.zeros());
    number(out, sketch.sum());
    for (key, value) in [("min", sketch.min()), ("max", sketch.max())] {
        let _ = write!(out, ",\"{key}\":");
        number(out, value.unwrap_or(f64::NAN));
    }
    out.push_str(",\"buckets\":[");
    let bound = |index| upper_bound(index, sketch.scale()).min(f64::MAX);
    let negative = sketch.negative().iter().rev().map(|(index, count)| (-bound(*index), *count));
    let positive = sketch.positive().iter().map(|(index, count)| (bound(*index), *count));
    for (i, (bound, count)) in negative.chain(positive).enumerate() {
        out.push_str(if i == 0 { "[" } else { ",[" });
        number(out, bound);
        let _ = write!(out, ",{count}]");
    }
    out.push_str("],\"quantiles\":{");
    for (i, q) in [0.5, 0.9, 0.95, 0.99].into_iter().enumerate() {
        let _ = write!(out, "{}\"{q}\":", if i == 0 { "" } else { "," });
        number(out, sketch.quantile(q).unwrap_or(f64::NAN));
    }
    out.push_str("}}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Timestamp,
        record::RecordKind,
        sampling::{SamplingInfo, Strategy},
    };

    #[test]
    fn records_are_written() {
        let record = MetricRecord::new(RecordKind::Timer, "a.\"b\"", 12.5)
            .unit("ms")
            .attributes([("flowId", "F\n1"), ("stepId", "2")])
            .at(Timestamp(1_000))
            .component("importer")
            .sampled(SamplingInfo::kept(Strategy::Consistent, 0.5));
        let mut text = String::new();
        record.write_json(&mut text);
        assert_eq!(
            text,
            r#"{"name":"a.\"b\"","type":"timer","value":12.5,"unit":"ms","attributes":{"flowId":"F\n1","stepId":"2"},"timestamp":1000,"component":"importer","sampling":{"strategy":"consistent","rate":0.5,"weight":2}}"#
        );
    }

    #[test]
    fn distributions_are_written() {
        let mut sketch = Sketch::new();
        [0.0, 1.0, 1.0, -2.0].into_iter().for_each(|value| sketch.add(value));
        let mut text = String::new();
        MetricRecord::new(RecordKind::Histogram, "h", RecordValue::Distribution(sketch))
            .write_json(&mut text);
        let expected = r#"{"name":"h","type":"histogram","value":{"count":4,"zeros":1,"sum":0,"min":-2,"max":1,"buckets":[[-2,1],[1,2]],"quantiles":{"0.5":0,"#;
        assert!(text.starts_with(expected) && text.ends_with("}}}"), "{text}");
    }
}
