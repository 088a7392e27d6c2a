//! Families to text, in each of the formats.
//!
//! What a format has no place for is left out (exemplars, `_created` and units in the Prometheus formats) or
//! spelled in its characters (UTF-8 names become underscores, unless quoted names are allowed). Floats are the
//! shortest text that reads back as the same value, in the spelling of Go's `%g`, which the field compares with.
//!
//! Shapes: Prometheus, "Exposition formats"; OpenMetrics 1.0.

use std::{borrow::Cow, fmt::Write as _};

use barograph_model::{Exemplar, Labels, MetricType};

use super::{Family, Format, Point};

/// The most characters the labels of an exemplar may have together, names and values (OpenMetrics 1.0).
const EXEMPLAR_CHARS_MAX: usize = 128;

/// Appends all families. Points stay in their order; families without points are left out.
pub fn write(out: &mut String, families: &[Family], format: Format) {
    for family in families.iter().filter(|family| !family.points.is_empty()) {
        write_family(out, family, format);
    }
    if format == Format::OpenMetrics100 {
        out.push_str("# EOF\n");
    }
}

fn write_family(out: &mut String, family: &Family, format: Format) {
    let base = base_name(family);
    write_head(out, family, base, format);
    for point in &family.points {
        let suffix = suffix(family, base, point, format);
        if suffix == "_created" && format != Format::OpenMetrics100 {
            continue;
        }
        write_point(out, family.kind, &format!("{base}{suffix}"), point, format);
    }
}

/// `# HELP`, `# TYPE` and, where the format and the name allow it, `# UNIT`.
fn write_head(out: &mut String, family: &Family, base: &str, format: Format) {
    let open = format == Format::OpenMetrics100;
    let described = match family.points.first() {
        Some(point) if !open && matches!(family.kind, MetricType::Counter | MetricType::Info) => {
            format!("{base}{}", suffix(family, base, point, format))
        }
        _ => base.to_owned(),
    };
    let name = spell_name(&described, format);
    if !family.help.is_empty() {
        let _ = write!(out, "# HELP {name} ");
        escape(out, &family.help, open);
        out.push('\n');
    }
    let kind = match family.kind {
        kind if open => kind.as_str(),
        MetricType::Unknown | MetricType::GaugeHistogram => "untyped",
        MetricType::Info | MetricType::StateSet => "gauge",
        kind => kind.as_str(),
    };
    let _ = writeln!(out, "# TYPE {name} {kind}");
    let in_name = base.strip_suffix(family.unit.as_str()).is_some_and(|rest| rest.ends_with('_'));
    if open && in_name && !family.unit.is_empty() {
        let _ = writeln!(out, "# UNIT {name} {}", family.unit);
    }
}

fn write_point(out: &mut String, kind: MetricType, name: &str, point: &Point, format: Format) {
    let open = format == Format::OpenMetrics100;
    let quoted = format == Format::Text100 && !is_legacy_name(name, true);
    if !quoted {
        out.push_str(&spell_name(name, format));
    }
    let mut between = '{';
    if quoted {
        out.push_str("{\"");
        escape(out, name, true);
        out.push('"');
        between = ',';
    }
    between = write_labels(out, &point.labels, bound_label(kind), between, format);
    if between == ',' {
        out.push('}');
    }
    out.push(' ');
    let count = matches!(point.suffix, "_bucket" | "_count" | "_gcount");
    out.push_str(&float_in(format, point.value, count));
    if open && (point.suffix == "_total" || point.suffix == "_bucket" || kind == MetricType::Counter) {
        write_exemplar(out, point.exemplar.as_ref());
    }
    out.push('\n');
}

/// Writes `between` and each label; returns what stands before the next one: `{` if there was none yet.
pub(super) fn write_labels(
    out: &mut String,
    labels: &Labels,
    bound: Option<&str>,
    mut between: char,
    format: Format,
) -> char {
    for (name, value) in labels {
        out.push(between);
        between = ',';
        if format == Format::Text100 && !is_legacy_name(name, false) {
            out.push('"');
            escape(out, name, true);
            out.push('"');
        } else {
            out.push_str(&underscored(name, false));
        }
        out.push_str("=\"");
        match value.parse() {
            Ok(number) if bound == Some(name) => out.push_str(&float_in(format, number, false)),
            _ => escape(out, value, true),
        }
        out.push('"');
    }
    between
}

fn write_exemplar(out: &mut String, exemplar: Option<&Exemplar>) {
    let chars =
        |labels: &Labels| labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum::<usize>();
    let Some(exemplar) = exemplar.filter(|exemplar| chars(&exemplar.labels) <= EXEMPLAR_CHARS_MAX) else {
        return;
    };
    out.push_str(" # ");
    if write_labels(out, &exemplar.labels, None, '{', Format::OpenMetrics100) == '{' {
        out.push('{');
    }
    let value = float_in(Format::OpenMetrics100, exemplar.sample.value, false);
    let _ = write!(out, "}} {value} {}", exemplar.sample.at);
}

