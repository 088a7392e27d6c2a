//! How the server, or one client, fared over a long time, from what is stored of both.
//!
//! The statistics of sessions are stored every few seconds ([`keep`]): those of the server, calls of the clients that call most,
//! and scores of those that fare worst. A trend is a line through the figures of equal parts of a day or a week, by least squares; it counts as one
//! if the line explains the figures better than chance would, and changes them by a twentieth at least.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use barograph::{
    exposition::{Family, Point},
    session::{ClientSnapshot, Direction, Report, Trend, Trends},
};
use barograph_model::{Labels, MetricType, Timestamp};
use barograph_query::{Steps, Value, When, ast::Expr};

use crate::{
    Engine,
    http::{ApiError, Caller, evaluated},
    line::Line,
    queries::{About, Queries, Question},
};

/// How long what was found of the server is good.
const FRESH: Duration = Duration::from_secs(60);
/// Nobody waits longer for a trend.
const PATIENCE: Duration = Duration::from_secs(2);
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// A change of less, in percent, is none.
const CHANGE_MIN: f64 = 5.0;

/// What was found of the server last.
#[derive(Debug, Default)]
pub(crate) struct Found {
    last: Mutex<Option<(Duration, Option<Trends>)>>,
    looking: tokio::sync::Mutex<()>,
}

impl Found {
    /// How the server fared in the last 24 hours. Who asks while another looks gets what was found before.
    pub(crate) async fn of_server(&self, engine: &Arc<Engine>) -> Option<Trends> {
        let last = || *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = engine.clock.monotonic();
        let known = last();
        if let Some((at, trends)) = known.filter(|(at, _)| now.saturating_sub(*at) < FRESH) {
            return Some(trends).filter(|_| at <= now).flatten();
        }
        let Ok(_looking) = self.looking.try_lock() else { return known.and_then(|(_, trends)| trends) };
        let trends = of_server(engine).await;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, trends));
        trends
    }
}

async fn of_server(engine: &Arc<Engine>) -> Option<Trends> {
    let own = engine.collecting.own_matchers();
    let p95 = format!("server_api_response_ms{{quantile=\"0.95\",{own}}}");
    let asked = [p95, String::new(), rate("server", "", &own), share("server", &own)];
    look(engine, asked, 24 * HOUR_MS, 5 * MINUTE_MS).await
}

/// How a client fared in the last seven days, as far as its calls were stored.
pub(crate) async fn of_client(engine: &Arc<Engine>, id: &str) -> Option<Trends> {
    let own = format!("{},client_id={}", engine.collecting.own_matchers(), quoted(id));
    let mean = format!(
        "{} / ({} > 0)",
        rate("client", "_duration_ms_total", &own).replace("calls_duration", "call_duration"),
        rate("client", "", &own)
    );
    let asked = [String::new(), mean, rate("client", "", &own), share("client", &own)];
    look(engine, asked, 7 * 24 * HOUR_MS, HOUR_MS).await
}

/// Calls a second, in steps that overlap so that each call is in one of them.
fn rate(level: &str, part: &str, own: &str) -> String {
    let name = if part.is_empty() { "_total" } else { part };
    format!("rate({level}_api_calls{name}{{{own}}}[5m])")
}

fn share(level: &str, own: &str) -> String {
    format!("{} / ({} > 0)", rate(level, "_failure_total", own), rate(level, "", own))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The trends of p95, mean, throughput and errors; `None` if nothing is stored.
async fn look(engine: &Arc<Engine>, asked: [String; 4], span_ms: i64, step_ms: i64) -> Option<Trends> {
    let end = engine.clock.now();
    let steps = Steps { start: Timestamp(end.0 - span_ms), end, step_ms };
    let expressions = asked.iter().filter(|text| !text.is_empty());
    let question = Question {
        caller: Caller::own("trends"),
        expression: expressions.cloned().collect::<Vec<_>>().join("; "),
        about: About::Index,
        timeout: PATIENCE,
    };
    let source = engine.clone();
    let found = Queries::run(engine, question, move |budget| {
        let mut trends = [None; 4];
        for (at, text) in asked.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            let expr: Expr = barograph_query::parse(text)
                .map_err(|error| ApiError::internal(format!("{text}: {error}")))?;
            let options = source.query_options();
            let (answer, _) = evaluated(&source, &expr, When::Range(steps), &options, true, budget)?;
            let Value::Matrix(series) = answer.value else { continue };
            let points: Vec<_> = series.first().map_or(&[][..], |(_, track)| &track.floats).to_vec();
            let points = points.iter().filter(|sample| sample.value.is_finite());
            let hours = |at: Timestamp| (at.0 - steps.start.0) as f64 / HOUR_MS as f64;
            let points: Vec<_> = points.map(|sample| (hours(sample.at), sample.value)).collect();
            trends[at] = trend(&points, at == 2);
        }
        Ok(trends)
    });
    let [p95_latency, mean_latency, throughput, error_rate] = found.await.ok()?;
    let trends = Trends { p95_latency, mean_latency, throughput, error_rate };
    (trends != Trends::default()).then_some(trends)
}

