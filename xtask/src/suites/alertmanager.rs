//! Clients of Alertmanager against our server: Debian's amtool, asked the same of a real Alertmanager, whose answers ours must
//! have; Debian's Prometheus, whose alerts we route; and an Alertmanager that our own alerts are sent on to. Then what `check alertmanager` and `amtool check-config` say of files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Ground, alertmanager_files, exporters};
use crate::{
    alert_diff::start_theirs,
    barograph::Barograph,
    load,
    peers::{self, Alertmanager},
    place,
    server::{self, Server},
    sink::Sink,
    tally::Tally,
};

/// Our server tells only of what it is sent: its own rules may fire on a machine that is busy or full.
const OURS: &str = "alertmanager_config: alertmanager.yml\nready_rules: {enabled: false}\n";
/// Longest wait for a notice.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let theirs = match peers::alertmanager() {
        Ok(theirs) => theirs,
        Err(why) => {
            tally.skip("amtool", &format!("{why:#}"));
            return Ok(());
        }
    };
    amtool(ground, &theirs, tally)?;
    alertmanager_files::run(ground, &theirs, tally)?;
    sent_on(ground, &theirs, tally)?;
    match ground.peers() {
        Ok(peers) => prometheus(ground, &peers.prometheus, tally)?,
        Err(why) => tally.skip("alerts of Prometheus", why),
    }
    Ok(())
}

/// Who is told, at `host:port`.
fn configuration(address: &str) -> Value {
    let webhook = |path: &str| json!([{ "url": format!("http://{address}/{path}") }]);
    json!({
        "route": {
            "receiver": "team", "group_by": ["alertname"],
            "group_wait": "200ms", "group_interval": "1s", "repeat_interval": "1h",
            "routes": [{ "matchers": ["severity=\"page\""], "receiver": "pager" }],
        },
        "receivers": [
            { "name": "team", "webhook_configs": webhook("team") },
            { "name": "pager", "webhook_configs": webhook("pager") },
        ],
        "inhibit_rules": [{
            "source_matchers": ["alertname=\"Down\""], "target_matchers": ["alertname=\"Slow\""], "equal": ["host"],
        }],
    })
}

/// A server of either kind with amtool at it, and what was said.
struct Side<'a> {
    server: Server,
    sink: Sink,
    amtool: &'a Path,
    folder: PathBuf,
    said: Vec<(String, String)>,
}

impl Side<'_> {
    /// Runs amtool and remembers what it said, without what differs from server to server.
    fn ask(&mut self, words: &[&str]) -> Result<String> {
        let mut command = Command::new(self.amtool);
        command.current_dir(&self.folder).args([
            "--no-version-check",
            "--alertmanager.url",
            &self.server.url(),
        ]);
        let output = command.args(words).output().context("cannot start amtool")?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        // Of what is refused only that it is: each has its own words.
        let plain = match (output.status.success(), serde_json::from_str::<Value>(&printed)) {
            (false, _) => {
                format!("fails\n{}", if self.said.is_empty() { errors.into_owned() } else { String::new() })
            }
            (true, Ok(mut value)) if !words.contains(&"-q") => {
                strip(&mut value);
                format!("{value:#}")
            }
            (true, _) => plain(&printed),
        };
        let name: Vec<String> = words.iter().map(|word| self::plain(word)).collect();
        self.said.push((name.join(" "), plain));
        Ok(printed)
    }

    /// Waits until an alert is inhibited.
    fn inhibits(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut client = self.server.client();
        loop {
            let alerts = client.get("/api/v2/alerts?active=false&silenced=false&inhibited=true")?.json()?;
            if alerts.as_array().is_some_and(|alerts| !alerts.is_empty()) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "nothing is inhibited");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the sink was told so much at a path.
    fn told(&self, path: &str, count: usize) -> Result<Vec<Value>> {
        wait_for(&self.sink, path, count)
    }
}

