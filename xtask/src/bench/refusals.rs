//! Queries made to hurt: how fast each is refused or stopped, what memory it took, and how soon a client that went away
//! leaves its turn.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Arguments, Better, Contender, Report, contender, median};
use crate::{
    barograph::Barograph,
    http::{Client, form},
    load::{self, Fleet, Round},
    place,
    server::Server,
};

const SERIES: usize = 10_000;
const INTERVAL_MS: i64 = 60_000;
/// Rounds of a loading request, and how many there are of these: two hours.
const LOAD_ROUNDS: usize = 30;
const LOADS: u64 = 4;
const LOAD_SERIES: usize = 400;
const REPEAT: usize = 3;
/// What is not stopped by then has no limit.
const STOPPED_MAX: Duration = Duration::from_secs(30);

/// Loads two hours of a fleet, asks everything, and goes away from a heavy query.
pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let ours = contenders.iter().find(|contender| contender.name == contender::BAROGRAPH);
    let ours = ours.context("refusals are measured of barograph alone")?;
    let folder = place::fresh("bench-refusals")?;
    let server = Barograph::new(&ours.program, &folder).start()?;
    let end_ms = load::now_ms()? / INTERVAL_MS * INTERVAL_MS;
    let start_ms = end_ms - i64::try_from(LOADS)? * i64::try_from(LOAD_ROUNDS)? * INTERVAL_MS;
    let mut fleet = Fleet::new(arguments.series.unwrap_or(SERIES), 0, arguments.seed);
    for load in 0..LOADS {
        let round = Round { start_ms, interval_ms: INTERVAL_MS, index: load * LOAD_ROUNDS as u64 };
        let parts = (0..fleet.len()).step_by(LOAD_SERIES);
        let lanes: Vec<_> = parts
            .map(|from| vec![fleet.request(from..(from + LOAD_SERIES).min(fleet.len()), round, LOAD_ROUNDS)])
            .collect();
        load::send(&server.address, &lanes, 4)?;
    }
    let mut peak = 0.0_f64;
    let before = server.peak_bytes()?;
    let mut client = server.client();
    let end_s = end_ms / 1_000;
    let (start, end) = ((end_s - 9_000).to_string(), end_s.to_string());
    for (name, expression) in expressions() {
        let fields = [
            ("query", expression.as_str()),
            ("start", &start),
            ("end", &end),
            ("step", "1"),
            ("timeout", "5s"),
        ];
        // Encoded before the clock runs.
        let body = form(&fields);
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        peak = peak.max(ask(&server, &mut client, report, (name, arguments), |client| {
            let reply = client.send("POST", "/api/v1/query_range", &headers, body.as_bytes())?;
            Ok((reply.status, reply.excerpt()))
        })?);
    }
    let steps = [("query", "up"), ("start", "0"), ("end", "1000000000"), ("step", "1")];
    peak = peak.max(ask(&server, &mut client, report, ("a thousand million steps", arguments), |client| {
        client.post_form("/api/v1/query_range", &steps).map(|reply| (reply.status, reply.excerpt()))
    })?);
    for (name, document) in documents() {
        let headers = [("Content-Type", "application/json")];
        peak = peak.max(ask(&server, &mut client, report, (name, arguments), |client| {
            let reply = client.send("POST", "/api/barograph/v1/query", &headers, document.as_bytes())?;
            Ok((reply.status, reply.excerpt()))
        })?);
    }
    report.note(format!(
        "peak of resident memory: {:.0} MiB, {:.0} MiB before the first",
        mib(peak),
        mib(before)
    ));
    let freed =
        (0..REPEAT).map(|_| freed_after(&server.address, &mut client, end_s)).collect::<Result<_>>()?;
    report.add(
        "a turn is free after its client went",
        None,
        ("ms", Better::Lower),
        vec![(ours.name, median(freed))],
    );
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Asks a few times; the median counts, and the first words of the answer stand below the table with the most bytes that
/// the server held meanwhile, which are given back.
fn ask(
    server: &Server,
    client: &mut Client,
    report: &mut Report,
    (name, arguments): (&str, &Arguments),
    ask: impl Fn(&mut Client) -> Result<(u16, String)>,
) -> Result<f64> {
    server.forget_peak()?;
    let mut times = Vec::new();
    let mut told = String::new();
    for _ in 0..arguments.repeat.unwrap_or(REPEAT) {
        let began = Instant::now();
        let (status, text) = ask(client).with_context(|| format!("while asking for {name}"))?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        told = format!("{status} {}", text.chars().skip(9).take(150).collect::<String>());
    }
    let peak = server.peak_bytes()?;
    report.add(name, None, ("ms", Better::Lower), vec![(contender::BAROGRAPH, median(times))]);
    report.note(format!("{name}: {:.0} MiB, {told}", mib(peak)));
    Ok(peak)
}

