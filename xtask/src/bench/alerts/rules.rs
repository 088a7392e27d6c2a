//! Rules: so many in groups of fifty, evaluated every fifteen seconds over the same series by us and by Prometheus.
//!
//! A third of them hold one value against a bound, a third a sum of rates, and a third record a mean; a tenth of the alerts
//! fire. What an evaluation costs is the CPU time of the whole process while nothing else happens, divided by evaluations.

use std::{
    fmt::Write as _,
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use barograph_model::Labels;

use super::{Arguments, Contender, Report, contender, less};
use crate::{
    barograph::Barograph,
    load::{self, Body, to_f64},
    place, server,
    server::Server,
};

const RULES: usize = 10_000;
const RULES_OF_A_GROUP: usize = 50;
const INTERVAL: Duration = Duration::from_secs(15);
const SERIES_OF_A_HOST: usize = 10;
/// Samples of ten minutes.
const STEP_MS: i64 = 15_000;
const ROUNDS: i64 = 40;
/// No group is evaluated for the first time later than this.
const FIRST_MAX: Duration = Duration::from_secs(120);

pub(super) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let rules = arguments.rules.unwrap_or(RULES);
    let lasts = Duration::from_secs(arguments.seconds).max(INTERVAL * 2);
    ensure!(lasts <= Duration::from_secs(240), "what is measured lasts four minutes at most");
    let wanted = [contender::BAROGRAPH, contender::PROMETHEUS];
    let mut all = Vec::new();
    for contender in contenders.iter().filter(|contender| wanted.contains(&contender.name)) {
        all.push((contender.name, measure(contender, rules, lasts)?));
    }
    let mut row = |name: &str, form, value: &dyn Fn(&Measured) -> f64| {
        report.add(name, None, form, all.iter().map(|(name, measured)| (*name, value(measured))).collect());
    };
    row("CPU of an evaluation", less("us"), &|m| m.cpu_s * 1e6 / m.evaluations);
    row("CPU of all", less("s"), &|m| m.cpu_s);
    row("worst lag behind the interval", less("s"), &|m| m.lag_s);
    row("slowest group", less("s"), &|m| m.slowest_s);
    row("resident memory", less("MiB"), &|m| m.resident_mib);
    for (name, measured) in &all {
        let turns = to_f64(rules) * lasts.as_secs_f64() / INTERVAL.as_secs_f64();
        report.note(format!(
            "{name}: {:.0} of about {turns:.0} evaluations of {rules} rules in {}s, {:.0} left out, {:.0} failed, \
             {:.0} alerts fire, {:.2} processors busy",
            measured.evaluations,
            lasts.as_secs(),
            measured.missed,
            measured.failed,
            measured.firing,
            measured.cpu_s / lasts.as_secs_f64(),
        ));
    }
    Ok(())
}

struct Measured {
    cpu_s: f64,
    evaluations: f64,
    failed: f64,
    firing: f64,
    missed: f64,
    lag_s: f64,
    slowest_s: f64,
    resident_mib: f64,
}