/// Waits until somebody was told so much at a path.
fn wait_for(sink: &Sink, path: &str, count: usize) -> Result<Vec<Value>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told: Vec<Value> = sink
            .posted()
            .into_iter()
            .filter(|posted| posted.path == path)
            .map(|posted| posted.body)
            .collect();
        if told.len() >= count {
            return Ok(told);
        }
        ensure!(Instant::now() < deadline, "{path} was told {} of {count} times: {told:?}", told.len());
        thread::sleep(Duration::from_millis(20));
    }
}

/// The same is asked of both; then what was said is compared, one by one.
fn amtool(ground: &Ground, peer: &Alertmanager, tally: &mut Tally) -> Result<()> {
    let folder = place::fresh("alertmanager")?;
    let side = |sink: Sink, server: Server, name: &str| -> Result<Side<'_>> {
        let folder = folder.join(format!("amtool-{name}"));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("plain.yml"), configuration("127.0.0.1:9").to_string())?;
        Ok(Side { server, sink, amtool: &peer.amtool, folder, said: Vec::new() })
    };
    let sink = Sink::start()?;
    let server = start_ours(&ground.binary, &folder.join("ours"), &configuration(&sink.address))?;
    let mut ours = side(sink, server, "ours")?;
    let sink = Sink::start()?;
    let server = start_theirs(peer, &folder, &configuration(&sink.address))?;
    let mut theirs = side(sink, server, "theirs")?;
    for one in [&mut theirs, &mut ours] {
        let name = if one.folder.ends_with("amtool-ours") { "Barograph" } else { "Alertmanager" };
        converse(one).with_context(|| format!("amtool with {name}"))?;
    }
    for ((words, ours), (_, theirs)) in ours.said.iter().zip(&theirs.said) {
        let same = if ours == theirs {
            Ok(())
        } else {
            Err(anyhow::anyhow!("Alertmanager:\n{theirs}\nBarograph:\n{ours}"))
        };
        tally.check(&format!("amtool {words}"), same);
    }
    tally.check("both were asked as much", {
        if ours.said.len() == theirs.said.len() { Ok(()) } else { Err(anyhow::anyhow!("one stopped")) }
    });
    Ok(())
}

fn start_ours(binary: &Path, folder: &Path, configuration: &Value) -> Result<Server> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("alertmanager.yml"), configuration.to_string())?;
    fs::write(folder.join("barograph.yml"), OURS)?;
    Barograph::new(binary, folder).with(&["--config", "barograph.yml"]).start()
}

fn converse(side: &mut Side<'_>) -> Result<()> {
    side.ask(&[
        "alert",
        "add",
        "Full",
        "severity=page",
        "host=a",
        "--annotation=summary=it is full",
        "--generator-url=http://127.0.0.1/graph",
    ])?;
    side.ask(&["alert", "add", "alertname=Slow", "severity=warning", "host=b"])?;
    side.ask(&[
        "alert",
        "add",
        "severity=warning",
        "--end=2001-01-01T00:00:00Z",
        "--start=2001-01-02T00:00:00Z",
    ])?;
    side.told("/pager", 1)?;
    side.told("/team", 1)?;
    for words in [
        &["alert"][..],
        &["alert", "query", "-o", "extended"],
        &["alert", "query", "-o", "json"],
        &["alert", "query", "Full"],
        &["alert", "query", "alertname=~S.*", "host!=a"],
        &["alert", "query", "host!~a|b"],
        &["alert", "query", "host="],
        &["alert", "query", "--receiver=pa.*"],
        &["alert", "query", "--receiver=nobody"],
        &["alert", "query", "alertname=~("],
        &["-o", "json", "alert", "query", "--silenced"],
    ] {
        side.ask(words)?;
    }
    side.ask(&["alert", "add", "Down", "severity=warning", "host=b"])?;
    // A server takes an alert first, and looks then whom it inhibits.
    side.inhibits()?;
    side.ask(&["alert", "query", "--inhibited", "-o", "extended"])?;
    side.ask(&["alert", "query", "--active"])?;
    silences(side)?;
    for words in [
        &["cluster", "show"][..],
        &["config", "routes", "show"],
        &["config", "routes", "show", "--config.file=plain.yml"],
        &["config", "routes", "test", "severity=page"],
        &["config", "routes", "test", "--config.file=plain.yml", "severity=page"],
        &["config", "routes", "test", "--config.file=plain.yml", "--tree", "severity=info"],
        &["config", "routes", "test", "--config.file=plain.yml", "--verify.receivers=team", "severity=page"],
        &["check-config", "plain.yml"],
    ] {
        side.ask(words)?;
    }
    // What the configuration looks like is each server's own; that it is one is what counts.
    let shown = side.ask(&["config", "show"])?;
    side.said.pop();
    ensure!(
        shown.contains("receiver: pager")
            || shown.contains("\"receiver\":\"pager\"")
            || shown.contains("pager"),
        "{shown}"
    );
    let end = barograph_model::Timestamp(load::now_ms()?).to_rfc3339();
    side.ask(&["alert", "add", "Full", "severity=page", "host=a", &format!("--end={end}")])?;
    let told = side.told("/pager", 2)?;
    side.said.push(("what is over is told".to_owned(), told[1]["status"].to_string()));
    side.ask(&["alert", "query", "Full"])?;
    Ok(())
}

