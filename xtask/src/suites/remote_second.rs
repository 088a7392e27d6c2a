//! A real Prometheus writes to us by remote write 2.0: floats, native histograms, exemplars, and what is said of metrics; then
//! both are asked the same and must agree.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Ground, answers::ask, collected::collect, exporters};
use crate::{
    barograph::Barograph,
    http::Client,
    load,
    peers::Peers,
    place,
    server::{self, Server},
    tally::Tally,
};

/// So many scrapes of each target go well before both are asked: more than the longest range that is asked for holds.
const SCRAPES: u32 = 13;
/// Longest wait for that, and for what was collected to arrive.
const ARRIVE_MAX: Duration = Duration::from_secs(120);
/// What Prometheus scrapes.
const UP: &str = r#"up{job=~"prometheus|shop"}"#;
/// What Prometheus needs to send all of it, and to say since when its own counters count.
const FEATURES: &str =
    "exemplar-storage,native-histograms,created-timestamp-zero-ingestion,metadata-wal-records";

/// Asked at one time, and over a range.
const EXPRESSIONS: [&str; 8] = [
    r#"{job=~"prometheus|shop"}"#,
    "prometheus_http_requests_total",
    "rate(prometheus_http_requests_total[5s])",
    "prometheus_http_request_duration_seconds",
    "histogram_count(prometheus_http_request_duration_seconds)",
    "histogram_quantile(0.9, sum(prometheus_http_request_duration_seconds))",
    "sum(rate(prometheus_http_request_duration_seconds[5s]))",
    "rate(shop_orders_total[5s])",
];

