//! The values of a series as scripts write them: `1 _ 3`, `0+10x5`, `stale`, `{{sum:1}}`.

use barograph_model::stale_marker;

use super::histograms::{self, Literal};
use crate::syntax::{ParseError, parse_duration, parse_labels};
use barograph_model::Labels;

/// One value of a series in a script.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Missing,
    Float(f64),
    Histogram(Box<Literal>),
}

/// How many values one item may stand for.
pub(super) const REPEATS_MAX: usize = 1_000_000;

/// How many values a line may stand for.
const VALUES_MAX: usize = 2_000_000;

/// A line of labels and values.
pub(super) fn series_line(line: &str) -> Result<(Labels, Vec<Item>), String> {
    let end = labels_end(line);
    let labels = parse_labels(line[..end].trim()).map_err(|error: ParseError| error.to_string())?;
    Ok((labels, items(&line[end..])?))
}

/// Where the labels of a line end: after the name, and after the braces if there are some.
pub(super) fn labels_end(line: &str) -> usize {
    let name =
        line.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(line.len());
    let blanks = line[name..].len() - line[name..].trim_start().len();
    let braces = name + blanks;
    if !line[braces..].starts_with('{') || line[braces..].starts_with("{{") {
        return name;
    }
    let mut quote = None;
    let mut escaped = false;
    for (i, c) in line[braces..].char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(q) if c == '\\' && q != '`' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if c == '}' => return braces + i + 1,
            None => {}
        }
    }
    line.len()
}

/// All values of a line.
pub(super) fn items(text: &str) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if items.len() > VALUES_MAX {
            return Err(format!("a series has at most {VALUES_MAX} values"));
        }
        if rest.starts_with("{{") {
            rest = histograms::items(rest, &mut items)?.trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        item(&rest[..end], &mut items)?;
        rest = rest[end..].trim_start();
    }
    Ok(items)
}

fn item(word: &str, items: &mut Vec<Item>) -> Result<(), String> {
    if word == "stale" {
        items.push(Item::Float(stale_marker()));
        return Ok(());
    }
    if let Some(value) = float(word) {
        items.push(Item::Float(value));
        return Ok(());
    }
    if word == "_" {
        items.push(Item::Missing);
        return Ok(());
    }
    let bad = || format!("bad value {word:?}");
    let (head, repeats) = word.rsplit_once('x').ok_or_else(bad)?;
    let repeats: usize = repeats.parse().ok().filter(|&n| n <= REPEATS_MAX).ok_or_else(bad)?;
    if head == "_" {
        items.extend(std::iter::repeat_n(Item::Missing, repeats));
        return Ok(());
    }
    let (start, step) = match (float(head), head) {
        (Some(value), _) => (value, 0.0),
        (None, "stale") => (stale_marker(), 0.0),
        _ => progression(head).ok_or_else(bad)?,
    };
    let mut value = start;
    for _ in 0..=repeats {
        items.push(Item::Float(value));
        if step != 0.0 {
            value += step;
        }
    }
    Ok(())
}

/// The values of a line of start times: for each sample how much later than itself it counts from, in milliseconds.
pub(super) fn offsets(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut offsets = Vec::new();
    for word in text.split_whitespace() {
        let bad = || format!("bad start time {word:?}");
        let (head, repeats) = match word.rsplit_once('x') {
            None => (word, None),
            Some((head, repeats)) => {
                (head, Some(repeats.parse::<usize>().ok().filter(|&n| n <= REPEATS_MAX).ok_or_else(bad)?))
            }
        };
        if head == "_" {
            offsets.extend(std::iter::repeat_n(None, repeats.unwrap_or(1)));
            continue;
        }
        let split = head.char_indices().skip(1).find(|pair| matches!(pair.1, '+' | '-')).map(|pair| pair.0);
        let (first, step) = head.split_at(split.unwrap_or(head.len()));
        let first = signed_duration(first).ok_or_else(bad)?;
        let step = if step.is_empty() { 0 } else { signed_duration(step).ok_or_else(bad)? };
        let times = i64::try_from(repeats.unwrap_or(0)).unwrap_or(0);
        offsets.extend((0..=times).map(|i| Some(first + i * step)));
    }
    Ok(offsets)
}

fn signed_duration(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(text) => parse_duration(text).map(|millis| -millis),
        None => parse_duration(text.strip_prefix('+').unwrap_or(text)),
    }
}

/// `a+b` or `a-b`, where either may have an exponent with a sign.
fn progression(head: &str) -> Option<(f64, f64)> {
    head.char_indices().skip(1).filter(|pair| matches!(pair.1, '+' | '-')).find_map(|(i, sign)| {
        let (start, step) = (float(&head[..i])?, float(&head[i + 1..])?);
        Some((start, if sign == '-' { -step } else { step }))
    })
}

pub(super) fn float(word: &str) -> Option<f64> {
    let numeric = word.bytes().all(|c| c.is_ascii_digit() || b"+-.eEinfINFaA".contains(&c));
    if numeric { word.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[f64]) {
        let got: Vec<f64> = items(text)
            .unwrap()
            .into_iter()
            .map(|item| match item {
                Item::Float(value) => value,
                Item::Missing => -99.0,
                Item::Histogram(_) => -100.0,
            })
            .collect();
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn expands_progressions() {
        check("1 _ -2.5 1e3 .5", &[1.0, -99.0, -2.5, 1000.0, 0.5]);
        check("0+10x3", &[0.0, 10.0, 20.0, 30.0]);
        check("5-1x2 _x2 7x1", &[5.0, 4.0, 3.0, -99.0, -99.0, 7.0, 7.0]);
        check("-1e-1+1e+1x1", &[-0.1, 9.9]);
        check(
            "{{sum:1 count:2}} {{}}x1 {{sum:1}}+{{sum:2}}x1 3",
            &[-100.0, -100.0, -100.0, -100.0, -100.0, 3.0],
        );
        assert!(items("0x1f").is_err());
    }

    #[test]
    fn start_times_are_offsets() {
        let check =
            |text: &str, expected: &[Option<i64>]| assert_eq!(offsets(text).unwrap(), expected, "{text}");
        check("_ -1m 0", &[None, Some(-60_000), Some(0)]);
        check("-1s-2sx2 _x2", &[Some(-1_000), Some(-3_000), Some(-5_000), None, None]);
        check("5ms+1sx1", &[Some(5), Some(1_005)]);
        assert!(offsets("a").is_err());
    }

    #[test]
    fn labels_end_where_braces_do() {
        let check = |line: &str, labels: &str| assert_eq!(&line[..labels_end(line)], labels);
        check(r#"up{a="}", b="\"}"} 1"#, r#"up{a="}", b="\"}"}"#);
        check("up 1", "up");
        check("up {a=\"b\"} 1", "up {a=\"b\"}");
        check("{} 1", "{}");
        check("up {{sum:1}}", "up");
    }
}
