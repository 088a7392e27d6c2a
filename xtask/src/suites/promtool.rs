//! promtool, the command line of Prometheus, as a client of ours, and as one that reads and tests rules as we do.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::{Ground, random_rules};
use crate::{
    barograph::Barograph,
    load::{self, REMOTE_WRITE_HEADERS},
    place,
    server::Server,
    shell,
    tally::Tally,
};

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let promtool = match ground.peers() {
        Ok(peers) => &peers.promtool,
        Err(why) => {
            tally.skip("promtool", why);
            return Ok(());
        }
    };
    let server = Barograph::new(&ground.binary, &place::fresh("promtool")?).start()?;
    let at_s = load::now_ms()? / 1000 - 60;
    write(&server, at_s)?;
    let (at, later, url) = (at_s.to_string(), (at_s + 2).to_string(), server.url());
    let mut ask = |name: &str, arguments: &[&str], expected: &[&str]| {
        tally.check(name, answers(promtool, arguments, expected));
    };
    let instant = format!("weather{{city=\"Oslo\"}} => 3.5 @[{at}]");
    ask("query instant", &["query", "instant", "--time", &at, &url, "weather{city=\"Oslo\"}"], &[&instant]);
    let range = ["query", "range", "--start", &at, "--end", &later, "--step", "1s", &url, "weather"];
    ask("query range", &range, &["weather{city=\"Lima\"} =>", "weather{city=\"Oslo\"} =>", "3.5 @["]);
    ask("query labels", &["query", "labels", &url, "city"], &["Lima", "Oslo"]);
    let series = ["query", "series", "--match=weather", "--start", &at, "--end", &later, &url];
    ask("query series", &series, &["city=\"Lima\"", "city=\"Oslo\""]);
    tally.check("an error is reported", fails(promtool, &["query", "instant", &url, "weather{"]));
    tally.check("check metrics", check_metrics(promtool, &server));
    for path in tests_of_rules()? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        tally.check(&format!("test rules: {name}"), same_verdict(promtool, &ground.binary, "test", &path));
    }
    let folder = place::fresh("promtool-ready")?;
    for group in ready_groups(&ground.binary)? {
        let outcome = ready(promtool, &ground.binary, &folder, &group);
        tally.check(&format!("ready-made rules: {group}"), outcome);
    }
    tally.check("rules by a seed", random_rules::compare(promtool, &ground.binary));
    let rules = place::root().join("crates/alert/tests/rules");
    for name in ["rules.yml", "failing/bad_rules.yml", "failing/limit_rules.yml"] {
        let path = rules.join(name);
        tally.check(&format!("check rules: {name}"), same_verdict(promtool, &ground.binary, "check", &path));
    }
    Ok(())
}

/// Our own files of tests, those that fail among them, and upstream's where they are at hand.
fn tests_of_rules() -> Result<Vec<PathBuf>> {
    let ours = place::root().join("crates/alert/tests/rules");
    let upstream = place::testdata().map(|folder| folder.join("datasets/prometheus_rules"));
    let mut paths = Vec::new();
    for folder in [Some(ours.clone()), Some(ours.join("failing")), upstream].into_iter().flatten() {
        for entry in fs::read_dir(folder)? {
            paths.push(entry?.path());
        }
    }
    paths.retain(|path| {
        let is_yaml = path.extension().is_some_and(|extension| extension == "yml");
        is_yaml && !path.to_string_lossy().ends_with("rules.yml")
    });
    paths.sort();
    Ok(paths)
}

/// The groups of rules that come with the server.
fn ready_groups(ours: &Path) -> Result<Vec<String>> {
    let printed = shell::output(Command::new(ours).args(["rules", "ready", "--names"]))?;
    let names: Vec<String> =
        printed.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect();
    ensure!(names.len() >= 4, "there are only the groups {names:?}");
    Ok(names)
}

