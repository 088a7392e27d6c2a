//! `-o csv`: a header line, then one line a sample, a series or a name.
//!
//! Fields are quoted where RFC 4180 asks for it; lines end with a line feed. Samples begin with `time` and
//! `value`, so that a label of that name cannot be mistaken for them; then comes a column for each label that
//! occurs. A label that a series does not have is an empty field.

use crate::answer::{Labels, Point, QueryData};
use barograph_wire::csv;
use std::{
    collections::BTreeSet,
    io::{self, Write},
};

/// Samples, one a line. Times are in Unix seconds.
pub(crate) fn query(out: &mut dyn Write, data: &QueryData) -> io::Result<()> {
    match data {
        QueryData::Scalar(point) | QueryData::String(point) => {
            header(out, &["time", "value"], &BTreeSet::new())?;
            sample(out, point, &Labels::new(), &BTreeSet::new())
        }
        QueryData::Vector(series) => {
            let columns = columns(series.iter().map(|one| &one.metric));
            header(out, &["time", "value"], &columns)?;
            series
                .iter()
                .filter_map(|one| Some((one.value.as_ref()?, &one.metric)))
                .try_for_each(|(point, metric)| sample(out, point, metric, &columns))
        }
        QueryData::Matrix(series) => {
            let columns = columns(series.iter().map(|run| &run.metric));
            header(out, &["time", "value"], &columns)?;
            series
                .iter()
                .flat_map(|run| run.values.iter().map(|point| (point, &run.metric)))
                .try_for_each(|(point, metric)| sample(out, point, metric, &columns))
        }
    }
}

/// Label sets, one a line.
pub(crate) fn series(out: &mut dyn Write, series: &[Labels]) -> io::Result<()> {
    let columns = columns(series.iter());
    header(out, &[], &columns)?;
    series.iter().try_for_each(|labels| line(out, fields_of(labels, &columns)))
}

/// Rows under headings.
pub(crate) fn rows<const N: usize>(
    out: &mut dyn Write,
    headings: [&str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    line(out, headings)?;
    rows.iter().try_for_each(|row| line(out, row.iter().map(String::as_str)))
}

/// Names or values, one a line, under `heading`.
pub(crate) fn names(out: &mut dyn Write, heading: &str, names: &[String]) -> io::Result<()> {
    std::iter::once(heading).chain(names.iter().map(String::as_str)).try_for_each(|name| line(out, [name]))
}

fn columns<'a>(series: impl Iterator<Item = &'a Labels>) -> BTreeSet<&'a str> {
    series.flat_map(|labels| labels.keys().map(String::as_str)).collect()
}

fn header(out: &mut dyn Write, fixed: &[&str], columns: &BTreeSet<&str>) -> io::Result<()> {
    line(out, fixed.iter().chain(columns).copied())
}

fn sample(out: &mut dyn Write, point: &Point, labels: &Labels, columns: &BTreeSet<&str>) -> io::Result<()> {
    let time = point.0.to_string();
    line(out, [time.as_str(), point.1.as_str()].into_iter().chain(fields_of(labels, columns)))
}

fn fields_of<'a>(labels: &'a Labels, columns: &BTreeSet<&str>) -> impl Iterator<Item = &'a str> {
    columns.iter().map(|name| labels.get(*name).map_or("", String::as_str))
}

fn line<'a>(out: &mut dyn Write, fields: impl IntoIterator<Item = &'a str>) -> io::Result<()> {
    let mut text = String::new();
    csv::write_line(&mut text, fields);
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: &str) {
        let data: QueryData = serde_json::from_str(json).unwrap();
        let mut out = Vec::new();
        query(&mut out, &data).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_vector_has_a_column_a_label() {
        check(
            r#"{"resultType":"vector","result":[
                {"metric":{"__name__":"up","job":"a,b"},"value":[1.5,"1"]},
                {"metric":{"__name__":"up","host":"say \"hi\"\n"},"value":[1.5,"+Inf"]}]}"#,
            "time,value,__name__,host,job\n1.5,1,up,,\"a,b\"\n1.5,+Inf,up,\"say \"\"hi\"\"\n\",\n",
        );
    }

    #[test]
    fn a_matrix_has_a_line_a_sample() {
        check(
            r#"{"resultType":"matrix","result":[{"metric":{"a":"b"},"values":[[1700000000,"1"],[1700000015.25,"2"]]}]}"#,
            "time,value,a\n1700000000,1,b\n1700000015.25,2,b\n",
        );
    }

    #[test]
    fn scalars_strings_and_nothing() {
        check(r#"{"resultType":"scalar","result":[1,"2"]}"#, "time,value\n1,2\n");
        check(r#"{"resultType":"string","result":[1,"a,b"]}"#, "time,value\n1,\"a,b\"\n");
        check(r#"{"resultType":"vector","result":[]}"#, "time,value\n");
    }

    #[test]
    fn names_stand_under_their_heading() {
        let mut out = Vec::new();
        names(&mut out, "job", &["a".into(), "b,c".into()]).unwrap();
        assert_eq!(out, b"job\na\n\"b,c\"\n");
    }
}
