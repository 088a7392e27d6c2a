//! One `prometheus.yml` for a real Prometheus and for us: both scrape the same pages, found in the same ways, and have to tell
//! the same of their targets and to answer the same.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use barograph::{Registry, Unit, exposition::negotiate_form};
use serde_json::{Value, json};

use super::{
    Ground,
    answers::{Agreement, ask, compare},
};
use crate::{
    barograph::Barograph,
    http::Client,
    load,
    peers::Peers,
    place,
    server::{self, Server},
    tally::Tally,
};

/// Longest wait for both to have scraped all.
const ARRIVE_MAX: Duration = Duration::from_secs(120);
/// Targets that are scraped, and those of them that refuse or are beyond a limit.
const TARGETS: usize = 11;
const UNFIT: usize = 3;
/// Requests that the pages answer before the test ends, at most.
const REQUESTS_MAX: usize = 50_000;

const TEXT: &str = "# HELP shop_orders_total Orders.\n# TYPE shop_orders_total counter\nshop_orders_total{kind=\"a\",job=\"own\"} 3\n\
    # TYPE shop_wait_seconds histogram\nshop_wait_seconds_bucket{le=\"1\"} 2\nshop_wait_seconds_bucket{le=\"+Inf\"} 3\n\
    shop_wait_seconds_sum 4.5\nshop_wait_seconds_count 3\n\
    # TYPE shop_size summary\nshop_size{quantile=\"0.5\"} 2\nshop_size{quantile=\"1\"} 9\nshop_size_sum 20\nshop_size_count 7\n\
    noise 1\n{\"shop.utf8\",\"a b\"=\"c\"} 5\n";
const OPEN_METRICS: &str = "# TYPE shop_jobs counter\n# UNIT shop_jobs \n# HELP shop_jobs Jobs.\nshop_jobs_total{x=\"y\"} 8.0 # {trace_id=\"t\"} 1.0\n\
    # TYPE shop info\nshop_info{version=\"1\"} 1\n# EOF\n";

/// Asked of both.
const EXPRESSIONS: [&str; 14] = [
    "up",
    // Of a page over its limits Prometheus counts samples that it does not store; we count none.
    "scrape_samples_scraped{job!~\"labels|limited\"}",
    "scrape_samples_post_metric_relabeling{job!~\"labels|limited\"}",
    "shop_orders_total",
    "shop_wait_seconds_bucket",
    "shop_size",
    "{__name__=\"shop.utf8\"}",
    "shop_jobs_total",
    "shop_info",
    "{job=\"native\", __name__=~\"app_.+_total\"}",
    "histogram_count(app_wait_seconds)",
    "histogram_quantile(0.9, app_wait_seconds)",
    "count by (job) ({__name__=~\"shop.*|app.*\"})",
    "{job=\"hashed\", shard!=\"\", __name__!=\"scrape_duration_seconds\"}",
];

/// Parsed by both.
const PARSED: [&str; 10] = [
    "sum by (a, b) (rate(x{b!=\"c\"}[5m] offset 1m)) / on (a) group_left (d) y @ 1.5",
    "a and ignoring (x) b",
    "-a ^ 2 > bool 1e3",
    "max_over_time(rate(a[5m])[1h:5m] @ end())",
    "topk without (x) (3, a)",
    "label_join(a, \"b\", \",\", \"c\", \"d\")",
    "round(a, 0.5) or vector(time())",
    "{__name__=~\"a.*\", b!~\"c\"}",
    "histogram_quantile(0.9, sum by (le) (rate(h_bucket[1m])))",
    "(\"text\")",
];

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let peers = match ground.peers() {
        Ok(peers) => peers,
        Err(why) => {
            tally.skip("scraping as Prometheus does", why);
            return Ok(());
        }
    };
    let folder = place::fresh("scraping")?;
    let page = serve()?;
    let config = folder.join("prometheus.yml");
    fs::write(&config, configuration(&page))?;
    let found = json!([{"targets": [page], "labels": {"via": "file", "__metrics_path__": "/text"}}]);
    fs::write(folder.join("targets.json"), found.to_string())?;
    let path = config.display().to_string();
    let native = folder.join("ours.yml");
    // What is a flag of this Prometheus is a setting of newer ones.
    let ours_text = configuration(&page).replace("global:", "global:\n  scrape_native_histograms: true");
    fs::write(&native, ours_text)?;
    let ours =
        Barograph::new(&ground.binary, &folder).with(&["--config", &native.display().to_string()]).start()?;
    let theirs = start_prometheus(peers, &folder, &path)?;
    let mut sides = (ours.client(), theirs.client());
    tally.check("both have scraped all", arrive(&mut sides));
    let at = settled(&mut sides)?;
    for expression in EXPRESSIONS {
        tally.check(&format!("asked {expression}"), agree(&mut sides, expression, &at));
    }
    tally.check("the same targets", same(&mut sides, "/api/v1/targets", &[], targets));
    for state in ["active", "dropped"] {
        let fields = [("state", state)];
        tally.check(
            &format!("the same {state} targets"),
            same(&mut sides, "/api/v1/targets", &fields, targets),
        );
    }
    tally.check("the same pools", same(&mut sides, "/api/v1/scrape_pools", &[], Clone::clone));
    let fields = [("match_target", "{job=\"text\"}")];
    tally.check(
        "the same metadata of a target",
        same(&mut sides, "/api/v1/targets/metadata", &fields, sorted),
    );
    for expression in PARSED {
        let fields = [("query", expression)];
        tally.check(&format!("parsed {expression}"), same(&mut sides, "/api/v1/parse_query", &fields, older));
    }
    Ok(())
}

