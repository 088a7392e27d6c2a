//! What comes out of the cache is what evaluating says, to the bit and the message, whatever was asked before and whatever
//! changed meanwhile.

mod support;

use barograph_model::{Budget, Labels, Matcher, Tier, TimeRange, Timestamp};
use barograph_query::{
    Answer, Cache, Error, Options, Reuse, Reused, Steps, Value, evaluate_range, parse, script::Memory,
};
use proptest::prelude::*;
use support::{QUERIES, float, histogram, memory, series};

/// Queries that depend on the whole range, that have messages, or that are wrong for some data.
const OTHERS: [&str; 10] = [
    "x @ end()",
    "sum_over_time(x[40s] @ start())",
    "x + range()",
    "time() - step()",
    "sort(x)",
    "quantile(scalar(y{i=\"a\"}) - 3, x)",
    "quantile_over_time(scalar(y{i=\"a\"}) / 3, x[1m])",
    "label_replace(x, \"j\", \"\", \"\", \"\")",
    "sum by (i) (x) / on (i) y",
    "rate(x[30s]) + rate(nothing[1m])",
];

/// What happens, one after the other.
#[derive(Clone, Debug)]
enum Event {
    /// A query of the list, over some steps.
    Ask {
        query: usize,
        start: i64,
        count: i64,
        step: i64,
        options: usize,
    },
    /// The query before, moved on.
    Slide {
        by: i64,
    },
    /// Samples of a series, in order or late.
    Write {
        series: usize,
        at: i64,
        value: f64,
    },
    Delete {
        series: usize,
        from: i64,
        to: i64,
    },
    /// Raw samples before a time go.
    Expire {
        before: i64,
    },
    /// What is before it is not expected to change.
    Settle {
        until: i64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let at = -40i64..700;
    prop_oneof![
        3 => (0..QUERIES.len() + OTHERS.len(), at.clone(), 1i64..130, 1i64..30, 0usize..6).prop_map(
            |(query, start, count, step, options)| Event::Ask { query, start: start * 1_000, count, step: step * 1_000, options }
        ),
        6 => (-3i64..12).prop_map(|by| Event::Slide { by }),
        2 => (0usize..6, at.clone(), 0i64..12).prop_map(
            |(series, at, value)| Event::Write { series, at: at * 1_000, value: value as f64 }
        ),
        1 => (0usize..6, at.clone(), 0i64..60).prop_map(
            |(series, from, length)| Event::Delete { series, from: from * 1_000, to: (from + length) * 1_000 }
        ),
        1 => (-40i64..300).prop_map(|before| Event::Expire { before: before * 1_000 }),
        1 => at.prop_map(|until| Event::Settle { until: until * 1_000 }),
    ]
}

fn options(number: usize) -> Options {
    let options = Options::experimental();
    match number {
        0 => Options { tier: Some(Tier::Raw), ..options },
        1 => Options { tier: Some(Tier::Minute), ..options },
        2 => Options { half_open: true, tier: Some(Tier::Minute), ..options },
        3 => Options { delayed_name_removal: false, lookback_ms: 25_000, ..options },
        _ => options,
    }
}

/// Everything of an answer as text; a mistake is one, whichever of several it is.
fn shown(answer: Result<Answer, Error>) -> String {
    let answer = match answer {
        Ok(answer) => answer,
        Err(_) => return "error".into(),
    };
    let Value::Matrix(matrix) = answer.value else { return "no matrix".into() };
    let mut text = format!("{:?} {:?} {:?} {}\n", answer.warnings, answer.infos, answer.tiers, answer.error);
    for (labels, track) in matrix {
        text.push_str(&format!("{labels}:"));
        track.floats.iter().for_each(|s| text.push_str(&format!(" {}={}", s.at.0, float(s.value))));
        track.histograms.iter().for_each(|(at, h)| text.push_str(&format!(" {}={h:?}", at.0)));
        text.push('\n');
    }
    text
}

fn ask(memory: &Memory, query: &str, steps: Steps, options: &Options, reuse: Option<&Reuse<'_>>) -> String {
    let expr = parse(query).expect("the queries are right");
    let budget = Budget::unlimited();
    shown(match reuse {
        None => evaluate_range(memory, &expr, steps, options, &budget),
        Some(reuse) => reuse.evaluate_range(memory, &expr, steps, options, &budget),
    })
}

fn name(series: usize) -> (&'static str, &'static str, &'static str) {
    [("x", "a", "p"), ("x", "b", "p"), ("x", "c", "q"), ("y", "a", ""), ("h", "a", ""), ("new", "a", "")]
        [series]
}

/// Plays events, and compares every answer; how many steps came out of the cache.
fn play(data: &[Vec<Option<f64>>], events: &[Event]) -> Result<u64, TestCaseError> {
    let mut memory = memory(data);
    memory.keep(Tier::Minute, TimeRange::new(Timestamp(-60_000), Timestamp(240_000)));
    let cache = Cache::new(64 << 10);
    let mut settled = 300_000;
    let mut asked = (0, Steps { start: Timestamp(0), end: Timestamp(300_000), step_ms: 5_000 }, 5);
    for event in events {
        match *event {
            Event::Ask { query, start, count, step, options } => {
                let end = Timestamp(start + (count - 1) * step);
                asked = (query, Steps { start: Timestamp(start), end, step_ms: step }, options);
            }
            Event::Slide { by } => {
                let steps = &mut asked.1;
                let by = by * steps.step_ms;
                (steps.start.0, steps.end.0) = (steps.start.0 + by, steps.end.0 + by);
            }
            Event::Write { series, at, value } => {
                let (name, i, j) = name(series);
                let labels = Labels::from_pairs([("__name__", name), ("i", i), ("j", j)]).expect("labels");
                match name {
                    "h" => memory.load_histograms(labels, [(at, histogram(value))]),
                    _ => memory.load(labels, [(at, value)]),
                }
                continue;
            }
            Event::Delete { series, from, to } => {
                let (name, i, _) = name(series);
                let matchers = [Matcher::equal("__name__", name), Matcher::equal("i", i)];
                memory.remove(&matchers, TimeRange::new(Timestamp(from), Timestamp(to)));
                continue;
            }
            Event::Expire { before } => {
                memory.keep(Tier::Raw, TimeRange::new(Timestamp(before), Timestamp::MAX));
                continue;
            }
            Event::Settle { until } => {
                settled = until;
                continue;
            }
        }
        let (query, steps, number) = asked;
        let query = QUERIES.iter().chain(&OTHERS).nth(query).expect("there are so many");
        let options = options(number);
        let plain = ask(&memory, query, steps, &options, None);
        // Once to fill the cache, once or twice to read from it.
        for _ in 0..3 {
            let reuse = Reuse::new(&cache, Timestamp(settled));
            let reused = ask(&memory, query, steps, &options, Some(&reuse));
            prop_assert_eq!(&reused, &plain, "{} {:?} {:?} {:?}", query, steps, options.tier, reuse.reused());
        }
    }
    let counts = cache.counts();
    prop_assert!(counts.bytes <= counts.bytes_max);
    Ok(counts.steps_kept)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_happens(data in prop::collection::vec(series(), 5), events in prop::collection::vec(event(), 1..40)) {
        play(&data, &events)?;
    }
}

fn full() -> Vec<Vec<Option<f64>>> {
    (0..5).map(|k| (0..30).map(|i| Some(f64::from((i * 7 + k) % 11))).collect()).collect()
}

#[test]
fn each_query_is_the_same_while_it_slides() {
    for (query, options) in (0..QUERIES.len() + OTHERS.len()).flat_map(|q| (0..5).map(move |o| (q, o))) {
        let ask = Event::Ask { query, start: 0, count: 120, step: 2_000, options };
        let events: Vec<_> = [ask].into_iter().chain((0..4).map(|by| Event::Slide { by: 5 * by })).collect();
        let played = play(&full(), &events);
        assert!(played.is_ok(), "{played:?}");
    }
}

#[test]
fn most_queries_are_kept() {
    let kept = |query: usize| {
        let ask = Event::Ask { query, start: 0, count: 120, step: 2_000, options: 5 };
        play(&full(), &[Event::Settle { until: 1_000_000 }, ask, Event::Slide { by: 4 }]).expect("the same")
    };
    let none: Vec<_> =
        (0..QUERIES.len()).filter(|query| kept(*query) == 0).map(|query| QUERIES[query]).collect();
    // What is fixed in time, what gives histograms, and what has messages and reads much more than its steps span.
    let other = |query: &&str| {
        !["@", "h)", "h[", "h ", "[1m] smoothed", "[1m] anchored", ")[2m:"]
            .iter()
            .any(|part| query.contains(part))
    };
    let none: Vec<_> = none.into_iter().filter(other).collect();
    assert_eq!(none, ["h", "-h"]);
}

#[test]
fn a_repeated_query_reads_nothing() {
    let memory = memory(&full());
    let cache = Cache::new(1 << 20);
    let steps = Steps { start: Timestamp(7_000), end: Timestamp(250_000), step_ms: 1_000 };
    let expr = parse("sum by (i) (x)").expect("a query");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let (reuse, budget) = (Reuse::new(&cache, Timestamp(300_000)), Budget::unlimited());
        reuse.evaluate_range(&memory, &expr, steps, &Options::default(), &budget).expect("an answer");
        seen.push((reuse.reused(), budget.spent() > 0));
    }
    assert_eq!(seen, [(Reused::Nothing, true), (Reused::All, false)]);
    let counts = cache.counts();
    assert_eq!((counts.hits, counts.misses, counts.steps_kept), (1, 1, 244));
    cache.limit(0);
    assert_eq!((cache.counts().bytes, cache.counts().pieces), (0, 0));
}
