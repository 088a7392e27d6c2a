//! Over ranges of whole windows a tier gives what the samples give: to rounding, and quantiles within 1.09 %.

use barograph_model::{Budget, Labels, Tier, TimeRange, Timestamp, stale_marker};
use barograph_query::{Options, Steps, Value, evaluate_range, parse, script::Memory};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;

/// Functions that keep their value; raw ranges are moved by a millisecond, since a window begins where a range ends.
const EXACT: [&str; 12] = [
    "sum_over_time(x[10m]@)",
    "count_over_time(x[10m]@)",
    "avg_over_time(x[10m]@)",
    "min_over_time(x[10m]@)",
    "max_over_time(x[10m]@)",
    "stddev_over_time(x[10m]@)",
    "stdvar_over_time(x[15m]@)",
    "first_over_time(x[10m]@)",
    "last_over_time(x[15m]@)",
    "present_over_time(x[10m]@)",
    "ts_of_first_over_time(x[10m]@)",
    "ts_of_last_over_time(x[10m]@)",
];

/// Functions that look at the ends of the range, so that it may not be moved: they are asked where no sample lies there.
const TO_THE_ENDS: [&str; 3] = ["rate(x[10m])", "increase(x[15m])", "delta(x[10m])"];

fn memory(samples: &[(i64, Option<f64>)]) -> Memory {
    let mut memory = Memory::new();
    let mut at = 0;
    let samples = samples.iter().map(|(gap, value)| {
        at += gap;
        (at, value.unwrap_or_else(stale_marker))
    });
    memory.load(Labels::from_pairs([("__name__", "x")]).expect("a name"), samples);
    for tier in Tier::ROLLED {
        memory.keep(tier, TimeRange::new(Timestamp(-3_600_000), Timestamp(90 * MINUTE)));
    }
    memory
}

fn ask(memory: &Memory, query: &str, tier: Tier) -> Vec<(i64, f64)> {
    let shift = if tier == Tier::Raw { " offset 1ms" } else { "" };
    let expr = parse(&query.replace('@', shift)).expect("a query");
    let steps = Steps { start: Timestamp(0), end: Timestamp(120 * MINUTE), step_ms: 5 * MINUTE };
    let options = Options { tier: Some(tier), ..Options::experimental() };
    let answer = evaluate_range(memory, &expr, steps, &options, &Budget::unlimited()).expect("an answer");
    assert_eq!(answer.tiers, [tier]);
    let Value::Matrix(matrix) = answer.value else { panic!("a matrix") };
    matrix.into_iter().flat_map(|series| series.1.floats).map(|sample| (sample.at.0, sample.value)).collect()
}

fn check(memory: &Memory, query: &str, tier: Tier, error: f64) -> Result<(), TestCaseError> {
    let (raw, rolled) = (ask(memory, query, Tier::Raw), ask(memory, query, tier));
    prop_assert_eq!(raw.len(), rolled.len(), "{} {}: {:?} {:?}", query, tier, raw, rolled);
    for ((at, raw), (_, rolled)) in raw.into_iter().zip(rolled) {
        let near = (raw - rolled).abs() <= error * raw.abs().max(1.0);
        prop_assert!(near || raw.is_nan() && rolled.is_nan(), "{query} {tier} at {at}: {raw} {rolled}");
    }
    Ok(())
}

fn samples(value: impl Strategy<Value = f64>) -> impl Strategy<Value = Vec<(i64, Option<f64>)>> {
    let value = prop_oneof![20 => value.prop_map(Some), 1 => Just(None)];
    prop::collection::vec((1_000i64..60_000, value), 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn to_rounding(samples in samples(prop_oneof![9 => 0f64..1e3, 1 => -1e3f64..0.0])) {
        let memory = memory(&samples);
        let mut at = 0;
        let at_an_end = samples.iter().any(|(gap, _)| {
            at += gap;
            at % MINUTE == 0
        });
        for tier in [Tier::Minute, Tier::FiveMinutes] {
            for query in EXACT {
                check(&memory, query, tier, 1e-9)?;
            }
            for query in TO_THE_ENDS.iter().filter(|_| !at_an_end) {
                check(&memory, query, tier, 1e-9)?;
            }
        }
    }

    #[test]
    fn quantiles_within_their_error(samples in samples(1e-3f64..1e6), q in 0.0f64..=1.0) {
        let memory = memory(&samples);
        for tier in [Tier::Minute, Tier::FiveMinutes] {
            check(&memory, &format!("quantile_over_time({q}, x[10m]@)"), tier, 0.0109)?;
        }
    }
}

#[test]
fn the_last_value_is_the_one_before_the_step() {
    let memory = memory(&(0..400).map(|i| (15_000, Some(f64::from(i)))).collect::<Vec<_>>());
    let raw = ask(&memory, "x@", Tier::Raw);
    for tier in [Tier::Minute, Tier::FiveMinutes] {
        let rolled = ask(&memory, "x", tier);
        assert!(raw.len() > 15 && rolled.len() >= raw.len(), "{} {}", rolled.len(), raw.len());
        for (at, value) in &raw {
            assert!(rolled.contains(&(*at, *value)), "{tier} {at}: {value}");
        }
    }
}
