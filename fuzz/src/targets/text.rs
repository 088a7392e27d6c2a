//! Texts that people and programs write.

use barograph_model::{Budget, Labels, Timestamp};
use barograph_query::{
    json::{self, Query},
    parse,
    script::Memory,
};
use barograph_wire::exposition::{self, Dialect, Item};

use crate::{Shape, Target};

pub(super) const EXPOSITION: Target = Target {
    name: "exposition",
    run: run_exposition,
    seeds: || {
        let page = "# HELP a_seconds How \\n \"long\".\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
                    a_seconds_bucket{le=\"0.1\",x=\"\\\\ \\\"\"} 3 1700000000000 # {id=\"7\"} 0.05 1.5\n\
                    a_seconds_sum 1e-3\na_seconds_count NaN\n{\"b c\",d=\"e\"} -Inf\n# EOF\n";
        vec![page.into()]
    },
};

/// Keeps trees that print to what parses to the same tree.
pub(super) const PROMQL: Target = Target {
    name: "promql",
    run: |input, shape| {
        let text = String::from_utf8_lossy(input);
        match parse(&text) {
            Ok(expr) => {
                let printed = expr.to_string();
                let again = parse(&printed).map(|expr| expr.to_string());
                assert_eq!(again.as_deref(), Ok(printed.as_str()), "what is printed parses to the same");
                shape.size(printed.len());
                printed.matches(|c: char| !c.is_alphanumeric()).take(12).for_each(|part| shape.kind(part));
            }
            Err(error) => shape.message(error),
        }
    },
    seeds: || {
        let texts = [
            "sum by (job) (rate(http_requests_total{code=~\"5..\",x!=\"\"}[5m] offset -1h))",
            "histogram_quantile(0.9, a) / on (x) group_left (y) b @ end() > bool 1 unless c",
            "max_over_time(deriv(a[1h:5m])[1d:] @ 1.5) or label_replace(a, \"b\", \"$1\", 'c', `(.*)`)",
            "-1 ^ +0x1F % 1e3 == atan2",
            "{\"quoted metric\", \"label é\"=\"\\u00e9\"} * ignoring () 2h30m",
        ];
        texts.into_iter().map(Into::into).collect()
    },
};

/// Keeps documents that are written back to what means the same, and answers them.
pub(super) const JSON_QUERY: Target = Target {
    name: "json_query",
    run: |input, shape| match Query::parse(input) {
        Ok(query) => {
            let written = query.to_json();
            assert_eq!(Query::read(&written).as_ref(), Ok(&query), "what is written means the same");
            let mut memory = Memory::new();
            let labels = Labels::from_pairs([("__name__", "a_total"), ("x", "1")]).expect("sorted by itself");
            memory.load(labels, (0..100).map(|i| (i * 30_000, i as f64)));
            match json::answer(&memory, &query, Timestamp(3_600_000), &Budget::new(200_000)) {
                Ok(reply) => shape.size(reply.to_json(0.0).len()),
                Err(error) => shape.message(error),
            }
        }
        Err(error) => shape.message(error),
    },
    seeds: || {
        let texts = [
            r#"{"query":{"metrics":["a","b.*",{"regex":"a.*"}],"groupBy":["x"],"filter":{"timeRange":{"start":"now-1h",
                "end":"2025-04-01T00:00:00Z"},"dimensions":{"x":"1","y":{"prefix":"p","notIn":["q"]}}},"limit":5}}"#,
            r#"{"query":{"metrics":["a"],"aggregations":[{"type":"PERCENTILE","percentile":95,"window":"7m"},
                {"type":"rate","window":"auto","alias":"r"}],"sort":{"field":"r","order":"DESC"},"targetPoints":9}}"#,
            r#"{"query":{"calculations":[{"name":"t","expression":"trend(a / (b + 1))","window":60000},
                {"expression":"corr(max(a), p99.9(a)) "}],"granularity":"5m"}}"#,
            r#"{"query":{"pattern":{"conditions":{"k":"a > 1","l":"rate(a) <= 2e1"},"within":"1h","sequence":
                [{"when":"k"},{"then":["l","k"],"within":"5m","not":"l"},{"not":"k","within":60000}]}}}"#,
        ];
        texts.into_iter().map(Into::into).collect()
    },
};

fn run_exposition(input: &[u8], shape: &mut Shape) {
    let (&dialect, page) = input.split_first().unwrap_or((&0, &[]));
    let dialect = if dialect % 2 == 0 { Dialect::Text } else { Dialect::OpenMetrics };
    let (mut samples, mut errors) = (0, Vec::new());
    for item in exposition::parse(page, dialect) {
        match item {
            Ok(Item::Sample(sample)) => {
                samples += 1;
                errors.extend(sample.series.labels().err());
            }
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
    }
    errors.iter().take(2).for_each(|error| shape.message(error));
    shape.size(errors.len());
    shape.size(samples);
}
