//! How statistics look in JSON.

use barograph_model::Timestamp;

use super::Spelling;
use crate::{
    session::{Field, FieldKind, Trend, Trends, UNMEASURED, Value},
    telemetry::object::Object,
};

/// What objects of these documents have beside numbers and texts.
pub(super) trait Write {
    /// The value of a field.
    fn value(&mut self, field: &Field, key: &str, value: &Value, spelling: Spelling);
    /// A point in time; 0 is null.
    fn time(&mut self, key: &str, at_ms: u64, spelling: Spelling);
    /// How things went, or null.
    fn trends(&mut self, key: &str, trends: Option<Trends>);
}

impl Write for Object<'_> {
    fn value(&mut self, field: &Field, key: &str, value: &Value, spelling: Spelling) {
        match (field.kind, value) {
            (FieldKind::Timestamp, Value::Integer(at)) => self.time(key, *at, spelling),
            (FieldKind::LowWater, Value::Integer(low)) => {
                self.count_or_null(key, Some(*low).filter(|low| spelling.sentinels || *low != UNMEASURED));
            }
            (_, Value::Integer(value)) => self.count(key, *value),
            (_, value) => self.text_or_null(key, value.as_text()),
        }
    }

    fn time(&mut self, key: &str, at_ms: u64, spelling: Spelling) {
        let at = Some(at_ms).filter(|at| *at > 0);
        match at.and_then(|at| i64::try_from(at).ok()) {
            Some(at) if !spelling.epoch => self.text(key, &rfc3339(Timestamp(at))),
            _ => self.count_or_null(key, at),
        }
    }

    fn trends(&mut self, key: &str, trends: Option<Trends>) {
        let Some(trends) = trends else { return self.text_or_null(key, None) };
        self.object(key, |object| {
            for (name, trend) in [
                ("p95-latency", trends.p95_latency),
                ("mean-latency", trends.mean_latency),
                ("throughput", trends.throughput),
                ("error-rate", trends.error_rate),
            ] {
                match trend {
                    Some(trend) => object.object(name, |object| write_trend(object, trend)),
                    None => object.text_or_null(name, None),
                }
            }
        });
    }
}

fn write_trend(object: &mut Object<'_>, trend: Trend) {
    object.text("direction", trend.direction.as_str());
    object.number("slope-per-hour", trend.slope_per_hour);
    object.number("change-percent", trend.change_percent);
    object.count("samples", trend.samples);
}

/// With three digits of milliseconds, also where they are zeros.
fn rfc3339(at: Timestamp) -> String {
    let text = at.to_rfc3339();
    let text = text.strip_suffix('Z').unwrap_or(&text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}.{fraction:0<3}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(Timestamp(1_700_000_000_123)), "2023-11-14T22:13:20.123Z");
        assert_eq!(rfc3339(Timestamp(1_700_000_000_120)), "2023-11-14T22:13:20.120Z");
    }
}