pub(super) fn run(ground: &Ground, peers: &Peers, tally: &mut Tally) -> Result<()> {
    let folder = place::fresh("remote_second")?;
    let config = folder.join("barograph.yml");
    fs::write(&config, "collectors: {built_in: false}\n")?;
    let flags = ["--config", &config.display().to_string()];
    let ours = Barograph::new(&ground.binary, &folder).with(&flags).start()?;
    let theirs = start_prometheus(peers, &folder, &shop()?, &ours)?;
    let mut sides = (ours.client(), theirs.client());
    // It sends what it scrapes from when its sending has begun.
    begins(&mut sides.0)?;
    let at_s = collect(&mut sides.1, UP, 2, SCRAPES, ARRIVE_MAX)?;
    let (at, start) = (at_s.to_string(), (at_s - 4).to_string());
    let mut check = |name: &str, outcome| tally.check(&format!("2.0: {name}"), outcome);
    let all = [("query", r#"{job=~"prometheus|shop"}[10s]"#), ("time", &at)];
    check("all samples arrive", arrive(&mut sides, "/api/v1/query", &all));
    for expression in EXPRESSIONS {
        let fields = [("query", expression), ("time", &at)];
        check(&format!("instant {expression}"), agree(&mut sides, "/api/v1/query", &fields));
        let fields = [("query", expression), ("start", &start), ("end", &at), ("step", "2")];
        check(&format!("range {expression}"), agree(&mut sides, "/api/v1/query_range", &fields));
    }
    check("histograms are native", {
        let fields = [("query", "prometheus_http_request_duration_seconds"), ("time", at.as_str())];
        ask(&mut sides.0, "/api/v1/query", &fields).and_then(|found| {
            ensure!(found["result"][0]["histogram"].is_array(), "{found}");
            Ok(())
        })
    });
    let exemplars = [("query", "shop_orders_total"), ("start", &start), ("end", &at)];
    check("exemplars", arrive(&mut sides, "/api/v1/query_exemplars", &exemplars));
    for metric in ["shop_stock_items", "prometheus_http_request_duration_seconds"] {
        let fields = [("metric", metric)];
        check(&format!("metadata of {metric}"), arrive(&mut sides, "/api/v1/metadata", &fields));
    }
    check("Prometheus sent by 2.0 and was refused nothing", fares_well(&mut sides));
    check("it has nothing to complain of", complains(&theirs));
    Ok(())
}

/// An exporter whose counter has another exemplar each time; its address.
pub(super) fn shop() -> Result<String> {
    let pages = AtomicU64::new(0);
    exporters::serve(move |_| {
        let page = pages.fetch_add(1, Ordering::Relaxed) + 1;
        let at = load::now_ms().unwrap_or_default() as f64 / 1e3;
        let text = format!(
            "# HELP shop_orders Orders taken.\n# TYPE shop_orders counter\n\
             shop_orders_total{{kind=\"express\"}} {} # {{trace_id=\"{page:032x}\"}} 1 {at:.3}\n\
             # HELP shop_stock_items In store.\n# TYPE shop_stock_items gauge\n# UNIT shop_stock_items items\n\
             shop_stock_items -{page}.5\n# EOF\n",
            3 * page
        );
        ("application/openmetrics-text; version=1.0.0; charset=utf-8".to_owned(), text.into_bytes())
    })
}

fn start_prometheus(peers: &Peers, folder: &Path, shop: &str, ours: &Server) -> Result<Server> {
    let address = server::free_address()?;
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n\
         - {{job_name: prometheus, static_configs: [{{targets: ['{address}']}}]}}\n\
         - {{job_name: shop, static_configs: [{{targets: ['{shop}']}}]}}\n\
         remote_write:\n\
         - url: {}/api/v1/write\n\
         \x20 protobuf_message: io.prometheus.write.v2.Request\n\
         \x20 send_native_histograms: true\n\
         \x20 send_exemplars: true\n\
         \x20 metadata_config: {{send: false}}\n\
         \x20 queue_config: {{batch_send_deadline: 300ms, max_samples_per_send: 500}}\n",
        ours.url()
    );
    fs::write(&config, text)?;
    let mut command = Command::new(&peers.prometheus);
    command.current_dir(folder).arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
    command.arg(format!("--enable-feature={FEATURES}"));
    command.arg(format!("--web.listen-address={address}"));
    let mut prometheus = Server::start(command, &address, &folder.join("prometheus.log"))?;
    prometheus.wait_ready("/-/ready")?;
    Ok(prometheus)
}

/// Waits until something came.
fn begins(ours: &mut Client) -> Result<()> {
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        let found = ask(ours, "/api/v1/query", &[("query", r#"count(up{job=~"prometheus|shop"}) == 2"#)])?;
        if found["result"].as_array().is_some_and(|found| !found.is_empty()) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "nothing comes");
        thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until both answer the same.
fn arrive(sides: &mut (Client, Client), path: &str, fields: &[(&str, &str)]) -> Result<()> {
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        let outcome = agree(sides, path, fields);
        if outcome.is_ok() || Instant::now() > deadline {
            return outcome;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// Asks both; what they answer must be the same to the last digit but for the order, and something.
fn agree(sides: &mut (Client, Client), path: &str, fields: &[(&str, &str)]) -> Result<()> {
    let theirs = sorted(ask(&mut sides.1, path, fields).context("Prometheus")?);
    let ours = sorted(ask(&mut sides.0, path, fields)?);
    ensure!(!theirs.is_empty(), "Prometheus has nothing");
    for (their, our) in theirs.iter().zip(&ours) {
        ensure!(same(our, their), "we say {our}, and Prometheus {their}");
    }
    ensure!(ours.len() == theirs.len(), "we have {}, and Prometheus {}", ours.len(), theirs.len());
    Ok(())
}

/// The parts of an answer, by the labels that they start with.
fn sorted(data: Value) -> Vec<Value> {
    let mut parts = match data {
        Value::Array(parts) => parts,
        Value::Object(mut fields) => match fields.remove("result") {
            Some(Value::Array(parts)) => parts,
            _ => fields.into_iter().map(|(name, value)| Value::Array(vec![name.into(), value])).collect(),
        },
        _ => Vec::new(),
    };
    let key = |part: &Value| [&part["metric"], &part["seriesLabels"], &part[0]].map(Value::to_string);
    parts.sort_by_cached_key(key);
    parts
}

/// Whether two answers are the same, but for rounding in another order.
fn same(ours: &Value, theirs: &Value) -> bool {
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
    match (ours, theirs) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        (a, b) if a == b => true,
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
            _ => false,
        },
    }
}

fn fares_well(sides: &mut (Client, Client)) -> Result<()> {
    let metrics = sides.1.get("/metrics")?.text();
    let value = |name: &str| -> f64 {
        let of = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        metrics.lines().filter(|line| line.starts_with(&format!("{name}{{"))).filter_map(of).sum()
    };
    for kind in ["samples", "histograms", "exemplars"] {
        let sent = value(&format!("prometheus_remote_storage_{kind}_total"));
        ensure!(sent > 0.0, "it sent no {kind}");
        for fate in ["failed", "dropped"] {
            let count = value(&format!("prometheus_remote_storage_{kind}_{fate}_total"));
            ensure!(count == 0.0, "{count} {kind} {fate}");
        }
    }
    let ours = sides.0.get("/metrics")?.text();
    let by = |line: &&str| {
        line.starts_with("barograph_") && line.contains("remote_write") && !line.ends_with(" 0")
    };
    ensure!(ours.lines().any(|line| by(&line)), "we counted nothing that came by remote write");
    Ok(())
}

/// Prometheus warns when the counts in our answers are not those that it sent.
fn complains(theirs: &Server) -> Result<()> {
    let log = theirs.log_whole()?;
    let complaint = log.lines().find(|line| {
        line.contains("component=remote") && (line.contains("level=WARN") || line.contains("level=ERROR"))
    });
    complaint.map_or(Ok(()), |line| Err(anyhow::anyhow!("{line}")))
}