/// Milliseconds from when a client goes away until its query does.
fn freed_after(address: &str, client: &mut Client, end_s: i64) -> Result<f64> {
    let query = "quantile_over_time(0.5,vector(1)%5B10h:100ms%5D)";
    let mut socket = TcpStream::connect(address)?;
    let path = format!("/api/v1/query_range?query={query}&start={}&end={end_s}&step=1", end_s - 9_000);
    write!(socket, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    running(client, 1)?;
    std::thread::sleep(Duration::from_millis(300));
    drop(socket);
    let began = Instant::now();
    running(client, 0)?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// Waits until so many queries run.
fn running(client: &mut Client, count: usize) -> Result<()> {
    let began = Instant::now();
    loop {
        let list = client.get("/api/barograph/v1/queries")?.json()?;
        if list["running"].as_array().map(Vec::len) == Some(count) {
            return Ok(());
        }
        ensure!(
            began.elapsed() < STOPPED_MAX,
            "{count} queries were to run, and these do: {}",
            list["running"]
        );
    }
}

fn mib(bytes: f64) -> f64 {
    bytes / 1_048_576.0
}

fn expressions() -> Vec<(&'static str, String)> {
    let nested =
        |open: &str, close: &str, times: usize| format!("{}up{}", open.repeat(times), close.repeat(times));
    let listed = |item: &dyn Fn(usize) -> String, count: usize, between: &str| {
        (0..count).map(item).collect::<Vec<_>>().join(between)
    };
    let mut doubled = "node_load1".to_owned();
    for _ in 0..60 {
        doubled = format!(r#"label_replace({doubled}, "instance", "$1$1", "instance", "(.*)")"#);
    }
    let large = |i: usize| format!(r#"a=~"[a-z]{{20}}(\\w{{{}}})""#, i + 1);
    vec![
        ("parentheses, 100,000 deep", nested("(", ")", 100_000)),
        ("signs, 100,000", nested("-", "", 100_000)),
        ("a chain of 100,000 operators", vec!["up"; 100_000].join("+")),
        ("a large pattern", r#"up{a=~"((a{100}){100}){100}"}"#.into()),
        ("a pattern that others go back in", r#"node_load1{instance=~"((n+)+)+(.*)*!"}"#.into()),
        ("forty large patterns", format!("up{{{}}}", listed(&large, 40, ","))),
        (
            "100,000 names in a pattern",
            format!("node_load1{{instance=~\"{}\"}}", listed(&|i| i.to_string(), 100_000, "|")),
        ),
        ("a subquery of centuries", "count_over_time(node_load1[100y:1ms])".into()),
        (
            "subqueries in subqueries",
            "max_over_time(max_over_time(max_over_time(node_load1[30d:1s])[30d:1s])[30d:1s])".into(),
        ),
        ("a label that doubles", doubled),
        ("a value for each label set", "count_values(\"v\", vector(time()))".into()),
        ("a greatest of everything", "topk(1e9, {__name__=~\".+\"})".into()),
        (
            "groups by 100,000 labels",
            format!("sum by ({}) (node_load1)", listed(&|i| format!("l{i}"), 100_000, ",")),
        ),
        ("everything with everything", "{__name__=~\".+\"} * on () group_left () {__name__=~\".+\"}".into()),
        ("work without end, for 5 s", "quantile_over_time(0.5, vector(1)[10h:100ms])".into()),
    ]
}

fn documents() -> Vec<(&'static str, String)> {
    let query =
        |rest: &str| format!(r#"{{"query": {{"metrics": ["node_load1"], "groupBy": ["*"], {rest}}}}}"#);
    let nested = format!("{}node_load1{}", "(".repeat(500), ")".repeat(500));
    vec![
        ("document: brackets, 100,000 deep", "[".repeat(100_000)),
        ("document: many buckets", query(r#""aggregations": [{"type": "AVG", "window": "1ms"}]"#)),
        ("document: a deep calculation", query(&format!(r#""calculations": [{{"name": "c", "expression": "{nested}"}}]"#))),
        ("document: a large pattern", r#"{"query": {"metrics": ["/((a{100}){100}){100}/"]}}"#.into()),
        ("document: every metric, trends", r#"{"query": {"metrics": ["*"], "groupBy": ["*"], "aggregations": [{"type": "P99", "window": "1s"}]}}"#.into()),
    ]
}