/// The family's name without a `_total` or `_info` that belongs to its points.
fn base_name(family: &Family) -> &str {
    let own = match family.kind {
        MetricType::Counter => "_total",
        MetricType::Info => "_info",
        _ => return &family.name,
    };
    family.name.strip_suffix(own).unwrap_or(&family.name)
}

/// What is written after the base name. OpenMetrics insists on `_total` and `_info`; the Prometheus formats keep
/// the name as it was given.
fn suffix(family: &Family, base: &str, point: &Point, format: Format) -> &'static str {
    let had_own = base.len() < family.name.len();
    match (family.kind, point.suffix) {
        (MetricType::Counter, "") if had_own || format == Format::OpenMetrics100 => "_total",
        (MetricType::Info, "") if had_own || format == Format::OpenMetrics100 => "_info",
        (_, suffix) => suffix,
    }
}

/// The label whose values are numbers to be spelled as the format spells them.
const fn bound_label(kind: MetricType) -> Option<&'static str> {
    match kind {
        MetricType::Histogram | MetricType::GaugeHistogram => Some("le"),
        MetricType::Summary => Some("quantile"),
        _ => None,
    }
}

pub(super) fn spell_name(name: &str, format: Format) -> Cow<'_, str> {
    if format != Format::Text100 || is_legacy_name(name, true) {
        return underscored(name, true);
    }
    let mut quoted = String::from("\"");
    escape(&mut quoted, name, true);
    quoted.push('"');
    quoted.into()
}

/// Whether a name needs no quotes: letters, digits, `_`, and `:` in metric names.
pub(super) fn is_legacy_name(name: &str, colon: bool) -> bool {
    !name.is_empty() && name.char_indices().all(|(i, c)| is_legacy_char(i, c, colon))
}

fn is_legacy_char(index: usize, c: char, colon: bool) -> bool {
    c.is_ascii_alphabetic() || c == '_' || (colon && c == ':') || (index > 0 && c.is_ascii_digit())
}

fn underscored(name: &str, colon: bool) -> Cow<'_, str> {
    if is_legacy_name(name, colon) {
        return name.into();
    }
    name.char_indices()
        .map(|(i, c)| if is_legacy_char(i, c, colon) { c } else { '_' })
        .collect::<String>()
        .into()
}

