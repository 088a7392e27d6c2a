//! `/status`: how it is, for a person, without a script: one page of HTML that the browser loads anew every 30 seconds.
//!
//! Statuses are told by sign and word, never by colour alone. The strip of a component is its last day, half an hour a bar,
//! each as its worst.

use std::fmt::Write;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use barograph_model::Timestamp;
use serde_json::Value;

use super::{App, health::Health};
use crate::{
    Engine,
    config::format_duration,
    current,
    health::{CheckResult, ComponentHealth, Quorum, Status},
};

/// What a strip shows, and how long one bar of it is, in milliseconds.
const BARS: i64 = 48;
const BAR_MS: i64 = 30 * 60_000;
/// Transitions of one component that a strip looks at.
const TRANSITIONS_MAX: usize = 1_000;
/// Changes that are listed.
const CHANGES_MAX: usize = 20;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/status", get(status))
}

async fn status(State(app): State<App>) -> Response {
    // History is read from the disk.
    let written = current::blocking(move || page(app.ready().as_deref())).await;
    let Ok((status, page)) = written else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, page).into_response()
}

fn page(engine: Option<&Engine>) -> (StatusCode, String) {
    let health = Health::of(engine);
    let (status, word, reason) = health.words();
    let title = engine
        .map_or_else(|| "Barograph".to_owned(), |engine| format!("Barograph on {}", engine.health.node()));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{word}: {title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"30\"><style>{}</style></head><body>\n\
         <header class=\"banner {word}\"><h1>{title}: {}</h1>",
        include_str!("status.css"),
        signed(Status::parse(word).unwrap_or_default()),
        title = escaped(&title),
    );
    if let Some(reason) = reason {
        put(&mut page, format_args!("<p>{}</p>", escaped(reason)));
    }
    if let Some(engine) = engine {
        summary(&mut page, engine);
    }
    page += "</header>\n";
    if let Some(engine) = engine {
        let histories = components(&mut page, engine);
        checks(&mut page, engine);
        heartbeats(&mut page, engine);
        changes(&mut page, histories);
    }
    put(
        &mut page,
        format_args!(
            "<footer>Barograph {}. Loaded anew every 30 seconds. <a href=\"ui/\">Pages</a> · \
             <a href=\"health/components\">as JSON</a> · <a href=\"metrics\">as metrics</a></footer></body></html>\n",
            crate::VERSION
        ),
    );
    (status, page)
}

fn summary(page: &mut String, engine: &Engine) {
    let cluster = engine.health.cluster();
    let score = super::components::score(engine).score;
    let score = score.map_or_else(
        || "too little is known for a score".to_owned(),
        |score| format!("score {score} of 100"),
    );
    let quorum = if cluster.quorum_status == Quorum::Available { "available" } else { "lost" };
    put(
        page,
        format_args!(
            "<p class=\"soft\">{score} · {} of {} nodes not unhealthy, quorum {quorum} · {}</p>",
            cluster.healthy_nodes, cluster.total_nodes, cluster.timestamp
        ),
    );
}

/// The components; returns what happened to each in the last day.
fn components(page: &mut String, engine: &Engine) -> Vec<(String, i64, Status, Option<String>)> {
    let now = engine.clock.now().0;
    let mut changes = Vec::new();
    *page += "<h2>Components</h2>\n<div class=\"frame\"><table><tr><th>Component</th><th>Status</th><th>Last 24 hours</th>\
              <th class=\"number wide\">Score</th><th class=\"wide\">Since</th><th>Why</th></tr>\n";
    let mut components = engine.health.components();
    components.sort_by_key(|component| std::cmp::Reverse(component.status));
    for component in components {
        let history = past(engine, &component.component, now);
        let detail = |key: &str| component.details.get(key).and_then(Value::as_str).unwrap_or_default();
        let score = component.details.get("score").and_then(Value::as_f64);
        put(
            page,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"number wide\">{}</td><td class=\"wide\">{}</td><td class=\"why\">{}</td></tr>\n",
                escaped(&component.component),
                signed(component.status),
                strip(&history, now),
                score.map_or_else(|| "–".to_owned(), |score| score.to_string()),
                time(detail("since")),
                escaped(&why(&component)),
            ),
        );
        let name = &component.component;
        changes.extend(history.into_iter().map(|(at, status, why)| (name.clone(), at, status, why)));
    }
    *page += "</table></div>\n";
    changes.retain(|(_, at, ..)| *at >= now - BARS * BAR_MS);
    changes
}

