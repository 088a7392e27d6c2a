//! The history of a real Prometheus is moved in, and every sample must be there, bit for bit.
//!
//! Ten days are made into blocks by promtool; a real Prometheus takes these, adds what it scrapes of itself and what is
//! written to it, deletes some, and makes a snapshot. What promtool dumps of the snapshot is compared with what an
//! export gives after the import.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use barograph_model::{Labels, Tier, quote};
use barograph_wire::json_lines::{Line, parse};

use super::Ground;
use crate::{
    barograph::Barograph,
    load::{self, REMOTE_WRITE_HEADERS},
    peers::Peers,
    place,
    random::Random,
    server::{self, Server},
    shell,
    tally::Tally,
};

const DAY_MS: i64 = 24 * 3_600_000;
/// How much of the past promtool makes blocks of.
const PAST_DAYS: i64 = 10;
const SERIES: u64 = 20;
/// How long Prometheus scrapes itself.
const COLLECT: Duration = Duration::from_secs(8);

/// Every sample, by series as Prometheus spells it; every NaN is the same one.
type Samples = BTreeMap<(String, i64), u64>;

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let peers = match ground.peers() {
        Ok(peers) => peers,
        Err(why) => {
            tally.skip("moving in from Prometheus", why);
            return Ok(());
        }
    };
    let folder = place::fresh("history")?;
    let snapshot = snapshot(peers, &folder)?;
    let theirs = dump(peers, &snapshot)?;
    // All the past that is moved in is looked at sample by sample.
    let barograph =
        Barograph::new(&ground.binary, &folder).with(&["--retention-raw", "60d"]).without_ready_rules()?;
    let ours = barograph.start()?;
    let url = ours.url();
    let import = |from: &Path| {
        let output =
            Command::new(&ground.binary).args(["import", "prometheus", "--url", &url]).arg(from).output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        // 3 says that something was left out.
        ensure!(matches!(output.status.code(), Some(0 | 3)), "{}: {told}", output.status);
        Ok::<_, anyhow::Error>(told)
    };
    let told = import(&snapshot)?;
    println!("{told}");
    tally.check("a snapshot is moved in", same(&theirs, &export(ground, &url, &folder.join("first"))?));
    import(&snapshot)?;
    tally.check(
        "a second time changes nothing",
        same(&theirs, &export(ground, &url, &folder.join("second"))?),
    );
    let told = import(&folder.join("prometheus"))?;
    let advised = told.contains("snapshot") && told.contains("deleted");
    tally.check(
        "a data directory is moved in, and what is missing is said",
        if advised { Ok(()) } else { bail!("{told}") },
    );
    ours.client().send("POST", "/api/barograph/v1/admin/flush", &[], &[])?;
    tally.check("blocks hold the same", same(&theirs, &export(ground, &url, &folder.join("third"))?));

    let text = folder.join("export.om");
    let output = Command::new(&ground.binary)
        .args(["export", "text", "--url", &url, "--match", r#"{__name__=~"past.*|größe.*"}"#])
        .output()?;
    fs::write(&text, output.stdout)?;
    let again = folder.join("again");
    let taken = shell::output(
        Command::new(&peers.promtool)
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .arg(&text)
            .arg(&again),
    );
    let past: Samples = theirs
        .iter()
        .filter(|((series, _), _)| series.contains("past") || series.contains("größe"))
        .map(|(k, v)| (k.clone(), *v))
        .collect();
    tally.check("promtool takes our text", taken.and_then(|_| same(&past, &dump(peers, &again)?)));
    Ok(())
}

/// A snapshot of a Prometheus with all kinds of samples.
fn snapshot(peers: &Peers, folder: &Path) -> Result<PathBuf> {
    let now = load::now_ms()?;
    let data = folder.join("prometheus");
    let page = folder.join("past.om");
    fs::write(&page, past(now))?;
    shell::output(
        Command::new(&peers.promtool)
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .arg(&page)
            .arg(&data),
    )?;
    let prometheus = start_prometheus(peers, folder, &data)?;
    let mut client = prometheus.client();
    let reply = client.send("POST", "/api/v1/write", &REMOTE_WRITE_HEADERS, &recent(now)?)?;
    ensure!(reply.status == 204, "remote write answered {}: {}", reply.status, reply.excerpt());
    thread::sleep(COLLECT);
    let (start, end) = ((now - 5 * DAY_MS) / 1000, (now - 4 * DAY_MS) / 1000);
    let (start, end) = (start.to_string(), end.to_string());
    let fields = [("match[]", r#"past_total{number="3"}"#), ("start", &start), ("end", &end)];
    let reply = client.post_form("/api/v1/admin/tsdb/delete_series", &fields)?;
    ensure!(reply.status == 204, "delete answered {}: {}", reply.status, reply.excerpt());
    let reply = client.send("POST", "/api/v1/admin/tsdb/snapshot", &[], &[])?;
    let name = reply.json()?["data"]["name"].as_str().context("the name of a snapshot")?.to_owned();
    drop(prometheus);
    Ok(data.join("snapshots").join(name))
}

fn start_prometheus(peers: &Peers, folder: &Path, data: &Path) -> Result<Server> {
    let address = server::free_address()?;
    let rules = folder.join("rules.yml");
    fs::write(
        &rules,
        "groups:\n- name: a\n  interval: 1s\n  rules:\n  - record: floats\n\
         \x20   expr: rate(prometheus_http_request_duration_seconds[4s])\n",
    )?;
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s, scrape_protocols: [PrometheusProto]}}\n\
         rule_files: ['{}']\n\
         scrape_configs:\n\
         - {{job_name: prometheus, static_configs: [{{targets: ['{address}']}}]}}\n",
        rules.display()
    );
    fs::write(&config, text)?;
    let mut command = Command::new(&peers.prometheus);
    command.current_dir(folder).arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", data.display()));
    command.args([
        "--storage.tsdb.retention.time=60d",
        "--web.enable-admin-api",
        "--web.enable-remote-write-receiver",
    ]);
    command.args(["--enable-feature=native-histograms", &format!("--web.listen-address={address}")]);
    let mut prometheus = Server::start(command, &address, &folder.join("prometheus.log"))?;
    prometheus.wait_ready("/-/ready")?;
    Ok(prometheus)
}

