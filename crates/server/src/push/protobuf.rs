//! What is pushed as delimited protobuf, as the client of Go does by default.
//!
//! Classic histograms and summaries become the series that text has for them; native histograms stay what they are. One that
//! has buckets of both kinds becomes both.

use barograph_model::{Labels, METRIC_NAME, MetricType};
use barograph_wire::exposition::{ReadMetric, ReadValue, families, format_float};

use super::group::{Families, Reading};

/// Reads what is pushed under the labels of a group, as [`super::read`] does of text.
///
/// # Errors
/// What is wrong, and in which family.
pub(crate) fn read_protobuf(page: &[u8], group: &Labels, samples_max: usize) -> Result<Families, String> {
    let mut reading = Reading::new(group, samples_max);
    for family in families(page) {
        let family = family.map_err(|error| error.to_string())?;
        let place = || format!("family {}", family.name);
        reading.describe(family.name, family.kind, family.help);
        for metric in family.metrics() {
            let metric = metric.map_err(|error| error.to_string())?;
            if metric.at.is_some() {
                return Err(format!("{}: a pushed sample must not have a time; leave it out", place()));
            }
            if let ReadValue::Histogram(histogram) = &metric.value
                && let Some(native) = &histogram.native
            {
                let native = native.clone().map_err(|error| format!("{}: {error}", place()))?;
                let pairs = metric.labels.iter().copied().chain([(METRIC_NAME, family.name)]);
                let labels = Labels::from_pairs(pairs).map_err(|error| format!("{}: {error}", place()))?;
                reading.histogram(family.name, labels, native, place)?;
                if histogram.buckets.is_empty() {
                    continue;
                }
            }
            for (end, more, value) in samples(&metric, family.kind) {
                let name = format!("{}{end}", family.name);
                let pairs = metric.labels.iter().copied().chain([(METRIC_NAME, name.as_str())]);
                let more = more.as_ref().map(|(label, value)| (*label, value.as_str()));
                let labels = Labels::from_pairs(pairs.chain(more));
                let labels = labels.map_err(|error| format!("{}: {error}", place()))?;
                reading.sample(family.name, labels, value, place)?;
            }
        }
    }
    Ok(reading.families())
}

/// The end of a name, a label besides, and a value.
type Part = (&'static str, Option<(&'static str, String)>, f64);

