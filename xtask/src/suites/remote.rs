//! What we send on and what others read from us, with real Prometheus servers at the other end: we scrape one and write
//! what we scraped back to it, are killed meanwhile, and it must have all that we have; another reads from us and
//! federates us, and must answer as we do. That a Prometheus writes to us is shown by `real_prometheus` for the first version of
//! remote write, and by `remote_second` for the second.

use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    Ground,
    answers::{Agreement, ask, compare, series},
    collected::{collect, scrapes},
    remote_second,
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

/// So many scrapes of each target go well before the kill, and again after it.
const SCRAPES: u32 = 6;
/// Longest wait for that, and for what was collected to arrive.
const ARRIVE_MAX: Duration = Duration::from_secs(120);

/// What we scrape.
const UP: &str = r#"up{job=~"ours|shop"}"#;

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let peers = match ground.peers() {
        Ok(peers) => peers,
        Err(why) => {
            tally.skip("remote write and remote read with Prometheus", why);
            return Ok(());
        }
    };
    let folder = place::fresh("remote")?;
    let receiver = start_prometheus(peers, &folder, "receiver", "scrape_configs: []\n")?;
    // Another takes what is sent by 2.0.
    let second = start_prometheus(peers, &folder, "second", "scrape_configs: []\n")?;
    let shop = remote_second::shop()?;
    let config = folder.join("barograph.yml");
    fs::write(
        &config,
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, external_labels: {{via: us}}}}\n\
             collectors: {{built_in: false}}\n\
             scrape_configs:\n- {{job_name: ours, static_configs: [{{targets: ['{}']}}]}}\n\
             - {{job_name: shop, static_configs: [{{targets: ['{shop}']}}]}}\n\
             remote_write:\n- url: {}/api/v1/write\n  name: back\n  send_exemplars: true\n  \
             queue_config: {{batch_send_deadline: 200ms}}\n  metadata_config: {{send_interval: 2s}}\n\
             - url: {}/api/v1/write\n  name: second\n  protobuf_message: io.prometheus.write.v2.Request\n  \
             send_exemplars: true\n  queue_config: {{batch_send_deadline: 200ms}}\n",
            receiver.address,
            receiver.url(),
            second.url()
        ),
    )?;
    let barograph =
        Barograph::new(&ground.binary, &folder).with(&["--config", &config.display().to_string()]);
    let ours = barograph.start()?;
    collect(&mut ours.client(), UP, 2, SCRAPES, ARRIVE_MAX)?;
    // In the middle of sending.
    ours.kill()?;
    let ours = barograph.start()?;
    let (again_s, before) = (load::now_ms()? / 1000 + 1, scrapes(&mut ours.client(), UP)?);
    let at_s = collect(&mut ours.client(), UP, 2, before + SCRAPES, ARRIVE_MAX)?;
    let mut sides = (ours.client(), receiver.client());
    tally.check("what we stored arrives, over a kill", arrives(&mut sides, at_s));
    for (name, other) in [("1.0", receiver.client()), ("2.0", second.client())] {
        let mut sides = (ours.client(), other);
        tally.check(&format!("exemplars arrive by {name}"), exemplars_arrive(&mut sides, again_s, at_s));
    }
    tally.check("metadata arrives", {
        let fields = [("metric", "prometheus_http_requests_total")];
        ask(&mut sides.1, "/api/v1/metadata", &fields).map(drop)
    });
    let metrics = sides.0.get("/metrics")?.text();
    let failed = metrics.lines().find(|line| {
        line.starts_with("barograph_remote_storage_samples_failed_total{") && !line.ends_with(" 0")
    });
    tally.check("nothing was refused", failed.map_or(Ok(()), |line| Err(anyhow::anyhow!("{line}"))));

    let reader = start_prometheus(
        peers,
        &folder,
        "reader",
        &format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
             remote_read:\n- {{url: '{}/api/v1/read', read_recent: true, required_matchers: {{via: us}}}}\n\
             scrape_configs:\n- {{job_name: federate, honor_labels: true, metrics_path: /federate, \
             params: {{'match[]': ['{{job=\"ours\"}}']}}, static_configs: [{{targets: ['{}']}}]}}\n",
            ours.url(),
            ours.address
        ),
    )?;
    let mut sides = (ours.client(), reader.client());
    let at = at_s.to_string();
    for (mine, theirs) in [
        (r#"{job="ours"}[1m]"#, r#"{job="ours", via="us"}[1m]"#),
        (
            r#"prometheus_http_requests_total{job="ours"}"#,
            r#"prometheus_http_requests_total{job="ours", via="us"}"#,
        ),
        (
            r#"sum by (handler) (rate(prometheus_http_requests_total{job="ours"}[5s]))"#,
            r#"sum by (handler) (rate(prometheus_http_requests_total{job="ours", via="us"}[5s]))"#,
        ),
    ] {
        tally.check(&format!("remote read of {mine}"), agree(&mut sides, [mine, theirs], &at));
    }
    tally.check("a Prometheus federates us", federates(&mut sides));
    remote_second::run(ground, peers, tally)
}

