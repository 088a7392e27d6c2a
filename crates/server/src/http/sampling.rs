//! `GET /api/barograph/v1/sampling`, the requests to this server that are kept as samples; and what sampling a metric
//! would cost and bring, from what is stored of it:
//!
//! - `impact`: keeps each stored sample with probability `rate`, by `seed`, and holds what is estimated from those that
//!   are left against what all of them say.
//! - `optimal`: the least rate for a wanted `error` of the mean, and `confidence`.
//! - `cost-benefit`: a table of rates with what they cost and how far totals are off, and the rate to take.
//!
//! These take `metric`, `start` and `end` (the last hour) and `labels.NAME`. The formulas are those of
//! [`barograph::sampling`]; the same request over the same data gives the same answer.

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use barograph::sampling::{
    CostBenefit, Costs, Figure, Goal, Impact, OptimalSamplingCalculator, Random, Row,
    SamplingCostBenefitAnalyzer, SamplingImpactAnalyzer, Total, estimate::Kept,
};
use barograph_model::Tier;
use barograph_query::json::GroupBy;
use serde_json::{Value, json};

use super::{App, Caller, figures, params::Params, problem::Problem, query};
use crate::current;

/// So many samples are shown at most.
const SHOWN_MAX: usize = 100;
/// How many rates a table of costs and benefits has.
const ROWS: usize = 13;

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/api/barograph/v1/sampling", get(requests))
        .route("/api/barograph/v1/sampling/impact", get(impact))
        .route("/api/barograph/v1/sampling/optimal", get(optimal))
        .route("/api/barograph/v1/sampling/cost-benefit", get(cost_benefit))
}

/// `GET …/sampling`: with which rate requests to this server are kept as samples, now and in the minutes before, and the
/// newest `limit` of them.
async fn requests(State(app): State<App>, params: Params) -> Result<Json<Value>, Problem> {
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    Ok(Json(engine.collecting.sampled.document(params.limit("limit")?.min(SHOWN_MAX))))
}

/// `GET …/sampling/impact`
async fn impact(State(app): State<App>, caller: Caller, params: Params) -> Result<Json<Value>, Problem> {
    let name = metric(&params)?;
    let rate = share(&params, "rate", 0.1)?;
    let confidence = share(&params, "confidence", 0.95)?;
    let seed = params.number("seed")?.unwrap_or(1.0).to_bits();
    let mut query = query::parameters(name, &params)?;
    (query.group_by, query.granularity) = (GroupBy::Series, Some(Tier::Raw));
    let engine = app.ready().ok_or_else(Problem::not_ready)?;
    let reply = figures::answered(&engine, caller, query, engine.clock.now(), name).await?;
    let points = reply.results.iter().flat_map(|series| &series.points);
    let values: Vec<f64> = points.map(|point| point.value).filter(|value| value.is_finite()).collect();
    if values.is_empty() {
        return Err(insufficient(name, 0.0, 1));
    }
    let analyzer = SamplingImpactAnalyzer::new(confidence);
    let (found, kept) = current::blocking(move || {
        let (all, kept) = drawn(&values, rate, seed);
        let wanted = [Figure::Count, Figure::Total, Figure::Mean];
        let quantiles = [0.5, 0.9, 0.95, 0.99].map(Figure::Quantile);
        let compare = |figure| {
            let exact = analyzer.analyze(figure, &all)?.estimate;
            Some(judged(&analyzer, &analyzer.analyze(figure, &kept)?, exact))
        };
        let found: Vec<Value> = wanted.into_iter().chain(quantiles).filter_map(compare).collect();
        (found, [kept.len(), all.len()])
    })
    .await
    .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "that failed; the log says why"))?;
    let missed = [1, 10, 100]
        .map(|items| json!({"items": items, "probability": analyzer.miss_probability(rate, items)}));
    Ok(Json(json!({
        "metric": name,
        "start": reply.meta.start.0,
        "end": reply.meta.end.0,
        "method": "each sample by itself; Horvitz-Thompson, Hajek and Woodruff",
        "rate": rate,
        "seed": f64::from_bits(seed),
        "confidence": confidence,
        "n": kept[0],
        "population": kept[1],
        "figures": found,
        "missed": missed,
    })))
}

/// All values, and those that are kept.
fn drawn(values: &[f64], rate: f64, seed: u64) -> (Vec<Kept>, Vec<Kept>) {
    let mut random = Random::new(seed);
    let all = values.iter().map(|value| Kept { value: *value, rate: 1.0 }).collect();
    let kept = values.iter().filter(|_| random.chance(rate)).map(|value| Kept { value: *value, rate });
    (all, kept.collect())
}

/// An estimate beside the truth.
fn judged(analyzer: &SamplingImpactAnalyzer, impact: &Impact, exact: f64) -> Value {
    let bias = analyzer.compare(impact, exact);
    let (figure, q) = match impact.figure {
        Figure::Count => ("count", None),
        Figure::Total => ("sum", None),
        Figure::Mean => ("avg", None),
        Figure::Quantile(q) => ("quantile", Some(q)),
    };
    json!({
        "figure": figure,
        "q": q,
        "estimate": impact.estimate,
        "exact": exact,
        "relativeError": bias.relative(),
        "standardError": impact.standard_error,
        "lower": impact.interval.lower,
        "upper": impact.interval.upper,
        "holds": impact.interval.holds(exact),
        "z": bias.z,
        "nEffective": impact.n_effective,
        "designEffect": impact.design_effect,
    })
}