fn configuration(page: &str) -> String {
    format!(
        "global:\n\
         \x20 scrape_interval: 1s\n\
         \x20 scrape_timeout: 1s\n\
         \x20 external_labels: {{region: eu}}\n\
         runtime: {{gogc: 75}}\n\
         scrape_configs:\n\
         - {{job_name: text, metrics_path: /text, static_configs: [{{targets: ['{page}', 'dropped:1'], labels: {{zone: n}}}}],\n\
         \x20 relabel_configs: [{{action: drop, source_labels: [__address__], regex: 'dropped:.*'}}],\n\
         \x20 metric_relabel_configs: [{{action: drop, source_labels: [__name__], regex: 'noise'}}]}}\n\
         - {{job_name: honored, honor_labels: true, metrics_path: /text, static_configs: [{{targets: ['{page}']}}]}}\n\
         - {{job_name: open, metrics_path: /open, static_configs: [{{targets: ['{page}']}}]}}\n\
         - {{job_name: native, metrics_path: /app, static_configs: [{{targets: ['{page}']}}]}}\n\
         - {{job_name: files, file_sd_configs: [{{files: [targets.json]}}]}}\n\
         - {{job_name: pages, http_sd_configs: [{{url: 'http://{page}/sd', refresh_interval: 1s}}]}}\n\
         - {{job_name: secret, metrics_path: /secret, basic_auth: {{username: ann, password: hunter2}},\n\
         \x20 params: {{q: ['1 2', b]}}, static_configs: [{{targets: ['{page}']}}]}}\n\
         - {{job_name: refused, metrics_path: /secret, static_configs: [{{targets: ['{page}']}}]}}\n\
         - {{job_name: limited, metrics_path: /text, sample_limit: 3, static_configs: [{{targets: ['{page}']}}]}}\n\
         - {{job_name: labels, metrics_path: /text, label_limit: 3, static_configs: [{{targets: ['{page}']}}]}}\n\
         - {{job_name: hashed, metrics_path: /text, static_configs: [{{targets: ['{page}']}}], relabel_configs: [\n\
         \x20 {{source_labels: [__address__], modulus: 1000, action: hashmod, target_label: shard}},\n\
         \x20 {{source_labels: [job], action: uppercase, target_label: loud}},\n\
         \x20 {{regex: '__metrics_(.+)__', action: labelmap}}]}}\n"
    )
}

fn start_prometheus(peers: &Peers, folder: &Path, config: &str) -> Result<Server> {
    let address = server::free_address()?;
    let mut command = Command::new(&peers.prometheus);
    command.current_dir(folder).arg(format!("--config.file={config}"));
    command.arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()));
    command.args(["--enable-feature=native-histograms", "--log.level=warn"]);
    command.arg(format!("--web.listen-address={address}"));
    let mut prometheus = Server::start(command, &address, &folder.join("prometheus.log"))?;
    prometheus.wait_ready("/-/ready")?;
    Ok(prometheus)
}

/// Waits until both have scraped every target at least once.
fn arrive((ours, theirs): &mut (Client, Client)) -> Result<()> {
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        let mut counts = Vec::new();
        for side in [&mut *ours, &mut *theirs] {
            let data = ask(side, "/api/v1/targets", &[("state", "active")])?;
            let targets = data["activeTargets"].as_array().cloned().unwrap_or_default();
            counts.push(targets.iter().filter(|target| target["health"] != "unknown").count());
        }
        if counts.iter().all(|count| *count == TARGETS) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "targets that were scraped: {counts:?}, not {TARGETS} each");
        thread::sleep(Duration::from_millis(300));
    }
}