fn why(component: &ComponentHealth) -> String {
    let message = component.details.get("message").and_then(Value::as_str).unwrap_or_default();
    let causes = component.details.get("caused_by").and_then(Value::as_array);
    let causes: Vec<&str> = causes.into_iter().flatten().filter_map(Value::as_str).collect();
    match causes.is_empty() {
        true => message.to_owned(),
        false => format!("{message} (because of {})", causes.join(", ")),
    }
}

/// What is kept of a component for the last day, with the transition before it.
fn past(engine: &Engine, component: &str, now: i64) -> Vec<(i64, Status, Option<String>)> {
    let subject = format!("component/{component}");
    let start = now - BARS * BAR_MS;
    let before = engine.health.history(&subject, i64::MIN..start, 1).unwrap_or_default();
    let within = engine.health.history(&subject, start..i64::MAX, TRANSITIONS_MAX).unwrap_or_default();
    let transition = |event: barograph_state::Event<Value>| {
        let status = event.value["status"].as_str().and_then(Status::parse).unwrap_or_default();
        let message = event.value["details"]["message"].as_str().map(str::to_owned);
        (event.at, status, message)
    };
    before.into_iter().chain(within).map(transition).collect()
}

/// The worst status in each bar; `None` where nothing is known.
fn bars(history: &[(i64, Status, Option<String>)], now: i64) -> Vec<Option<Status>> {
    let start = now - BARS * BAR_MS;
    let bar = |index: i64| {
        let (from, to) = (start + index * BAR_MS, start + (index + 1) * BAR_MS);
        let at_start = history.iter().rev().find(|(at, ..)| *at <= from);
        let within = history.iter().filter(|(at, ..)| (from..to).contains(at));
        at_start.into_iter().chain(within).map(|(_, status, _)| *status).max()
    };
    (0..BARS).map(bar).collect()
}

fn strip(history: &[(i64, Status, Option<String>)], now: i64) -> String {
    let bars = bars(history, now);
    let count = |status: Status| bars.iter().filter(|bar| **bar == Some(status)).count();
    let label = format!(
        "of 48 half hours {} healthy, {} degraded, {} unhealthy",
        count(Status::Healthy),
        count(Status::Degraded),
        count(Status::Unhealthy)
    );
    let mut svg = format!(
        "<svg class=\"strip\" viewBox=\"0 0 240 20\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{label}\">\
         <title>{label}</title>"
    );
    for (index, status) in bars.iter().enumerate() {
        let status = status.unwrap_or_default();
        // Worse is taller, so that the strip can be read without colours.
        let height = match status {
            Status::Healthy | Status::Unknown => 10,
            Status::Degraded => 15,
            Status::Unhealthy => 20,
        };
        put(
            &mut svg,
            format_args!(
                "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"4\" height=\"{height}\"/>",
                status.as_str(),
                5 * index,
                20 - height
            ),
        );
    }
    svg + "</svg>"
}

fn checks(page: &mut String, engine: &Engine) {
    *page += "<h2>Checks</h2>\n<div class=\"frame\"><table><tr><th>Check</th><th>Component</th><th>Result</th>\
              <th class=\"number wide\">Took</th><th class=\"wide\">Last run</th><th>Error</th></tr>\n";
    for (component, _, run) in engine.health.runs() {
        let result = match run.result {
            CheckResult::Pass => "<span class=\"word healthy\">✓ pass</span>",
            CheckResult::Fail => "<span class=\"word unhealthy\">✕ fail</span>",
            CheckResult::Timeout => "<span class=\"word unhealthy\">⧖ timeout</span>",
        };
        put(
            page,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{result}</td><td class=\"number wide\">{:.1} ms</td><td class=\"wide\">{}</td>\
                 <td class=\"why\">{}</td></tr>\n",
                escaped(&run.check_name),
                escaped(&component),
                run.duration_ms,
                time(&run.timestamp),
                escaped(run.error.as_deref().unwrap_or_default()),
            ),
        );
    }
    *page += "</table></div>\n";
}

