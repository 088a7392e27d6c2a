//! Pages read line by line: both dialects, errors with their place, any bytes.

use proptest::prelude::*;

use super::*;

/// One line per item, as compact as can be checked.
fn show(text: &str, dialect: Dialect) -> Vec<String> {
    parse(text.as_bytes(), dialect)
        .map(|item| match item {
            Ok(Item::Type { name, kind }) => format!("type {name} {}", kind.as_str()),
            Ok(Item::Help { name, help }) => format!("help {name} {help:?}"),
            Ok(Item::Unit { name, unit }) => format!("unit {name} {unit}"),
            Ok(Item::Sample(sample)) => show_sample(&sample),
            Err(error) => error.to_string(),
        })
        .collect()
}

fn show_sample(sample: &Sample<'_>) -> String {
    let labels = match sample.series.labels() {
        Ok(labels) => labels,
        Err(error) => return error.to_string(),
    };
    let at = sample.at.map(|at| format!(" @{}", at.millis())).unwrap_or_default();
    let exemplar = sample.exemplar.map(|exemplar| {
        let at = exemplar.at.map(|at| format!(" @{}", at.millis())).unwrap_or_default();
        format!(" # {} {}{at}", exemplar.labels().unwrap(), exemplar.value)
    });
    format!("{labels} {}{at}{}", sample.value, exemplar.unwrap_or_default())
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(show(text, Dialect::Text), expected);
}

#[track_caller]
fn check_open(text: &str, expected: &[&str]) {
    assert_eq!(show(text, Dialect::OpenMetrics), expected);
}

#[test]
fn reads_a_page() {
    check(
        "# HELP go_gc Pauses\\nof \\\\ \\\"gc\\\".\n\
         # TYPE go_gc summary\n\
         go_gc{quantile=\"0\"} 4.9351e-05\n\
         \t go_gc { quantile = \"1\" , } 7 1395066363000 \n\
         \n\
         # a comment\n#\n#HELP no space\n\
         # TYPE x untyped\n\
         x NaN\n\
         x +Inf\n\
         x -Inf -5",
        &[
            r#"help go_gc "Pauses\nof \\ \\\"gc\\\".""#,
            "type go_gc summary",
            r#"go_gc{quantile="0"} 0.000049351"#,
            r#"go_gc{quantile="1"} 7 @1395066363000"#,
            "type x unknown",
            "x NaN",
            "x inf",
            "x -inf @-5",
        ],
    );
}

