//! Several things at once: conditions of which enough held lately, or two measurements that move together no more.

use std::collections::BTreeMap;

use barograph_analyze::{Correlation as Found, Point, correlation};
use barograph_model::{Labels, Timestamp};
use barograph_query::ast::Expr;
use serde_json::json;

use super::{Finding, Ranges, Span};

/// Points in a window.
const POINTS: i64 = 240;
/// Both expressions together have to tell at least so many points of each window.
const POINTS_MIN: usize = 10;

/// When several things are told together.
#[derive(Clone, Debug, PartialEq)]
pub enum Correlation {
    /// Of the rule's expression and these, at least so many had an answer within a time. Series belong together that
    /// have the same values of the labels `on`.
    Conditions {
        /// The other conditions, as they are written, and read.
        others: Vec<Expr>,
        /// How many have to hold.
        at_least: usize,
        /// Within which time, in milliseconds.
        within_ms: i64,
        /// What tells groups apart.
        on: Vec<String>,
    },
    /// How the rule's expression and another moved together lately is unlike how they did before.
    Break {
        /// The other measurement.
        with: Expr,
        /// What is lately, in milliseconds.
        window_ms: i64,
        /// How long before that they are compared, in milliseconds.
        baseline_ms: i64,
        /// How unlikely by chance the difference has to be.
        alpha: f64,
        /// What tells pairs apart.
        on: Vec<String>,
    },
}

impl Correlation {
    pub(crate) fn find<E>(
        &self,
        expr: &Expr,
        at: Timestamp,
        ranges: &Ranges<'_, E>,
    ) -> Result<Vec<Finding>, E> {
        match self {
            Self::Conditions { others, at_least, within_ms, on } => {
                let span = Span::before(at, *within_ms, 60);
                let mut groups: BTreeMap<Labels, Vec<usize>> = BTreeMap::new();
                for (index, condition) in std::iter::once(expr).chain(others).enumerate() {
                    for (labels, points) in ranges(condition, span)? {
                        let held = groups.entry(grouped(&labels, on)).or_default();
                        if !points.is_empty() && held.last() != Some(&index) {
                            held.push(index);
                        }
                    }
                }
                let enough = groups.into_iter().filter(|(_, held)| held.len() >= *at_least);
                Ok(enough
                    .map(|(labels, held)| {
                        let texts: Vec<String> = std::iter::once(expr)
                            .chain(others)
                            .enumerate()
                            .filter(|(index, _)| held.contains(index))
                            .map(|(_, condition)| condition.to_string())
                            .collect();
                        let evidence = json!({
                            "held": texts,
                            "of": others.len() + 1,
                            "within_seconds": within_ms / 1_000,
                        });
                        let (value, threshold) = (held.len() as f64, Some(*at_least as f64));
                        Finding { labels, value, threshold, evidence, annotation: None }
                    })
                    .collect())
            }
            Self::Break { with, window_ms, baseline_ms, alpha, on } => {
                let all = window_ms.saturating_add(*baseline_ms);
                let steps = POINTS.saturating_mul(all / (*window_ms).max(1)).min(4 * POINTS);
                let span = Span::before(at, all, steps);
                let since = at.millis().saturating_sub(*window_ms);
                let others: BTreeMap<Labels, Vec<Point>> = ranges(with, span)?
                    .into_iter()
                    .map(|(labels, points)| (grouped(&labels, on), points))
                    .collect();
                let mut findings = Vec::new();
                for (labels, points) in ranges(expr, span)? {
                    let labels = grouped(&labels, on);
                    let Some(other) = others.get(&labels) else { continue };
                    let part = |recent: bool| {
                        let of = |points: &[Point]| -> Vec<Point> {
                            points.iter().filter(|point| (point.at > since) == recent).copied().collect()
                        };
                        correlation(&of(&points), &of(other), 0, span.step_ms)
                            .filter(|found| found.buckets >= POINTS_MIN)
                    };
                    let (Some(now), Some(before)) = (part(true), part(false)) else { continue };
                    let Some(p) = difference(&now, &before).filter(|p| p < alpha) else { continue };
                    let told = |found: &Found| json!({"r": found.r, "points": found.buckets, "effective": found.effective});
                    let evidence = json!({
                        "now": told(&now), "before": told(&before), "p_value": p,
                        "window_seconds": window_ms / 1_000, "baseline_seconds": baseline_ms / 1_000,
                    });
                    let threshold = Some(before.r);
                    findings.push(Finding { labels, value: now.r, threshold, evidence, annotation: None });
                }
                findings.sort_by(|a, b| a.labels.cmp(&b.labels));
                findings.dedup_by(|a, b| a.labels == b.labels);
                Ok(findings)
            }
        }
    }
}