/// Escapes backslash and line feed, and quotes where the text stands between them or the format asks for it.
pub(super) fn escape(out: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

/// A value as the format writes it: OpenMetrics marks floats by a point, counts stay whole.
pub(super) fn float_in(format: Format, value: f64, count: bool) -> String {
    let mut text = format_float(value);
    if format == Format::OpenMetrics100 && value.is_finite() {
        if count && value.fract() == 0.0 && value.abs() < 1e15 {
            return format!("{value}");
        }
        if !text.contains(['.', 'e']) {
            text.push_str(".0");
        }
    }
    text
}

/// The shortest text that reads back as `value`, as Go's `strconv.FormatFloat(value, 'g', -1, 64)` spells it:
/// `1e+06`, `0.0001`, `1e-05`, `NaN`, `+Inf`.
pub fn format_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.into();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use barograph_model::{Sample, Timestamp};
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    fn family(name: &str, unit: &str, kind: MetricType, points: Vec<Point>) -> Family {
        Family {
            name: name.into(),
            help: "Help with \\, \"quotes\"\nand lines.".into(),
            unit: unit.into(),
            kind,
            points,
        }
    }

    fn check(family: &Family, format: Format, expected: &str) {
        let mut text = String::new();
        write(&mut text, std::slice::from_ref(family), format);
        assert_eq!(text, expected, "{format:?}");
    }

    fn exemplar(trace: &str) -> Option<Exemplar> {
        let sample = Sample { at: Timestamp(1_520_879_607_789), value: 0.25 };
        Some(Exemplar { labels: labels(&[("trace_id", trace)]), sample })
    }

    #[test]
    fn floats_read_like_go() {
        let check = |value, text| assert_eq!(format_float(value), text);
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(-1.5, "-1.5");
        check(123_456.0, "123456");
        check(1e6, "1e+06");
        check(1_234_567.5, "1.2345675e+06");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(1.7976931348623157e308, "1.7976931348623157e+308");
        check(5e-324, "5e-324");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
        check(f64::NAN, "NaN");
    }

    #[test]
    fn counter_in_each_format() {
        let mut point = Point::new("_total", labels(&[("path", "a\\b\"c\nd")]), 1e6);
        point.exemplar = exemplar("ab");
        let created = Point::new("_created", labels(&[]), 1.5);
        let jobs = family("jobs", "", MetricType::Counter, vec![point, created]);
        let text = concat!(
            "# HELP jobs_total Help with \\\\, \"quotes\"\\nand lines.\n",
            "# TYPE jobs_total counter\n",
            "jobs_total{path=\"a\\\\b\\\"c\\nd\"} 1e+06\n",
        );
        check(&jobs, Format::Text004, text);
        check(&jobs, Format::Text100, text);
        check(
            &jobs,
            Format::OpenMetrics100,
            concat!(
                "# HELP jobs Help with \\\\, \\\"quotes\\\"\\nand lines.\n",
                "# TYPE jobs counter\n",
                "jobs_total{path=\"a\\\\b\\\"c\\nd\"} 1e+06 # {trace_id=\"ab\"} 0.25 1520879607.789\n",
                "jobs_created 1.5\n",
                "# EOF\n",
            ),
        );
    }

    #[test]
    fn counter_without_total_gets_one_only_in_open_metrics() {
        let mut jobs = family("jobs", "", MetricType::Counter, vec![Point::new("", labels(&[]), 2.0)]);
        jobs.help.clear();
        check(&jobs, Format::Text004, "# TYPE jobs counter\njobs 2\n");
        check(&jobs, Format::OpenMetrics100, "# TYPE jobs counter\njobs_total 2.0\n# EOF\n");
        jobs.name = "jobs_total".into();
        check(&jobs, Format::Text004, "# TYPE jobs_total counter\njobs_total 2\n");
        check(&jobs, Format::OpenMetrics100, "# TYPE jobs counter\njobs_total 2.0\n# EOF\n");
    }

    #[test]
    fn histogram_in_each_format() {
        let mut first = Point::new("_bucket", labels(&[("le", "1")]), 3.0);
        first.exemplar = exemplar("ab");
        let points = vec![
            first,
            Point::new("_bucket", labels(&[("le", "+Inf")]), 4.0),
            Point::new("_sum", labels(&[]), 2e6),
            Point::new("_count", labels(&[]), 4.0),
        ];
        let mut sizes = family("size_bytes", "bytes", MetricType::Histogram, points);
        sizes.help.clear();
        let text = concat!(
            "# TYPE size_bytes histogram\n",
            "size_bytes_bucket{le=\"1\"} 3\n",
            "size_bytes_bucket{le=\"+Inf\"} 4\n",
            "size_bytes_sum 2e+06\n",
            "size_bytes_count 4\n",
        );
        check(&sizes, Format::Text004, text);
        check(
            &sizes,
            Format::OpenMetrics100,
            concat!(
                "# TYPE size_bytes histogram\n",
                "# UNIT size_bytes bytes\n",
                "size_bytes_bucket{le=\"1.0\"} 3 # {trace_id=\"ab\"} 0.25 1520879607.789\n",
                "size_bytes_bucket{le=\"+Inf\"} 4\n",
                "size_bytes_sum 2e+06\n",
                "size_bytes_count 4\n",
                "# EOF\n",
            ),
        );
    }

    #[test]
    fn long_exemplars_and_those_of_gauges_are_left_out() {
        let mut point = Point::new("", labels(&[]), 1.0);
        point.exemplar = exemplar("ab");
        let mut depth = family("depth", "", MetricType::Gauge, vec![point.clone()]);
        depth.help.clear();
        check(&depth, Format::OpenMetrics100, "# TYPE depth gauge\ndepth 1.0\n# EOF\n");
        for (length, shown) in [(120, true), (121, false)] {
            point.exemplar = exemplar(&"é".repeat(length));
            let jobs = family("jobs", "", MetricType::Counter, vec![point.clone()]);
            let mut text = String::new();
            write(&mut text, &[jobs], Format::OpenMetrics100);
            assert_eq!(text.contains("trace_id"), shown, "{length}");
        }
    }

    #[test]
    fn names_outside_the_old_set_are_quoted_or_underscored() {
        let mut odd = family(
            "9 lives.é",
            "",
            MetricType::Gauge,
            vec![Point::new("", labels(&[("a.b", "x"), ("c", "")]), 1.0)],
        );
        odd.help.clear();
        check(&odd, Format::Text004, "# TYPE __lives__ gauge\n__lives__{a_b=\"x\"} 1\n");
        check(&odd, Format::Text100, "# TYPE \"9 lives.é\" gauge\n{\"9 lives.é\",\"a.b\"=\"x\"} 1\n");
    }

    #[test]
    fn types_without_a_word_in_the_old_format() {
        let check = |kind, name: &str, old: &str, open: &str| {
            let mut family = family(name, "", kind, vec![Point::new("", labels(&[]), 1.0)]);
            family.help.clear();
            check(&family, Format::Text004, old);
            check(&family, Format::OpenMetrics100, &format!("{open}# EOF\n"));
        };
        check(MetricType::Unknown, "x", "# TYPE x untyped\nx 1\n", "# TYPE x unknown\nx 1.0\n");
        check(MetricType::StateSet, "x", "# TYPE x gauge\nx 1\n", "# TYPE x stateset\nx 1.0\n");
        let (old, open) = ("# TYPE b_info gauge\nb_info 1\n", "# TYPE b info\nb_info 1.0\n");
        check(MetricType::Info, "b_info", old, open);
    }

    #[test]
    fn families_without_points_are_left_out() {
        check(&family("x", "", MetricType::Gauge, vec![]), Format::Text004, "");
    }

    proptest! {
        #[test]
        fn floats_read_back(bits: u64) {
            let value = f64::from_bits(bits);
            let back: f64 = format_float(value).parse().unwrap();
            prop_assert!(back.to_bits() == bits || (back.is_nan() && value.is_nan()));
        }
    }
}
