//! Durations in milliseconds, for those whose dashboards were made for them.

use barograph_model::MetricType;
use barograph_wire::exposition::{Family, format_float};

use super::settings::{ExpositionUnits, milliseconds};

/// Families in the units they are to be exposed in. In milliseconds, histograms, summaries and quantiles of seconds
/// end in `_ms` in place of `_seconds`; counters of seconds and points in time stay as they are. Native
/// histograms are for seconds alone.
pub fn in_units(mut families: Vec<Family>, units: ExpositionUnits) -> Vec<Family> {
    if units == ExpositionUnits::Milliseconds {
        families.iter_mut().for_each(to_milliseconds);
    }
    families
}

fn to_milliseconds(family: &mut Family) {
    let quantiles = || family.points.iter().all(|point| point.labels.value("quantile").is_some());
    let durations = matches!(family.kind, MetricType::Histogram | MetricType::Summary)
        || family.kind == MetricType::Gauge && quantiles();
    let Some(stem) = family.name.strip_suffix("_seconds").filter(|_| durations) else { return };
    family.name = format!("{stem}_ms");
    "ms".clone_into(&mut family.unit);
    for point in &mut family.points {
        // Its buckets do not line up with milliseconds.
        point.sketch = None;
        match point.suffix {
            "_count" => {}
            "_bucket" => {
                let bound = point.labels.value("le").and_then(|le| le.parse().ok());
                if let Some(bound) = bound.filter(|bound: &f64| bound.is_finite()) {
                    point.labels = point.labels.with("le", &format_float(milliseconds(bound)));
                }
            }
            _ => point.value *= 1e3,
        }
        if let Some(exemplar) = &mut point.exemplar {
            exemplar.sample.value *= 1e3;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Registry, Unit, exposition, exposition::Format};

    use super::*;

    #[test]
    fn durations_and_nothing_else() {
        let registry = Registry::new();
        let bounds = [0.025, 0.07, 5.0];
        registry.histogram("wait").unit(Unit::Seconds).bounds(&bounds).register().unwrap().record(0.07);
        registry.float_counter("cpu").unit(Unit::Seconds).register().unwrap().add(2.0);
        registry.gauge("start_time").unit(Unit::Seconds).register().unwrap().set(5.0);
        let gauge = registry.gauge("latency").unit(Unit::Seconds).label("quantile", "0.5");
        gauge.register().unwrap().set(0.25);
        let text = |units| {
            let mut text = String::new();
            exposition::write(&mut text, &in_units(registry.collect(), units), Format::OpenMetrics100);
            text
        };
        let (seconds, ms) = (text(ExpositionUnits::Seconds), text(ExpositionUnits::Milliseconds));
        assert!(seconds.contains("wait_seconds_bucket{le=\"0.07\"} 1"));
        for line in [
            "# UNIT wait_ms ms\n",
            "wait_ms_bucket{le=\"25.0\"} 0",
            "wait_ms_bucket{le=\"70.0\"} 1",
            "wait_ms_bucket{le=\"+Inf\"} 1",
            "wait_ms_sum 70",
            "wait_ms_count 1",
            "latency_ms{quantile=\"0.5\"} 250",
            "cpu_seconds_total 2",
            "start_time_seconds 5",
        ] {
            assert!(ms.contains(line), "{line} in {ms}");
        }
        assert!(!ms.contains("wait_seconds"));
    }
}