fn heartbeats(page: &mut String, engine: &Engine) {
    let jobs = engine.health.heartbeats().all();
    if jobs.is_empty() {
        return;
    }
    *page += "<h2>Heartbeats</h2>\n<div class=\"frame\"><table><tr><th>Job</th><th>Status</th><th>Period and grace</th>\
              <th>Last success</th><th>Last failure</th></tr>\n";
    for (config, beat) in jobs {
        let status =
            engine.health.component(&config.name).map(|component| component.status).unwrap_or_default();
        let at = |millis: Option<i64>| {
            millis.map_or_else(|| "never".to_owned(), |millis| time(&Timestamp(millis).to_rfc3339()))
        };
        put(
            page,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{} + {}</td><td>{}</td><td>{}</td></tr>\n",
                escaped(&config.name),
                signed(status),
                format_duration(config.period),
                format_duration(config.grace),
                at(beat.succeeded),
                at(beat.failed),
            ),
        );
    }
    *page += "</table></div>\n";
}

fn changes(page: &mut String, mut changes: Vec<(String, i64, Status, Option<String>)>) {
    changes.sort_by_key(|(_, at, ..)| std::cmp::Reverse(*at));
    *page += "<h2>Changes of the last 24 hours</h2>\n<div class=\"frame\"><table><tr><th>Time</th><th>Component</th>\
              <th>Became</th><th>Why</th></tr>\n";
    for (component, at, status, message) in changes.into_iter().take(CHANGES_MAX) {
        put(
            page,
            format_args!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"why\">{}</td></tr>\n",
                time(&Timestamp(at).to_rfc3339()),
                escaped(&component),
                signed(status),
                escaped(message.as_deref().unwrap_or_default()),
            ),
        );
    }
    *page += "</table></div>\n";
}

/// A status with its sign.
fn signed(status: Status) -> String {
    let sign = match status {
        Status::Healthy => '✓',
        Status::Unknown => '?',
        Status::Degraded => '!',
        Status::Unhealthy => '✕',
    };
    let word = status.as_str();
    format!("<span class=\"word {word}\">{sign} {word}</span>")
}

/// A time to the second, in one line.
fn time(text: &str) -> String {
    let whole = text.split('.').next().unwrap_or_default().trim_end_matches('Z');
    match whole.split_once('T') {
        Some((day, time)) => {
            format!("<time datetime=\"{text}\" style=\"white-space:nowrap\">{day} {time}</time>")
        }
        None => "–".to_owned(),
    }
}

/// A text within HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing into a string does not fail.
    let _ = page.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bar_is_its_worst() {
        let now = BARS * BAR_MS;
        let at = |bar: i64, status| (bar * BAR_MS + 60_000, status, None);
        let history = [
            at(2, Status::Healthy),
            at(4, Status::Unhealthy),
            at(4, Status::Healthy),
            at(46, Status::Degraded),
        ];
        let bars = bars(&history, now);
        assert_eq!(
            (bars[0], bars[1], bars[2], bars[3]),
            (None, None, Some(Status::Healthy), Some(Status::Healthy))
        );
        assert_eq!(
            (bars[4], bars[5], bars[45]),
            (Some(Status::Unhealthy), Some(Status::Healthy), Some(Status::Healthy))
        );
        assert_eq!((bars[46], bars[47]), (Some(Status::Degraded), Some(Status::Degraded)));
    }

    #[test]
    fn what_others_wrote_stays_text() {
        assert_eq!(escaped("<script>\"&\""), "&lt;script&gt;&quot;&amp;&quot;");
        assert_eq!(time("no time"), "–");
    }
}
