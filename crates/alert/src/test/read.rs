//! A file of tests read key by key, every mistake with its place.

use std::{sync::Arc, time::Duration};

use barograph_model::{Labels, Timestamp};
use barograph_query::script::{read_histogram, read_labels};
use barograph_yaml::{
    Faults,
    section::{Findings, Section, boolean, read_scalar, text},
    tree::{Key, Node},
    units::parse_duration,
};

use super::{
    AlertTest, Case, EscalationTest, Expected, ExpectedEscalation, ExpectedNotice, NoticeTest, QueryTest,
    TestFile, Told,
};

/// Reads a file of tests; `name` is what messages call it.
///
/// # Errors
/// Everything that is wrong in it.
pub fn parse(text: &str, name: &str) -> Result<TestFile, Faults> {
    barograph_yaml::read(text, name, |root, findings| {
        let mut section = Section::open(&root, "the test file", findings);
        let rule_files = section.values("rule_files", self::text, findings);
        let minute = Duration::from_secs(60);
        let mut evaluation_interval = section.value("evaluation_interval", parse_duration, findings);
        evaluation_interval = evaluation_interval.filter(|&interval| interval > Duration::ZERO);
        let evaluation_interval = evaluation_interval.unwrap_or(minute);
        let group_eval_order = section.values("group_eval_order", self::text, findings);
        let mut sorted = group_eval_order.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let place = section.place_of("group_eval_order");
            findings.add(place, format!("group `{}` stands twice in the order of evaluation", pair[0]));
        }
        let fuzzy_compare = section.value("fuzzy_compare", boolean, findings).unwrap_or(false);
        let alertmanager_config = section.value("alertmanager_config", self::text, findings);
        let tests = section.items("tests", findings);
        let tests =
            tests.iter().enumerate().map(|(i, node)| read_case(node, i, evaluation_interval, findings));
        let tests = tests.collect();
        section.finish(&[], findings);
        let config = Arc::default();
        TestFile {
            rule_files,
            evaluation_interval,
            group_eval_order,
            fuzzy_compare,
            alertmanager_config,
            config,
            tests,
        }
    })
}

fn read_case(node: &Node, number: usize, evaluation_interval: Duration, findings: &mut Findings) -> Case {
    let mut section = Section::open(node, "a test", findings);
    let name = section.value("name", text, findings).filter(|name| !name.is_empty());
    let interval = section.value("interval", parse_duration, findings);
    let start = section.value("start_timestamp", parse_start, findings).unwrap_or(Timestamp(0));
    let input_series = section.items("input_series", findings);
    let input_series = input_series.iter().filter_map(|node| read_series(node, findings)).collect();
    let external_labels = read_labels_of(section.entries("external_labels", findings), findings);
    let external_url = section.value("external_url", text, findings).unwrap_or_default();
    let alerts = section.items("alert_rule_test", findings);
    let alerts = alerts.iter().filter_map(|node| read_alert_test(node, findings)).collect();
    let queries = section.items("promql_expr_test", findings);
    let queries = queries.iter().filter_map(|node| read_query_test(node, findings)).collect();
    let notices = section.items("notice_test", findings);
    let notices = notices.iter().filter_map(|node| read_notice_test(node, findings));
    let mut notices: Vec<_> = notices.collect();
    notices.sort_by_key(|test| test.eval_time);
    let escalations = section.items("escalation_test", findings);
    let escalations = escalations.iter().map(|node| read_escalation_test(node, findings));
    let mut escalations: Vec<_> = escalations.collect();
    escalations.sort_by_key(|test| test.eval_time);
    section.finish(&[], findings);
    Case {
        name: name.unwrap_or_else(|| format!("unnamed#{number}")),
        start,
        interval: interval.filter(|&interval| interval > Duration::ZERO).unwrap_or(evaluation_interval),
        input_series,
        external_labels,
        external_url,
        alerts,
        queries,
        notices,
        escalations,
    }
}

fn parse_start(text: &str) -> Result<Timestamp, String> {
    if let Some(at) = Timestamp::from_rfc3339(text) {
        return Ok(at);
    }
    let seconds: f64 = text.parse().map_err(|_| format!("{text:?} is no time; give seconds or RFC 3339"))?;
    let ms = (seconds * 1e3).round();
    #[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
    if ms.abs() < 9e15 { Ok(Timestamp(ms as i64)) } else { Err(format!("{text:?} is out of range")) }
}

fn read_series(node: &Node, findings: &mut Findings) -> Option<(String, String)> {
    let mut section = Section::open(node, "an input series", findings);
    let series = section.value("series", |text| read_labels(text).map(|_| text.to_owned()), findings);
    let values = section.value("values", text, findings).unwrap_or_default();
    if section.node("series").is_none() {
        findings.add(section.place, "an input series needs `series`");
    }
    section.finish(&[], findings);
    Some((series?, values))
}

fn read_labels_of(entries: &[(Key, Node)], findings: &mut Findings) -> Labels {
    let mut pairs = Vec::new();
    for (key, node) in entries {
        if let Some(value) = read_scalar(node, &format!("`{}`", key.text), text, findings) {
            pairs.push((key.text.as_str(), value));
        }
    }
    let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
    match (Labels::from_pairs(pairs), entries.first()) {
        (Ok(labels), _) => labels,
        (Err(error), Some((key, _))) => {
            findings.add(&key.place, error.to_string());
            Labels::empty()
        }
        (Err(_), None) => Labels::empty(),
    }
}

