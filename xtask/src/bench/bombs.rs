//! Small requests made to hurt: how soon each is refused, and what memory that takes.
//!
//! The clock runs from the last byte of a request that was sent to the last of the answer. The requests are those of the
//! test `bombs_are_refused_early`.

use anyhow::{Context, Result, ensure};

use super::{Arguments, Better, Contender, Report, contender, health::percentile};
use crate::{barograph::Barograph, load, place};

#[path = "../../../crates/server/tests/bombs/mod.rs"]
mod table;

/// How often each is sent.
const REPEAT: usize = 20;
/// The bound of the worst.
const BOUND_MS: f64 = 10.0;

pub(crate) fn run(arguments: &Arguments, contenders: &[Contender], report: &mut Report) -> Result<()> {
    let ours = contenders.iter().find(|contender| contender.name == contender::BAROGRAPH);
    let ours = ours.context("bombs are measured of barograph alone")?;
    let folder = place::fresh("bench-bombs")?;
    let server = Barograph::new(&ours.program, &folder).start()?;
    let mut client = server.client();
    let before = server.resident_bytes()?;
    let (mut worst, mut peak) = ((0.0, String::new()), 0.0_f64);
    let bombs = table::all(load::now_ms()?);
    for bomb in &bombs {
        if arguments.only.as_ref().is_some_and(|only| !bomb.name.contains(only.as_str())) {
            continue;
        }
        server.forget_peak()?;
        let mut times = Vec::new();
        let (mut told, mut whole) = (String::new(), String::new());
        for _ in 0..arguments.repeat.unwrap_or(REPEAT) {
            let reply = client.send("POST", bomb.path, bomb.headers, &bomb.body)?;
            times.push(reply.took.as_secs_f64() * 1e3);
            ensure!(reply.status != 503 && reply.status != 429, "{}: {}", reply.status, reply.excerpt());
            whole = reply.text();
            told = format!("{} {}", reply.status, reply.excerpt().chars().take(100).collect::<String>());
        }
        if !told.starts_with(&bomb.status.to_string()) || !whole.contains(bomb.told) {
            report.note(format!("UNEXPECTED: {}: {}", bomb.name, bomb.status));
        }
        let held = server.peak_bytes()?;
        peak = peak.max(held);
        let p99 = percentile(times, 0.99).context("it was sent")?;
        report.add(&bomb.name, None, ("ms p99", Better::Lower), vec![(ours.name, p99)]);
        report.note(format!(
            "{}: {} bytes, {:.0} MiB resident at most, {}",
            bomb.name,
            bomb.body.len(),
            held / 1_048_576.0,
            told.escape_debug()
        ));
        if p99 > worst.0 {
            worst = (p99, bomb.name.clone());
        }
    }
    ensure!(client.get("/health")?.status == 200, "the server is well after them");
    report.note(format!(
        "worst: {:.1} ms, {:.2} of {BOUND_MS} ms, {}; {:.0} MiB resident at most, {:.0} MiB before",
        worst.0,
        worst.0 / BOUND_MS,
        worst.1,
        peak / 1_048_576.0,
        before / 1_048_576.0
    ));
    drop(server);
    Ok(std::fs::remove_dir_all(&folder)?)
}
