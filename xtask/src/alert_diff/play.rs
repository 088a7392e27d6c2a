//! Plays trees on a real Alertmanager and on our server at the same time.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};
use barograph_model::Timestamp;
use serde_json::{Value, json};

use super::{
    LATE_MAX,
    notices::{Channel, Notice, by_tree},
    pulse::Pulse,
    stream::{self, Act, Event},
    tree::{self, Tree},
};
use crate::{
    barograph::Barograph,
    http::{Client, Reply},
    load,
    peers::{Alertmanager, TEMPLATES},
    place,
    server::{self, Server},
    sink::Sink,
};

/// What comes later is of neither side, in milliseconds from the start: behind the last looks of a second, before the next.
const UNTIL: i64 = 26_000;
/// Our server tells only of what it is sent: its own rules may fire on a machine that is busy or full.
const OURS: &str = "alertmanager_config: alertmanager.yml\nready_rules: {enabled: false}\n";
/// The start is so far ahead at least.
const AHEAD: i64 = 300;
/// Time for both servers to start; where that is too little, they get twice as much.
const TO_START: i64 = 6_000;
/// More time is given to no machine.
const TO_START_MAX: i64 = 100_000;

/// What both told, by tree, integration and group, and what came in between.
pub(super) struct Played {
    pub(super) ours: BTreeMap<u64, BTreeMap<Channel, Vec<Notice>>>,
    pub(super) theirs: BTreeMap<u64, BTreeMap<Channel, Vec<Notice>>>,
    /// The second of the minute at which it began.
    pub(super) second: u64,
    /// How far behind its time something was told at most, in milliseconds.
    pub(super) late: i64,
    /// For how long the machine or its disk stood still at most, in milliseconds.
    pub(super) still: i64,
}

/// Both programs.
pub(super) struct Programs<'a> {
    pub(super) ours: &'a Path,
    pub(super) theirs: &'a Alertmanager,
}

/// Plays trees with what is told of them, from now on or from a second of a minute on.
pub(super) fn play(
    programs: &Programs<'_>,
    trees: &[(Tree, Vec<Event>)],
    second: Option<u64>,
) -> Result<Played> {
    let mut to_start = TO_START;
    loop {
        if let Some(played) = attempt(programs, trees, second, to_start)? {
            return Ok(played);
        }
        ensure!(to_start < TO_START_MAX, "the servers take too long to start");
        to_start *= 2;
    }
}

/// Plays once; nothing if the servers took longer than they had to start.
fn attempt(
    programs: &Programs<'_>,
    trees: &[(Tree, Vec<Event>)],
    second: Option<u64>,
    to_start: i64,
) -> Result<Option<Played>> {
    // What stands still for a second makes a server late for a look, and the disk is no part of what is compared.
    let folder = place::fresh_in_memory("alert-diff-run")?;
    let only: Vec<Tree> = trees.iter().map(|(tree, _)| tree.clone()).collect();
    let now = load::now_ms()?;
    let planned = second.map(|second| at_second(second, now + to_start));
    if let Some(start) = planned {
        sleep_until(start - to_start)?;
    }
    // Both read the minute in which the start will be.
    let minute = minute(planned.unwrap_or(load::now_ms()? + to_start / 2));
    let sinks = (Sink::start()?, Sink::start()?);
    let ours = start_ours(programs.ours, &folder, &tree::configuration(&only, &sinks.0.address, minute))?;
    let theirs =
        start_theirs(programs.theirs, &folder, &tree::configuration(&only, &sinks.1.address, minute))?;
    let ready = load::now_ms()? + AHEAD;
    let start = planned.unwrap_or(ready.div_euclid(1_000) * 1_000 + 1_000);
    if ready > start {
        return Ok(None);
    }
    let plan = plan(trees);
    let pulse = Pulse::begin(&folder);
    let late = thread::scope(|scope| {
        let sides = [&ours, &theirs].map(|server| {
            let plan = &plan;
            scope.spawn(move || tell(server, plan, start))
        });
        let mut late = 0;
        for side in sides {
            late = late.max(side.join().expect("a side does not panic")?);
        }
        anyhow::Ok(late)
    })?;
    sleep_until(start + UNTIL)?;
    let still = pulse.end()?;
    drop((ours, theirs));
    if !folder.starts_with(place::target()) {
        fs::remove_dir_all(&folder)?;
    }
    Ok(Some(Played {
        ours: by_tree(&sinks.0.posted(), start, UNTIL),
        theirs: by_tree(&sinks.1.posted(), start, UNTIL),
        second: u64::try_from(start.div_euclid(1_000).rem_euclid(60))?,
        late,
        still,
    }))
}

fn start_ours(binary: &Path, folder: &Path, configuration: &Value) -> Result<Server> {
    let folder = folder.join("barograph");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("alertmanager.yml"), configuration.to_string())?;
    fs::write(folder.join("barograph.yml"), OURS)?;
    Barograph::new(binary, &folder).with(&["--config", "barograph.yml"]).start()
}

