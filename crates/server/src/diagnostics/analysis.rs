//! What slows the server down: bottlenecks with the figures that tell them, what to do, a score, and trends.
//!
//! Pure: readings in, findings out. For each resource it is asked how much of it is used, what waits for it, and what fails
//! (B. Gregg's USE method); a finding is a figure past a limit, and says so with its numbers. What happened between two
//! readings counts before what the window of five minutes holds, where both are known.

use super::{
    documents::{AnalysisResults, Finding, ScorePart},
    observed::{COMMITS_LEAST, Observed, REQUESTS_LEAST},
    trend,
};
use crate::health::Part;

/// What an analysis may be asked for: all, or one component.
pub(crate) const COMPONENTS: [&str; 8] =
    ["server", "http", "query", "ingest", "persistence_worker", "runtime", "memory", "host"];

/// From here on a resource counts as saturated, in percent.
const SATURATED: f64 = 80.0;
/// Commits slower than this hold up who waits for them, in milliseconds.
const COMMIT_SLOW_MS: f64 = 100.0;
/// Between two readings that are closer, in seconds, only the window counts.
const INTERVAL_LEAST: f64 = 0.5;
/// A route with a share of all time, in percent, that is slow in milliseconds.
const ROUTE_SHARE: f64 = 50.0;
const ROUTE_SLOW_MS: f64 = 500.0;

/// Two readings.
pub(crate) struct Readings<'o> {
    pub(crate) before: Option<&'o Observed>,
    pub(crate) now: &'o Observed,
    /// Seconds between them.
    pub(crate) seconds: f64,
}

/// Analyses `component`; one of [`COMPONENTS`].
pub(crate) fn analyse(component: &str, readings: &Readings<'_>, history: &trend::History) -> AnalysisResults {
    let mut findings = findings(readings);
    findings.retain(|finding| component == "server" || finding.component == component);
    // The worst first: how far each is past its limit.
    findings.sort_by(|a, b| (b.value / b.limit).total_cmp(&(a.value / a.limit)));
    let score_parts = parts(readings);
    AnalysisResults {
        bottlenecks: findings.iter().map(|finding| finding.bottleneck).collect(),
        recommendations: findings.iter().map(|finding| finding.recommendation.clone()).collect(),
        performance_score: score(&score_parts),
        score_parts,
        findings,
        trends: history.trends(),
    }
}

fn findings(readings: &Readings<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    storage(readings, &mut found);
    requests(readings.now, &mut found);
    queries(readings, &mut found);
    resources(readings.now, &mut found);
    found
}

/// Notes a finding if the value is past the limit.
macro_rules! find {
    ($found:ident, $name:literal of $component:literal: $figure:literal = $value:expr, $limit:expr, $unit:literal;
     $evidence:expr => $advice:expr) => {
        let (value, limit): (f64, f64) = ($value, $limit);
        if value >= limit {
            let evidence: String = $evidence;
            $found.push(Finding {
                bottleneck: $name,
                component: $component,
                figure: $figure,
                value,
                limit,
                unit: $unit,
                recommendation: format!("{}: {evidence}", $advice),
                evidence,
            });
        }
    };
}

fn storage(readings: &Readings<'_>, found: &mut Vec<Finding>) {
    let Readings { before, now, seconds } = *readings;
    let between = before.filter(|_| seconds >= INTERVAL_LEAST).map(|before| {
        let (count, took) =
            (now.committed.0 - before.committed.0.min(now.committed.0), now.committed.1 - before.committed.1);
        (count, took.max(0.0))
    });
    if let Some((count, took)) = between.filter(|(count, _)| *count > 0) {
        find!(found, "disk_io" of "persistence_worker": "commit_usage" = 100.0 * took / seconds, SATURATED, "percent";
            format!("{count} commits of the log took {took:.2} s of {seconds:.2} s")
            => "Give the log a faster disk, or send fewer and larger requests");
    }
    if now.commits.count >= COMMITS_LEAST && !found.iter().any(|other| other.bottleneck == "disk_io") {
        let p95 = now.commits.p95.unwrap_or(0.0) * 1e3;
        find!(found, "disk_io" of "persistence_worker": "commit_p95_ms" = p95, COMMIT_SLOW_MS, "ms";
            format!(
                "95 of 100 commits of the log took up to {p95:.0} ms, the longest {:.0} ms, of {} in {:.0} s",
                now.commits.max.unwrap_or(0.0) * 1e3, now.commits.count, now.commits.seconds,
            )
            => "Give the log a faster disk, or send fewer and larger requests");
    }
    find!(found, "storage_failure" of "persistence_worker": "read_only" = f64::from(u8::from(now.stats.read_only)), 1.0, "";
        format!("the log cannot be written, and {} bytes wait for it", now.stats.wal_pending_bytes)
        => "Make room on the disk of the data directory, or mend it");
    if let Some(disk) = now.disk {
        find!(found, "disk_space" of "persistence_worker": "disk_usage" = disk, 90.0, "percent";
            format!("{disk:.1} % of the file system are used, {} bytes of it by blocks", now.stats.block_bytes)
            => "Keep less (retention), or make room");
    }
    let series = now.figure("series_usage").unwrap_or(0.0);
    find!(found, "series_limit" of "ingest": "series_usage" = series, SATURATED, "percent";
        format!("{} of {} series have recent samples", now.stats.series, now.stats.series_max)
        => "Look at Admin > Cardinality for what makes them, or raise limits.active_series");
}

