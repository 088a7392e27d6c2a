//! What a kind says, as the keys of a rule that say it.

use std::time::Duration;

use barograph_analyze::anomaly::Watched;
use barograph_yaml::units::format_duration;
use serde_json::{Map, Value, json};

use super::{Anomaly, Correlation, Kind, Side, Trend, read};

impl Kind {
    /// The mapping that is called like it, with what is not as it is by default; `None` if there is nothing to say.
    pub(crate) fn written(&self) -> Option<Value> {
        let map = match self {
            Self::Threshold | Self::Health | Self::Version => Map::new(),
            Self::Anomaly(anomaly) => of_anomaly(anomaly),
            Self::Trend(trend) => of_trend(trend),
            Self::Correlation(correlation) => of_correlation(correlation),
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