/// Starts a real Alertmanager, alone and on a free port.
pub(crate) fn start_theirs(theirs: &Alertmanager, folder: &Path, configuration: &Value) -> Result<Server> {
    let folder = folder.join("alertmanager");
    fs::create_dir_all(&folder)?;
    std::os::unix::fs::symlink(&theirs.templates, folder.join(TEMPLATES))?;
    fs::write(folder.join("alertmanager.yml"), configuration.to_string())?;
    let address = server::free_address()?;
    let mut command = Command::new(&theirs.program);
    command.current_dir(&folder).args(["--config.file=alertmanager.yml", "--storage.path=data"]);
    command.args(["--cluster.listen-address=", "--log.level=warn"]);
    command.arg(format!("--web.listen-address={address}"));
    let mut server = Server::start(command, &address, &folder.join("alertmanager.log"))?;
    server.wait_ready("/-/ready")?;
    Ok(server)
}

/// All that is told, by time.
fn plan(trees: &[(Tree, Vec<Event>)]) -> BTreeMap<i64, Vec<&Act>> {
    let mut plan = BTreeMap::<i64, Vec<&Act>>::new();
    for event in trees.iter().flat_map(|(_, events)| events) {
        plan.entry(event.at).or_default().push(&event.act);
    }
    plan
}

/// Tells it all at its time; how far behind that it was at most.
fn tell(server: &Server, plan: &BTreeMap<i64, Vec<&Act>>, start: i64) -> Result<i64> {
    let mut client = server.client();
    let mut ids = BTreeMap::new();
    let mut late = 0;
    for (at, acts) in plan {
        sleep_until(start + at)?;
        let alerts: Vec<Value> = acts.iter().filter_map(|act| act.document(start)).collect();
        let told = if alerts.is_empty() {
            Ok(())
        } else {
            post(&mut client, "/api/v2/alerts", &Value::from(alerts)).and_then(|reply| fine(&reply, "alerts"))
        };
        let told =
            told.and_then(|()| acts.iter().try_for_each(|act| silence(&mut client, act, &mut ids, start)));
        late = late.max(load::now_ms()? - start - at);
        match told {
            // What comes too late may be refused for that. It is told no further: all of it is spoiled.
            Err(error) if late > LATE_MAX => {
                println!("{error:#}");
                return Ok(late);
            }
            told => told?,
        }
    }
    Ok(late)
}

/// Makes, changes or ends a silence.
fn silence(
    client: &mut Client,
    act: &Act,
    ids: &mut BTreeMap<(u64, usize), String>,
    start: i64,
) -> Result<()> {
    match act {
        Act::Alert { .. } => {}
        Act::Silence { key, matchers, starts, ends } => {
            let time = |at: &i64| Timestamp(start + at).to_rfc3339();
            let mut document = json!({
                "matchers": matchers.iter().map(|matcher| stream::document(matcher)).collect::<Vec<_>>(),
                "startsAt": time(starts), "endsAt": time(ends), "createdBy": "alert-diff", "comment": "as planned",
            });
            if let Some(id) = ids.get(key) {
                // What was made of the start is what counts.
                let known = client.get(&format!("/api/v2/silence/{id}"))?.json()?;
                document["startsAt"] = known["startsAt"].clone();
                document["id"] = json!(id);
            }
            let reply = post(client, "/api/v2/silences", &document)?;
            fine(&reply, "a silence")?;
            let id = reply.json()?["silenceID"].as_str().context("a silence has an id")?.to_owned();
            ids.insert(*key, id);
        }
        Act::Expire { key } => {
            let id = ids.get(key).context("what is ended was made")?;
            fine(
                &client.send("DELETE", &format!("/api/v2/silence/{id}"), &[], &[])?,
                "the end of a silence",
            )?;
        }
    }
    Ok(())
}

fn post(client: &mut Client, path: &str, document: &Value) -> Result<Reply> {
    client.send("POST", path, &[("Content-Type", "application/json")], document.to_string().as_bytes())
}

fn fine(reply: &Reply, what: &str) -> Result<()> {
    ensure!(reply.status == 200, "{what}: {} {}", reply.status, reply.excerpt());
    Ok(())
}

fn sleep_until(at: i64) -> Result<()> {
    let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(at)?);
    if let Ok(wait) = at.duration_since(SystemTime::now()) {
        thread::sleep(wait);
    }
    Ok(())
}

fn minute(at: i64) -> u32 {
    u32::try_from(at.div_euclid(60_000).rem_euclid(1_440)).unwrap_or(0)
}

/// The next time from one on that is at a second of its minute.
fn at_second(second: u64, from: i64) -> i64 {
    let second = i64::try_from(second % 60).unwrap_or(0) * 1_000;
    from + (second - from).rem_euclid(60_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_of_the_minute_is_waited_for() {
        assert_eq!(at_second(10, 60_000), 70_000);
        assert_eq!(at_second(10, 70_000), 70_000);
        assert_eq!(at_second(10, 70_001), 130_000);
        assert_eq!((minute(0), minute(86_399_999)), (0, 1_439));
    }
}