/// The series that text has of a metric.
fn samples(metric: &ReadMetric<'_>, kind: MetricType) -> Vec<Part> {
    match &metric.value {
        ReadValue::Number(value, _) => vec![("", None, *value)],
        ReadValue::Summary { count, sum, quantiles } => {
            let quantile = |&(at, value): &(f64, f64)| ("", Some(("quantile", format_float(at))), value);
            let parts = quantiles.iter().map(quantile);
            parts.chain([("_sum", None, *sum), ("_count", None, *count)]).collect()
        }
        ReadValue::Histogram(histogram) => {
            let ends = match kind {
                MetricType::GaugeHistogram => ["_gsum", "_gcount"],
                _ => ["_sum", "_count"],
            };
            let mut parts: Vec<Part> = Vec::new();
            for bucket in histogram.buckets.iter().filter(|bucket| bucket.bound != f64::INFINITY) {
                parts.push(("_bucket", Some(("le", format_float(bucket.bound))), bucket.count));
            }
            parts.push(("_bucket", Some(("le", "+Inf".to_owned())), histogram.count));
            parts.extend([(ends[0], None, histogram.sum), (ends[1], None, histogram.count)]);
            parts
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use barograph_model::{Sketch, Timestamp};
    use barograph_wire::exposition::{Family, Form, Point};

    use super::{super::group::Group, *};
    use crate::intake::Batch;

    fn page(at: Option<f64>) -> Vec<u8> {
        let labels = |pairs: &[(&str, &str)]| Labels::from_pairs(pairs.iter().copied()).unwrap();
        let family = |name: &str, kind, points| Family {
            name: name.into(),
            help: "Help.".into(),
            unit: String::new(),
            kind,
            points,
        };
        let counter = vec![Point::new("_total", labels(&[("job", "mine"), ("x", "y")]), 3.0)];
        let histogram = vec![
            Point::new("_bucket", labels(&[("le", "0.5")]), 1.0),
            Point::new("_bucket", labels(&[("le", "+Inf")]), 2.0),
            Point::new("_sum", labels(&[]), 1.5),
            Point::new("_count", labels(&[]), 2.0),
        ];
        let mut families = vec![
            family("runs", MetricType::Counter, counter),
            family("took", MetricType::Histogram, histogram),
        ];
        if let Some(value) = at {
            families.push(family(
                "push_time_seconds",
                MetricType::Gauge,
                vec![Point::new("", labels(&[]), value)],
            ));
        }
        Form::Protobuf.page(&families)
    }

    #[test]
    fn protobuf_is_read_as_text_is() {
        let job = Labels::from_pairs([("job", "j")]).unwrap();
        let read = read_protobuf(&page(None), &job, 10).unwrap();
        let text = "# HELP runs_total Help.\n# TYPE runs_total counter\nruns_total{x=\"y\"} 3\n# HELP took Help.\n\
                    # TYPE took histogram\ntook_bucket{le=\"0.5\"} 1\ntook_bucket{le=\"+Inf\"} 2\ntook_sum 1.5\n\
                    took_count 2\n";
        let dialect = barograph_wire::exposition::Dialect::Text;
        assert_eq!(read, crate::push::read(text.as_bytes(), dialect, &job, 10).unwrap());
    }

    #[test]
    fn native_histograms_stay_what_they_are() {
        let job = Labels::from_pairs([("job", "j")]).unwrap();
        let mut sketch = Sketch::new();
        [1.0, 1.0, 4.0].into_iter().for_each(|value| sketch.add(value));
        let mut count = Point::new("_count", Labels::empty(), 3.0);
        count.sketch = Some(Arc::new(sketch));
        let mut points = vec![Point::new("_sum", Labels::empty(), 6.0), count];
        let family = |points: &[Point]| Family {
            name: "took".into(),
            help: String::new(),
            unit: String::new(),
            kind: MetricType::Histogram,
            points: points.to_vec(),
        };
        let names = |points: &[Point]| {
            let read = read_protobuf(&Form::Protobuf.page(&[family(points)]), &job, 10).unwrap();
            let batch = written(read, &job);
            let native: Vec<_> = batch.histograms.iter().map(|it| (it.0.to_string(), it.2.count())).collect();
            assert_eq!(native, [("took{job=\"j\"}".to_owned(), 3.0)]);
            batch.samples.iter().filter(|it| it.0.to_string().starts_with("took")).count()
        };
        assert_eq!(names(&points), 0);
        points.push(Point::new("_bucket", Labels::empty().with("le", "+Inf"), 3.0));
        assert_eq!(names(&points), 3, "buckets of both kinds are kept");
    }

    /// What is stored of families that are pushed.
    fn written(families: Families, labels: &Labels) -> Batch {
        let mut batch = Batch::default();
        let (labels, pushed, failed) = (labels.clone(), Timestamp(1), Timestamp(0));
        let group = Group { tenant: barograph_tenancy::Tenant::DEFAULT, labels, families, pushed, failed };
        assert_eq!(group.kept().group().as_ref(), Some(&group));
        group.write(Timestamp(2), &mut batch);
        batch
    }

    #[test]
    fn what_cannot_be_pushed_is_named_with_its_family() {
        let job = Labels::from_pairs([("job", "j")]).unwrap();
        let error = read_protobuf(&page(Some(1.0)), &job, 10).unwrap_err();
        assert!(error.contains("family push_time_seconds"), "{error}");
        assert!(read_protobuf(&page(None), &job, 3).unwrap_err().contains("more than 3 samples"));
        let page = page(None);
        assert!((1..page.len()).filter(|&len| read_protobuf(&page[..len], &job, 10).is_err()).count() > 10);
    }
}