/// Waits for a whole second at which each target of both is up that can be, and once both have scraped all again says which.
fn settled((ours, theirs): &mut (Client, Client)) -> Result<String> {
    // The times before count, too: of a target that was down all series are new.
    let fare = format!(
        "count(min_over_time(up[4s]) == 1 and count_over_time(up[4s]) > 1) == {} and \
         count(max_over_time(up[4s]) == 0 and count_over_time(up[4s]) > 1) == {UNFIT}",
        TARGETS - UNFIT,
    );
    let holds = |client: &mut Client, expression: &str, at: i64| -> Result<bool> {
        let fields = [("query", expression), ("time", &*at.to_string())];
        let found = ask(client, "/api/v1/query", &fields)?;
        Ok(found["result"].as_array().is_some_and(|found| !found.is_empty()))
    };
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        let at = load::now_ms()?.div_euclid(1_000);
        let scraped = format!("count(timestamp(up) > {at}) == {TARGETS}");
        for side in [&mut *ours, &mut *theirs] {
            while !holds(side, &scraped, load::now_ms()?.div_euclid(1_000) + 1)? {
                ensure!(Instant::now() < deadline, "not every target is scraped any more");
                thread::sleep(Duration::from_millis(100));
            }
        }
        if holds(ours, &fare, at)? && holds(theirs, &fare, at)? {
            return Ok(at.to_string());
        }
        ensure!(Instant::now() < deadline, "at no time all targets are up that can be");
    }
}

fn agree((ours, theirs): &mut (Client, Client), expression: &str, at: &str) -> Result<()> {
    let fields = [("query", expression), ("time", at)];
    let theirs = ask(theirs, "/api/v1/query", &fields)?;
    let ours = ask(ours, "/api/v1/query", &fields)?;
    compare(&ours, &theirs, Agreement::Within(1e-9))
}

fn same(
    (ours, theirs): &mut (Client, Client),
    path: &str,
    fields: &[(&str, &str)],
    simple: impl Fn(&Value) -> Value,
) -> Result<()> {
    let theirs = simple(&ask(theirs, path, fields)?);
    let ours = simple(&ask(ours, path, fields)?);
    ensure!(ours == theirs, "ours {ours}\ntheirs {theirs}");
    Ok(())
}

/// Targets without what depends on the moment, in one order.
fn targets(data: &Value) -> Value {
    let mut data = data.clone();
    for target in data["activeTargets"].as_array_mut().into_iter().flatten() {
        let failed = target["lastError"] != "";
        target["lastError"] = failed.into();
        for key in ["lastScrape", "lastScrapeDuration", "globalUrl"] {
            let there = target.as_object_mut().is_some_and(|target| target.remove(key).is_some());
            target[format!("has {key}")] = there.into();
        }
    }
    for key in ["activeTargets", "droppedTargets"] {
        data[key] = sorted(&data[key]);
    }
    data
}

fn sorted(list: &Value) -> Value {
    let mut rows = list.as_array().cloned().unwrap_or_default();
    rows.sort_by_key(Value::to_string);
    rows.into()
}

/// A tree without what this Prometheus does not know yet.
fn older(tree: &Value) -> Value {
    match tree {
        Value::Object(entries) => {
            let known = |name: &str| !matches!(name, "anchored" | "smoothed" | "fillValues");
            entries
                .iter()
                .filter(|(name, _)| known(name))
                .map(|(name, value)| (name.clone(), older(value)))
                .collect()
        }
        Value::Array(items) => items.iter().map(older).collect(),
        other => other.clone(),
    }
}

/// Serves all pages; the address. Its thread ends with this program.
fn serve() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let (registry, own) = (app()?, address.clone());
    thread::spawn(move || {
        for stream in listener.incoming().take(REQUESTS_MAX).flatten() {
            // A scrape that fails is asked for again.
            let _ = answer(&registry, &own, stream);
        }
    });
    Ok(address)
}

fn app() -> Result<Registry> {
    let registry = Registry::new();
    registry.counter("app.orders").help("Orders.").label("kind", "express").register()?.add(3);
    let wait = registry.histogram("app.wait").unit(Unit::Seconds).register()?;
    (1..=1_000).for_each(|i| wait.record(f64::from(i) / 1e3));
    Ok(registry)
}

fn answer(registry: &Registry, own: &str, mut stream: TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (mut head, mut room) = (Vec::new(), [0; 4_096]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut room)?;
        ensure!(read > 0 && head.len() < 1 << 16, "no whole request");
        head.extend_from_slice(&room[..read]);
    }
    let head = String::from_utf8(head)?;
    let target = head.split(' ').nth(1).unwrap_or_default();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    let text = "text/plain; version=1.0.0; escaping=allow-utf-8";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let (status, kind, body) = match target.split('?').next().unwrap_or_default() {
        "/text" => ("200 OK", text, TEXT.into()),
        "/open" => ("200 OK", open, OPEN_METRICS.into()),
        "/app" => {
            let form = negotiate_form(header("accept"));
            ("200 OK", form.content_type(), registry.page(form))
        }
        "/sd" => {
            let found = json!([{"targets": [own], "labels": {"via": "page", "__metrics_path__": "/text"}}]);
            ("200 OK", "application/json", found.to_string().into_bytes())
        }
        "/secret" if header("authorization") == Some("Basic YW5uOmh1bnRlcjI=") => {
            ("200 OK", text, format!("shop_secret{{target={target:?}}} 1\n").into())
        }
        "/secret" => ("401 Unauthorized", "text/plain", Vec::new()),
        _ => ("404 Not Found", "text/plain", Vec::new()),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)?;
    Ok(())
}
