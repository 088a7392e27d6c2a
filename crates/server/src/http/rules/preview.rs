//! `POST …/alerts/rules/preview`: what a rule would have done with what is stored, and whom it would have woken.
//!
//! It is one query, with the turns, limits and time of queries, and stops with its request.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Request, State},
};
use barograph_alert::{
    Reader, RuleError, Surroundings,
    file::OneRule,
    preview::{self, Change, EVALUATIONS_MAX, HeldBack, Paged, Paging, Preview, Trial},
};
use barograph_model::{Labels, Timestamp};
use barograph_query::Error;
use barograph_yaml::units::format_duration;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{body, read_rule, tenant};
use crate::{
    Engine,
    http::{App, Caller, incidents::bad, params::parse_time, problem::Problem},
    queries::{About, Queries, Question},
    rules::{first_due, own::group_name},
};

/// Time that is looked at unless it is asked otherwise.
const USUAL_MS: i64 = 86_400_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    rule: Value,
    #[serde(default)]
    start: Option<Value>,
    #[serde(default)]
    end: Option<Value>,
}

/// What is tried over which time, and what is to be known of that.
struct Tried {
    trial: Trial,
    warnings: Vec<String>,
}

pub(super) async fn preview(
    State(app): State<App>,
    caller: Caller,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let (_, body) = body(request).await?;
    let asked: Asked = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("expected {{\"rule\", \"start\", \"end\"}}: {error}")))?;
    let rule = read_rule(&asked.rule, "rule")?;
    let tried = tried(&engine, &rule, &asked)?;
    let (found, paged) = run(&engine, caller, rule, tried.trial).await?;
    Ok(Json(document(&found, &paged, tried)))
}