/// How likely two correlations are at least so different by chance (Fisher's z, with as many observations as are independent).
fn difference(a: &Found, b: &Found) -> Option<f64> {
    let z = |r: f64| r.clamp(-1.0 + 1e-9, 1.0 - 1e-9).atanh();
    let variance = |found: &Found| (found.effective > 4.0).then(|| 1.0 / (found.effective - 3.0));
    let deviation = (variance(a)? + variance(b)?).sqrt();
    Some(barograph_analyze::two_sided((z(a.r) - z(b.r)) / deviation))
}

fn grouped(labels: &Labels, on: &[String]) -> Labels {
    labels.without(|name| !on.iter().any(|wanted| wanted.as_bytes() == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn enough_conditions_within_a_time_are_one_alert() {
        let (a, b) = (barograph_query::parse("a > 1").unwrap(), barograph_query::parse("b > 1").unwrap());
        let of = |at_least, on: &[&str]| Correlation::Conditions {
            others: vec![b.clone()],
            at_least,
            within_ms: 300_000,
            on: on.iter().map(|name| (*name).to_owned()).collect(),
        };
        let point = vec![Point { at: 0, value: 2.0 }];
        let ranges = |expr: &Expr, _: Span| -> Result<_, ()> {
            let hosts: &[&str] = if *expr == a { &["x", "y"] } else { &["x"] };
            Ok(hosts.iter().map(|host| (labels(&[("host", host), ("n", "1")]), point.clone())).collect())
        };
        let told = |rule: Correlation| {
            let found = rule.find(&a, Timestamp(0), &ranges).unwrap();
            found.into_iter().map(|found| (found.labels.to_string(), found.value)).collect::<Vec<_>>()
        };
        assert_eq!(told(of(2, &["host"])), [("{host=\"x\"}".to_owned(), 2.0)]);
        assert_eq!(told(of(1, &["host"])).len(), 2);
        assert_eq!(told(of(2, &[])), [("{}".to_owned(), 2.0)]);
        assert!(told(of(3, &[])).is_empty());
    }

    #[test]
    fn two_that_part_are_told_and_two_that_stay_together_are_not() {
        let (a, b) = (barograph_query::parse("a").unwrap(), barograph_query::parse("b").unwrap());
        let rule = Correlation::Break {
            with: b,
            window_ms: 3_600_000,
            baseline_ms: 6 * 3_600_000,
            alpha: 0.001,
            on: Vec::new(),
        };
        let noise = |i: i64| ((i.wrapping_mul(2_654_435_761) >> 7) % 1_000) as f64;
        let mut parts = true;
        for expected in [1, 0] {
            let ranges = |expr: &Expr, span: Span| -> Result<_, ()> {
                let first = *expr == a;
                let count = (span.to.millis() - span.from.millis()) / span.step_ms;
                let values = (0..=count).map(|i| {
                    let at = span.from.millis() + i * span.step_ms;
                    let apart = parts && !first && at > span.to.millis() - 3_600_000;
                    Point {
                        at,
                        value: noise(if apart { i + 7_919 } else { i })
                            + if first { 0.0 } else { noise(i + 31) / 9.0 },
                    }
                });
                Ok(vec![(Labels::empty(), values.collect())])
            };
            let found = rule.find(&a, Timestamp(100_000_000), &ranges).unwrap();
            assert_eq!(found.len(), expected, "{found:?}");
            parts = false;
        }
    }
}
