//! `barograph.v1.Query`: PromQL, documents of the JSON language, and what metrics there are.

use std::sync::Arc;

use barograph_model::Timestamp;
use barograph_proto::v1::{
    AskRequest, AskResponse, InstantRequest, LatestRequest, LatestResponse, ListMetricsRequest,
    ListMetricsResponse, PromqlResponse, QueryOptions, RangeRequest, query_server,
};
use barograph_query::{Steps, When};
use tonic::{Request, Response, Status};

use super::{Api, answers, caller};
use crate::{
    Engine,
    http::{self, Asked, Caller, Params, Wanted, bounded, checked, evaluated, expression, figures, tiers},
    queries::Queries,
};

pub(super) struct Query(pub(super) Api);

#[tonic::async_trait]
impl query_server::Query for Query {
    async fn instant(&self, request: Request<InstantRequest>) -> Result<Response<PromqlResponse>, Status> {
        let engine = self.0.engine()?;
        let caller = caller(&request);
        let InstantRequest { query, at_ms, options } = request.into_inner();
        let at = at_ms.map_or_else(|| engine.clock.now(), Timestamp);
        evaluate(&engine, caller, query, options.unwrap_or_default(), When::Instant(at)).await
    }

    async fn range(&self, request: Request<RangeRequest>) -> Result<Response<PromqlResponse>, Status> {
        let engine = self.0.engine()?;
        let caller = caller(&request);
        let RangeRequest { query, start_ms, end_ms, step_ms, options } = request.into_inner();
        let steps = Steps { start: Timestamp(start_ms), end: Timestamp(end_ms), step_ms };
        let when = When::Range(checked(&engine, steps)?);
        evaluate(&engine, caller, query, options.unwrap_or_default(), when).await
    }

    async fn ask(&self, request: Request<AskRequest>) -> Result<Response<AskResponse>, Status> {
        let engine = self.0.engine()?;
        let caller = caller(&request);
        let began = engine.clock.monotonic();
        let reply = http::of_text(&engine, caller, &request.get_ref().document_json).await?;
        let took = engine.clock.monotonic().saturating_sub(began);
        Ok(Response::new(answers::document(reply, took)))
    }

    async fn list_metrics(
        &self,
        request: Request<ListMetricsRequest>,
    ) -> Result<Response<ListMetricsResponse>, Status> {
        let engine = self.0.engine()?;
        let ListMetricsRequest { prefix, limit } = request.into_inner();
        let prefix = figures::plain(&prefix);
        let all = figures::metrics(&engine).await?;
        let found = all.into_iter().filter(|metric| metric.name.starts_with(&prefix));
        let mut metrics: Vec<_> = found.map(answers::metric).collect();
        let count = metrics.len() as u64;
        metrics.truncate(answers::limit(limit));
        Ok(Response::new(ListMetricsResponse { count, metrics }))
    }

    async fn latest(&self, request: Request<LatestRequest>) -> Result<Response<LatestResponse>, Status> {
        let engine = self.0.engine()?;
        let caller = caller(&request);
        let LatestRequest { name, labels } = request.into_inner();
        let labels = labels.into_iter().map(|(name, value)| (format!("labels.{name}"), value));
        let params = Params::of(labels.collect());
        let (newest, _) = figures::newest(&engine, caller, &name, &params).await?;
        let series = newest.into_iter().map(|(series, last)| answers::series(&series.labels, &[last]));
        Ok(Response::new(LatestResponse { series: series.collect() }))
    }
}

/// Evaluates an expression when it is its turn.
async fn evaluate(
    engine: &Arc<Engine>,
    caller: Caller,
    query: String,
    options: QueryOptions,
    when: When,
) -> Result<Response<PromqlResponse>, Status> {
    let (limit, anew) = (answers::limit(options.limit), options.no_cache);
    let params = params(query, options);
    let expr = Arc::new(expression(&params).await?);
    engine.note_queried(&expr);
    let asked = Asked::new(engine, &params)?;
    let (options, source) = (asked.options(), engine.clone());
    let question = asked.question(caller, &params, Wanted::Value(expr.clone(), when));
    let response = Queries::run(engine, question, move |budget| {
        let (answer, reused) = evaluated(&source, &expr, when, &options, anew, budget)?;
        let answer = bounded(answer, limit, budget)?;
        let mut response = answers::promql(answer, tiers);
        response.cache = reused.map(|reused| reused.as_str().to_owned()).unwrap_or_default();
        response.samples_read = budget.spent();
        Ok(response)
    });
    Ok(Response::new(response.await?))
}

/// The same question as parameters, which say what is wrong with them by the same names.
fn params(query: String, options: QueryOptions) -> Params {
    let QueryOptions { timeout_ms, lookback_ms, tier, .. } = options;
    let seconds = |ms: i64| if ms == 0 { String::new() } else { format!("{}", ms as f64 / 1e3) };
    let pairs = [
        ("query", query),
        ("timeout", seconds(timeout_ms)),
        ("lookback_delta", seconds(lookback_ms)),
        ("tier", tier),
    ];
    Params::of(pairs.map(|(name, value)| (name.to_owned(), value)).into())
}