/// The trend of figures by the hour; `None` without any.
fn trend(points: &[(f64, f64)], more_is_better: bool) -> Option<Trend> {
    let samples = points.len() as u64;
    let Some(line) = Line::through(points) else {
        // All at one time: where it stands is all that is known.
        let value = points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64;
        let change_percent = (value.abs() > f64::EPSILON).then_some(0.0);
        let still = Trend { direction: Direction::Stable, slope_per_hour: 0.0, change_percent, samples };
        return (!points.is_empty()).then_some(still);
    };
    let percent = line.change_percent();
    let direction = match line.is_clear() && percent.is_none_or(|percent| percent.abs() >= CHANGE_MIN) {
        false => Direction::Stable,
        true if (line.slope > 0.0) == more_is_better => Direction::Improving,
        true => Direction::Degrading,
    };
    Some(Trend { direction, slope_per_hour: line.slope, change_percent: percent, samples })
}

/// Stores a reading of the server, of the clients that called most, and how well those are that fare worst.
pub(crate) fn keep(
    engine: &Arc<Engine>,
    at: Timestamp,
    report: &Report,
    clients: &[ClientSnapshot],
    scores: Vec<(Arc<str>, f64)>,
) {
    let mut families = report.families();
    families.extend(calls(clients));
    families.push(Family {
        name: "client_health_score".to_owned(),
        help: "How well the client is, 0 to 100.".to_owned(),
        unit: String::new(),
        kind: MetricType::Gauge,
        points: {
            let point = |(id, score): (Arc<str>, f64)| {
                Some(Point::new("", Labels::from_pairs([("client_id", &*id)]).ok()?, score))
            };
            scores.into_iter().filter_map(point).collect()
        },
    });
    engine.collecting.keep(engine, at, &families);
}

fn calls(clients: &[ClientSnapshot]) -> [Family; 3] {
    let family = |name: &str, help: &str, value: fn(&ClientSnapshot) -> u64| Family {
        name: name.to_owned(),
        help: help.to_owned(),
        unit: String::new(),
        kind: MetricType::Counter,
        points: {
            let point = |client: &ClientSnapshot| {
                let labels = Labels::from_pairs([("client_id", &*client.id)]).ok()?;
                Some(Point::new("_total", labels, value(client) as f64))
            };
            clients.iter().filter_map(point).collect()
        },
    };
    [
        family("client_api_calls", "Calls of the client.", |client| client.raw.api_calls_total),
        family("client_api_calls_failure", "Calls of the client that failed.", |client| {
            client.raw.api_calls_failure
        }),
        family("client_api_call_duration_ms", "Time that calls of the client took.", |client| {
            client.busy_micros / 1_000
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: impl IntoIterator<Item = f64>, more_is_better: bool, expected: Direction) -> Trend {
        let points: Vec<_> = values.into_iter().enumerate().map(|(i, value)| (i as f64, value)).collect();
        let found = trend(&points, more_is_better).unwrap();
        assert_eq!(found.direction, expected, "{found:?}");
        found
    }

    #[test]
    fn trends_have_a_direction() {
        let rising = check((0..25).map(|i| 100.0 + f64::from(i)), false, Direction::Degrading);
        assert_eq!((rising.slope_per_hour, rising.change_percent, rising.samples), (1.0, Some(24.0), 25));
        check((0..25).map(|i| 100.0 + f64::from(i)), true, Direction::Improving);
        check((0..25).map(|i| 100.0 - f64::from(i)), false, Direction::Improving);
        // What goes up and down around the same is none, and neither is one that is small or of two figures.
        check((0..24).map(|i| 100.0 + 30.0 * f64::from(i % 2)), false, Direction::Stable);
        check((0..25).map(|i| 100.0 + 0.1 * f64::from(i)), false, Direction::Stable);
        check([1.0, 2.0], false, Direction::Stable);
        check([7.0], true, Direction::Stable);
        assert_eq!(trend(&[], true), None);
    }

    #[test]
    fn what_begins_at_zero_has_no_share_of_it() {
        let rising = check((0..10).map(f64::from), false, Direction::Degrading);
        assert_eq!(rising.change_percent, None);
    }

    #[test]
    fn expressions_can_be_read() {
        for text in [rate("client", "_failure_total", "a=\"b\""), share("server", "a=\"b\"")] {
            assert!(barograph_query::parse(&text).is_ok(), "{text}");
        }
        assert_eq!(quoted("a\"b\\"), r#""a\"b\\""#);
    }
}
