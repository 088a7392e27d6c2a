//! A storm: many alerts posted at once, in a hundred groups that two receivers are told of.
//!
//! The first notice may come a second after `group_wait`, and there are no more notices than groups times receivers.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Arguments, Report, Teller, alerts, less};
use crate::{
    load::{self, Body, To, to_f64},
    place,
    sink::{Posted, Sink},
};

const ALERTS: usize = 10_000;
const GROUPS: usize = 100;
const RECEIVERS: [&str; 2] = ["/first", "/second"];
const ALERTS_OF_A_POST: usize = 500;
const CONNECTIONS: usize = 4;
/// Longer than posting takes, so that a group is told as a whole.
const GROUP_WAIT_S: u32 = 10;
/// All has been told by then.
const TOLD_MAX: Duration = Duration::from_secs(120);
/// Nothing more comes after this.
const QUIET: Duration = Duration::from_secs(3);

pub(super) fn run(arguments: &Arguments, tellers: &[Teller<'_>], report: &mut Report) -> Result<()> {
    let count = arguments.alerts.unwrap_or(ALERTS);
    let groups = GROUPS.min(count);
    let mut all = Vec::new();
    for teller in tellers {
        all.push((teller.name(), measure(teller, count, groups)?));
    }
    let mut row = |name: &str, unit: &'static str, value: &dyn Fn(&Measured) -> f64| {
        let values = all.iter().map(|(name, measured)| (*name, value(measured))).collect();
        report.add(name, None, less(unit), values);
    };
    row("storm: until all are taken", "s", &|m| m.taken_s);
    row("storm: first notice after group_wait", "s", &|m| m.first_s);
    row("storm: last notice after group_wait", "s", &|m| m.last_s);
    row("storm: notices", "notices", &|m| m.notices);
    row("storm: CPU", "s", &|m| m.cpu_s);
    report.note(format!(
        "storm: {count} alerts, {groups} groups, {} receivers, group_wait {GROUP_WAIT_S}s; goals: first notice at most 1s behind \
         it, at most {} notices",
        RECEIVERS.len(),
        groups * RECEIVERS.len()
    ));
    Ok(())
}

struct Measured {
    taken_s: f64,
    first_s: f64,
    last_s: f64,
    notices: f64,
    cpu_s: f64,
}

fn routes(sink: &Sink) -> Value {
    let receivers: Vec<Value> = RECEIVERS
        .iter()
        .map(|path| json!({"name": path, "webhook_configs": [{"url": format!("http://{}{path}", sink.address)}]}))
        .collect();
    let children: Vec<Value> =
        RECEIVERS.iter().map(|path| json!({"receiver": path, "continue": true})).collect();
    json!({
        "route": {
            "receiver": RECEIVERS[0], "group_by": ["group"], "group_wait": format!("{GROUP_WAIT_S}s"),
            "group_interval": "5m", "repeat_interval": "4h", "routes": children,
        },
        "receivers": receivers,
    })
}

fn measure(teller: &Teller<'_>, count: usize, groups: usize) -> Result<Measured> {
    let folder = place::fresh(&format!("bench-alerts-storm-{}", teller.name()))?;
    let sink = Sink::start()?;
    let server = teller.start(&folder, &routes(&sink))?;
    let lanes: Vec<Vec<Body>> = (0..count)
        .step_by(ALERTS_OF_A_POST)
        .map(|from| {
            let to = (from + ALERTS_OF_A_POST).min(count);
            vec![Body { bytes: alerts(from..to, groups), samples: to - from }]
        })
        .collect();
    let cpu = server.cpu_seconds()?;
    let start = load::now_ms()?;
    let to = To {
        address: &server.address,
        path: "/api/v2/alerts",
        headers: &[("Content-Type", "application/json")],
    };
    let taken = load::send_to(to, &lanes, CONNECTIONS)?;
    ensure!(taken.as_secs() < u64::from(GROUP_WAIT_S), "posting took {taken:?}, longer than group_wait");
    let posted = told(&sink, count * RECEIVERS.len())?;
    let waited = f64::from(GROUP_WAIT_S);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    let since = |posted: &Posted| (posted.at - start) as f64 / 1e3 - waited;
    let (first, last) =
        (posted.first().context("nothing was told")?, posted.last().context("nothing was told")?);
    Ok(Measured {
        taken_s: taken.as_secs_f64(),
        first_s: since(first),
        last_s: since(last),
        notices: to_f64(posted.len()),
        cpu_s: server.cpu_seconds()? - cpu,
    })
}

/// Waits until so many alerts were told, and nothing more comes; all notices in the order in which they came.
pub(super) fn told(sink: &Sink, alerts: usize) -> Result<Vec<Posted>> {
    let began = Instant::now();
    let mut last = (0, Instant::now());
    loop {
        let posted = sink.posted();
        let count: usize =
            posted.iter().map(|posted| posted.body["alerts"].as_array().map_or(0, Vec::len)).sum();
        if count != last.0 {
            last = (count, Instant::now());
        }
        if count >= alerts && last.1.elapsed() >= QUIET {
            return Ok(posted);
        }
        ensure!(began.elapsed() < TOLD_MAX, "{count} of {alerts} alerts were told after {TOLD_MAX:?}");
        thread::sleep(Duration::from_millis(50));
    }
}
