//! `POST /api/v2/alerts`: alerts that a Prometheus, or anybody, tells.
//!
//! What is good in a body is taken even if something else in it is not; what is not is told by its place.

use axum::{extract::State, http::StatusCode};
use barograph_alert::routing::{Alert, LabelSet};
use barograph_model::Timestamp;
use serde::Deserialize;

use super::{Wrong, blocking};
use crate::{
    errors::chain,
    http::{App, body::Whole},
};

/// Alerts in one body at most.
const ALERTS_MAX: usize = 100_000;
/// Labels or annotations of one alert at most.
const LABELS_MAX: usize = 256;
/// Bytes of one value at most.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// Mistakes that are told.
const TOLD_MAX: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    #[serde(default)]
    labels: LabelSet,
    #[serde(default)]
    annotations: Option<LabelSet>,
    #[serde(default)]
    starts_at: Option<String>,
    #[serde(default)]
    ends_at: Option<String>,
    #[serde(default, rename = "generatorURL")]
    generator_url: Option<String>,
}

/// Takes a body of alerts.
pub(crate) async fn alerts(State(app): State<App>, Whole(body): Whole) -> Result<StatusCode, Wrong> {
    let engine = app.engine()?;
    blocking(move || {
        let documents: Vec<serde_json::Value> = serde_json::from_slice(&body)
            .map_err(|error| Wrong::of(format!("expected a list of alerts: {error}")))?;
        if documents.len() > ALERTS_MAX {
            return Err(Wrong(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("there are more than {ALERTS_MAX} alerts; send them in several requests"),
            ));
        }
        let now = engine.clock.now();
        let timeout = engine.alerting.config().global.resolve_timeout;
        let (mut good, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
        for (index, document) in documents.into_iter().enumerate() {
            match read(document, now, timeout) {
                Ok(alert) => good.push(alert),
                Err(why) => {
                    count += 1;
                    if wrong.len() < TOLD_MAX {
                        wrong.push(format!("alert {index}: {why}"));
                    }
                }
            }
        }
        engine.alerting.count_invalid(count);
        let posted = engine.alerting.post(good, now);
        let posted = posted.map_err(|error| Wrong(StatusCode::SERVICE_UNAVAILABLE, chain(&error)))?;
        if posted.refused > 0 {
            let text = format!("{} alerts were not taken: there are too many already", posted.refused);
            return Err(Wrong(StatusCode::SERVICE_UNAVAILABLE, text));
        }
        if count > 0 { Err(Wrong::of(wrong.join("; "))) } else { Ok(StatusCode::OK) }
    })
    .await
}

fn read(document: serde_json::Value, now: Timestamp, resolve_timeout: i64) -> Result<Alert, String> {
    let posted: Posted = serde_json::from_value(document).map_err(|error| error.to_string())?;
    let now = now.millis();
    let (starts, ends) = (moment(posted.starts_at, "startsAt")?, moment(posted.ends_at, "endsAt")?);
    let starts_at = starts.or(ends).unwrap_or(now);
    if ends.is_some_and(|end| end < starts_at) {
        return Err("start time must be before end time".to_owned());
    }
    let mut labels = posted.labels;
    labels.retain(|_, value| !value.is_empty());
    let annotations = posted.annotations.unwrap_or_default();
    if labels.is_empty() {
        return Err("at least one label pair required".to_owned());
    }
    for (what, set) in [("label", &labels), ("annotation", &annotations)] {
        if set.len() > LABELS_MAX {
            return Err(format!("it has more than {LABELS_MAX} {what}s"));
        }
        if set.keys().any(String::is_empty) {
            return Err(format!("a {what} has an empty name"));
        }
        if let Some((name, _)) = set.iter().find(|(name, value)| name.len() + value.len() > VALUE_BYTES_MAX) {
            let name: String = name.chars().take(64).collect();
            return Err(format!("{what} {name:?} is longer than {VALUE_BYTES_MAX} bytes"));
        }
    }
    let mut generator_url = posted.generator_url.unwrap_or_default();
    if generator_url.len() > VALUE_BYTES_MAX {
        generator_url.clear();
    }
    Ok(Alert {
        labels,
        annotations,
        starts_at,
        ends_at: Some(ends.unwrap_or_else(|| now.saturating_add(resolve_timeout))),
        timeout: ends.is_none(),
        updated_at: now,
        generator_url,
        cause: None,
    })
}

/// A time; one of the year 1 is none, as clients write it that have none.
fn moment(text: Option<String>, name: &str) -> Result<Option<i64>, String> {
    match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) if text.starts_with("0001-01-01T") => Ok(None),
        Some(text) => match Timestamp::from_rfc3339(text) {
            Some(at) => Ok(Some(at.millis())),
            None => Err(format!("{name} should be a time such as 2026-01-31T12:00:00Z, not {text:?}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_that_are_not_given_follow() {
        let of = |document| {
            read(document, Timestamp(1_000_000), 300_000).map(|a| (a.starts_at, a.ends_at, a.timeout))
        };
        let labels = json!({ "a": "b", "empty": "" });
        assert_eq!(of(json!({ "labels": labels })), Ok((1_000_000, Some(1_300_000), true)));
        let ended =
            json!({ "labels": labels, "endsAt": "1970-01-01T00:00:05Z", "startsAt": "0001-01-01T00:00:00Z" });
        assert_eq!(of(ended), Ok((5_000, Some(5_000), false)));
        let wrong = [
            json!({ "labels": { "a": "" } }),
            json!({ "labels": labels, "startsAt": "yesterday" }),
            json!({ "labels": labels, "startsAt": "1970-01-01T00:00:05Z", "endsAt": "1970-01-01T00:00:04Z" }),
            json!({ "labels": ["a"] }),
            json!(7),
        ];
        for document in wrong {
            assert!(of(document.clone()).is_err(), "{document}");
        }
    }
}
