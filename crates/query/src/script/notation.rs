//! The notation of series by itself, for whoever writes series elsewhere than in a script: in tests of rules.

use barograph_model::{Labels, ResetHint};

use super::{
    histograms,
    items::{self, Item},
};
use crate::{eval::go_float, native::FloatHistogram, syntax::parse_labels};

/// Buckets, empty ones between them included, that are written of one side.
const SPREAD_MAX: usize = 100_000;

/// One value of a series.
#[derive(Clone, Debug)]
pub enum Point {
    /// There is none at that time.
    Missing,
    /// A float; the staleness marker, too.
    Float(f64),
    /// A native histogram.
    Histogram(Box<FloatHistogram>),
}

impl From<Item> for Point {
    fn from(item: Item) -> Self {
        match item {
            Item::Missing => Self::Missing,
            Item::Float(value) => Self::Float(value),
            Item::Histogram(literal) => Self::Histogram(Box::new(literal.histogram)),
        }
    }
}

/// Reads a series, `up{job="a"}`, and its values, `0 _ 1+1x5 stale {{sum:1 count:1}}`.
///
/// # Errors
/// What is wrong with either.
pub fn read_series(series: &str, values: &str) -> Result<(Labels, Vec<Point>), String> {
    let labels = read_labels(series)?;
    Ok((labels, items::items(values)?.into_iter().map(Point::from).collect()))
}

/// Reads the labels of a series, `up{job="a"}`; nothing is none.
///
/// # Errors
/// What is wrong with them.
pub fn read_labels(text: &str) -> Result<Labels, String> {
    if text.trim().is_empty() {
        return Ok(Labels::empty());
    }
    parse_labels(text.trim()).map_err(|error| error.to_string())
}

/// Reads one native histogram, `{{schema:1 sum:3 count:2 buckets:[1 1]}}`.
///
/// # Errors
/// It is none, or more than one.
pub fn read_histogram(text: &str) -> Result<FloatHistogram, String> {
    let mut found = Vec::new();
    let rest = histograms::items(text.trim(), &mut found)?;
    match (found.pop(), found.is_empty(), rest.trim()) {
        (Some(Item::Histogram(literal)), true, "") => Ok(literal.histogram),
        _ => Err(format!("expected one histogram, found {text:?}")),
    }
}

/// Writes a native histogram as [`read_histogram`] reads it, in the order of upstream's own writer. Parts that are as they
/// would be if they were left out are left out.
pub fn histogram_text(histogram: &FloatHistogram) -> String {
    let mut parts = Vec::new();
    if histogram.schema() != 0 {
        parts.push(format!("schema:{}", histogram.schema()));
    }
    let numbers = [
        ("count", histogram.count()),
        ("sum", histogram.sum()),
        ("z_bucket", histogram.zero_count()),
        ("z_bucket_w", histogram.zero_threshold()),
    ];
    parts.extend(
        numbers.iter().filter(|pair| pair.1 != 0.0).map(|(key, value)| format!("{key}:{}", go_float(*value))),
    );
    let list = |values: &mut dyn Iterator<Item = f64>| values.map(go_float).collect::<Vec<_>>().join(" ");
    if histogram.is_custom() {
        parts.push(format!("custom_values:[{}]", list(&mut histogram.bounds().iter().copied())));
    }
    match histogram.hint() {
        ResetHint::Unknown => {}
        ResetHint::Yes => parts.push("counter_reset_hint:reset".into()),
        ResetHint::No => parts.push("counter_reset_hint:not_reset".into()),
        ResetHint::Gauge => parts.push("counter_reset_hint:gauge".into()),
    }
    let sides =
        [("offset", "buckets", histogram.positive()), ("n_offset", "n_buckets", histogram.negative())];
    for (offset, name, buckets) in sides {
        let (Some((first, _)), Some((last, _))) = (buckets.first(), buckets.last()) else { continue };
        if *first != 0 {
            parts.push(format!("{offset}:{first}"));
        }
        let mut occupied = buckets.iter().peekable();
        let mut all = (*first..=*last)
            .take(SPREAD_MAX)
            .map(|index| occupied.next_if(|bucket| bucket.0 == index).map_or(0.0, |bucket| bucket.1));
        parts.push(format!("{name}:[{}]", list(&mut all)));
    }
    format!("{{{{{}}}}}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_written_as_they_are_read() {
        let check = |text: &str, expected: &str| {
            let written = histogram_text(&read_histogram(text).unwrap());
            assert_eq!(written, expected);
            assert_eq!(histogram_text(&read_histogram(&written).unwrap()), expected);
        };
        check("{{}}", "{{}}");
        check(
            "{{schema:1 sum:-0.3 count:32.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3 n_buckets:[4.1 5] n_offset:-5}}",
            "{{schema:1 count:32.1 sum:-0.3 z_bucket:7.1 z_bucket_w:0.05 offset:-3 buckets:[5.1 10 7] n_offset:-5 n_buckets:[4.1 5]}}",
        );
        check(
            "{{count:2 buckets:[1 0 0 1] counter_reset_hint:gauge}}",
            "{{count:2 counter_reset_hint:gauge buckets:[1 0 0 1]}}",
        );
        check(
            "{{schema:-53 sum:1 count:1 custom_values:[5 10] buckets:[1]}}",
            "{{schema:-53 count:1 sum:1 custom_values:[5 10] buckets:[1]}}",
        );
        assert!(read_histogram("1").is_err());
        assert!(read_histogram("{{}}x1").is_err());
        assert!(read_histogram("{{}} 1").is_err());
    }

    #[test]
    fn series_have_labels_and_values() {
        let (labels, points) = read_series("up{a=\"b\"}", " 0 _ 1x1 {{count:1}}").unwrap();
        assert_eq!((labels.to_string().as_str(), points.len()), ("up{a=\"b\"}", 5));
        assert_eq!(read_labels("").unwrap(), Labels::empty());
        assert!(read_series("up{", "1").is_err() && read_series("up", "x").is_err());
    }
}
