//! What a kind says, as the keys of a rule that say it.

use std::time::Duration;

use barograph_analyze::{anomaly::Watched, comparison::Better};
use barograph_yaml::units::format_duration;
use serde_json::{Map, Value, json};

use super::{
    Anomaly, Correlation, Kind, Side, Trend, Version, read, read_version,
    version::{Compared, LABEL, Outdated},
};

impl Kind {
    /// The mapping that is called like it, with what is not as it is by default; `None` if there is nothing to say.
    pub(crate) fn written(&self) -> Option<Value> {
        let map = match self {
            Self::Threshold | Self::Health | Self::Version(None) => Map::new(),
            Self::Anomaly(anomaly) => of_anomaly(anomaly),
            Self::Trend(trend) => of_trend(trend),
            Self::Correlation(correlation) => of_correlation(correlation),
            Self::Version(Some(version)) => match &**version {
                Version::Compared(compared) => of_compared(compared),
                Version::Outdated(outdated) => of_outdated(outdated),
            },
        };
        (!map.is_empty()).then_some(Value::Object(map))
    }
}

fn length(ms: i64) -> Value {
    format_duration(Duration::from_millis(ms.unsigned_abs())).into()
}

fn of_anomaly(anomaly: &Anomaly) -> Map<String, Value> {
    let usual = read::anomaly();
    let (settings, of) = (&anomaly.settings, &usual.settings);
    let direction = match settings.watched {
        Watched::Both => "both",
        Watched::Up => "up",
        Watched::Down => "down",
    };
    let all = [
        ("q", json!(settings.q), settings.q.to_bits() != of.q.to_bits()),
        ("points", json!(settings.k), settings.k != of.k),
        ("of", json!(settings.n), settings.n != of.n),
        ("direction", json!(direction), settings.watched != of.watched),
        ("learning", json!(settings.learning), settings.learning != of.learning),
        ("cycle", length(anomaly.cycle_ms), anomaly.cycle_ms != usual.cycle_ms),
        ("look_back", length(anomaly.learn_ms), anomaly.learn_ms != usual.learn_ms),
        ("rest", length(anomaly.rest_ms), anomaly.rest_ms != usual.rest_ms),
    ];
    all.into_iter().filter(|(.., said)| *said).map(|(key, value, _)| (key.to_owned(), value)).collect()
}

fn of_trend(trend: &Trend) -> Map<String, Value> {
    let usual = read::trend();
    let mut map = Map::new();
    if trend.window_ms != usual.window_ms {
        map.insert("window".to_owned(), length(trend.window_ms));
    }
    if trend.alpha.to_bits() != usual.alpha.to_bits() {
        map.insert("alpha".to_owned(), json!(trend.alpha));
    }
    if trend.min_slope_per_hour > 0.0 {
        map.insert("min_slope_per_hour".to_owned(), json!(trend.min_slope_per_hour));
    }
    if let Some(side) = trend.direction {
        let word = if side == Side::Max { "up" } else { "down" };
        map.insert("direction".to_owned(), word.into());
    }
    if let Some((threshold, horizon)) = trend.crossing {
        map.insert("threshold".to_owned(), json!(threshold));
        map.insert("horizon".to_owned(), length(horizon));
    }
    map
}

fn of_compared(rule: &Compared) -> Map<String, Value> {
    let usual = read_version::compared();
    let (settings, of) = (&rule.settings, &usual.settings);
    let bound = read_version::bound(rule.of.is_some(), of.bound);
    let baseline = rule.baseline.as_deref().unwrap_or(read_version::PREVIOUS);
    let total = rule.of.as_ref().map(ToString::to_string);
    // What is looked back by default follows from the window, so that both are said or none.
    let window = (rule.window_ms, rule.look_back_ms) != (usual.window_ms, usual.look_back_ms);
    let all = [
        ("label", json!(rule.label), rule.label != LABEL),
        ("baseline", json!(baseline), true),
        ("window", length(rule.window_ms), window),
        ("look_back", length(rule.look_back_ms), window),
        ("every", length(rule.every_ms), rule.every_ms != usual.every_ms),
        ("direction", json!("higher_is_better"), settings.better == Better::Higher),
        ("bound", json!(settings.bound), settings.bound.to_bits() != bound.to_bits()),
        ("alpha", json!(settings.alpha), settings.alpha.to_bits() != of.alpha.to_bits()),
        ("strata", json!(rule.strata), !rule.strata.is_empty()),
        ("of", json!(total), total.is_some()),
    ];
    all.into_iter().filter(|(.., said)| *said).map(|(key, value, _)| (key.to_owned(), value)).collect()
}

fn of_outdated(rule: &Outdated) -> Map<String, Value> {
    let patterns: Vec<&str> = rule.deprecated.iter().map(|pattern| pattern.text()).collect();
    let all = [
        ("label", json!(rule.label), rule.label != LABEL),
        ("at_least", json!(rule.at_least), rule.at_least.is_some()),
        ("deprecated", json!(patterns), !patterns.is_empty()),
    ];
    all.into_iter().filter(|(.., said)| *said).map(|(key, value, _)| (key.to_owned(), value)).collect()
}

fn of_correlation(correlation: &Correlation) -> Map<String, Value> {
    let (document, on) = match correlation {
        Correlation::Conditions { others, at_least, within_ms, on } => {
            let conditions: Vec<String> = others.iter().map(ToString::to_string).collect();
            let document =
                json!({"conditions": conditions, "at_least": at_least, "within": length(*within_ms)});
            (document, on)
        }
        Correlation::Break { with, window_ms, baseline_ms, alpha, on } => {
            let document = json!({
                "with": with.to_string(),
                "window": length(*window_ms),
                "baseline": length(*baseline_ms),
                "alpha": alpha,
            });
            (document, on)
        }
    };
    let mut map = match document {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    if !on.is_empty() {
        map.insert("on".to_owned(), json!(on));
    }
    map
}