fn start_prometheus(peers: &Peers, folder: &Path, name: &str, text: &str) -> Result<Server> {
    let address = server::free_address()?;
    let config = folder.join(format!("{name}.yml"));
    fs::write(&config, text)?;
    let mut command = Command::new(&peers.prometheus);
    command.current_dir(folder).arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join(name).display()));
    command.arg(format!("--web.listen-address={address}")).arg("--web.enable-remote-write-receiver");
    command.arg("--enable-feature=exemplar-storage");
    let mut prometheus = Server::start(command, &address, &folder.join(format!("{name}.log")))?;
    prometheus.wait_ready("/-/ready")?;
    Ok(prometheus)
}

/// Waits until the other side has every sample that we have.
fn arrives(sides: &mut (Client, Client), at_s: i64) -> Result<()> {
    let at = at_s.to_string();
    let both = [r#"{job="ours"}[1m]"#, r#"{job="ours", via="us"}[1m]"#];
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        let outcome = agree(sides, both, &at);
        if outcome.is_ok() || Instant::now() > deadline {
            return outcome;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// Waits until the other side has every exemplar of a time that we have.
fn exemplars_arrive(sides: &mut (Client, Client), from_s: i64, at_s: i64) -> Result<()> {
    let (start, end) = (from_s.to_string(), at_s.to_string());
    let fields = [("query", "shop_orders_total"), ("start", start.as_str()), ("end", end.as_str())];
    let exemplars = |client: &mut Client| -> Result<Vec<Value>> {
        let found = ask(client, "/api/v1/query_exemplars", &fields)?;
        Ok(found[0]["exemplars"].as_array().cloned().unwrap_or_default())
    };
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        let ours = exemplars(&mut sides.0)?;
        ensure!(ours.len() >= 3, "we have {ours:?}");
        let theirs = exemplars(&mut sides.1).context("Prometheus")?;
        if theirs == ours {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "we have {ours:?}, and Prometheus {theirs:?}");
        thread::sleep(Duration::from_millis(200));
    }
}

/// Asks us and them, and compares; theirs have an external label that ours do not.
fn agree(sides: &mut (Client, Client), [mine, theirs]: [&str; 2], at: &str) -> Result<()> {
    let ours = ask(&mut sides.0, "/api/v1/query", &[("query", mine), ("time", at)])?;
    ensure!(!series(&ours)?.is_empty(), "we have nothing");
    let mut theirs =
        ask(&mut sides.1, "/api/v1/query", &[("query", theirs), ("time", at)]).context("Prometheus")?;
    for result in theirs["result"].as_array_mut().into_iter().flatten() {
        if let Some(metric) = result["metric"].as_object_mut() {
            metric.remove("via");
        }
    }
    compare(&ours, &theirs, Agreement::Within(1e-9))
}

fn federates(sides: &mut (Client, Client)) -> Result<()> {
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        // Without the matcher that is asked of us, these are its own.
        let found = ask(&mut sides.1, "/api/v1/query", &[("query", r#"up{job=~"ours|federate"}"#)])?;
        let found = series(&found)?;
        let up = |job: &str| {
            let label = format!("\"{job}\"");
            found.iter().any(|(labels, samples)| {
                labels.contains(&label) && samples.iter().any(|sample| sample.1 == 1.0)
            })
        };
        if up("ours") && up("federate") {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "it has {found:?}");
        thread::sleep(Duration::from_millis(200));
    }
}
