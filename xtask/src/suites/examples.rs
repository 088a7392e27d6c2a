//! The examples run, end in time, and print what they are there to show; so does the demo.

use anyhow::{Result, ensure};

use crate::{barograph, place, shell, tally::Tally};

use super::Ground;

/// Example, its words, and what it must print.
const EXAMPLES: &[(&str, &[&str], &[&str])] = &[
    ("hello", &[], &["greetings_total{language=\"en\"} 2", "process_"]),
    ("custom_collector", &["docs"], &["# TYPE spool_size_bytes gauge", "spool_files "]),
    ("flow", &[], &["flow_execution_duration_seconds_count{branchPath=\"root\"", "FLOW-001"]),
    ("axum_service", &[], AXUM_SERVICE),
    ("tonic_service", &[], TONIC_SERVICE),
    ("sliding_dashboard", &["4", "1"], &["histogram_quantile", " pieces, "]),
    ("embedded", &[], &["example_jobs_total = 100", "api.requests.failed = 5", "collectors, "]),
];

/// Routes by template, failures by class, and all else that is measured once.
const AXUM_SERVICE: &[&str] = &[
    "http_requests_total{method=\"GET\",route=\"/model/{model_name}/health\",status=\"200\"} 2",
    "http_requests_total{method=\"GET\",route=\"/circuit-breaker/{name}\",status=\"connection\"} 1",
    "http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1",
    "http_request_errors_total{error_class=\"client\"} 2",
    "function_calls_total{function=\"games.load\",outcome=\"ok\"} 1",
    "cache_hits_total{cache=\"unified_cache_service\"} 1",
    "db_pool_acquisitions_total{outcome=\"acquired\",pool=\"games\"} 1",
    "event_loop_lag_seconds_count ",
    "tx_retries_per_commit_sum",
    "websocket_messages_received_total 2",
];

/// Both sides count each call, by method and status.
const TONIC_SERVICE: &[&str] = &[
    "http_client_requests_total{method=\"GRPC\",route=\"grpc.health.v1.Health/Check\",status=\"NOT_FOUND\"} 1",
    "http_client_requests_total{method=\"GRPC\",route=\"grpc.health.v1.Health/Check\",status=\"OK\"} 2",
    "\nhttp_requests_total{method=\"GRPC\",route=\"grpc.health.v1.Health/Check\",status=\"OK\"} 2",
];

/// How long one may take, in seconds.
const SECONDS: &str = "300";

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    // They are built with all tests; alone they would be built once more, with other features.
    barograph::build_for_tests()?;
    for (example, words, expected) in EXAMPLES {
        let program = place::target().join("debug/examples").join(example).display().to_string();
        tally.check(&format!("example {example}"), shows(&[&[program.as_str()], *words].concat(), expected));
    }
    let binary = ground.binary.display().to_string();
    let demo = ["demo", "--duration", "6s", "--history", "10m", "--http-addr", "127.0.0.1:0"];
    let expected = ["watched by a server", "payment-0", "/ui/explore?q="];
    tally.check("barograph demo", shows(&[&[binary.as_str()], &demo[..]].concat(), &expected));
    Ok(())
}

/// Whether a program ends well in time and prints all of `expected`.
fn shows(program: &[&str], expected: &[&str]) -> Result<()> {
    let printed = shell::output(&mut shell::command("timeout", &[&[SECONDS], program].concat()))?;
    for text in expected {
        ensure!(
            printed.contains(text),
            "{text:?} is not in what it printed:\n{}",
            shell::last_lines(&printed, 30)
        );
    }
    Ok(())
}