#[test]
fn labels_are_sorted_and_unescaped() {
    check(
        r#"m{b="1",a="x\"y\\z\nw\q",empty="",ü=""} 1"#,
        &["line 1, column 35: expected a label name, found \"ü=\\\"\\\"}\""],
    );
    check(r#"m{b="1",a="x\"y\\z\nw\q",empty=""} 1"#, &[r#"m{a="x\"y\\z\nw\\q", b="1"} 1"#]);
    check(r#"m{a="}{"}1"#, &[r#"m{a="}{"} 1"#]);
    check("m{} 1\nm 1", &["m 1", "m 1"]);
}

#[test]
fn names_may_be_quoted() {
    check(
        "# TYPE \"my.metric\" counter\n{\"my.metric\",\"a b\"=\"c\"} 1\n{a=\"1\",\"q\\\"m\"} 2",
        &["type my.metric counter", r#"{"my.metric", "a b"="c"} 1"#, r#"{"q\"m", a="1"} 2"#],
    );
}

#[test]
fn says_what_was_expected_where() {
    check("1x 1", &["line 1, column 1: expected a metric name, found \"1x\""]);
    check("m", &["line 1, column 2: expected a number as value, found the end of the line"]);
    check("m x", &["line 1, column 3: expected a number as value, found \"x\""]);
    check("m-x 1", &["line 1, column 2: expected a blank or \"{\" after the metric name, found \"-x\""]);
    check("m 1 x", &["line 1, column 5: expected a timestamp in milliseconds, found \"x\""]);
    check("m 1 1.5", &["line 1, column 5: expected a timestamp in milliseconds, found \"1.5\""]);
    check("m 1 1 x", &["line 1, column 7: expected the end of the line, found \"x\""]);
    check("m 1 # {}", &["line 1, column 5: expected the end of the line, found \"#\""]);
    check("m{a=\"b} 1", &["line 1, column 5: expected a closing double quote, found \"\\\"b}\""]);
    check("m{a=\"b\\", &["line 1, column 5: expected a closing double quote, found \"\\\"b\\\\\""]);
    check("m{a=\"b\" 1", &["line 1, column 2: expected \"}\" after the labels, found \"{a=\\\"b\\\"\""]);
    check("m{a} 1", &["line 1, column 4: expected \"=\" after a label name, found \"}\""]);
    check("m{a=b} 1", &["line 1, column 5: expected a value in double quotes, found \"b}\""]);
    check(
        "m{a=\"1\"b=\"2\"} 1",
        &["line 1, column 8: expected \",\" or \"}\" after a label, found \"b=\\\"2\\\"}\""],
    );
    check("m{a=\"1\",a=\"2\"} 1", &["line 1, column 1: expected each label name once, found \"a\""]);
    check("{a=\"1\"} 1", &["line 1, column 1: expected a metric name, found \"{a=\\\"1\\\"}\""]);
    check("{\"a\",\"b\"} 1", &["line 1, column 1: expected each label name once, found \"__name__\""]);
    check(
        "m{\"\"=\"1\"} 1",
        &["line 1, column 3: expected a name that is not empty, found \"\\\"\\\"=\\\"1\\\"}\""],
    );
    check("# TYPE m what", &["line 1, column 10: expected a metric type, found \"what\""]);
    check("# TYPE m", &["line 1, column 9: expected a metric type, found the end of the line"]);
    check("\n\nm é", &["line 3, column 3: expected a number as value, found \"é\""]);
}

#[test]
fn goes_on_after_a_bad_line() {
    check(
        "a 1\nb\nc 3\n",
        &["a 1", "line 2, column 2: expected a number as value, found the end of the line", "c 3"],
    );
    let text = b"a 1\nb{x=\"\xc3\xa9\xff\"} 1\nc 3\n";
    let items: Vec<_> = parse(text, Dialect::Text).collect();
    assert_eq!(items.len(), 3);
    let error = items[1].as_ref().unwrap_err().to_string();
    assert_eq!(error, "line 2, column 7: expected UTF-8, found other bytes");
}

#[test]
fn a_long_line_is_an_error_and_no_more() {
    let text = format!("a{{b=\"{}\"}} 1\nc 3\n", "x".repeat(LINE_BYTES_MAX));
    check(&text, &["line 1, column 1: expected a line of at most 1 MiB, found a longer one", "c 3"]);
}

#[test]
fn reads_open_metrics() {
    check_open(
        "# TYPE foo_seconds counter\n\
         # UNIT foo_seconds seconds\n\
         # HELP foo_seconds say \\\"it\\\"\n\
         foo_seconds_total 17.0 1520879607.789 # {trace_id=\"KOO5S4vxi0o\"} 0.67 1520879607.5\n\
         foo_seconds_total 1 # {} 2\n\
         foo_seconds_created 1520430000.123\n\
         # EOF\n",
        &[
            "type foo_seconds counter",
            "unit foo_seconds seconds",
            r#"help foo_seconds "say \"it\"""#,
            r#"foo_seconds_total 17 @1520879607789 # {trace_id="KOO5S4vxi0o"} 0.67 @1520879607500"#,
            "foo_seconds_total 1 # {} 2",
            "foo_seconds_created 1520430000.123",
        ],
    );
    check_open("# EOF", &[]);
}

#[test]
fn open_metrics_ends_with_its_end() {
    check_open("", &["line 1, column 1: expected \"# EOF\" at the end, found end of text"]);
    check_open("m 1\n", &["m 1", "line 1, column 1: expected \"# EOF\" at the end, found end of text"]);
    check_open(
        "# EOF\nm 1\nm 2\n",
        &["line 2, column 1: expected nothing after \"# EOF\", found another line"],
    );
    check_open("m 1 Inf\n# EOF", &["line 1, column 5: expected a timestamp in seconds, found \"Inf\""]);
}

#[test]
fn nan_is_never_the_staleness_marker() {
    let Some(Ok(Item::Sample(sample))) = parse(b"m nan", Dialect::Text).next() else { panic!("a sample") };
    assert_eq!(sample.value.to_bits(), 0x7ff8_0000_0000_0001);
}

#[test]
fn the_text_of_a_series_is_what_stands_there() {
    let text = |line: &'static str| match parse(line.as_bytes(), Dialect::Text).next() {
        Some(Ok(Item::Sample(sample))) => sample.series.as_str(),
        other => panic!("a sample, not {other:?}"),
    };
    assert_eq!(text(" m 1"), "m");
    assert_eq!(text("m{a=\"}\"} 1"), "m{a=\"}\"}");
}

#[test]
fn dialects_have_content_types() {
    let check = |content_type, dialect| assert_eq!(Dialect::from_content_type(content_type), dialect);
    check("text/plain; version=0.0.4; charset=utf-8", Some(Dialect::Text));
    check("Text/Plain", Some(Dialect::Text));
    check("application/openmetrics-text;version=1.0.0", Some(Dialect::OpenMetrics));
    check("text/html", None);
    check("", None);
}

fn read_all(text: &[u8]) {
    for dialect in [Dialect::Text, Dialect::OpenMetrics] {
        let lines = text.iter().filter(|&&byte| byte == b'\n').count() + 2;
        let mut count = 0;
        for item in parse(text, dialect) {
            count += 1;
            if let Ok(Item::Sample(sample)) = item {
                let _ = sample.series.labels();
                let _ = sample.exemplar.map(|exemplar| exemplar.labels());
            }
        }
        assert!(count <= lines);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_fine(text: Vec<u8>) {
        read_all(&text);
    }

    #[test]
    fn anything_like_a_page_is_fine(text in r#"([a-z{}="\\,#\n\t é0-9.]|# TYPE |# HELP |# EOF|\{a="b"\}){0,60}"#) {
        read_all(text.as_bytes());
    }

    #[test]
    fn what_is_escaped_comes_back(value in ".{1,40}", number: f64, at: i64) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let text = format!("m{{a=\"{escaped}\"}} {number} {at}\n");
        let Some(Ok(Item::Sample(sample))) = parse(text.as_bytes(), Dialect::Text).next() else {
            return Err(TestCaseError::fail(text));
        };
        let labels = sample.series.labels().unwrap();
        prop_assert_eq!(labels.value("a"), Some(&*value));
        prop_assert_eq!(sample.value.to_bits(), number.to_bits());
        prop_assert_eq!(sample.at, Some(Timestamp(at)));
        let mut pairs = Pairs::new();
        sample.series.pairs_into(&mut pairs).unwrap();
        let mut bytes = Vec::new();
        encode_pairs(&pairs, &mut bytes);
        prop_assert_eq!(labels.as_bytes(), bytes);
    }
}
