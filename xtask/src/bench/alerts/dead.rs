//! A receiver that takes connections and never answers, beside nine that do: how late these are told with and without it.

use std::{net::TcpListener, thread};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{Report, Teller, alerts, less};
use crate::{bench::median, load, place, sink::Sink};

const RECEIVERS: usize = 9;
const GROUPS: usize = 100;

pub(super) fn run(tellers: &[Teller<'_>], report: &mut Report) -> Result<()> {
    let mut all = Vec::new();
    for teller in tellers {
        let alive = delays(teller, false)?;
        let dead = delays(teller, true)?;
        all.push((teller.name(), alive, dead));
    }
    let worst = |delays: &[f64]| delays.iter().copied().fold(0.0, f64::max);
    let mut row = |name: &str, value: &dyn Fn(&[f64], &[f64]) -> f64| {
        let values = all.iter().map(|(name, alive, dead)| (*name, value(alive, dead))).collect();
        report.add(name, None, less("s"), values);
    };
    row("told after, all receivers alive", &|alive, _| median(alive.to_vec()));
    row("told after, one dead beside them", &|_, dead| median(dead.to_vec()));
    row("latest, all receivers alive", &|alive, _| worst(alive));
    row("latest, one dead beside them", &|_, dead| worst(dead));
    report.note(format!(
        "dead: {GROUPS} groups told to {RECEIVERS} receivers, group_wait 1s; the dead one takes connections and never answers"
    ));
    Ok(())
}

fn routes(sink: &Sink, dead: Option<&str>) -> Value {
    let mut addresses: Vec<(String, String)> = (0..RECEIVERS)
        .map(|index| (format!("r{index}"), format!("http://{}/r{index}", sink.address)))
        .collect();
    // First, so that it is there before all others.
    if let Some(dead) = dead {
        addresses.insert(0, ("dead".to_owned(), format!("http://{dead}/")));
    }
    let children: Vec<Value> =
        addresses.iter().map(|(name, _)| json!({"receiver": name, "continue": true})).collect();
    let receivers: Vec<Value> = addresses
        .iter()
        .map(|(name, url)| json!({"name": name, "webhook_configs": [{"url": url, "send_resolved": false}]}))
        .collect();
    json!({
        "route": {
            "receiver": "r0", "group_by": ["group"], "group_wait": "1s", "group_interval": "5m",
            "repeat_interval": "4h", "routes": children,
        },
        "receivers": receivers,
    })
}

/// From posting to being told, in seconds, of each notice.
fn delays(teller: &Teller<'_>, with_dead: bool) -> Result<Vec<f64>> {
    let folder = place::fresh(&format!("bench-alerts-dead-{}-{with_dead}", teller.name()))?;
    let sink = Sink::start()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let dead = listener.local_addr()?.to_string();
    // What is accepted is kept open; the thread ends with the process.
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    let server = teller.start(&folder, &routes(&sink, with_dead.then_some(dead.as_str())))?;
    let start = load::now_ms()?;
    let headers = [("Content-Type", "application/json")];
    let reply = server.client().send("POST", "/api/v2/alerts", &headers, &alerts(0..GROUPS, GROUPS))?;
    ensure!(reply.status == 200, "posting answered {}: {}", reply.status, reply.excerpt());
    let posted = super::storm::told(&sink, GROUPS * RECEIVERS)?;
    ensure!(posted.len() == GROUPS * RECEIVERS, "{} notices of {}", posted.len(), GROUPS * RECEIVERS);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
    Ok(posted.iter().map(|posted| (posted.at - start) as f64 / 1e3).collect())
}
