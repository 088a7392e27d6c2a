//! A page of text, line by line.
//!
//! Bounds of buckets and quantiles are spelled one way, whatever the page has: `1` and `1.0` are one series.

use std::borrow::Cow;

use barograph_model::{Exemplar, METRIC_NAME, MetricType, Sample, Timestamp};
use barograph_wire::exposition::{self, Dialect, ExemplarText, Item, Pairs, format_float};

use super::Reading;

pub(super) fn read(text: &[u8], dialect: Dialect, reading: &mut Reading<'_>) -> Result<(), String> {
    let mut family = (String::new(), MetricType::Unknown);
    for item in exposition::parse(text, dialect) {
        match item.map_err(|error| error.to_string())? {
            Item::Type { name, kind } => {
                reading.cache.see_family(&name, |metadata| metadata.kind = kind);
                family.0.clear();
                family.0.push_str(&name);
                family.1 = kind;
            }
            Item::Help { name, help } => {
                reading.cache.see_family(&name, |metadata| set(&mut metadata.help, &help));
            }
            Item::Unit { name, unit } => {
                reading.cache.see_family(&name, |metadata| set(&mut metadata.unit, unit));
            }
            Item::Sample(sample) => read_sample(&sample, &family, reading)?,
        }
    }
    Ok(())
}

fn read_sample(
    sample: &exposition::Sample<'_>,
    family: &(String, MetricType),
    reading: &mut Reading<'_>,
) -> Result<(), String> {
    let pairs = || {
        let mut pairs = Pairs::new();
        sample.series.pairs_into(&mut pairs).map_err(|error| error.to_string())?;
        spell_bounds(&mut pairs, family);
        Ok::<_, String>(pairs)
    };
    if family.1 == MetricType::Histogram
        && let Some(classic) = &mut reading.classic
    {
        let taken = classic.take(&family.0, &pairs()?, sample.at, sample.value);
        if taken && !reading.config.pages.classic_too {
            return Ok(());
        }
    }
    let found = reading.sample(sample.series.as_str(), sample.at, sample.value, pairs)?;
    if let (Some((id, at)), Some(exemplar)) = (found, &sample.exemplar) {
        reading.exemplar(id, read_exemplar(exemplar, at)?);
    }
    Ok(())
}

/// Keeps the allocation where the text is the same, as it nearly always is.
fn set(old: &mut String, new: &str) {
    if old != new {
        new.clone_into(old);
    }
}

fn read_exemplar(exemplar: &ExemplarText<'_>, at: Timestamp) -> Result<Exemplar, String> {
    let labels = exemplar.labels().map_err(|error| error.to_string())?;
    Ok(Exemplar { labels, sample: Sample { at: exemplar.at.unwrap_or(at), value: exemplar.value } })
}

fn spell_bounds(pairs: &mut Pairs<'_>, (family, kind): &(String, MetricType)) {
    let bound = match kind {
        MetricType::Histogram => "le",
        MetricType::Summary => "quantile",
        _ => return,
    };
    let is_of = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| {
        name == METRIC_NAME && value.starts_with(family.as_str())
    };
    if !pairs.iter().any(is_of) {
        return;
    }
    for (_, value) in pairs.iter_mut().filter(|(name, _)| name == bound) {
        if let Ok(number) = value.parse::<f64>() {
            *value = spelled(number).into();
        }
    }
}

/// A bound as OpenMetrics spells it: `1.0`, `0.25`, `1e+06`, `+Inf`.
pub(super) fn spelled(bound: f64) -> String {
    let mut text = format_float(bound);
    if bound.is_finite() && !text.contains(['.', 'e']) {
        text.push_str(".0");
    }
    text
}