/// Ten days of a few series: counters, gauges of any bits, and names that are no identifiers.
fn past(now: i64) -> String {
    let mut random = Random::new(7);
    let mut page = String::from("# TYPE past counter\n");
    let start = now - PAST_DAYS * DAY_MS;
    for number in 0..SERIES {
        let (mut at, mut total) = (start + i64::try_from(number).unwrap_or(0) * 977, 0u64);
        while at < now - 3 * 3_600_000 {
            total += random.below(1000);
            let _ = writeln!(
                page,
                "past_total{{number=\"{number}\",z=\"ü\\\"\\\\\\n\"}} {total} {}",
                seconds(at)
            );
            at += 300_000 + i64::try_from(random.below(7)).unwrap_or(0);
        }
    }
    page.push_str("# TYPE past_any gauge\n");
    for number in 0..SERIES {
        let mut at = start;
        while at < now - 3 * 3_600_000 {
            let _ = writeln!(page, "past_any{{number=\"{number}\"}} {} {}", any(&mut random), seconds(at));
            at += 60_000 * (1 + i64::try_from(random.below(30)).unwrap_or(0));
        }
    }
    let _ = writeln!(page, "{{\"größe.in m\"}} 1.5 {}\n# EOF", seconds(start));
    page
}

fn seconds(at: i64) -> String {
    format!("{}.{:03}", at / 1000, at % 1000)
}

