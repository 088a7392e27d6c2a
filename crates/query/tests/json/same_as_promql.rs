//! A document says what the PromQL says that one would write instead.

use barograph_model::{Budget, Labels, Sample, Tier, TimeRange, Timestamp};
use barograph_query::{Options, Steps, Value, evaluate_range, parse, script::Memory};
use proptest::prelude::*;
use serde_json::json;

use crate::{HOUR, MINUTE, asked, load};

/// The values of a series, how far apart they are in seconds, and its groups.
type Generated = (Vec<f64>, i64, u8, u8);

fn generated() -> impl Strategy<Value = Vec<Generated>> {
    let series = (prop::collection::vec(-1e3f64..1e3, 1..120), 5i64..120, 0u8..3, 0u8..3);
    prop::collection::vec(series, 1..8)
}

fn stored(series: &[Generated]) -> Memory {
    let mut memory = Memory::new();
    for (i, (values, apart, g, h)) in series.iter().enumerate() {
        let names = (format!("i{i}"), format!("g{g}"), format!("h{h}"));
        let at = |k: usize| i64::try_from(k).unwrap() * apart * 1_000 + i64::from(*g);
        for (metric, scale) in [("m", 1.0), ("n_total", 2.0)] {
            let labels = [
                ("__name__", metric),
                ("g", names.1.as_str()),
                ("h", names.2.as_str()),
                ("i", names.0.as_str()),
            ];
            load(
                &mut memory,
                &labels,
                values.iter().enumerate().map(|(k, value)| (at(k), scale * value.abs())),
            );
        }
    }
    memory
}