fn requests(now: &Observed, found: &mut Vec<Finding>) {
    if let Some(rate) = now.error_rate {
        find!(found, "errors" of "http": "error_rate" = rate, 0.05, "share";
            format!("{:.1} % of the last minutes' requests failed by our fault", rate * 100.0)
            => "See /health/errors for the last of them");
    }
    let all: f64 = now.routes.iter().map(|(_, figures)| figures.sum).sum();
    let slowest = now.routes.iter().max_by(|a, b| a.1.sum.total_cmp(&b.1.sum));
    if let Some((route, figures)) =
        slowest.filter(|(_, figures)| figures.count >= REQUESTS_LEAST && all > 0.0)
    {
        let (share, p95) = (100.0 * figures.sum / all, figures.p95.unwrap_or(0.0) * 1e3);
        if share >= ROUTE_SHARE {
            find!(found, "slow_route" of "http": "p95_latency_ms" = p95, ROUTE_SLOW_MS, "ms";
                format!("{route} took {share:.0} % of the time of all requests: {} of up to {p95:.0} ms at p95", figures.count)
                => "Collect traces of it: POST /api/barograph/v1/diagnostics/trace?component=http");
        }
    }
}

fn queries(readings: &Readings<'_>, found: &mut Vec<Finding>) {
    let now = readings.now;
    if now.waiting > 0 {
        let usage = now.figure("query_queue_usage").unwrap_or(0.0);
        find!(found, "query_queue" of "query": "query_queue_usage" = usage, 10.0, "percent";
            format!("{} queries wait for a turn behind {} that run", now.waiting, now.running)
            => "Raise query.max_concurrency if processors are idle, else make the queries cheaper");
    }
    if let (Some(before), true) = (readings.before, readings.seconds >= INTERVAL_LEAST) {
        let refused = now.refused.saturating_sub(before.refused);
        let asked = now.asked.saturating_sub(before.asked).max(1);
        find!(found, "query_limits" of "query": "refused" = refused as f64, 1.0, "queries";
            format!("{refused} of {asked} queries were refused or stopped at a limit in {:.1} s", readings.seconds)
            => "See barograph_query_limits_total for which limit, and /api/barograph/v1/queries for who asks");
    }
    if let Some(p95) = now.figure("query_p95_ms") {
        let slow = now.slow_after.as_secs_f64() * 1e3;
        find!(found, "slow_queries" of "query": "query_p95_ms" = p95, slow.max(1.0), "ms";
            format!("95 of 100 queries took up to {p95:.0} ms, of {} in {:.0} s", now.queries.count, now.queries.seconds)
            => "Record what they ask for by rules, or ask for coarser steps; /api/barograph/v1/queries has their plans");
    }
}

fn resources(now: &Observed, found: &mut Vec<Finding>) {
    if let Some(cpu) = now.cpu {
        find!(found, "cpu" of "host": "cpu_usage" = cpu, SATURATED, "percent";
            format!("the processors of the host are busy for {cpu:.0} % of the time")
            => "Give it more processors, or take work from the host");
    }
    if let Some(network) = now.network {
        find!(found, "network" of "host": "network_usage" = network, SATURATED, "percent";
            format!("{network:.0} % of what the network carries are in use") => "Compress what is sent, or use a faster link");
    }
    if let Some(memory) = now.host_memory {
        find!(found, "host_memory" of "host": "host_memory_usage" = memory, 95.0, "percent";
            format!("{memory:.1} % of the memory of the host are in use") => "Lower --memory, or take work from the host");
    }
    if let Some(lag) = now.lag_ms {
        find!(found, "event_loop" of "runtime": "event_loop_lag_ms" = lag, 50.0, "ms";
            format!("what is due runs up to {lag:.0} ms late at p95") => "Look for work that blocks, or for too few processors");
    }
    if let Some(busy) = now.busy {
        find!(found, "runtime" of "runtime": "runtime_usage" = busy, SATURATED, "percent";
            format!("the threads of the runtime are busy for {busy:.0} % of the time") => "Give it more processors");
    }
    let steps = now.sheds.join(", ");
    find!(found, "memory" of "memory": "memory_usage" = now.memory, 77.0, "percent";
        format!("{:.0} % of the budget are in use; steps taken: {}", now.memory, if steps.is_empty() { "none" } else { &steps })
        => "Raise --memory, or keep fewer series");
}

