//! How requests fare, from [`Requests`]: totals since the start, and times of the sliding window of five minutes.
//!
//! Times are in milliseconds, as their documents have them; quantiles are within 1.1 %. In a window without requests there
//! are no times. Windows move when the registry of the requests is told the time
//! ([`Registry::tick`](crate::Registry::tick)).

use std::time::Duration;

use barograph_model::{Labels, Timestamp};

use super::{CollectError, Definition, MetricCollector, MetricCollectorConfig, Writer};
use crate::{Requests, Unit};

const fn count(given: &'static str, help: &'static str) -> Definition {
    Definition::counter(given, Unit::None, help).plain()
}

const fn time(given: &'static str, help: &'static str) -> Definition {
    Definition::gauge(given, Unit::Custom("milliseconds"), help).plain()
}

static TOTAL: Definition = count("api.requests.total", "Requests that are over.");
static SUCCESS: Definition = count("api.requests.success", "Requests answered with a status below 400.");
static FAILED: Definition =
    count("api.requests.failed", "Requests that failed: status 400 and above, and none.");
static BY_ENDPOINT: Definition = count("api.requests.by_endpoint", "Requests that are over, by endpoint.");
static PER_SECOND: Definition =
    Definition::gauge("api.requests.per_second", Unit::None, "Requests a second in the last five minutes.")
        .plain();
static AVG: Definition = time("api.response.avg", "Mean time to answer in the last five minutes.");
static MIN: Definition = time("api.response.min", "Shortest time to answer in the last five minutes.");
static MAX: Definition = time("api.response.max", "Longest time to answer in the last five minutes.");
static P50: Definition = time("api.response.p50", "Median time to answer in the last five minutes.");
static P90: Definition =
    time("api.response.p90", "90th percentile of the time to answer in the last five minutes.");
static P95: Definition =
    time("api.response.p95", "95th percentile of the time to answer in the last five minutes.");
static P99: Definition =
    time("api.response.p99", "99th percentile of the time to answer in the last five minutes.");

/// All metrics of the collector.
static ALL: [&Definition; 12] =
    [&TOTAL, &SUCCESS, &FAILED, &BY_ENDPOINT, &PER_SECOND, &AVG, &MIN, &MAX, &P50, &P90, &P95, &P99];

/// Collects how requests fare, every second unless told otherwise. Clones are the same collector.
#[derive(Clone, Debug)]
pub struct ApiMetricsCollector(Requests);

/// The same, in the spelling of other languages.
pub type APIMetricsCollector = ApiMetricsCollector;

impl ApiMetricsCollector {
    /// A collector of some requests.
    pub fn new(requests: &Requests) -> Self {
        Self(requests.clone())
    }

    /// What the collector's metrics are.
    pub fn definitions() -> &'static [&'static Definition] {
        &ALL
    }

    /// Counts a request that is over. `endpoint` is the template that matched, as `/users/{id}`; the method is not
    /// known. See [`Requests::begin`] for one that is still to come.
    #[doc(alias = "recordRequest")]
    pub fn record_request(&self, endpoint: &str, status: u16, took: Duration) {
        self.0.record("", endpoint, status, took);
    }
}

impl MetricCollector for ApiMetricsCollector {
    fn config(&self) -> MetricCollectorConfig {
        MetricCollectorConfig::new("api")
    }

    fn perform_collection(&mut self, _now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
        let figures = self.0.figures();
        out.write(&TOTAL, figures.total as f64);
        out.write(&SUCCESS, figures.succeeded as f64);
        out.write(&FAILED, figures.failed as f64);
        for (endpoint, requests) in self.0.by_route() {
            out.write_with(&BY_ENDPOINT, Labels::empty().with("endpoint", &endpoint), requests as f64);
        }
        let window = figures.window;
        out.write(&PER_SECOND, window.per_second);
        let times = [
            (&AVG, window.mean),
            (&MIN, window.min),
            (&MAX, window.max),
            (&P50, window.p50),
            (&P90, window.p90),
            (&P95, window.p95),
            (&P99, window.p99),
        ];
        for (definition, seconds) in times {
            seconds.into_iter().for_each(|seconds| out.write(definition, seconds * 1e3));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Registry;

    #[test]
    fn tells_what_was_recorded() {
        let registry = Registry::new();
        let mut api = ApiMetricsCollector::new(&Requests::register(&registry).unwrap());
        let mut out = Writer::new();
        registry.tick(Timestamp(0));
        api.perform_collection(Timestamp(0), &mut out).unwrap();
        assert_eq!((out.value("api.requests.total"), out.value("api.response.avg")), (Some(0.0), None));

        for (endpoint, status, ms) in [("/api/check", 200, 45), ("/api/check", 503, 15), ("/", 302, 60)] {
            api.record_request(endpoint, status, Duration::from_millis(ms));
        }
        registry.tick(Timestamp(10_000));
        out.clear();
        api.perform_collection(Timestamp(10_000), &mut out).unwrap();
        let check = |given, expected: f64| {
            let value = out.value(given).unwrap_or_else(|| panic!("no {given}"));
            assert!((value - expected).abs() <= 0.011 * expected, "{given} is {value}");
        };
        check("api.requests.total", 3.0);
        check("api.requests.success", 2.0);
        check("api.requests.failed", 1.0);
        check("api.requests.per_second", 0.3);
        check("api.response.avg", 40.0);
        check("api.response.min", 15.0);
        check("api.response.p50", 45.0);
        check("api.response.p99", 60.0);
        assert!(ALL.iter().all(|definition| out.value(&definition.given).is_some()));
        let by_endpoint = out.readings().iter().filter(|reading| *reading.definition == BY_ENDPOINT);
        let by_endpoint: Vec<_> =
            by_endpoint.map(|r| (r.labels.value("endpoint").unwrap(), r.value)).collect();
        assert_eq!(by_endpoint, [("/", 1.0), ("/api/check", 2.0)]);
        assert_eq!(out.readings()[0].stored_name(), "api_requests_total");
    }
}