/// What PromQL says, its ranges moved by a millisecond to be half-open, stamped with their starts.
fn promql(memory: &Memory, text: &str, window: i64, end: i64) -> Vec<(Labels, Vec<Sample>)> {
    let steps = Steps { start: Timestamp(window), end: Timestamp(end), step_ms: window };
    let options = Options::experimental();
    let expr = parse(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    let answer = evaluate_range(memory, &expr, steps, &options, &Budget::unlimited()).unwrap();
    let Value::Matrix(matrix) = answer.value else { panic!("{text} gives a matrix") };
    let moved = |sample: Sample| Sample { at: Timestamp(sample.at.0 - window), ..sample };
    let nameless = |labels: Labels| labels.without(|name| name == b"__name__");
    matrix
        .into_iter()
        .map(|(labels, samples)| (nameless(labels), samples.floats.into_iter().map(moved).collect()))
        .collect()
}

fn check(
    memory: &Memory,
    query: serde_json::Value,
    text: &str,
    window: i64,
    end: i64,
) -> Result<(), TestCaseError> {
    let reply = asked(memory, &json!({"query": query}));
    let found: Vec<(Labels, Vec<Sample>)> =
        reply.results.into_iter().map(|series| (series.labels, series.points)).collect();
    prop_assert_eq!(found, promql(memory, text, window, end), "{}", text);
    Ok(())
}

const FUNCTIONS: [(&str, &str, &str); 8] = [
    ("SUM", "sum_over_time", "sum"),
    ("MIN", "min_over_time", "min"),
    ("MAX", "max_over_time", "max"),
    ("COUNT", "count_over_time", "sum"),
    ("FIRST", "first_over_time", "avg"),
    ("LAST", "last_over_time", "avg"),
    ("RATE", "rate", "sum"),
    ("INCREASE", "increase", "sum"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_question_has_the_same_answer(
        series in generated(), function in 0..FUNCTIONS.len(), minutes in prop::sample::select(vec![1i64, 3, 5, 7, 20]),
        grouped in any::<bool>(), filtered in any::<bool>(),
    ) {
        let memory = stored(&series);
        let (name, over, by) = FUNCTIONS[function];
        let window = minutes * MINUTE;
        let end = HOUR / window * window;
        let matchers = if filtered { r#"{g=~"g0|g2"}"# } else { "" };
        let range = format!("{over}(n_total{matchers}[{minutes}m] offset 1ms)");
        let text = if grouped { format!("{by} by (g, h) ({range})") } else { range };
        let dimensions = if filtered { json!({"g": ["g0", "g2"]}) } else { json!({}) };
        let query = json!({
            "metrics": ["n"], "granularity": "raw",
            "filter": {"timeRange": {"start": 0, "end": end}, "dimensions": dimensions},
            "groupBy": if grouped { json!(["g", "h"]) } else { json!(["*"]) },
            "aggregations": [{"type": name, "window": format!("{minutes}m")}],
        });
        check(&memory, query, &text, window, end)?;
    }

    #[test]
    fn means_deviations_and_arithmetic_too(series in generated(), which in 0usize..7) {
        let memory = stored(&series);
        let window = 5 * MINUTE;
        let o = "[5m] offset 1ms";
        let mean = |m: &str| format!("sum by (g) (sum_over_time({m}{o})) / sum by (g) (count_over_time({m}{o}))");
        let (kind, grouping, expression, text) = match which {
            0 => ("AVG", json!(["g"]), "m", mean("m")),
            1 => ("AVG", json!(["g"]), "m / (n + 1)", format!("({}) / ({} + 1)", mean("m"), mean("n_total"))),
            2 => ("AVG", json!(["*"]), "m", format!("avg_over_time(m{o})")),
            3 => ("STDDEV", json!(["*"]), "m", format!("stddev_over_time(m{o})")),
            4 => ("P90", json!(["*"]), "m", format!("quantile_over_time(0.9, m{o})")),
            5 => ("SUM", json!([]), "rate(n) * 60 > 5", format!("(sum(rate(n_total{o})) * 60) > bool 5")),
            _ => ("MAX", json!(["h"]), "abs(m - max(n))", format!(
                "abs(max by (h) (max_over_time(m{o})) - max by (h) (max_over_time(n_total{o})))"
            )),
        };
        let query = json!({
            "filter": {"timeRange": {"start": 0, "end": HOUR}}, "groupBy": grouping, "granularity": "raw",
            "aggregations": [{"type": kind, "window": "5m"}], "calculations": [{"expression": expression}],
        });
        check(&memory, query, &text, window, HOUR)?;
    }

    #[test]
    fn what_series_have_together_is_what_one_series_of_all_samples_has(
        values in prop::collection::vec(-1e3f64..1e3, 2..80), parts in 1usize..5, kind in prop::sample::select(vec!["P50", "P95", "STDDEV", "AVG"]),
    ) {
        let (mut apart, mut together) = (Memory::new(), Memory::new());
        let at = |i: usize| i64::try_from(i).unwrap() * 10_000;
        for part in 0..parts {
            let own = values.iter().copied().enumerate().filter(|(i, _)| i % parts == part).map(|(i, value)| (at(i), value));
            load(&mut apart, &[("__name__", "m"), ("i", &part.to_string())], own);
        }
        load(&mut together, &[("__name__", "m")], values.iter().copied().enumerate().map(|(i, value)| (at(i), value)));
        for tier in [Tier::Raw, Tier::Minute, Tier::FiveMinutes] {
            let mut found = Vec::new();
            for memory in [&mut apart, &mut together] {
                if tier != Tier::Raw {
                    memory.keep(tier, TimeRange::ALL);
                }
                let query = json!({"query": {
                    "metrics": ["m"], "granularity": tier.as_str(), "filter": {"timeRange": {"start": 0, "end": HOUR}},
                    "aggregations": [{"type": kind, "window": "10m"}],
                }});
                let reply = asked(memory, &query);
                found.push(reply.results[0].points.clone());
            }
            prop_assert_eq!(found[0].len(), found[1].len());
            for (a, b) in found[0].iter().zip(&found[1]) {
                prop_assert!((a.value - b.value).abs() <= 1e-6 * (1.0 + b.value.abs()), "{} {}: {:?} {:?}", kind, tier, a, b);
            }
        }
    }

    #[test]
    fn every_tier_says_the_same(series in generated(), kind in prop::sample::select(vec!["SUM", "AVG", "MIN", "MAX", "COUNT"])) {
        let mut memory = stored(&series);
        let ask = |memory: &Memory, tier: Tier| {
            let query = json!({"query": {
                "metrics": ["m"], "granularity": tier.as_str(), "groupBy": ["g"],
                "filter": {"timeRange": {"start": 0, "end": 2 * HOUR}}, "aggregations": [{"type": kind, "window": "1h"}],
            }});
            asked(memory, &query)
        };
        let raw = ask(&memory, Tier::Raw);
        for tier in Tier::ROLLED {
            memory.keep(tier, TimeRange::ALL);
            let rolled = ask(&memory, tier);
            prop_assert_eq!(rolled.results.len(), raw.results.len());
            for (a, b) in raw.results.iter().zip(&rolled.results) {
                prop_assert_eq!(&a.labels, &b.labels);
                prop_assert_eq!(a.points.len(), b.points.len());
                for (x, y) in a.points.iter().zip(&b.points) {
                    prop_assert!(x.at == y.at && (x.value - y.value).abs() <= 1e-9 * (1.0 + x.value.abs()), "{} {}", kind, tier);
                }
            }
        }
    }
}
