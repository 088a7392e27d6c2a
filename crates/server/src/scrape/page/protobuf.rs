//! A page of protobuf, metric by metric.
//!
//! A histogram that is native is stored so where the job wants that; else, and where it wants both, its classic buckets are
//! stored as the text formats have them.

use barograph_model::{Exemplar, METRIC_NAME, MetricType};
use barograph_wire::exposition::{
    Pairs, ReadExemplar, ReadFamily, ReadHistogram, ReadMetric, ReadValue, families,
};

use super::{Reading, classic::Buckets, text::spelled};

pub(super) fn read(page: &[u8], reading: &mut Reading<'_>) -> Result<(), String> {
    for family in families(page) {
        let family = family.map_err(|error| error.to_string())?;
        reading.cache.see_family(family.name, |metadata| {
            metadata.kind = family.kind;
            for (old, new) in [(&mut metadata.help, family.help), (&mut metadata.unit, family.unit)] {
                if old != new {
                    new.clone_into(old);
                }
            }
        });
        for metric in family.metrics() {
            read_metric(&family, metric.map_err(|error| error.to_string())?, reading)?;
        }
    }
    Ok(())
}

fn read_metric(
    family: &ReadFamily<'_>,
    metric: ReadMetric<'_>,
    reading: &mut Reading<'_>,
) -> Result<(), String> {
    let ReadMetric { labels, at, value } = metric;
    let series = Series { family, labels: &labels, at };
    match value {
        ReadValue::Number(value, exemplar) => series.sample("", None, value, exemplar, reading),
        ReadValue::Summary { count, sum, quantiles } => {
            series.sample("_count", None, count, None, reading)?;
            series.sample("_sum", None, sum, None, reading)?;
            for (quantile, value) in quantiles {
                series.sample("", Some(("quantile", quantile)), value, None, reading)?;
            }
            Ok(())
        }
        ReadValue::Histogram(histogram) => series.histogram(*histogram, reading),
    }
}

/// A metric's labels, to which a suffix and a bound come.
struct Series<'s> {
    family: &'s ReadFamily<'s>,
    labels: &'s [(&'s str, &'s str)],
    at: Option<barograph_model::Timestamp>,
}

