//! Waiting until a server has scraped enough, however long that takes, and naming a moment that it is done with.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::answers::{ask, series};
use crate::{http::Client, load};

/// Distance of two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits until of each of so many targets, whose series of `up` a selector names, so many scrapes of the last minutes went
/// well, some of them in the last seconds. Says then the last full second, once every target was scraped after it: what
/// there is of that time does not change any more.
pub(super) fn collect(
    client: &mut Client,
    up: &str,
    targets: usize,
    scrapes: u32,
    longest: Duration,
) -> Result<i64> {
    let enough = format!("sum_over_time({up}[5m]) >= {scrapes} and sum_over_time({up}[5s]) >= 3");
    await_all(client, &enough, targets, longest)?;
    let at_s = load::now_ms()? / 1000;
    await_all(client, &format!("timestamp({up}) > {at_s}"), targets, longest)?;
    Ok(at_s)
}

/// How many scrapes of the last minutes went well, of the target with most.
pub(super) fn scrapes(client: &mut Client, up: &str) -> Result<u32> {
    let found =
        ask(client, "/api/v1/query", &[("query", &format!("max(sum_over_time({up}[5m])) or vector(0)"))])?;
    let count = found["result"][0]["value"][1].as_str().context("no count")?.parse()?;
    Ok(count)
}

/// Waits until an expression holds of so many series.
fn await_all(client: &mut Client, expression: &str, targets: usize, longest: Duration) -> Result<()> {
    let deadline = Instant::now() + longest;
    loop {
        let found = ask(client, "/api/v1/query", &[("query", expression)])?;
        if series(&found)?.len() == targets {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "within {longest:?} {expression} is only {found}");
        thread::sleep(LOOK_EVERY);
    }
}