/// `GET …/sampling/optimal`
async fn optimal(State(app): State<App>, caller: Caller, params: Params) -> Result<Json<Value>, Problem> {
    let error = share(&params, "error", 0.05)?;
    let confidence = share(&params, "confidence", 0.95)?;
    let known = Known::of(&app, caller, &params).await?;
    if known.mean == 0.0 {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("the mean of {:?} is 0, and an error relative to it has no size", known.name),
        ));
    }
    let variation = known.deviation / known.mean.abs();
    let goal = Goal { error, confidence, variation, volume: known.volume() };
    let optimum = OptimalSamplingCalculator.rate(&goal);
    Ok(Json(json!({
        "metric": known.name,
        "start": known.start,
        "end": known.end,
        "method": "n = n0 / (1 + (n0 - 1) / N), n0 = (z CV / error)^2",
        "error": error,
        "confidence": confidence,
        "variation": variation,
        "population": goal.volume,
        "size": optimum.size,
        "rate": optimum.rate,
    })))
}

/// `GET …/sampling/cost-benefit`
async fn cost_benefit(
    State(app): State<App>,
    caller: Caller,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let cost = |name, usual| params.number(name).map(|cost| cost.unwrap_or(usual));
    let costs = Costs {
        cpu: cost("cpu", 1.0)?,
        network: cost("network", 1.0)?,
        storage_per_day: cost("storage", 0.1)?,
        days: cost("days", 30.0)?,
    };
    let price = params.number("error_price")?;
    let rate_min = share(&params, "rate_min", 0.001)?;
    if [costs.cpu, costs.network, costs.storage_per_day, costs.days].into_iter().chain(price).any(|c| c < 0.0)
    {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "costs and prices are zero or more"));
    }
    let known = Known::of(&app, caller, &params).await?;
    let squares = known.count * (known.deviation.powi(2) + known.mean.powi(2));
    let total = Total { squares, sum: known.count * known.mean, weight: 1.0 };
    // Unless it is said otherwise, a total that is off by a hundredth costs as much as keeping everything.
    let usual = costs.of_one() * known.count / (0.01 * total.sum).powi(2);
    let error_price = price.unwrap_or(if usual.is_finite() { usual } else { 0.0 });
    let analyzer = SamplingCostBenefitAnalyzer { costs, error_price, rate_min };
    let CostBenefit { rows, recommended, knee, savings } = analyzer.analyze(known.count, &[total], ROWS);
    Ok(Json(json!({
        "metric": known.name,
        "start": known.start,
        "end": known.end,
        "method": "J(p) = N p C + price (1 - p) / p sum y^2",
        "population": known.volume(),
        "costs": {"cpu": costs.cpu, "network": costs.network, "storage": costs.storage_per_day, "days": costs.days},
        "errorPrice": error_price,
        "rates": rows.iter().map(told).collect::<Vec<_>>(),
        "recommended": told(&recommended),
        "knee": told(&knee),
        "savings": savings,
    })))
}

fn told(row: &Row) -> Value {
    json!({
        "rate": row.rate,
        "overhead": row.overhead,
        "storage": row.storage,
        "error": figures::number(row.error),
        "price": figures::number(row.price),
    })
}

/// What is known of a metric's samples in a range, from the tier that suits.
struct Known<'p> {
    name: &'p str,
    start: Value,
    end: Value,
    count: f64,
    mean: f64,
    deviation: f64,
}

impl<'p> Known<'p> {
    async fn of(app: &App, caller: Caller, params: &'p Params) -> Result<Self, Problem> {
        let name = metric(params)?;
        let engine = app.ready().ok_or_else(Problem::not_ready)?;
        let mut document = figures::statistics(&engine, name, caller, &params.without("by")).await?;
        let figure = |name: &str| document["stats"][name].as_f64();
        let count = figure("count").unwrap_or(0.0);
        let (Some(mean), Some(deviation)) = (figure("avg"), figure("stddev")) else {
            return Err(insufficient(name, count, 2));
        };
        let [start, end] = ["start", "end"].map(|key| document[key].take());
        Ok(Self { name, start, end, count, mean, deviation })
    }

    fn volume(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let volume = self.count as u64;
        volume
    }
}

fn metric(params: &Params) -> Result<&str, Problem> {
    let missing = || Problem::new(StatusCode::BAD_REQUEST, "give the parameter metric: the name of a metric");
    params.first("metric").ok_or_else(missing)
}

fn insufficient(name: &str, there: f64, needed: u64) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        format!("insufficient data: {name:?} has {there} samples in this range, and it takes {needed}"),
    )
}

/// A parameter above 0 and up to 1.
fn share(params: &Params, name: &str, usual: f64) -> Result<f64, Problem> {
    let share = params.number(name)?.unwrap_or(usual);
    let refused =
        || Problem::new(StatusCode::BAD_REQUEST, format!("{name} is above 0 and at most 1, not {share}"));
    (share > 0.0 && share <= 1.0).then_some(share).ok_or_else(refused)
}
