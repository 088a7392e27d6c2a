//! `-o table`: text that people read.
//!
//! An instant vector is one line a series: metric, value, time. A range is one block a series, its name above
//! its samples. Times are RFC 3339, UTC.

use crate::{
    answer::{Labels, Point, QueryData},
    terminal::{Paint, Role},
    time,
};
use std::io::{self, Write};

/// The widest a column is made for its longest cell; longer cells push the rest of their line out.
const COLUMN_CHARS_MAX: usize = 100;

pub(crate) fn query(out: &mut dyn Write, data: &QueryData, paint: Paint) -> io::Result<()> {
    match data {
        QueryData::Scalar(point) | QueryData::String(point) => {
            let rows = [[point.1.clone(), when(point)]];
            columns(out, &rows, ["VALUE", "TIME"], paint)
        }
        QueryData::Vector(series) => {
            let rows: Vec<_> = series
                .iter()
                .filter_map(|one| Some((one.value.as_ref()?, &one.metric)))
                .map(|(point, metric)| [name_of(metric), point.1.clone(), when(point)])
                .collect();
            columns(out, &rows, ["METRIC", "VALUE", "TIME"], paint)
        }
        QueryData::Matrix(series) => {
            for (index, run) in series.iter().enumerate() {
                if index > 0 {
                    writeln!(out)?;
                }
                writeln!(out, "{}", paint.of(Role::Heading, &name_of(&run.metric)))?;
                let width = run.values.iter().map(|point| point.1.chars().count()).max().unwrap_or(0);
                for point in &run.values {
                    writeln!(out, "  {:>width$}  {}", point.1, paint.of(Role::Faint, &when(point)))?;
                }
            }
            Ok(())
        }
    }
}

/// Label sets, one a line.
pub(crate) fn series(out: &mut dyn Write, series: &[Labels]) -> io::Result<()> {
    series.iter().try_for_each(|labels| writeln!(out, "{}", name_of(labels)))
}

/// Names or values, one a line.
pub(crate) fn names(out: &mut dyn Write, names: &[String]) -> io::Result<()> {
    names.iter().try_for_each(|name| writeln!(out, "{name}"))
}

/// Rows under headings, each column as wide as its longest cell; nothing at all for no rows.
pub(crate) fn columns<const N: usize>(
    out: &mut dyn Write,
    rows: &[[String; N]],
    headings: [&str; N],
    paint: Paint,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let widths: [usize; N] = std::array::from_fn(|column| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        longest.min(COLUMN_CHARS_MAX).max(headings[column].len())
    });
    let line = |cells: [&str; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    writeln!(out, "{}", paint.of(Role::Heading, &line(headings)))?;
    rows.iter().try_for_each(|row| writeln!(out, "{}", line(row.each_ref().map(String::as_str))))
}

fn when(point: &Point) -> String {
    time::format(time::of_seconds(point.0))
}

/// `name{label="value"}`, as PromQL selects it; a name that must be quoted stands inside the braces.
fn name_of(labels: &Labels) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let outside = is_plain(name, &[':', '_']);
    let inside = (!outside && !name.is_empty()).then(|| quoted(name));
    let pairs = labels.iter().filter(|(label, _)| *label != "__name__").map(|(label, value)| {
        let label = if is_plain(label, &['_']) { label.clone() } else { quoted(label) };
        format!("{label}={}", quoted(value))
    });
    let pairs: Vec<String> = inside.into_iter().chain(pairs).collect();
    match (outside, pairs.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{name}{{{}}}", pairs.join(", ")),
        (false, _) => format!("{{{}}}", pairs.join(", ")),
    }
}

fn is_plain(name: &str, extra: &[char]) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(&c))
}

/// In quotes, on one line, with nothing that a terminal would obey.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let data: QueryData = serde_json::from_str(json).unwrap();
        let mut out = Vec::new();
        query(&mut out, &data, Paint::plain()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_vector_is_a_line_a_series() {
        check(
            r#"{"resultType":"vector","result":[
                {"metric":{"__name__":"up","job":"a"},"value":[1700000000,"1"]},
                {"metric":{"__name__":"load"},"value":[1700000000.25,"0.125"]}]}"#,
            "METRIC       VALUE  TIME\n\
             up{job=\"a\"}  1      2023-11-14T22:13:20Z\n\
             load         0.125  2023-11-14T22:13:20.250Z\n",
        );
    }

    #[test]
    fn a_range_is_a_block_a_series() {
        check(
            r#"{"resultType":"matrix","result":[
                {"metric":{"a":"b"},"values":[[0,"1"],[15,"10"]]},
                {"metric":{},"values":[[0,"NaN"]]}]}"#,
            "{a=\"b\"}\n   1  1970-01-01T00:00:00Z\n  10  1970-01-01T00:00:15Z\n\n\
             {}\n  NaN  1970-01-01T00:00:00Z\n",
        );
    }

    #[test]
    fn scalars_and_nothing() {
        check(r#"{"resultType":"scalar","result":[0,"2"]}"#, "VALUE  TIME\n2      1970-01-01T00:00:00Z\n");
        check(r#"{"resultType":"vector","result":[]}"#, "");
    }

    #[test]
    fn names_are_written_as_they_are_selected() {
        for (pairs, expected) in [
            (&[][..], "{}"),
            (&[("__name__", "a:b")], "a:b"),
            (&[("__name__", "a.b"), ("c d", "e")], "{\"a.b\", \"c d\"=\"e\"}"),
            (&[("__name__", "m"), ("p", "C:\\ \"x\"\n\x1b[")], "m{p=\"C:\\\\ \\\"x\\\"\\n\\u001b[\"}"),
        ] {
            let labels =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(name_of(&labels), expected);
        }
    }
}