fn silences(side: &mut Side<'_>) -> Result<()> {
    let made = side.ask(&["silence", "add", "Full", "host=a", "-a", "ann", "-c", "we know", "-d", "1h"])?;
    let id = made.trim().to_owned();
    ensure!(id.len() == 36, "{made:?} is no id");
    side.ask(&["silence", "add", "host=~b|c", "severity!=page", "-a", "bob", "-c", "another", "-d", "2h"])?;
    side.ask(&["silence", "add", "host=~.*", "-a", "bob", "-c", "all of it", "-d", "2h"])?;
    side.ask(&["silence", "add", "host=a", "-a", "bob", "-d", "2h"])?;
    for words in [
        &["alert", "query"][..],
        &["alert", "query", "--silenced"],
        &["silence", "query"],
        &["silence", "query", "-o", "extended"],
        &["silence", "query", "-o", "json"],
        &["silence", "query", "-q", "alertname=Full"],
        &["silence", "query", "--created-by=bob"],
        &["silence", "query", "--within=90m"],
        &["silence", "query", "--expired"],
        &["silence", "update", "-d", "30m", "-c", "not for so long", &id],
        &["silence", "query", "-o", "json", "host=a"],
        &["silence", "update", "-d", "30m", "01234567-89ab-cdef-0123-456789abcdef"],
        &["silence", "expire", "01234567-89ab-cdef-0123-456789abcdef"],
    ] {
        side.ask(words)?;
    }
    let kept = side.ask(&["silence", "query", "-o", "json"])?;
    fs::write(side.folder.join("kept.json"), &kept)?;
    side.ask(&["silence", "expire", &id])?;
    side.ask(&["silence", "expire", &id])?;
    side.ask(&["silence", "query"])?;
    side.ask(&["silence", "query", "--expired"])?;
    side.ask(&["alert", "query"])?;
    side.ask(&["silence", "import", "kept.json"])?;
    side.ask(&["silence", "query", "-o", "json"])?;
    side.ask(&["silence", "import", "--force", "kept.json"])?;
    side.ask(&["silence", "query"])?;
    let all = side.ask(&["silence", "query", "-q"])?;
    let ids: Vec<&str> = all.split_whitespace().collect();
    side.ask(&[&["silence", "expire"], &ids[..]].concat())?;
    side.ask(&["silence", "query"])?;
    Ok(())
}

