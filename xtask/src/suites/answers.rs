//! Asking the query API and comparing what two servers answer.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::http::{Client, Reply, form};

/// The `data` of a successful answer to a GET.
pub(super) fn ask(client: &mut Client, path: &str, fields: &[(&str, &str)]) -> Result<Value> {
    let reply = client.get(&format!("{path}?{}", form(fields)))?;
    data(&reply)
}

/// The `data` of an answer, which must be a success.
pub(super) fn data(reply: &Reply) -> Result<Value> {
    let mut json = reply.json()?;
    ensure!(
        reply.status == 200 && json["status"] == "success",
        "status {}: {}",
        reply.status,
        reply.excerpt()
    );
    Ok(json["data"].take())
}

/// Whether an answer is an error with this status and `errorType`.
pub(super) fn expect_error(reply: &Reply, status: u16, kind: &str) -> Result<()> {
    let json = reply.json()?;
    ensure!(
        reply.status == status && json["status"] == "error" && json["errorType"] == kind,
        "expected {status} {kind}, got {}: {}",
        reply.status,
        reply.excerpt()
    );
    ensure!(json["error"].as_str().is_some_and(|text| !text.is_empty()), "no message in {}", reply.excerpt());
    Ok(())
}

/// How exactly two answers must agree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Agreement {
    /// Bit by bit.
    Exact,
    /// Up to this part of the larger value.
    Within(f64),
    /// As `Within`, and the series in the same order.
    Ordered(f64),
}

/// A series of an answer: its labels as text, and its samples.
type Series = (String, Vec<(f64, f64)>);

/// Says where two `data` differ; an empty result on both sides is a difference too, as it would show nothing.
pub(super) fn compare(ours: &Value, theirs: &Value, agreement: Agreement) -> Result<()> {
    ensure!(!series(theirs)?.is_empty(), "both may be empty: the other side has no series");
    compare_any(ours, theirs, agreement)
}

/// As [`compare`], where both may be empty.
pub(super) fn compare_any(ours: &Value, theirs: &Value, agreement: Agreement) -> Result<()> {
    ensure!(
        ours["resultType"] == theirs["resultType"],
        "the types differ: {} and {}",
        ours["resultType"],
        theirs["resultType"]
    );
    let (ours, theirs) = (series(ours)?, series(theirs)?);
    if let Agreement::Ordered(_) = agreement {
        let names = |all: &[Series]| all.iter().map(|one| one.0.clone()).collect::<Vec<_>>();
        ensure!(
            names(&ours) == names(&theirs),
            "the order differs: {:?} and {:?}",
            names(&ours),
            names(&theirs)
        );
    }
    let count = ours.len();
    let ours: BTreeMap<_, _> = ours.into_iter().collect();
    ensure!(ours.len() == count, "a series is there twice");
    for (labels, samples) in &theirs {
        let Some(our_samples) = ours.get(labels) else { bail!("we lack the series {labels}") };
        compare_samples(our_samples, samples, agreement).with_context(|| format!("in {labels}"))?;
    }
    ensure!(count == theirs.len(), "we have {count} series, the other side has {}", theirs.len());
    Ok(())
}

/// The series of an answer of any type, a scalar being one without labels.
pub(super) fn series(data: &Value) -> Result<Vec<Series>> {
    if data["resultType"] == "scalar" {
        return Ok(vec![(String::new(), vec![sample(&data["result"])?])]);
    }
    let result = data["result"].as_array().context("no result")?;
    result
        .iter()
        .map(|entry| {
            // A map of serde_json is sorted by name, so equal label sets have equal text.
            let labels = entry["metric"].to_string();
            let samples = match entry["values"].as_array() {
                Some(values) => values.iter().map(sample).collect::<Result<_>>()?,
                None => vec![sample(&entry["value"])?],
            };
            Ok((labels, samples))
        })
        .collect()
}

fn sample(pair: &Value) -> Result<(f64, f64)> {
    let time = pair[0].as_f64().with_context(|| format!("no time in {pair}"))?;
    let text = pair[1].as_str().with_context(|| format!("no value as text in {pair}"))?;
    let value = match text {
        "NaN" => f64::NAN,
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        number => number.parse().with_context(|| format!("{text:?} is not a number"))?,
    };
    Ok((time, value))
}

fn compare_samples(ours: &[(f64, f64)], theirs: &[(f64, f64)], agreement: Agreement) -> Result<()> {
    ensure!(ours.len() == theirs.len(), "{} samples and {}", ours.len(), theirs.len());
    for (our, their) in ours.iter().zip(theirs) {
        ensure!(our.0.to_bits() == their.0.to_bits(), "the times {} and {}", our.0, their.0);
        let equal = match agreement {
            Agreement::Exact => same(our.1, their.1),
            Agreement::Within(part) | Agreement::Ordered(part) => {
                same(our.1, their.1) || (our.1 - their.1).abs() <= part * our.1.abs().max(their.1.abs())
            }
        };
        ensure!(equal, "at {} the values {} and {}", our.0, our.1, their.1);
    }
    Ok(())
}

fn same(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn vector(entries: &[(&str, &str)]) -> Value {
        let entries =
            entries.iter().map(|(name, value)| json!({"metric": {"a": name}, "value": [1.5, value]}));
        json!({"resultType": "vector", "result": entries.collect::<Vec<_>>()})
    }

    fn check(ours: &[(&str, &str)], theirs: &[(&str, &str)], agreement: Agreement, expected: bool) {
        assert_eq!(compare(&vector(ours), &vector(theirs), agreement).is_ok(), expected);
    }

    #[test]
    fn differences_are_found() {
        let one = [("x", "1"), ("y", "NaN")];
        check(&one, &one, Agreement::Exact, true);
        check(&[("y", "NaN"), ("x", "1")], &one, Agreement::Exact, true);
        check(&[("y", "NaN"), ("x", "1")], &one, Agreement::Ordered(0.0), false);
        check(&[("x", "1.0000000001"), ("y", "NaN")], &one, Agreement::Exact, false);
        check(&[("x", "1.0000000001"), ("y", "NaN")], &one, Agreement::Within(1e-9), true);
        check(&[("x", "1.00000001"), ("y", "NaN")], &one, Agreement::Within(1e-9), false);
        check(&one[..1], &one, Agreement::Exact, false);
        check(&one, &one[..1], Agreement::Exact, false);
        check(&[], &[], Agreement::Exact, false);
    }
}
