//! Thresholds are spelled as OpenTelemetry spells them, and all who take part in a trace keep the same traces.

use std::{fs, path::PathBuf};

use barograph::sampling::{ConsistentSampler, OtState, Random, Threshold};
use serde_json::Value;

#[expect(clippy::disallowed_methods, reason = "where the files lie is told by the environment of the test")]
fn vectors() -> Option<Value> {
    let Some(folder) = std::env::var_os("BAROGRAPH_TESTDATA") else {
        println!("skipped: BAROGRAPH_TESTDATA does not say where the thresholds of OpenTelemetry are");
        return None;
    };
    let text = fs::read_to_string(PathBuf::from(folder).join("datasets/otel/threshold.json"));
    Some(serde_json::from_str(&text.expect("it can be read")).expect("it is JSON"))
}

#[test]
fn thresholds_are_those_of_the_specification() {
    let Some(vectors) = vectors() else { return };
    let mut checked = 0;
    for row in vectors["precision_3_4_5"].as_array().unwrap() {
        let probability = 1.0 / row[0].as_f64().unwrap();
        for (column, digits) in [(1, 3), (2, 4), (3, 5)] {
            let threshold = Threshold::of(probability).unwrap().rounded(digits);
            assert_eq!(threshold.to_string(), row[column].as_str().unwrap(), "1 in {} in {digits}", row[0]);
            assert_eq!(Threshold::parse(&threshold.to_string()), Some(threshold));
            checked += 1;
        }
    }
    for (one_in, count) in vectors["adjusted_count_precision_4"].as_object().unwrap() {
        let threshold = Threshold::of(1.0 / one_in.parse::<f64>().unwrap()).unwrap().rounded(4);
        let (got, expected) = (threshold.adjusted_count(), count.as_f64().unwrap());
        assert!((got - expected).abs() <= 1e-12 * expected, "1 in {one_in}: {got} {expected}");
        checked += 1;
    }
    assert_eq!(checked, 45);
}

#[test]
fn head_and_downstream_agree_on_a_million_traces() {
    let rates = [0.5, 0.1, 0.25];
    let samplers = rates.map(|rate| ConsistentSampler::new(rate).unwrap());
    let mut random = Random::new(2_026);
    let (mut kept, mut weight, mut broken) = ([0_u32; 3], 0.0, 0);
    for _ in 0..1_000_000 {
        let trace = u128::from(random.bits()) << 64 | u128::from(random.bits());
        // Each decides by itself about its own spans of the trace.
        let alone = samplers.map(|sampler| sampler.decide(trace, &mut OtState::default()).is_some());
        // The state travels through all three, as `tracestate` text.
        let mut text = String::new();
        let mut passed = None;
        for sampler in &samplers {
            let mut state = OtState::parse(&text);
            passed = sampler.decide(trace, &mut state);
            text = state.to_string();
            if passed.is_none() {
                break;
            }
        }
        (0..3).for_each(|i| kept[i] += u32::from(alone[i]));
        // A rarer sampler kept what a more frequent one dropped, or the chain disagrees with its rarest.
        let rarest = alone[1];
        let nested = (alone[0] || !alone[2]) && (alone[2] || !rarest);
        broken += u32::from(!nested || passed.is_some() != rarest);
        weight += passed.map_or(0.0, |info| info.weight);
    }
    assert_eq!(broken, 0);
    for (kept, rate) in kept.iter().zip(rates) {
        assert!((f64::from(*kept) / 1e6 - rate).abs() < 0.002, "{kept} at {rate}");
    }
    assert!((weight / 1e6 - 1.0).abs() < 0.02, "{weight}");
}