impl Series<'_> {
    /// What tells a series from all others of the page.
    fn text(&self, suffix: &str, bound: Option<(&str, &str)>) -> String {
        let mut text = format!("{}{suffix}", self.family.name);
        for (name, value) in self.labels.iter().copied().chain(bound) {
            for part in [name, value] {
                text.push('\u{1}');
                text.push_str(part);
            }
        }
        text
    }

    fn pairs(&self, suffix: &str, bound: Option<(&str, &str)>) -> Pairs<'static> {
        let name = (METRIC_NAME.into(), format!("{}{suffix}", self.family.name).into());
        let labels = self.labels.iter().copied().chain(bound);
        let labels = labels.map(|(name, value)| (name.to_owned().into(), value.to_owned().into()));
        std::iter::once(name).chain(labels).collect()
    }

    fn sample(
        &self,
        suffix: &str,
        bound: Option<(&str, f64)>,
        value: f64,
        exemplar: Option<ReadExemplar>,
        reading: &mut Reading<'_>,
    ) -> Result<(), String> {
        let spelling = bound.map(|(_, bound)| spelled(bound)).unwrap_or_default();
        let bound = bound.map(|(name, _)| (name, spelling.as_str()));
        let text = self.text(suffix, bound);
        let found = reading.sample(&text, self.at, value, || Ok(self.pairs(suffix, bound)))?;
        if let (Some((id, at)), Some(exemplar)) = (found, exemplar) {
            reading.exemplar(id, exemplar.or_at(at));
        }
        Ok(())
    }

    fn histogram(&self, histogram: ReadHistogram, reading: &mut Reading<'_>) -> Result<(), String> {
        let pages = &reading.config.pages;
        let (wanted, convert, both) = (pages.native, pages.convert_classic, pages.classic_too);
        let ReadHistogram { count, sum, buckets, native, exemplars } = histogram;
        let native = match native.filter(|_| wanted) {
            Some(native) => Some(native.map_err(|error| format!("{}: {error}", self.family.name))?),
            None if convert && self.family.kind == MetricType::Histogram => {
                let cumulative = buckets.iter().map(|bucket| (bucket.bound, bucket.count)).collect();
                Buckets { cumulative, sum, count: Some(count), at: self.at }.native().ok()
            }
            None => None,
        };
        let is_native = native.is_some();
        if let Some(native) = native {
            let found =
                reading.histogram(&self.text("", None), self.at, native, || Ok(self.pairs("", None)))?;
            if let Some((id, at)) = found {
                let of_buckets = buckets.iter().filter_map(|bucket| bucket.exemplar.clone());
                let given: Vec<Exemplar> =
                    exemplars.into_iter().chain(of_buckets).map(|e| e.or_at(at)).collect();
                given.into_iter().for_each(|exemplar| reading.exemplar(id, exemplar));
            }
        }
        if is_native && (!both || buckets.is_empty()) {
            return Ok(());
        }
        self.sample("_count", None, count, None, reading)?;
        self.sample("_sum", None, sum, None, reading)?;
        let has_last = buckets.iter().any(|bucket| bucket.bound == f64::INFINITY);
        for bucket in buckets {
            self.sample("_bucket", Some(("le", bucket.bound)), bucket.count, bucket.exemplar, reading)?;
        }
        match has_last {
            true => Ok(()),
            false => self.sample("_bucket", Some(("le", f64::INFINITY)), count, None, reading),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use barograph_model::{Labels, Sketch, Timestamp};
    use barograph_wire::exposition::{Family, Form, Point};

    use crate::{
        config::{Config, PageFormat},
        scrape::{cache::SeriesCache, page},
    };

    /// A counter, and a histogram with three values in both forms.
    fn bytes() -> Vec<u8> {
        let family = |name: &str, kind, points| Family {
            name: name.into(),
            help: "Words.".into(),
            unit: String::new(),
            kind,
            points,
        };
        let mut sketch = Sketch::new();
        [1.0, 1.0, 4.0].into_iter().for_each(|value| sketch.add(value));
        let mut count = Point::new("_count", Labels::empty(), 3.0);
        count.sketch = Some(Arc::new(sketch));
        let points = vec![
            Point::new("_bucket", Labels::empty().with("le", "2"), 2.0),
            Point::new("_bucket", Labels::empty().with("le", "+Inf"), 3.0),
            Point::new("_sum", Labels::empty(), 6.0),
            count,
        ];
        Form::Protobuf.page(&[
            family(
                "c",
                super::MetricType::Counter,
                vec![Point::new("_total", Labels::empty().with("x", "y"), 7.0)],
            ),
            family("h", super::MetricType::Histogram, points),
        ])
    }

    /// What is stored of it: floats by series, and histograms with schema, count and number of buckets.
    #[track_caller]
    fn check(settings: &str, expected: &[&str]) {
        let text = format!("scrape_configs: [{{job_name: j, {settings}}}]");
        let config = Config::parse(&text, "test", Path::new(""), []).unwrap().scrape_configs.remove(0);
        let mut cache = SeriesCache::default();
        let target = Labels::empty();
        let page =
            page::read(&bytes(), PageFormat::Protobuf, Timestamp(10), &config, &target, &mut cache).unwrap();
        let mut found: Vec<_> = page
            .samples
            .iter()
            .map(|(id, sample)| format!("{} {}", cache.labels(*id).unwrap(), sample.value))
            .collect();
        found.extend(page.histograms.iter().map(|(id, _, histogram)| {
            let (schema, buckets) = (histogram.schema(), histogram.positive().len());
            format!(
                "{} schema {schema} count {} buckets {buckets}",
                cache.labels(*id).unwrap(),
                histogram.count()
            )
        }));
        assert_eq!(found, expected);
        assert_eq!(cache.complete().len(), 0);
        assert_eq!(cache.fail().iter().filter(|ended| ended.native).count(), page.histograms.len());
    }

    const CLASSIC: [&str; 5] = [
        r#"c_total{x="y"} 7"#,
        "h_count 3",
        "h_sum 6",
        r#"h_bucket{le="2.0"} 2"#,
        r#"h_bucket{le="+Inf"} 3"#,
    ];

    #[test]
    fn histograms_are_stored_as_the_job_wants() {
        check("", &CLASSIC);
        check("scrape_native_histograms: true", &[CLASSIC[0], "h schema 5 count 3 buckets 2"]);
        let both: Vec<_> = CLASSIC.into_iter().chain(["h schema 5 count 3 buckets 2"]).collect();
        check("scrape_native_histograms: true, always_scrape_classic_histograms: true", &both);
        check("convert_classic_histograms_to_nhcb: true", &[CLASSIC[0], "h schema -53 count 3 buckets 2"]);
    }
}
