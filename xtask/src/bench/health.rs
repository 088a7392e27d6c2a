//! How soon `/health` answers while a fleet writes as much as the server takes.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use super::{Arguments, Better, Contender, Report, ingest};
use crate::{load, place};

/// Series that are written, one sample a request.
const SERIES: usize = 10_000;
/// Connections that write.
const CONNECTIONS: usize = 4;
/// Fewer answers than this make no percentile.
const ANSWERS_MIN: usize = 200;

/// Asks again and again while samples come in, on a connection that is kept and so waits for none.
pub(crate) fn under_ingest(
    arguments: &Arguments,
    contenders: &[Contender],
    report: &mut Report,
) -> Result<()> {
    let series = arguments.series.unwrap_or(SERIES);
    let load = ingest::encode(series, (arguments.samples / series).max(1), arguments.seed)?;
    for contender in contenders {
        let folder = place::fresh("bench-health")?;
        let server = contender.start(&folder)?;
        load::send(&server.address, &load.warm_up, CONNECTIONS)?;
        let over = AtomicBool::new(false);
        let (took, sent) = thread::scope(|scope| -> Result<_> {
            let writing = scope.spawn(|| {
                let sent = load::send(&server.address, &load.lanes, CONNECTIONS);
                over.store(true, Relaxed);
                sent
            });
            let mut client = server.client();
            let mut took = Vec::new();
            while !over.load(Relaxed) {
                let began = Instant::now();
                let reply = client.get("/health")?;
                took.push(began.elapsed().as_secs_f64() * 1e3);
                ensure!(reply.status == 200, "/health answers {}", reply.status);
            }
            let sent = writing.join().map_err(|_| anyhow::anyhow!("the writers panicked"))??;
            Ok((took, sent))
        })?;
        ensure!(took.len() >= ANSWERS_MIN, "only {} answers while samples came in; write more", took.len());
        let samples = ingest::count(&load.lanes);
        report.note(format!(
            "{} answers of /health while {:.0} samples a second came in over {CONNECTIONS} connections",
            took.len(),
            samples / sent.as_secs_f64()
        ));
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let value = percentile(took.clone(), share).context("there are answers")?;
            let name = format!("/health under ingest, {name}");
            report.add(&name, Some(CONNECTIONS), ("ms", Better::Lower), vec![(contender.name, value)]);
        }
    }
    Ok(())
}

/// The value that this share of all does not exceed.
pub(super) fn percentile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the length of a list"
    )]
    let at = (share * load::to_f64(values.len())).ceil() as usize;
    values.get(at.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(values.clone(), 0.5), Some(100.0));
        assert_eq!(percentile(values.clone(), 0.99), Some(198.0));
        assert_eq!(percentile(values, 1.0), Some(200.0));
        assert_eq!(percentile(Vec::new(), 0.5), None);
    }
}
