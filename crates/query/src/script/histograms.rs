//! Native histograms as scripts write them: `{{schema:0 sum:3 count:2 buckets:[1 1]}}`, alone, repeated, or growing.

use std::iter::repeat_n;

use barograph_model::{CUSTOM_BOUNDS, HistogramParts, ResetHint};

use super::items::{Item, REPEATS_MAX, float};
use crate::native::FloatHistogram;

/// A histogram in a script.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Literal {
    pub(super) histogram: FloatHistogram,
    /// Whether it says what is known of resets, so that it matters.
    pub(super) states_hint: bool,
}

/// Reads `{{…}}`, `{{…}}xN`, `{{…}}+{{…}}xN` or with a minus, and returns what comes after.
pub(super) fn items<'a>(text: &'a str, items: &mut Vec<Item>) -> Result<&'a str, String> {
    let (first, mut rest) = literal(text)?;
    let mut step = None;
    for (sign, adds) in [("+", true), ("-", false)] {
        if let Some(after) = rest.strip_prefix(sign).filter(|after| after.starts_with("{{")) {
            let (by, after) = literal(after)?;
            if first.histogram.schema() > by.histogram.schema() {
                return Err(format!("a histogram cannot grow by a coarser one: {text:?}"));
            }
            step = Some((by, adds));
            rest = after;
        }
    }
    let Some(repeats) = rest.strip_prefix('x') else {
        if step.is_some() {
            return Err(format!("a growing histogram needs a repetition: {text:?}"));
        }
        items.push(Item::Histogram(Box::new(first)));
        return Ok(rest);
    };
    let digits = repeats.len() - repeats.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let count: usize = repeats[..digits]
        .parse()
        .ok()
        .filter(|&n| n <= REPEATS_MAX)
        .ok_or_else(|| format!("bad repetition in {text:?}"))?;
    let Some((by, adds)) = step else {
        items.extend(repeat_n(Item::Histogram(Box::new(first)), count + 1));
        return Ok(&repeats[digits..]);
    };
    let mut now = first;
    items.push(Item::Histogram(Box::new(now.clone())));
    for _ in 0..count {
        let grown = &mut now.histogram;
        let met = if adds { grown.add(&by.histogram) } else { grown.subtract(&by.histogram) };
        met.map_err(|error| error.to_string())?;
        items.push(Item::Histogram(Box::new(now.clone())));
    }
    Ok(&repeats[digits..])
}

/// One histogram, and what comes after.
fn literal(text: &str) -> Result<(Literal, &str), String> {
    let inside = text.strip_prefix("{{").ok_or_else(|| format!("no histogram: {text:?}"))?;
    let end = inside.find("}}").ok_or_else(|| format!("unclosed histogram in {text:?}"))?;
    let (mut body, after) = (inside[..end].trim_start(), &inside[end + 2..]);
    let mut parts = HistogramParts { float: true, ..HistogramParts::default() };
    let (mut positive, mut negative): (Vec<f64>, Vec<f64>) = Default::default();
    let (mut offset, mut negative_offset, mut states_hint) = (0, 0, false);
    while !body.is_empty() {
        let (key, rest) = body.split_once(':').ok_or_else(|| format!("bad histogram: {text:?}"))?;
        let (value, rest) = match rest.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or_else(|| format!("unclosed list in {text:?}"))?,
            None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        body = rest.trim_start();
        let number = || float(value).ok_or_else(|| format!("bad number {value:?} in a histogram"));
        let whole = || value.parse().map_err(|_| format!("bad number {value:?} in a histogram"));
        match key {
            "schema" => parts.schema = value.parse().map_err(|_| format!("bad schema {value:?}"))?,
            "sum" => parts.sum = number()?,
            "count" => parts.count = number()?,
            "z_bucket" => parts.zero_count = number()?,
            "z_bucket_w" => parts.zero_threshold = number()?,
            "buckets" => positive = numbers(value)?,
            "n_buckets" => negative = numbers(value)?,
            "custom_values" => parts.bounds = numbers(value)?,
            "offset" => offset = whole()?,
            "n_offset" => negative_offset = whole()?,
            "counter_reset_hint" => {
                states_hint = true;
                parts.hint = match value {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::Yes,
                    "not_reset" => ResetHint::No,
                    "gauge" => ResetHint::Gauge,
                    _ => return Err(format!("bad hint {value:?} in a histogram")),
                };
            }
            _ => return Err(format!("bad key {key:?} in a histogram")),
        }
    }
    parts.positive = (offset..).zip(positive).collect();
    parts.negative = (negative_offset..).zip(negative).collect();
    if !(-4..=8).contains(&parts.schema) && parts.schema != CUSTOM_BOUNDS {
        return Err(format!("bad schema {} in a histogram", parts.schema));
    }
    Ok((Literal { histogram: FloatHistogram::of_parts(parts), states_hint }, after))
}

fn numbers(text: &str) -> Result<Vec<f64>, String> {
    text.split_whitespace()
        .map(|word| float(word).ok_or_else(|| format!("bad number {word:?} in a histogram")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grow_and_repeat() {
        let check = |text: &str, counts: &[f64]| {
            let mut found = Vec::new();
            assert_eq!(items(text, &mut found).unwrap(), " 7", "{text}");
            let count = |item: Item| match item {
                Item::Histogram(literal) => literal.histogram.count(),
                _ => f64::NAN,
            };
            assert_eq!(found.into_iter().map(count).collect::<Vec<_>>(), counts, "{text}");
        };
        check("{{count:2 buckets:[ 1 1 ] offset:-3}} 7", &[2.0]);
        check("{{count:2}}x2 7", &[2.0, 2.0, 2.0]);
        check("{{count:2}}+{{count:3}}x2 7", &[2.0, 5.0, 8.0]);
        check("{{count:2}}-{{count:3}}x1 7", &[2.0, -1.0]);
        assert!(items("{{schema:2}}+{{schema:1}}x3", &mut Vec::new()).is_err());
        assert!(items("{{what:2}}", &mut Vec::new()).is_err());
    }
}