/// Removes from a document what differs from server to server, and puts lists into one order.
fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for key in ["fingerprint", "updatedAt", "startsAt", "endsAt", "id"] {
                fields.remove(key);
            }
            for key in ["silencedBy", "inhibitedBy"] {
                if let Some(Value::Array(ids)) = fields.get_mut(key) {
                    ids.iter_mut().for_each(|id| *id = Value::from("ID"));
                }
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => {
            items.iter_mut().for_each(strip);
            items.sort_by_key(Value::to_string);
        }
        _ => {}
    }
}

/// A text with ids and times replaced, and its lines in one order.
fn plain(text: &str) -> String {
    let word = |word: &str| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        match word {
            _ if word.len() == 36 && word.matches('-').count() == 4 => "ID".to_owned(),
            _ if word.len() == 10 && digits == 8 && word.matches('-').count() == 2 => "DATE".to_owned(),
            _ if word.len() == 8 && digits == 6 && word.matches(':').count() == 2 => "TIME".to_owned(),
            _ if word.len() >= 20 && word.as_bytes()[4] == b'-' && word.ends_with('Z') => "MOMENT".to_owned(),
            _ if word.starts_with("--end=") => "--end".to_owned(),
            _ => word.to_owned(),
        }
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = text.lines().map(line).collect();
    lines.sort();
    lines.join("\n")
}

/// A rule of Prometheus fires, and is over once that was told; we tell whoever our routes name.
fn prometheus(ground: &Ground, prometheus: &Path, tally: &mut Tally) -> Result<()> {
    let folder = place::fresh("alertmanager-prometheus")?;
    let sink = Sink::start()?;
    let ours = start_ours(&ground.binary, &folder.join("ours"), &configuration(&sink.address))?;
    let ill = Arc::new(AtomicBool::new(false));
    let shown = ill.clone();
    let page = exporters::serve(move |_| {
        let page = format!("ill {}\n", u8::from(shown.load(Ordering::Relaxed)));
        ("text/plain; version=0.0.4".to_owned(), page.into_bytes())
    })?;
    let rules = json!({ "groups": [{ "name": "g", "interval": "1s", "rules": [{
        "alert": "Passing", "expr": "sum(ill) > 0",
        "labels": { "severity": "page" }, "annotations": { "summary": "since {{ $value }}" },
    }] }] });
    fs::write(folder.join("rules.yml"), rules.to_string())?;
    let config = json!({
        "global": { "scrape_interval": "1s", "evaluation_interval": "1s", "external_labels": { "site": "here" } },
        "rule_files": ["rules.yml"],
        "scrape_configs": [{ "job_name": "page", "static_configs": [{ "targets": [page] }] }],
        "alerting": { "alertmanagers": [{ "static_configs": [{ "targets": [ours.address] }] }] },
    });
    fs::write(folder.join("prometheus.yml"), config.to_string())?;
    let address = server::free_address()?;
    let mut command = Command::new(prometheus);
    command.current_dir(&folder).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
    command.args(["--log.level=warn", &format!("--web.listen-address={address}")]);
    let mut theirs = Server::start(command, &address, &folder.join("prometheus.log"))?;
    theirs.wait_ready("/-/ready")?;
    // Prometheus knows for some seconds after its start of nobody to whom it could send.
    let known = knows(&theirs, &format!("http://{}/api/v2/alerts", ours.address));
    tally.check("Prometheus sends alerts to us", known);
    ill.store(true, Ordering::Relaxed);
    let told = wait_for(&sink, "/pager", 1).and_then(|_| {
        ill.store(false, Ordering::Relaxed);
        wait_for(&sink, "/pager", 2)
    });
    tally.check(
        "what fires there and what is over is told by our routes",
        told.and_then(|told| passing(&told)),
    );
    Ok(())
}