fn measure(contender: &Contender, rules: usize, lasts: Duration) -> Result<Measured> {
    let folder = place::fresh(&format!("bench-alerts-rules-{}", contender.name))?;
    fs::write(folder.join("rules.yml"), text(rules))?;
    let (server, prefix) = start(contender, &folder)?;
    load::send(&server.address, &[series(rules)?], 1)?;
    let groups = rules.div_ceil(RULES_OF_A_GROUP);
    let began = Instant::now();
    let mut numbers = Numbers::of(&server, prefix)?;
    while numbers.evaluated < groups {
        ensure!(
            began.elapsed() < FIRST_MAX,
            "{} of {groups} groups were evaluated: {}",
            numbers.evaluated,
            server.log_end()
        );
        thread::sleep(Duration::from_millis(500));
        numbers = Numbers::of(&server, prefix)?;
    }
    // From here on each interval has one turn of each group.
    let (cpu, started, first) = (server.cpu_seconds()?, Instant::now(), numbers);
    let (mut lag_s, mut slowest_s) = (0.0_f64, 0.0_f64);
    let mut last = Numbers::of(&server, prefix)?;
    while started.elapsed() < lasts {
        thread::sleep(Duration::from_secs(1).min(lasts.saturating_sub(started.elapsed())));
        last = Numbers::of(&server, prefix)?;
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century")]
        let now = load::now_ms()? as f64 / 1e3;
        lag_s = lag_s.max(now - last.oldest - INTERVAL.as_secs_f64());
        slowest_s = slowest_s.max(last.slowest);
    }
    let cpu_s = server.cpu_seconds()? - cpu;
    let path = "/api/v1/query?query=count(ALERTS%7Balertstate%3D%22firing%22%7D)";
    let firing = server.client().get(path)?.json()?;
    let firing = firing["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse().ok());
    Ok(Measured {
        cpu_s,
        evaluations: last.evaluations - first.evaluations,
        failed: last.failed - first.failed,
        firing: firing.unwrap_or(0.0),
        missed: last.missed - first.missed,
        // Times are told in milliseconds.
        lag_s: lag_s.max(0.001),
        slowest_s,
        resident_mib: server.resident_bytes()? / f64::from(1 << 20),
    })
}

/// Starts a server with the rules, and says how the names of its own metrics begin.
fn start(contender: &Contender, folder: &std::path::Path) -> Result<(Server, &'static str)> {
    let global = "global: {evaluation_interval: 15s}\nrule_files: [rules.yml]\n";
    if contender.name == contender::BAROGRAPH {
        let ours = "ready_rules: {enabled: false}\ncollectors: {built_in: false}\n";
        fs::write(folder.join("barograph.yml"), format!("{global}{ours}"))?;
        let server =
            Barograph::new(&contender.program, folder).with(&["--config", "barograph.yml"]).start()?;
        return Ok((server, "barograph"));
    }
    fs::write(folder.join("prometheus.yml"), global)?;
    let address = server::free_address()?;
    let mut command = std::process::Command::new(&contender.program);
    command.current_dir(folder).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
    command.args(["--web.enable-remote-write-receiver", "--log.level=warn"]);
    command.arg(format!("--web.listen-address={address}"));
    let mut server = Server::start(command, &address, &folder.join("log"))?;
    server.wait_ready("/-/ready")?;
    Ok((server, "prometheus"))
}

/// What a server says of its rules.
struct Numbers {
    evaluations: f64,
    failed: f64,
    missed: f64,
    /// Groups that were evaluated.
    evaluated: usize,
    /// When the one of them was that waited longest since.
    oldest: f64,
    slowest: f64,
}

impl Numbers {
    fn of(server: &Server, prefix: &str) -> Result<Self> {
        let page = server.client().get("/metrics")?;
        let text = page.text();
        let values = |name: &str| -> Vec<f64> {
            let name = format!("{prefix}_{name}");
            let of = |line: &str| {
                let rest = line.strip_prefix(name.as_str())?;
                let value = match rest.strip_prefix('{') {
                    Some(rest) => rest.rsplit_once('}')?.1,
                    None => rest,
                };
                value.strip_prefix(' ')?.split(' ').next()?.parse().ok()
            };
            text.lines().filter_map(of).collect()
        };
        let sum = |name: &str| values(name).iter().sum::<f64>();
        // Zero is one that was not evaluated yet.
        let last: Vec<f64> = values("rule_group_last_evaluation_timestamp_seconds");
        let last: Vec<f64> = last.into_iter().filter(|at| *at > 0.0).collect();
        Ok(Self {
            evaluations: sum("rule_evaluations_total"),
            failed: sum("rule_evaluation_failures_total"),
            missed: sum("rule_group_iterations_missed_total"),
            evaluated: last.len(),
            oldest: last.iter().copied().fold(f64::INFINITY, f64::min),
            slowest: values("rule_group_last_duration_seconds").into_iter().fold(0.0, f64::max),
        })
    }
}

/// The rule file.
fn text(rules: usize) -> String {
    let mut text = "groups:\n".to_owned();
    for rule in 0..rules {
        if rule % RULES_OF_A_GROUP == 0 {
            let _ = writeln!(text, "- name: g{}\n  rules:", rule / RULES_OF_A_GROUP);
        }
        let host = rule / 3;
        // Values are 0 to 9 by host; a bound of 8 is crossed by a tenth.
        let _ = match rule % 3 {
            0 => writeln!(
                text,
                "  - alert: LoadHigh\n    expr: bench_load{{host=\"h{host}\"}} > 8\n    labels: {{severity: warning}}\n    \
                 annotations: {{summary: '{{{{ $labels.host }}}} has {{{{ $value }}}}'}}"
            ),
            1 => writeln!(
                text,
                "  - alert: ErrorsHigh\n    expr: sum by (host) (rate(bench_requests_total{{host=\"h{host}\"}}[5m])) > 85\n    \
                 for: 30s\n    labels: {{severity: critical}}"
            ),
            _ => writeln!(
                text,
                "  - record: host:bench_load:mean5m\n    expr: avg_over_time(bench_load{{host=\"h{host}\"}}[5m])"
            ),
        };
    }
    text
}

/// Ten minutes of each host's series up to now. Rules find samples in them for five minutes more, which is longer than is measured.
fn series(rules: usize) -> Result<Vec<Body>> {
    let now = load::now_ms()? / STEP_MS * STEP_MS;
    let mut bodies = Vec::new();
    for hosts in (0..rules.div_ceil(3)).collect::<Vec<_>>().chunks(100) {
        let (mut message, mut count) = (Vec::new(), 0);
        for host in hosts {
            let level = to_f64(host % 10);
            let host = format!("h{host}");
            let times = || (-ROUNDS..=0).map(|round| now + round * STEP_MS);
            let gauge = [("__name__", "bench_load"), ("host", &host)];
            let samples: Vec<_> = times().map(|at| (at, level)).collect();
            load::push_series(&mut message, Labels::from_pairs(gauge)?.as_bytes(), &samples);
            for path in 1..SERIES_OF_A_HOST {
                let path = format!("/p{path}");
                let labels = [("__name__", "bench_requests_total"), ("host", &host), ("path", &path)];
                #[expect(clippy::cast_precision_loss, reason = "small numbers")]
                let counter = |round: i64| (round + ROUNDS) as f64 * level * 15.0 * 10.0 / 9.0;
                let samples: Vec<_> =
                    (-ROUNDS..=0).map(|round| (now + round * STEP_MS, counter(round))).collect();
                load::push_series(&mut message, Labels::from_pairs(labels)?.as_bytes(), &samples);
                count += samples.len();
            }
            count += samples.len();
        }
        bodies.push(Body { bytes: load::compressed(&message), samples: count });
    }
    Ok(bodies)
}
