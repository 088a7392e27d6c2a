//! `GET /federate?match[]=…`: the newest sample of each series that is selected, for another server to scrape.
//!
//! As a query sees it now: not older than the lookback, and no series that has ended. Each has its own time and the
//! external labels of this server. Native histograms are in the protobuf form alone; text has no place for them.

use std::collections::BTreeMap;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use barograph_model::{Budget, Labels, Matcher, Selection, Source, TimeRange, Timestamp, is_stale};
use barograph_wire::exposition::{
    federate::{Newest, Value, page},
    negotiate_form,
};

use super::{
    App, Caller, Params,
    compress::compressed,
    prom::{ApiError, Asked, Wanted},
    remote_read::with_external,
};
use crate::{Engine, queries::Queries};

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/federate", get(federate))
}

async fn federate(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let selectors: Vec<_> = params
        .all("match[]")
        .map(|text| barograph_query::parse_selector(text).map_err(|e| ApiError::bad_parameter("match[]", &e)))
        .collect::<Result<_, _>>()?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let form = negotiate_form(accept);
    let asked = Asked::new(&engine, &params)?;
    let lookback = asked.options().lookback_ms;
    let work = engine.clone();
    let question = asked.question(caller, &params, Wanted::Found("federate"));
    let found = Queries::run(&engine, question, move |budget| {
        let now = work.clock.now();
        let range = TimeRange::closed(Timestamp(now.0.saturating_sub(lookback) + 1), now);
        newest(&work, &selectors, range, budget)
    })
    .await?;
    let body = page(form, &found);
    Ok(compressed(&headers, ([(header::CONTENT_TYPE, form.content_type())], body).into_response()))
}

/// The newest samples of the series of some selectors, each once, by name and labels.
fn newest(
    engine: &Engine,
    selectors: &[Vec<Matcher>],
    range: TimeRange,
    budget: &Budget,
) -> Result<Vec<Newest>, ApiError> {
    let mut found: BTreeMap<(String, Labels), Newest> = BTreeMap::new();
    let external = engine.external_labels();
    let mut add = |labels: Labels, at: Timestamp, value: Value| {
        let Some(name) = labels.metric_name().map(str::to_owned) else { return };
        let labels = with_external(&labels, &external);
        let newest = Newest { labels: labels.clone(), at, value };
        let known = found.entry((name, labels)).or_insert_with(|| newest.clone());
        if known.at < at {
            *known = newest;
        }
    };
    for matchers in selectors {
        let selection = Selection { matchers, range };
        for (labels, sample) in engine.store.last_samples(&selection, budget)? {
            add(labels, sample.at, Value::Float(sample.value));
        }
        for (labels, mut histograms) in engine.store.histograms(&selection, budget)? {
            if let Some((at, histogram)) = histograms.pop() {
                add(labels, Timestamp(at), Value::Histogram(histogram));
            }
        }
    }
    let ended = |newest: &Newest| match &newest.value {
        Value::Float(value) => is_stale(*value),
        Value::Histogram(histogram) => histogram.is_stale(),
    };
    Ok(found.into_values().filter(|newest| !ended(newest)).collect())
}