/// The inputs of the score that are known.
fn parts(readings: &Readings<'_>) -> Vec<ScorePart> {
    let now = readings.now;
    let saturation = [
        now.cpu,
        now.busy,
        Some(now.memory),
        now.disk,
        now.network,
        now.figure("series_usage"),
        now.figure("commit_usage"),
    ];
    let saturation = saturation.into_iter().flatten().reduce(f64::max).map(|percent| percent / 100.0);
    // Without a reading from before, since the start.
    let since = |count: fn(&Observed) -> u64| count(now).saturating_sub(readings.before.map_or(0, count));
    let asked = since(|observed| observed.asked);
    let refused = (asked > 0).then(|| since(|observed| observed.refused) as f64 / asked as f64);
    [
        ("error_rate", now.error_rate, 0.001, 0.05, 3.0),
        ("p95_latency_ms", now.figure("p95_latency_ms"), 1_000.0, 3_000.0, 2.0),
        ("saturation", saturation, 0.7, 0.95, 2.0),
        ("queries_refused", refused, 0.0, 0.01, 2.0),
        ("event_loop_lag_ms", now.lag_ms, 10.0, 200.0, 1.0),
    ]
    .into_iter()
    .filter_map(|(input, value, good, bad, weight)| {
        let part = Part::new(input, value, [good, bad], weight);
        Some(ScorePart { input, value: part.value?, good, bad, weight, score: 100.0 * part.score? })
    })
    .collect()
}

/// The mean of the parts by their weights; 100 of none.
fn score(parts: &[ScorePart]) -> f64 {
    let weights: f64 = parts.iter().map(|part| part.weight).sum();
    if weights == 0.0 {
        100.0
    } else {
        parts.iter().map(|part| part.score * part.weight).sum::<f64>() / weights
    }
}

#[cfg(test)]
mod tests {
    use barograph::window::Figures;

    use super::*;

    fn fine() -> Observed {
        Observed {
            lag_ms: Some(1.0),
            cpu: Some(10.0),
            disk: Some(10.0),
            waiting_max: 100,
            ..Observed::default()
        }
    }

    fn check(
        component: &str,
        before: Option<&Observed>,
        now: &Observed,
        expected: &[&str],
    ) -> AnalysisResults {
        let readings = Readings { before, now, seconds: 5.0 };
        let results = analyse(component, &readings, &trend::History::default());
        assert_eq!(results.bottlenecks, expected, "{results:?}");
        assert_eq!(results.recommendations.len(), expected.len());
        results
    }

    #[test]
    fn a_server_that_is_fine_has_no_bottleneck() {
        let results = check("server", None, &fine(), &[]);
        assert_eq!(results.performance_score, 100.0);
        let inputs: Vec<_> = results.score_parts.iter().map(|part| part.input).collect();
        assert_eq!(inputs, ["saturation", "event_loop_lag_ms"]);
    }

    #[test]
    fn a_slow_disk_is_disk_io() {
        let now = Observed { committed: (10, 4.5), ..fine() };
        let results = check("server", Some(&fine()), &now, &["disk_io"]);
        assert_eq!(
            results.recommendations,
            [
                "Give the log a faster disk, or send fewer and larger requests: 10 commits of the log took 4.50 s of 5.00 s"
            ]
        );
        assert_eq!(results.findings[0].value, 90.0);
        let slow = Figures { count: 5, p95: Some(0.3), max: Some(0.4), seconds: 60.0, ..Figures::default() };
        check("persistence_worker", None, &Observed { commits: slow, ..fine() }, &["disk_io"]);
        check("query", Some(&fine()), &now, &[]);
    }

    #[test]
    fn the_worst_comes_first_and_lowers_the_score() {
        let slow = Figures { count: 50, p95: Some(3.0), seconds: 60.0, ..Figures::default() };
        let now = Observed {
            cpu: Some(95.0),
            queries: slow,
            slow_after: std::time::Duration::from_secs(1),
            error_rate: Some(0.5),
            refused: 3,
            asked: 100,
            ..fine()
        };
        let results =
            check("server", Some(&fine()), &now, &["errors", "query_limits", "slow_queries", "cpu"]);
        let expected = (3.0 * 0.0 + 2.0 * 0.0 + 2.0 * 0.0 + 100.0) / 8.0;
        assert!((results.performance_score - expected).abs() < 1e-9, "{results:?}");
    }

    #[test]
    fn worse_never_scores_higher() {
        let score = |cpu, lag_ms, error_rate| {
            let now =
                Observed { cpu: Some(cpu), lag_ms: Some(lag_ms), error_rate: Some(error_rate), ..fine() };
            analyse("server", &Readings { before: None, now: &now, seconds: 0.0 }, &trend::History::default())
                .performance_score
        };
        for step in 0..50 {
            let (now, next) = (f64::from(step), f64::from(step + 1));
            assert!(score(2.0 * next, 1.0, 0.0) <= score(2.0 * now, 1.0, 0.0));
            assert!(score(1.0, 5.0 * next, 0.0) <= score(1.0, 5.0 * now, 0.0));
            assert!(score(1.0, 1.0, next / 50.0) <= score(1.0, 1.0, now / 50.0));
        }
    }
}