fn read_alert_test(node: &Node, findings: &mut Findings) -> Option<AlertTest> {
    let mut section = Section::open(node, "an item of `alert_rule_test`", findings);
    let eval_time = section.value("eval_time", parse_duration, findings).unwrap_or_default();
    let alertname = section.value("alertname", text, findings).filter(|name| !name.is_empty());
    if alertname.is_none() {
        findings.add(section.place, "an item of `alert_rule_test` needs `alertname`");
    }
    let expected = section.items("exp_alerts", findings);
    let told = |node: &Node, findings: &mut Findings| {
        let mut section = Section::open(node, "an expected alert", findings);
        let labels = read_labels_of(section.entries("exp_labels", findings), findings);
        let annotations = read_labels_of(section.entries("exp_annotations", findings), findings);
        section.finish(&[], findings);
        Told { labels: labels.with("alertname", alertname.as_deref().unwrap_or_default()), annotations }
    };
    let expected = expected.iter().map(|node| told(node, findings)).collect();
    section.finish(&[], findings);
    Some(AlertTest { eval_time, alertname: alertname?, expected })
}

fn read_notice_test(node: &Node, findings: &mut Findings) -> Option<NoticeTest> {
    let mut section = Section::open(node, "an item of `notice_test`", findings);
    let eval_time = section.value("eval_time", parse_duration, findings).unwrap_or_default();
    let expected = section.items("exp_notices", findings);
    let expected: Vec<_> = expected.iter().map(|node| read_notice(node, findings)).collect();
    section.finish(&[], findings);
    // One that cannot be read is told; the others would not be right without it.
    Some(NoticeTest { eval_time, expected: expected.into_iter().collect::<Option<_>>()? })
}

fn read_notice(node: &Node, findings: &mut Findings) -> Option<ExpectedNotice> {
    let mut section = Section::open(node, "an expected notice", findings);
    let receiver = section.value("receiver", text, findings).filter(|name| !name.is_empty());
    if receiver.is_none() {
        findings.add(section.place, "an expected notice needs `receiver`");
    }
    let status = |text: &str| match text {
        "firing" => Ok(false),
        "resolved" => Ok(true),
        _ => Err(format!("expected `firing` or `resolved`, found `{text}`")),
    };
    let resolved = section.value("status", status, findings).unwrap_or(false);
    let says_group = section.node("group_labels").is_some();
    let group = read_labels_of(section.entries("group_labels", findings), findings);
    let says_alerts = section.node("exp_alerts").is_some();
    let alerts = section.items("exp_alerts", findings);
    let labels = |node: &Node, findings: &mut Findings| {
        let mut section = Section::open(node, "an expected alert", findings);
        let labels = read_labels_of(section.entries("exp_labels", findings), findings);
        section.finish(&[], findings);
        labels
    };
    let alerts: Vec<Labels> = alerts.iter().map(|node| labels(node, findings)).collect();
    section.finish(&[], findings);
    Some(ExpectedNotice {
        receiver: receiver?,
        resolved,
        group: says_group.then_some(group),
        alerts: says_alerts.then_some(alerts),
    })
}

fn read_escalation_test(node: &Node, findings: &mut Findings) -> EscalationTest {
    let mut section = Section::open(node, "an item of `escalation_test`", findings);
    let eval_time = section.value("eval_time", parse_duration, findings).unwrap_or_default();
    let expected = section.items("exp_escalations", findings);
    let level = |node: &Node, findings: &mut Findings| {
        let mut section = Section::open(node, "an expected escalation", findings);
        let parse = |text: &str| match text.parse() {
            Ok(level) if level > 0 => Ok(level),
            _ => Err(format!("expected the number of a level, from 1; found `{text}`")),
        };
        let level = section.value("level", parse, findings);
        if section.node("level").is_none() {
            findings.add(section.place, "an expected escalation needs `level`");
        }
        let to = section.values("to", text, findings);
        section.finish(&[], findings);
        ExpectedEscalation { level: level.unwrap_or(1), to }
    };
    let expected = expected.iter().map(|node| level(node, findings)).collect();
    section.finish(&[], findings);
    EscalationTest { eval_time, expected }
}

fn read_query_test(node: &Node, findings: &mut Findings) -> Option<QueryTest> {
    let mut section = Section::open(node, "an item of `promql_expr_test`", findings);
    let parse = |text: &str| match barograph_query::parse(text) {
        Ok(expr) => Ok((text.to_owned(), expr)),
        Err(error) => Err(error.to_string()),
    };
    let expr = section.value("expr", parse, findings);
    if section.node("expr").is_none() {
        findings.add(section.place, "an item of `promql_expr_test` needs `expr`");
    }
    let eval_time = section.value("eval_time", parse_duration, findings).unwrap_or_default();
    let expected = section.items("exp_samples", findings);
    let expected = expected.iter().filter_map(|node| read_expected(node, findings)).collect();
    section.finish(&[], findings);
    let (text, expr) = expr?;
    Some(QueryTest { text, expr, eval_time, expected })
}

fn read_expected(node: &Node, findings: &mut Findings) -> Option<Expected> {
    let mut section = Section::open(node, "an expected sample", findings);
    let has_labels = section.node("labels").is_some();
    let labels = section.value("labels", read_labels, findings);
    let value = section.value("value", parse_number, findings).unwrap_or(0.0);
    let histogram = section.value("histogram", |text| read_histogram(text).map(Box::new), findings);
    section.finish(&[], findings);
    if has_labels && labels.is_none() {
        return None;
    }
    Some(Expected { labels: labels.unwrap_or_default(), value, histogram })
}

/// A number as YAML or Go writes it.
fn parse_number(text: &str) -> Result<f64, String> {
    let plain = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    match plain.to_ascii_lowercase().as_str() {
        ".inf" | "inf" => Ok(sign * f64::INFINITY),
        ".nan" | "nan" => Ok(f64::NAN),
        _ => text.replace('_', "").parse().map_err(|_| format!("expected a number, found `{text}`")),
    }
}