fn moment(given: Option<&Value>, name: &str, default: Timestamp) -> Result<Timestamp, Problem> {
    let text = match given {
        None | Some(Value::Null) => return Ok(default),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    parse_time(&text).map_err(|error| bad(format!("{name}: {error}")).at(name.to_owned()))
}

fn tried(engine: &Engine, rule: &OneRule, asked: &Asked) -> Result<Tried, Problem> {
    let config = engine.configured.current();
    let now = engine.clock.now();
    let mut end = moment(asked.end.as_ref(), "end", now)?;
    let start = moment(asked.start.as_ref(), "start", end.saturating_add(-USUAL_MS))?;
    let mut warnings = Vec::new();
    if end > now {
        end = now;
        warnings.push("The end lies ahead; it was looked at until now.".to_owned());
    }
    if end <= start {
        return Err(bad("end: it is after start, and start is not ahead").at("end".to_owned()));
    }
    let interval = rule.interval.unwrap_or(config.global.evaluation_interval).max(Duration::from_secs(1));
    let start = first_due(start, interval, &group_name(rule.interval, tenant(engine).as_deref()));
    let length = u128::try_from(end.0.saturating_sub(start.0)).unwrap_or(0);
    let most = u128::try_from(EVALUATIONS_MAX - 1).unwrap_or(1);
    let factor = length.div_ceil(interval.as_millis().max(1)).div_ceil(most).max(1);
    let coarser = interval.saturating_mul(u32::try_from(factor).unwrap_or(u32::MAX));
    if coarser > interval {
        warnings.push(format!(
            "It was evaluated every {} in place of every {}, as the time is long; ask for less of it to see it all.",
            format_duration(coarser),
            format_duration(interval)
        ));
    }
    let query_offset = config.global.rule_query_offset;
    Ok(Tried { trial: Trial { start, end, interval: coarser, query_offset }, warnings })
}

async fn run(
    engine: &Arc<Engine>,
    caller: Caller,
    rule: OneRule,
    trial: Trial,
) -> Result<(Preview, Paged), Problem> {
    let expression = format!("preview of {}: {}", rule.spec.name(), rule.spec.expr);
    let surroundings =
        Surroundings { external_labels: engine.external_labels(), external_url: String::new() };
    let question = Question { caller, expression, about: About::Stream, timeout: engine.limits().timeout };
    let work = {
        let engine = engine.clone();
        move |budget: &_| {
            let options = engine.query_options();
            let reader = Reader { source: &*engine.store, options: &options, budget };
            let found =
                preview::run(&rule.spec, trial, reader, &surroundings).map_err(|error| match error {
                    RuleError::Query(text) => {
                        Error::Execution(format!("{text}; ask for less time, or a longer `interval`"))
                    }
                    error => Error::Execution(error.to_string()),
                })?;
            let (config, schedules) = (engine.alerting.config(), engine.incidents.schedules());
            let (silences, maintenance) = engine.alerting.known_mutes();
            let by = Paging {
                config: &config,
                schedules: &schedules,
                silences: &silences,
                maintenance: &maintenance,
            };
            let paged = preview::paged(&rule.spec, &found.firings, trial.end, by);
            Ok((found, paged))
        }
    };
    Ok(Queries::run(engine, question, work).await?)
}

fn document(found: &Preview, paged: &Paged, tried: Tried) -> Value {
    let labels = |labels: &Labels| {
        let pairs = labels.iter().map(|(name, value)| (name.to_owned(), value.into()));
        Value::Object(pairs.collect::<Map<_, _>>())
    };
    let number = |value: f64| value.is_finite().then_some(value);
    let firings = found.firings.iter().map(|firing| {
        json!({
            "labels": labels(&firing.labels),
            "annotations": firing.annotations,
            "start": firing.start.to_rfc3339(),
            "end": firing.end.map(Timestamp::to_rfc3339),
            "value": number(firing.value),
        })
    });
    let mut warnings = tried.warnings;
    let first = found.series.iter().filter_map(|track| track.points.first()).map(|point| point.0).min();
    let (start, length) = (tried.trial.start, tried.trial.end.0 - tried.trial.start.0);
    if let Some(first) = first.filter(|first| first.0 - start.0 > length / 20) {
        warnings.push(format!("What it measures is stored from {} on.", first.to_rfc3339()));
    }
    let series = found.series.iter().map(|track| {
        let points = track.points.iter().map(|(at, value)| json!([at.to_rfc3339(), value]));
        json!({"labels": labels(&track.labels), "points": points.collect::<Vec<_>>()})
    });
    json!({
        "start": tried.trial.start.to_rfc3339(),
        "end": tried.trial.end.to_rfc3339(),
        "interval": format_duration(tried.trial.interval),
        "evaluations": found.evaluations,
        "fired": found.firings.len() + found.left_out,
        "firings": firings.collect::<Vec<_>>(),
        "incidents": paged.incidents,
        "would_page": paged.times.iter().map(|(who, times)| json!({"who": who, "times": times})).collect::<Vec<_>>(),
        "held_back": paged.held_back.iter().map(held_back).collect::<Vec<_>>(),
        "flapping": found.flapped,
        "suggested": suggested(found),
        "series": series.collect::<Vec<_>>(),
        "warnings": self::warnings(found, paged, warnings),
    })
}

fn held_back(held: &HeldBack) -> Value {
    json!({
        "by": held.by,
        "id": held.id,
        "about": held.about,
        "firings": held.firings,
        "untold": held.untold,
    })
}

/// All that would make it quieter, as one document.
fn suggested(found: &Preview) -> Value {
    if found.suggested.is_empty() {
        return Value::Null;
    }
    let mut document = json!({"for": null, "threshold": null, "keep_firing_for": null});
    let mut why = Vec::new();
    for suggestion in &found.suggested {
        match suggestion.change {
            Change::For(length) => document["for"] = format_duration(length).into(),
            Change::KeepFiringFor(length) => document["keep_firing_for"] = format_duration(length).into(),
            Change::Threshold(value) => document["threshold"] = json!(value),
        }
        why.push(format!("{}; {} would remain.", suggestion.why, suggestion.remaining));
    }
    document["why"] = why.join(" ").into();
    document
}

fn warnings(found: &Preview, paged: &Paged, mut warnings: Vec<String>) -> Vec<String> {
    if let Some(error) = &found.error {
        warnings.push(format!(
            "{} of {} evaluations failed, the first because: {error}",
            found.failed, found.evaluations
        ));
    }
    if found.left_out > 0 {
        warnings.push(format!("{} more firings are counted and not listed.", found.left_out));
        warnings.push("Whom they would have woken is told of those that are listed.".to_owned());
    }
    if paged.cut {
        warnings.push("There was too much to tell to the end whom it would have woken.".to_owned());
    }
    warnings
}
