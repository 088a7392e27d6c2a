//! `query`, `query_range`, `query_exemplars`, `format_query`.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue},
    response::Response,
};
use barograph_model::{Budget, Exemplar, Labels, Selection, Source, SourceError, Tier, TimeRange};
use barograph_query::{Answer, Error, Options, Reused, STEPS_MAX, Steps, Value, When, ast::Expr, is_light};

use super::{
    answer::{success, success_with, write_labels, write_list, write_sample_value, write_string},
    error::ApiError,
};
use crate::{
    Engine,
    http::{App, Caller, params::Params, reading::read},
    queries::{About, Queries, Question},
};

/// `GET|POST /api/v1/query`
pub(crate) async fn instant(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let at = params.time("time")?.unwrap_or_else(|| engine.clock.now());
    answer(&engine, headers, caller, &params, When::Instant(at), false).await
}

/// `GET|POST /api/v1/query_range`
pub(crate) async fn range(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let steps = steps(&engine, &params)?;
    let anew = params.flag("nocache")?;
    answer(&engine, headers, caller, &params, When::Range(steps), anew).await
}

/// The `start`, `end` and `step` parameters.
pub(crate) fn steps(engine: &Engine, params: &Params) -> Result<Steps, ApiError> {
    let needed = |name: &str| ApiError::bad_parameter(name, &"it is missing; give Unix seconds or RFC 3339");
    let start = params.time("start")?.ok_or_else(|| needed("start"))?;
    let end = params.time("end")?.ok_or_else(|| needed("end"))?;
    let step_ms = params.duration_ms("step")?.ok_or_else(|| {
        ApiError::bad_parameter("step", &"it is missing; give seconds or a duration such as 15s")
    })?;
    checked(engine, Steps { start, end, step_ms })
}

/// Steps that can be evaluated.
pub(crate) fn checked(engine: &Engine, steps: Steps) -> Result<Steps, ApiError> {
    let Steps { start, end, step_ms } = steps;
    if end < start {
        return Err(ApiError::bad_parameter("end", &"end timestamp must not be before start time"));
    }
    if step_ms <= 0 {
        return Err(ApiError::bad_parameter(
            "step",
            &"zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    if end.0.saturating_sub(start.0) / step_ms > STEPS_MAX {
        engine.telemetry.query_refused("steps");
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution \
             (?step=XX)",
        ));
    }
    Ok(steps)
}

/// Evaluates an expression; over a range with what is kept of results, unless it is to be done `anew`.
pub(crate) fn evaluated(
    engine: &Engine,
    expr: &Expr,
    when: When,
    options: &Options,
    anew: bool,
    budget: &Budget,
) -> Result<(Answer, Option<Reused>), Error> {
    let store = &*engine.store;
    let steps = match when {
        When::Instant(at) => {
            return Ok((barograph_query::evaluate_instant(store, expr, at, options, budget)?, None));
        }
        When::Range(steps) if anew => {
            return Ok((barograph_query::evaluate_range(store, expr, steps, options, budget)?, None));
        }
        When::Range(steps) => steps,
    };
    let reuse = engine.results.reuse(engine.clock.now());
    let answer = reuse.evaluate_range(store, expr, steps, options, budget)?;
    Ok((answer, Some(reuse.reused())))
}

/// Evaluates the `query` parameter when it is its turn, and writes what comes of it.
async fn answer(
    engine: &Arc<Engine>,
    headers: HeaderMap,
    caller: Caller,
    params: &Params,
    when: When,
    anew: bool,
) -> Result<Response, ApiError> {
    let expr = Arc::new(expression(params).await?);
    engine.note_queried(&expr);
    let asked = Asked::new(engine, params)?;
    let limit = params.limit("limit")?;
    let (options, source) = (asked.options, engine.clone());
    let question = asked.question(caller, params, Wanted::Value(expr.clone(), when));
    Queries::run(engine, question, move |budget| {
        let (answer, reused) = evaluated(&source, &expr, when, &options, anew, budget)?;
        let mut response = reply(&headers, &bounded(answer, limit, budget)?);
        if let Some(reused) = reused {
            response.headers_mut().insert(CACHE_HEADER, HeaderValue::from_static(reused.as_str()));
        }
        response.headers_mut().insert(SAMPLES_HEADER, budget.spent().into());
        Ok(response)
    })
    .await
}

/// An answer of no more series than `limit`, with the memory that it takes to write it.
pub(crate) fn bounded(mut answer: Answer, limit: usize, budget: &Budget) -> Result<Answer, ApiError> {
    let truncated = match &mut answer.value {
        Value::Vector(series) => cut(series, limit),
        Value::Matrix(series) => cut(series, limit),
        _ => false,
    };
    if truncated {
        answer.warnings.push(TRUNCATED.into());
    }
    budget.reserve(written_bytes(&answer.value)).map_err(SourceError::from)?;
    Ok(answer)
}

/// About how many bytes the text of an answer takes.
fn written_bytes(value: &Value) -> u64 {
    const SAMPLE_BYTES: usize = 32;
    const HISTOGRAM_BYTES: usize = 512;
    let one = |labels: &Labels, floats: usize, histograms: usize| {
        2 * labels.as_bytes().len() + SAMPLE_BYTES * (1 + floats) + HISTOGRAM_BYTES * histograms
    };
    let bytes: usize = match value {
        Value::Scalar(_) | Value::String(..) => 0,
        Value::Vector(series) => series.iter().map(|(labels, _)| one(labels, 1, 0)).sum(),
        Value::Matrix(series) => {
            series.iter().map(|(labels, track)| one(labels, track.floats.len(), track.histograms.len())).sum()
        }
    };
    bytes as u64
}

