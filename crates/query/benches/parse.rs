//! How long it takes to parse expressions as dashboards and rules have them: `cargo bench -p barograph-query`.
//!
//! Prints the median of many batches for each expression, and the median over all of them, in microseconds.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use barograph_query::parse;

/// Parses in a batch, and batches.
const BATCH: u32 = 200;
const BATCHES: usize = 101;

const EXPRESSIONS: [&str; 14] = [
    "up",
    r#"node_load1{instance="node-00007.rack-07.example.net:9100"}"#,
    "sum by (instance) (rate(http_request_duration_seconds_count[5m]))",
    r#"topk(5, rate(node_network_receive_bytes_total{device="eth0"}[5m]))"#,
    "histogram_quantile(0.95, sum by (le, handler) (rate(http_request_duration_seconds_bucket[5m])))",
    r#"count({__name__=~"node_.*", instance=~".*rack-0[1-5].*"})"#,
    r#"100 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])) * 100"#,
    r#"sum(rate(http_requests_total{status=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) > 0.01"#,
    "node_filesystem_avail_bytes / on (instance, device) group_left (mountpoint) node_filesystem_size_bytes < 0.1",
    r#"predict_linear(node_filesystem_avail_bytes{fstype!~"tmpfs|ramfs"}[6h], 4 * 3600) < 0"#,
    r#"max_over_time(rate(demo_cpu_usage_seconds_total[1m])[10m:30s] offset 5m)"#,
    r#"label_replace(up{job="api"}, "host", "$1", "instance", "(.*):.*")"#,
    r#"absent_over_time(up{job="barograph"}[10m]) or (time() - process_start_time_seconds < bool 300)"#,
    r#"{"http.server.request.duration", "service.name"="checkout"} @ end() offset -1h30m"#,
];

fn main() {
    let mut medians = Vec::new();
    for text in EXPRESSIONS {
        let mut times: Vec<Duration> = (0..BATCHES)
            .map(|_| {
                let began = Instant::now();
                (0..BATCH).for_each(|_| drop(black_box(parse(black_box(text)).expect("it is PromQL"))));
                began.elapsed() / BATCH
            })
            .collect();
        times.sort_unstable();
        let median = times[BATCHES / 2];
        println!("{:8.2} us  {text}", median.as_secs_f64() * 1e6);
        medians.push(median);
    }
    medians.sort_unstable();
    println!("{:8.2} us  the median of all", medians[medians.len() / 2].as_secs_f64() * 1e6);
}
