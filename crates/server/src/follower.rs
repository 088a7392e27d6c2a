//! A metric followed: every few moments, the samples that came since the last look.
//!
//! The name is one as given, with dots, or as stored. What was stored late is told too, if it is not older than
//! [`WINDOW_MS`]; of a native histogram the value is its count.

use std::{collections::HashMap, sync::Arc, time::Duration};

use barograph_model::{Budget, Labels, Timestamp};
use barograph_query::{Value, When, ast::Expr};

use crate::{
    Engine,
    errors::chain,
    http::{ApiError, Caller},
    queries::{About, Queries, Question},
};

/// From one look to the next.
pub(crate) const STEP: Duration = Duration::from_secs(1);
/// How far back the first look goes at most.
pub(crate) const CATCH_UP_MS: i64 = 300_000;
/// A name is no longer.
pub(crate) const NAME_BYTES_MAX: usize = 1_024;
/// How far back a look goes, for samples that were stored late.
const WINDOW_MS: i64 = 15_000;
/// So many series of one metric are followed; of others nothing is told.
const SERIES_MAX: usize = 10_000;
/// What may stand behind a name as given in the name as stored.
const SUFFIX: &str = "(_[a-z]+)?(_total)?";

/// Samples by series, each with its time in milliseconds.
pub(crate) type Samples = Vec<(Labels, i64, f64)>;

/// Where whoever follows a metric is.
#[derive(Debug)]
pub(crate) struct Follower {
    caller: Caller,
    /// The selector.
    text: String,
    /// Samples up to here are old.
    since: i64,
    /// By series, the time of the last sample that was told.
    told: HashMap<Labels, i64>,
}

impl Follower {
    /// Follows a metric from a time on, at most [`CATCH_UP_MS`] ago.
    ///
    /// # Errors
    /// The catalog cannot be read.
    pub(crate) fn new(
        engine: &Engine,
        caller: Caller,
        metric: &str,
        since: Timestamp,
    ) -> Result<Self, ApiError> {
        let failed = |error| ApiError::unavailable(format!("cannot read the catalog: {}", chain(&error)));
        let known = engine.store.metrics().map_err(failed)?;
        let text = expression(metric, known.iter().map(|metric| metric.name.as_str()));
        let now = engine.clock.now().0;
        Ok(Self { caller, text, since: since.0.clamp(now - CATCH_UP_MS, now), told: HashMap::new() })
    }

    /// The samples that were not told yet, by series and time.
    ///
    /// # Errors
    /// Those of a query: a limit, or the store.
    pub(crate) async fn look(&mut self, engine: &Arc<Engine>, now: Timestamp) -> Result<Samples, ApiError> {
        let window = (now.0 - self.since).max(WINDOW_MS);
        let text = format!("{}[{window}ms]", self.text);
        let expr = barograph_query::parse(&text).map_err(|error| ApiError::internal(error.to_string()))?;
        let expr = Arc::new(expr);
        let about = About::Expression(expr.clone(), When::Instant(now), engine.query_options());
        let timeout = engine.limits().timeout;
        let question = Question { caller: self.caller.clone(), expression: text, about, timeout };
        let source = engine.clone();
        let work = move |budget: &_| samples(&source, &expr, now, budget);
        let found = Queries::run(engine, question, work).await?;
        self.told.retain(|_, at| *at > now.0 - 2 * WINDOW_MS - CATCH_UP_MS);
        let mut new = Samples::new();
        for (labels, at, value) in found {
            let before = self.told.get(&labels).copied();
            let room = before.is_some() || self.told.len() < SERIES_MAX;
            if at > before.unwrap_or(self.since) && room {
                self.told.insert(labels.clone(), at);
                new.push((labels, at, value));
            }
        }
        // What was stored late is looked for a while longer, in series that were not told of yet.
        self.since = self.since.max(now.0 - WINDOW_MS);
        Ok(new)
    }
}

/// A selector of the metric: by its name where that is stored, else by what it may be stored as.
fn expression<'a>(metric: &str, mut known: impl Iterator<Item = &'a str>) -> String {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    if known.any(|name| name == metric) {
        return format!("{{__name__=\"{}\"}}", quoted(metric));
    }
    let plain: String = metric.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    format!("{{__name__=~\"{plain}{SUFFIX}\"}}")
}

fn samples(engine: &Engine, expr: &Expr, now: Timestamp, budget: &Budget) -> Result<Samples, ApiError> {
    let answer =
        barograph_query::evaluate_instant(&*engine.store, expr, now, &engine.query_options(), budget)?;
    let mut samples = Samples::new();
    if let Value::Matrix(series) = answer.value {
        for (labels, track) in series {
            let floats = track.floats.iter().map(|sample| (sample.at.0, sample.value));
            let histograms = track.histograms.iter().map(|(at, histogram)| (at.0, histogram.count()));
            samples.extend(floats.chain(histograms).map(|(at, value)| (labels.clone(), at, value)));
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_given_and_as_stored() {
        let check = |metric, expected: &str| {
            assert_eq!(expression(metric, ["jobs_total", "a.\"b"].into_iter()), expected);
        };
        check("jobs_total", "{__name__=\"jobs_total\"}");
        check("a.\"b", "{__name__=\"a.\\\"b\"}");
        check("flow.execution-duration", "{__name__=~\"flow_execution_duration(_[a-z]+)?(_total)?\"}");
        check("jobs", "{__name__=~\"jobs(_[a-z]+)?(_total)?\"}");
    }
}