/// `GET|POST /api/v1/query_exemplars`
pub(crate) async fn exemplars(
    State(app): State<App>,
    headers: HeaderMap,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let engine = app.engine()?;
    let expr = expression(&params).await?;
    let start = params.time("start")?.unwrap_or(barograph_model::Timestamp::MIN);
    let end = params.time("end")?.unwrap_or(barograph_model::Timestamp::MAX);
    let asked = Asked::new(&engine, &params)?;
    let work = engine.clone();
    let found =
        Queries::run(&engine, asked.question(caller, &params, Wanted::Found("exemplars")), move |budget| {
            let mut found: Vec<(Labels, Vec<Exemplar>)> = Vec::new();
            for matchers in barograph_query::selectors(&expr) {
                let selection = Selection { matchers: &matchers, range: TimeRange::closed(start, end) };
                found.extend(work.store.exemplars(&selection, budget)?);
            }
            found.sort_by(|a, b| a.0.cmp(&b.0));
            found.dedup_by(|a, b| a.0 == b.0);
            Ok(found)
        })
        .await?;
    let mut data = String::new();
    write_list(&mut data, &found, |out, (series, exemplars)| {
        out.push_str(r#"{"seriesLabels":"#);
        write_labels(out, series);
        out.push_str(r#","exemplars":"#);
        write_list(out, exemplars, |out, exemplar| {
            out.push_str(r#"{"labels":"#);
            write_labels(out, &exemplar.labels);
            out.push_str(r#","value":"#);
            write_sample_value(out, exemplar.sample.value);
            out.push_str(&format!(r#","timestamp":{}}}"#, exemplar.sample.at));
        });
        out.push('}');
    });
    Ok(success(&headers, &data, &[], &[]))
}

/// `GET|POST /api/v1/format_query`
pub(crate) async fn format(headers: HeaderMap, params: Params) -> Result<Response, ApiError> {
    let mut data = String::new();
    write_string(&mut data, &expression(&params).await?.to_string());
    Ok(success(&headers, &data, &[], &[]))
}

/// The parsed `query` parameter.
pub(crate) async fn expression(params: &Params) -> Result<Expr, ApiError> {
    let text = params.first("query").unwrap_or_default();
    let parse = |text: &str| barograph_query::parse(text).map_err(|e| ApiError::bad_parameter("query", &e));
    if is_light(text) {
        return parse(text);
    }
    let text = text.to_owned();
    read(false, move || parse(&text)).await
}

/// What a request asks for beside its expression: how long it may take and how far to look back.
pub(crate) struct Asked {
    timeout: Duration,
    options: Options,
}

impl Asked {
    pub(crate) fn new(engine: &Engine, params: &Params) -> Result<Self, ApiError> {
        let mut timeout = engine.limits().timeout;
        if let Some(ms) = params.duration_ms("timeout")? {
            timeout = timeout.min(Duration::from_millis(ms.max(0).unsigned_abs()));
        }
        let mut options = engine.query_options();
        if let Some(ms) = params.duration_ms("lookback_delta")? {
            options.lookback_ms = ms.max(1);
        }
        options.tier = params.tier("tier")?.or(options.tier);
        Ok(Self { timeout, options })
    }

    pub(crate) fn options(&self) -> Options {
        self.options
    }

    /// The question of a request.
    pub(crate) fn question(self, caller: Caller, params: &Params, wanted: Wanted<'_>) -> Question {
        let texts = params.all("query").chain(params.all("match[]"));
        let (about, expression) = match wanted {
            Wanted::Value(expr, when) => {
                (About::Expression(expr, when, self.options), texts.collect::<Vec<_>>().join(" "))
            }
            Wanted::Found(what) => {
                (About::Index, [what].into_iter().chain(texts).collect::<Vec<_>>().join(" "))
            }
        };
        Question { caller, expression, about, timeout: self.timeout }
    }
}

/// What a request is after.
pub(crate) enum Wanted<'a> {
    /// The value of its expression.
    Value(Arc<Expr>, When),
    /// What is found in the index, by the name of that.
    Found(&'a str),
}

/// Why series were left out of an answer.
const TRUNCATED: &str = "results truncated due to limit";

fn reply(headers: &HeaderMap, answer: &Answer) -> Response {
    let mut response = success_with(headers, answer);
    response.headers_mut().insert(TIER_HEADER, HeaderValue::from_static(tiers(answer)));
    response
}

/// Names the tier that answered.
const TIER_HEADER: HeaderName = HeaderName::from_static("x-barograph-tier");

/// Says how much of an answer was computed before: `hit`, `partial` or `miss`.
const CACHE_HEADER: HeaderName = HeaderName::from_static("x-barograph-cache");

/// Says how many samples were read for an answer, which is none where all of it was computed before.
const SAMPLES_HEADER: HeaderName = HeaderName::from_static("x-barograph-samples");

/// The tier that answered, or that more than one did. What reads nothing is as exact as raw.
pub(crate) fn tiers(answer: &Answer) -> &'static str {
    match answer.tiers.as_slice() {
        [] => Tier::Raw.as_str(),
        [tier] => tier.as_str(),
        _ => "mixed",
    }
}

/// Cuts a list to `limit` and tells whether that took anything away.
pub(crate) fn cut<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let more = items.len() > limit;
    items.truncate(limit);
    more
}

/// The warning for an answer that was cut.
pub(crate) fn truncation(cut: bool) -> Vec<String> {
    if cut { vec![TRUNCATED.to_owned()] } else { Vec::new() }
}
