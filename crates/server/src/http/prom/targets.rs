//! `targets`, `scrape_pools` and what belongs to them: what is scraped, what was dropped and why, and what is known of the
//! metrics of each target.

use axum::{extract::State, http::HeaderMap, response::Response};
use barograph_model::{
    Budget, Labels, LabelsBuilder, METRIC_NAME, Matcher, Metadata, Selection, Source, TimeRange, Timestamp,
};
use serde_json::{Map, Value, json};

use super::{answer::success, error::ApiError, rules::time};
use crate::{
    Engine,
    config::{
        format_duration,
        relabel::{Action, Rule, relabel},
    },
    current,
    http::{App, params::Params},
    scrape::{DroppedTarget, Health, TargetStatus},
};

/// Metrics of a target are those that it had within this time.
const RECENT_MS: i64 = 15 * 60 * 1000;
/// No answer of `targets/metadata` has more rows.
const ROWS_MAX: usize = 50_000;
/// Series that may be read for it.
const SERIES_MAX: u64 = 1_000_000;

/// `GET /api/v1/targets`
pub(crate) async fn targets(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let view = app.engine()?.scraped.view();
    let state = params.first("state").unwrap_or_default().to_lowercase();
    let (active, dropped) = match state.as_str() {
        "" | "any" => (true, true),
        "active" => (true, false),
        "dropped" => (false, true),
        _ => {
            return Err(ApiError::bad_parameter(
                "state",
                &format!("not supported value {state:?}; use active, dropped or any"),
            ));
        }
    };
    let pool = params.first("scrapePool").filter(|pool| !pool.is_empty()).map(str::to_owned);
    let work = move || {
        let wanted = |name: &str| pool.as_deref().is_none_or(|pool| pool == name);
        let targets = if active { view.targets() } else { Vec::new() };
        let targets: Vec<_> = targets.iter().filter(|target| wanted(&target.pool)).map(target).collect();
        let mut data = json!({ "activeTargets": targets, "droppedTargets": [], "droppedTargetCounts": null });
        if dropped {
            let list = view.dropped();
            data["droppedTargets"] =
                list.iter().filter(|target| wanted(&target.pool)).map(dropped_target).collect();
            let counts = view.dropped_counts().into_iter().map(|(name, count)| (name, count.into()));
            data["droppedTargetCounts"] = Value::Object(counts.collect());
        }
        data.to_string()
    };
    let data = current::blocking(work).await;
    let data = data.map_err(|_| ApiError::internal("writing the targets failed; the log says why"))?;
    Ok(success(&headers, &data, &[], &[]))
}

fn target(target: &TargetStatus) -> Value {
    json!({
        "discoveredLabels": labels(&target.discovered),
        "labels": labels(&target.labels),
        "scrapePool": target.pool,
        "scrapeUrl": target.url,
        "globalUrl": target.url,
        "lastError": target.last_error,
        "lastScrape": time(target.last_scrape),
        "lastScrapeDuration": target.last_duration.as_secs_f64(),
        "health": health(target.health),
        "scrapeInterval": format_duration(target.interval),
        "scrapeTimeout": format_duration(target.timeout),
    })
}

const fn health(health: Health) -> &'static str {
    match health {
        Health::Unknown => "unknown",
        Health::Up => "up",
        Health::Down => "down",
    }
}

/// What could not be a target says why, which upstream leaves out.
fn dropped_target(target: &DroppedTarget) -> Value {
    let mut document = json!({ "discoveredLabels": labels(&target.discovered), "scrapePool": target.pool });
    if !target.error.is_empty() {
        document["error"] = target.error.as_str().into();
    }
    document
}