/// Whether promtool takes a group as it is printed for Prometheus, and says of its tests what we say.
fn ready(promtool: &Path, ours: &Path, folder: &Path, group: &str) -> Result<()> {
    let printed = shell::output(Command::new(ours).args(["rules", "ready", "--plain", group]))?;
    let rules = folder.join(format!("{group}.yml"));
    fs::write(&rules, printed)?;
    let tests = folder.join("tests");
    fs::create_dir_all(&tests)?;
    let test = tests.join(format!("{group}.yml"));
    let name = format!("crates/alert/src/ready/tests/{group}.yml");
    fs::copy(place::root().join(name), &test)?;
    for program in [promtool, ours] {
        for (verb, path) in [("check", &rules), ("test", &test)] {
            shell::output(Command::new(program).args([verb, "rules"]).arg(path))?;
        }
    }
    Ok(())
}

/// Whether both say the same of a file of rules or of tests, by their exit codes.
fn same_verdict(promtool: &Path, ours: &Path, verb: &str, path: &Path) -> Result<()> {
    let ask = |program: &Path| Command::new(program).args([verb, "rules"]).arg(path).output();
    let (theirs, ours) = (ask(promtool)?, ask(ours)?);
    ensure!(
        theirs.status.success() == ours.status.success(),
        "promtool says {}:\n{}{}\nbarograph says {}:\n{}",
        theirs.status,
        String::from_utf8_lossy(&theirs.stdout),
        String::from_utf8_lossy(&theirs.stderr),
        ours.status,
        String::from_utf8_lossy(&ours.stdout)
    );
    Ok(())
}

fn write(server: &Server, at_s: i64) -> Result<()> {
    let mut message = Vec::new();
    for (city, value) in [("Lima", 18.25), ("Oslo", 3.5)] {
        let labels = barograph_model::Labels::from_pairs([("__name__", "weather"), ("city", city)])?;
        load::push_series(&mut message, labels.as_bytes(), &[(at_s * 1000, value)]);
    }
    let body = load::compressed(&message);
    let reply = server.client().send("POST", "/api/v1/write", &REMOTE_WRITE_HEADERS, &body)?;
    ensure!(reply.status == 204, "remote write answered {}: {}", reply.status, reply.excerpt());
    Ok(())
}

fn answers(promtool: &Path, arguments: &[&str], expected: &[&str]) -> Result<()> {
    let printed = shell::output(Command::new(promtool).args(arguments))?;
    for part in expected {
        ensure!(printed.contains(part), "{part:?} is not in:\n{printed}");
    }
    Ok(())
}

fn fails(promtool: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(promtool).args(arguments).output()?;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success(), "an error was taken for an answer");
    ensure!(message.contains("bad_data"), "the kind of the error is lost: {message}");
    Ok(())
}

/// Names that are prescribed, though the linter minds them: quantiles of a sliding window have neither sum nor count, so
/// they are no summary; of the event loop milliseconds are told.
const PRESCRIBED: [&str; 3] = [
    "http_request_latency_seconds non-summary metrics",
    "event_loop_lag_avg_ms metric names",
    "event_loop_lag_p95_ms metric names",
];

/// The linter complains on standard error and by its exit code: 3, or 1 where it cannot read at all.
fn check_metrics(promtool: &Path, server: &Server) -> Result<()> {
    let metrics = server.client().get("/metrics")?;
    ensure!(metrics.status == 200, "/metrics answered {}", metrics.status);
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("standard input is piped")?.write_all(&metrics.body)?;
    let output = child.wait_with_output()?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    let prescribed = |line: &str| PRESCRIBED.iter().any(|start| line.starts_with(start));
    let others: Vec<&str> = complaints.lines().filter(|line| !prescribed(line)).collect();
    let readable = matches!(output.status.code(), Some(0 | 3));
    ensure!(readable && others.is_empty(), "{}: {}", output.status, others.join("\n"));
    Ok(())
}
