//! A real Prometheus scrapes itself and a real node exporter, and writes all of it to us; then both are asked the
//! same and must agree.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    Ground,
    answers::{Agreement, ask, compare, series},
    collected::collect,
};
use crate::{
    barograph::Barograph,
    http::Client,
    peers::Peers,
    place,
    server::{self, Server},
    tally::Tally,
};

/// So many scrapes of each target go well before both are asked: more than the longest range that is asked for holds.
const SCRAPES: u32 = 20;
/// Longest wait for that, and for what was collected to arrive.
const ARRIVE_MAX: Duration = Duration::from_secs(120);
/// Rounding of two orders of summation.
const ROUNDING: Agreement = Agreement::Within(1e-9);
const ORDERED: Agreement = Agreement::Ordered(1e-9);

/// Asked at one time, and over a range unless the order counts, which a range has none of.
const EXPRESSIONS: [(&str, Agreement); 43] = [
    (r#"up{job=~"prometheus|node"}"#, Agreement::Exact),
    (r#"{__name__=~"node_(load|memory_M).*"}"#, Agreement::Exact),
    (r#"prometheus_build_info"#, Agreement::Exact),
    (r#"node_time_seconds offset 5s"#, Agreement::Exact),
    (r#"rate(node_cpu_seconds_total[10s])"#, ROUNDING),
    (r#"rate(prometheus_http_requests_total[15s])"#, ROUNDING),
    (r#"irate(node_cpu_seconds_total[10s])"#, ROUNDING),
    (r#"increase(prometheus_tsdb_head_samples_appended_total[12s])"#, ROUNDING),
    (r#"delta(node_memory_MemFree_bytes[10s])"#, ROUNDING),
    (r#"idelta(node_memory_MemFree_bytes[10s])"#, ROUNDING),
    (r#"deriv(node_memory_MemFree_bytes[10s])"#, Agreement::Within(1e-6)),
    (r#"predict_linear(node_filesystem_avail_bytes[10s], 3600)"#, Agreement::Within(1e-6)),
    (r#"resets(process_cpu_seconds_total{job=~"prometheus|node"}[10s])"#, Agreement::Exact),
    (r#"changes(node_memory_MemFree_bytes[10s])"#, Agreement::Exact),
    (r#"avg_over_time(node_memory_MemFree_bytes[10s])"#, ROUNDING),
    (r#"max_over_time(node_load1[10s]) - min_over_time(node_load1[10s])"#, ROUNDING),
    (r#"sum_over_time(up{job=~"prometheus|node"}[10s])"#, ROUNDING),
    (r#"count_over_time(node_cpu_seconds_total[10s])"#, Agreement::Exact),
    (r#"stddev_over_time(node_memory_MemFree_bytes[10s])"#, Agreement::Within(1e-6)),
    (r#"quantile_over_time(0.9, node_memory_MemFree_bytes[10s])"#, ROUNDING),
    (r#"last_over_time(node_time_seconds[10s])"#, Agreement::Exact),
    (r#"sum by (mode) (rate(node_cpu_seconds_total[10s]))"#, ROUNDING),
    (r#"avg without (cpu) (node_cpu_seconds_total)"#, ROUNDING),
    (r#"count by (job) ({job=~"prometheus|node"})"#, Agreement::Exact),
    (r#"stddev by (mode) (node_cpu_seconds_total)"#, Agreement::Within(1e-6)),
    (r#"quantile by (mode) (0.5, node_cpu_seconds_total)"#, ROUNDING),
    (r#"max by (device) (node_network_receive_bytes_total)"#, Agreement::Exact),
    (r#"group by (handler) (prometheus_http_requests_total)"#, Agreement::Exact),
    (r#"count_values("version", prometheus_build_info)"#, Agreement::Exact),
    (r#"topk(3, {__name__=~"node_memory_(MemTotal|MemAvailable|Cached|Buffers)_bytes"})"#, ORDERED),
    (r#"bottomk(2, {__name__=~"node_memory_(MemTotal|MemAvailable|Cached|Buffers)_bytes"})"#, ORDERED),
    (r#"sort_desc({__name__=~"node_memory_(MemTotal|MemAvailable|Cached|Buffers)_bytes"})"#, ORDERED),
    (
        "histogram_quantile(0.9, sum by (le) (rate(prometheus_http_request_duration_seconds_bucket[15s])))",
        ROUNDING,
    ),
    (r#"node_memory_MemTotal_bytes - node_memory_MemFree_bytes"#, ROUNDING),
    (
        "prometheus_http_requests_total / on (job, instance) group_left (version) prometheus_build_info",
        ROUNDING,
    ),
    (r#"node_cpu_seconds_total{mode="idle"} > on (cpu) 0 * node_cpu_seconds_total{mode="user"}"#, ROUNDING),
    (r#"node_cpu_seconds_total and on (cpu) node_cpu_seconds_total{mode="idle"} > 0"#, ROUNDING),
    (r#"up{job="node"} or up{job="prometheus"}"#, Agreement::Exact),
    (r#"up{job=~"node|prometheus"} unless up{job="node"}"#, Agreement::Exact),
    (r#"label_replace(up{job="node"}, "host", "$1", "instance", "(.*):.*")"#, Agreement::Exact),
    (r#"absent(nothing_of_this_name{a="b"})"#, Agreement::Exact),
    (r#"max_over_time(rate(node_cpu_seconds_total{mode="idle"}[5s])[10s:1s])"#, ROUNDING),
    (r#"clamp_max(round(node_load1, 0.1), 2) * 2 ^ 3 % 7"#, ROUNDING),
];

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let peers = match ground.peers() {
        Ok(peers) => peers,
        Err(why) => {
            tally.skip("agreement with Prometheus", why);
            return Ok(());
        }
    };
    let folder = place::fresh("real_prometheus")?;
    let ours = Barograph::new(&ground.binary, &folder).start()?;
    let exporter = start_exporter(peers, &folder)?;
    let theirs = start_prometheus(peers, &folder, &exporter, &ours)?;
    let mut sides = (ours.client(), theirs.client());
    let at_s = collect(&mut sides.1, r#"up{job=~"prometheus|node"}"#, 2, SCRAPES, ARRIVE_MAX)?;
    tally.check("all samples are the same", arrive(&mut sides, at_s));
    let at = at_s.to_string();
    for (expression, agreement) in EXPRESSIONS {
        let fields = [("query", expression), ("time", &at)];
        tally.check(&format!("instant {expression}"), agree(&mut sides, "/api/v1/query", &fields, agreement));
        if !matches!(agreement, Agreement::Ordered(_)) {
            let start = (at_s - 10).to_string();
            let fields = [("query", expression), ("start", &start), ("end", &at), ("step", "2")];
            tally.check(
                &format!("range {expression}"),
                agree(&mut sides, "/api/v1/query_range", &fields, agreement),
            );
        }
    }
    let metadata = [("metric", "node_cpu_seconds_total")];
    tally.check("metadata", same_metadata(&mut sides, &metadata));
    tally.check("series that end are stale", ends(exporter, &mut sides));
    Ok(())
}

fn start_exporter(peers: &Peers, folder: &Path) -> Result<Server> {
    let address = server::free_address()?;
    let mut command = Command::new(&peers.node_exporter);
    command.current_dir(folder).arg(format!("--web.listen-address={address}")).arg("--log.level=warn");
    let mut exporter = Server::start(command, &address, &folder.join("node_exporter.log"))?;
    exporter.wait_ready("/")?;
    Ok(exporter)
}

fn start_prometheus(peers: &Peers, folder: &Path, exporter: &Server, ours: &Server) -> Result<Server> {
    let address = server::free_address()?;
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: prometheus, static_configs: [{{targets: ['{address}']}}]}}\n\
         - {{job_name: node, static_configs: [{{targets: ['{}']}}]}}\n\
         remote_write:\n\
         - url: {}/api/v1/write\n\
         \x20 queue_config: {{batch_send_deadline: 500ms, max_samples_per_send: 500}}\n\
         \x20 metadata_config: {{send_interval: 3s}}\n",
        exporter.address,
        ours.url()
    );
    fs::write(&config, text)?;
    let mut command = Command::new(&peers.prometheus);
    command.current_dir(folder).arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
    command.arg(format!("--web.listen-address={address}"));
    let mut prometheus = Server::start(command, &address, &folder.join("prometheus.log"))?;
    prometheus.wait_ready("/-/ready")?;
    Ok(prometheus)
}

/// Waits until we have every sample that Prometheus itself has.
fn arrive(sides: &mut (Client, Client), at_s: i64) -> Result<()> {
    let at = at_s.to_string();
    let fields = [("query", r#"{job=~"prometheus|node"}[1m]"#), ("time", &at)];
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        let outcome = agree(sides, "/api/v1/query", &fields, Agreement::Exact);
        if outcome.is_ok() || Instant::now() > deadline {
            return outcome;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn agree(
    (ours, theirs): &mut (Client, Client),
    path: &str,
    fields: &[(&str, &str)],
    agreement: Agreement,
) -> Result<()> {
    let theirs = ask(theirs, path, fields).context("Prometheus")?;
    let ours = ask(ours, path, fields)?;
    compare(&ours, &theirs, agreement)
}

fn same_metadata((ours, theirs): &mut (Client, Client), fields: &[(&str, &str)]) -> Result<()> {
    let theirs = ask(theirs, "/api/v1/metadata", fields)?;
    let ours = ask(ours, "/api/v1/metadata", fields)?;
    ensure!(ours == theirs, "{ours} and {theirs}");
    Ok(())
}

/// After the exporter is gone, a scrape later its series are no longer there, long before the lookback ends.
fn ends(exporter: Server, sides: &mut (Client, Client)) -> Result<()> {
    exporter.kill()?;
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        let up = ask(&mut sides.0, "/api/v1/query", &[("query", r#"up{job="node"}"#)])?;
        let load = ask(&mut sides.0, "/api/v1/query", &[("query", "node_load1")])?;
        let down = series(&up)?.iter().any(|(_, samples)| samples.iter().any(|sample| sample.1 == 0.0));
        if down && series(&load)?.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "after {ARRIVE_MAX:?}: {up} and {load}");
        thread::sleep(Duration::from_millis(200));
    }
}