fn labels(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// `GET /api/v1/scrape_pools`
pub(crate) async fn pools(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    let mut pools = app.engine()?.scraped.view().pools();
    pools.sort();
    Ok(success(&headers, &json!({ "scrapePools": pools }).to_string(), &[], &[]))
}

/// `GET /api/v1/targets/relabel_steps`: what the rules of a job make of labels, rule by rule.
pub(crate) async fn relabel_steps(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let pool = params.first("scrapePool").filter(|pool| !pool.is_empty());
    let pool = pool.ok_or_else(|| ApiError::bad_data("no scrapePool parameter provided"))?;
    let text = params.first("labels").filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| ApiError::bad_data("no labels parameter provided"))?;
    let given: std::collections::BTreeMap<String, String> =
        serde_json::from_str(text).map_err(|error| ApiError::bad_parameter("labels", &error))?;
    let view = app.engine()?.scraped.view();
    let rules = view
        .rules(pool)
        .ok_or_else(|| ApiError::bad_parameter("scrapePool", &format!("there is no scrape pool {pool:?}")))?;
    let mut builder = LabelsBuilder::new();
    for (name, value) in &given {
        builder.set(name, value);
    }
    let mut steps = Vec::new();
    for rule in rules.iter() {
        let keep = relabel(std::slice::from_ref(rule), &mut builder);
        let output = if keep { labels(&builder.clone().build()) } else { Map::new() };
        steps.push(json!({ "rule": rule_document(rule), "output": output, "keep": keep }));
        if !keep {
            break;
        }
    }
    Ok(success(&headers, &json!({ "steps": steps }).to_string(), &[], &[]))
}

fn rule_document(rule: &Rule) -> Value {
    let mut document = json!({
        "source_labels": rule.source_labels,
        "separator": rule.separator,
        "regex": rule.pattern(),
        "target_label": rule.target_label,
        "replacement": rule.replacement,
        "action": rule.action.as_str(),
    });
    if rule.action == Action::HashMod {
        document["modulus"] = rule.modulus.into();
    }
    document
}

/// `GET /api/v1/targets/metadata`: type, unit and help of the metrics that targets had lately.
pub(crate) async fn metadata(
    State(app): State<App>,
    headers: HeaderMap,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let matchers = match params.first("match_target").filter(|text| !text.is_empty()) {
        Some(text) => barograph_query::parse_selector(text)
            .map_err(|error| ApiError::bad_parameter("match_target", &error))?,
        None => Vec::new(),
    };
    let metric = params.first("metric").filter(|name| !name.is_empty()).map(str::to_owned);
    let limit = params.limit("limit")?.min(ROWS_MAX);
    let targets = engine.scraped.view().targets();
    let work = move || {
        let mut rows = Vec::new();
        for target in targets {
            let holds =
                |matcher: &Matcher| matcher.matches(target.labels.value(matcher.name()).unwrap_or_default());
            if rows.len() >= limit {
                break;
            }
            if matchers.iter().all(holds) {
                metrics_of(&engine, &target.labels, metric.as_deref(), limit, &mut rows)?;
            }
        }
        Ok::<_, ApiError>(Value::Array(rows).to_string())
    };
    let data = current::blocking(work).await;
    let data = data.map_err(|_| ApiError::internal("reading metadata failed; the log says why"))??;
    Ok(success(&headers, &data, &[], &[]))
}

fn metrics_of(
    engine: &Engine,
    target: &Labels,
    metric: Option<&str>,
    limit: usize,
    rows: &mut Vec<Value>,
) -> Result<(), ApiError> {
    let matchers: Vec<_> = target.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let now = engine.clock.now();
    let range = TimeRange::closed(now.saturating_add(-RECENT_MS), Timestamp::MAX);
    let selection = Selection { matchers: &matchers, range };
    let names = engine.store.label_values(METRIC_NAME, &selection, &Budget::new(SERIES_MAX))?;
    let mut before = String::new();
    for name in names {
        let Some((family, known)) = family_of(engine, &name) else { continue };
        if family == before || metric.is_some_and(|metric| metric != family) {
            continue;
        }
        if rows.len() >= limit {
            break;
        }
        let mut row = json!({
            "target": labels(target),
            "type": known.kind.as_str(),
            "help": known.help,
            "unit": known.unit,
        });
        if metric.is_none() {
            row["metric"] = family.as_str().into();
        }
        rows.push(row);
        before = family;
    }
    Ok(())
}

/// The family that a series of this name is of, as far as something is known of it.
fn family_of(engine: &Engine, name: &str) -> Option<(String, Metadata)> {
    let bases = ["", "_bucket", "_count", "_sum", "_total", "_created", "_info"];
    bases.iter().filter_map(|suffix| name.strip_suffix(suffix)).find_map(|base| {
        let known = engine.store.metadata(Some(base));
        known.into_iter().next()
    })
}