/// Waits until a Prometheus knows to whom it sends alerts.
fn knows(prometheus: &Server, url: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let known = prometheus.client().get("/api/v1/alertmanagers")?.json()?;
        if known["data"]["activeAlertmanagers"].to_string().contains(url) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{known}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// A rule of ours fires and is over; an Alertmanager that our configuration names knows of both.
fn sent_on(ground: &Ground, peer: &Alertmanager, tally: &mut Tally) -> Result<()> {
    let folder = place::fresh("alertmanager-sent-on")?;
    let sink = Sink::start()?;
    let theirs = start_theirs(peer, &folder, &configuration(&sink.address))?;
    let home = folder.join("ours");
    fs::create_dir_all(&home)?;
    let rules = json!({ "groups": [{ "name": "g", "interval": "1s", "rules": [{
        "alert": "Sent", "expr": "load > 1", "labels": { "severity": "page" },
        "annotations": { "summary": "it is {{ $value }}" },
    }] }] });
    fs::write(home.join("rules.yml"), rules.to_string())?;
    let config = json!({
        "global": { "external_labels": { "site": "here" } },
        "rule_files": ["rules.yml"],
        "ready_rules": { "enabled": false },
        "alerting": { "alertmanagers": [{ "static_configs": [{ "targets": [theirs.address] }] }] },
    });
    fs::write(home.join("barograph.yml"), config.to_string())?;
    let ours = Barograph::new(&ground.binary, &home).with(&["--config", "barograph.yml"]).start()?;
    let load = |text: &str| -> Result<()> {
        let reply = ours.client().send("POST", "/api/v1/import/prometheus", &[], text.as_bytes())?;
        ensure!((200..300).contains(&reply.status), "{}", reply.excerpt());
        Ok(())
    };
    load("load 2\n")?;
    let listed = wait_until(|| {
        let listed = theirs.client().get("/api/v2/alerts")?.json()?;
        let sent =
            listed.as_array().and_then(|all| all.iter().find(|it| it["labels"]["alertname"] == "Sent"));
        Ok(sent.cloned())
    });
    tally.check(
        "an Alertmanager lists what a rule of ours raises",
        listed.and_then(|alert| {
            let labels = json!({ "alertname": "Sent", "severity": "page", "site": "here" });
            ensure!(alert["labels"] == labels, "{alert}");
            ensure!(alert["annotations"] == json!({ "summary": "it is 2" }), "{alert}");
            ensure!(alert["generatorURL"].as_str().is_some_and(|url| url.contains("/graph?")), "{alert}");
            Ok(())
        }),
    );
    let known = ours.client().get("/api/v1/alertmanagers")?.text();
    tally.check("we say to whom alerts are sent on", {
        let url = format!("http://{}/api/v2/alerts", theirs.address);
        if known.contains(&url) { Ok(()) } else { Err(anyhow::anyhow!("{known}")) }
    });
    load("load 0\n")?;
    let told = wait_for(&sink, "/pager", 2);
    tally.check(
        "it tells what fires here and what is over",
        told.and_then(|told| {
            let statuses: Vec<_> = told.iter().map(|it| it["status"].as_str().unwrap_or_default()).collect();
            ensure!(statuses == ["firing", "resolved"], "{told:?}");
            Ok(())
        }),
    );
    Ok(())
}

/// Asks until there is an answer.
fn wait_until<T>(mut ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask()? {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "it was not there in time");
        thread::sleep(Duration::from_millis(100));
    }
}

fn passing(told: &[Value]) -> Result<()> {
    let statuses: Vec<_> = told.iter().map(|notice| notice["status"].as_str().unwrap_or_default()).collect();
    ensure!(statuses == ["firing", "resolved"], "{told:?}");
    for notice in told {
        let alert = &notice["alerts"][0];
        let labels = json!({ "alertname": "Passing", "severity": "page", "site": "here" });
        ensure!(alert["labels"] == labels, "{alert}");
        ensure!(
            alert["annotations"]["summary"].as_str().is_some_and(|text| text.starts_with("since ")),
            "{alert}"
        );
        ensure!(alert["generatorURL"].as_str().is_some_and(|url| url.contains("/graph?")), "{alert}");
    }
    Ok(())
}