/// Any value that text can hold.
fn any(random: &mut Random) -> String {
    match random.below(8) {
        0 => "NaN".into(),
        1 => "+Inf".into(),
        2 => "-Inf".into(),
        3 => "-0".into(),
        4 => random.below(100).to_string(),
        _ => {
            let value = f64::from_bits(random.next());
            if value.is_finite() { format!("{value:e}") } else { "5e-324".into() }
        }
    }
}

/// A request of samples of the last minutes, with staleness markers.
fn recent(now: i64) -> Result<Vec<u8>> {
    let mut random = Random::new(9);
    let mut message = Vec::new();
    for number in 0..SERIES {
        let number = number.to_string();
        let labels = Labels::from_pairs([("__name__", "recent"), ("number", number.as_str())])?;
        let mut samples = Vec::new();
        for round in (1..300).rev() {
            let value = match random.below(20) {
                0 => barograph_model::stale_marker(),
                1..10 => f64::from(u32::try_from(random.below(1000))?) / 100.0,
                _ => f64::from_bits(random.next()),
            };
            samples.push((now - round * 1000, value));
        }
        load::push_series(&mut message, labels.as_bytes(), &samples);
    }
    Ok(load::compressed(&message))
}

/// What promtool dumps; native histograms are left out.
fn dump(peers: &Peers, folder: &Path) -> Result<Samples> {
    // Without one it refuses.
    fs::create_dir_all(folder.join("wal"))?;
    let printed = shell::output(Command::new(&peers.promtool).args(["tsdb", "dump"]).arg(folder))?;
    let mut samples = Samples::new();
    for line in printed.lines() {
        let parts = line.rsplit_once(' ').and_then(|(rest, at)| Some((rest.rsplit_once("} ")?, at)));
        let ((series, value), at) = parts.with_context(|| format!("cannot read {line:?}"))?;
        let (Ok(at), Ok(value)) = (at.parse(), value.parse::<f64>()) else { continue };
        samples.insert((format!("{series}}}"), at), bits(value));
    }
    ensure!(!samples.is_empty(), "nothing was dumped of {}", folder.display());
    Ok(samples)
}

fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() }
}

/// What an export gives, its own metrics and native histograms left out; each line in the file it belongs to.
fn export(ground: &Ground, url: &str, folder: &Path) -> Result<Samples> {
    let selector = r#"{__name__=~".+",__name__!~"barograph_.*",job!="barograph"}"#;
    shell::output(
        Command::new(&ground.binary).args(["export", "jsonl", "--url", url, "--match", selector]).arg(folder),
    )?;
    let mut samples = Samples::new();
    for metric in fs::read_dir(folder.join(Tier::Raw.as_str()))? {
        for file in fs::read_dir(metric?.path())? {
            let file = file?.path();
            let start: i64 =
                file.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).context("a file's name")?;
            for line in fs::read_to_string(&file)?.lines() {
                let (labels, sample) = match parse(line.as_bytes())? {
                    Line::Sample(labels, sample) => (labels, sample),
                    Line::Histogram(..) => continue,
                    _ => bail!("a roll-up: {line}"),
                };
                ensure!((start..start + 3_600_000).contains(&sample.at.0), "{} holds {line}", file.display());
                samples.insert((spelled(&labels), sample.at.0), bits(sample.value));
            }
        }
    }
    Ok(samples)
}

fn spelled(labels: &Labels) -> String {
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn same(theirs: &Samples, ours: &Samples) -> Result<()> {
    let missing: Vec<_> =
        theirs.iter().filter(|(key, value)| ours.get(*key) != Some(value)).take(3).collect();
    let more: Vec<_> = ours.iter().filter(|(key, value)| theirs.get(*key) != Some(value)).take(3).collect();
    ensure!(
        missing.is_empty() && more.is_empty(),
        "of {} samples there and {} here, missing {missing:?}, too many {more:?}",
        theirs.len(),
        ours.len()
    );
    Ok(())
}
