//! The server is killed while it takes samples, started again, and compared with what it acknowledged.
//!
//! Each writer numbers its requests; the number is the value of every sample in it, and gives its time. A request
//! that was acknowledged must be there after the next start, whole and with its values; one whose answer never
//! came may be there, but only whole numbers that were sent may be. Some kills hit the start, some a flush.
//!
//! A long campaign keeps its data directory and a file of its progress, and goes on where it was stopped.

use std::{
    ops::Range,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use barograph_model::Labels;
use serde::{Deserialize, Serialize};

use super::{
    Ground,
    answers::{ask, series},
};
use crate::{
    barograph::Barograph,
    http::Client,
    load::{self, REMOTE_WRITE_HEADERS},
    place, progress,
    random::Random,
    server::Server,
    tally::Tally,
};

/// Kills in an ordinary run of the tests.
const ROUNDS: u64 = 6;
/// Threads that write at the same time.
const WRITERS: usize = 4;
/// Series in each request.
const LANES: usize = 20;
/// Distance of two requests of a writer in the samples' own time.
const STEP_MS: i64 = 2;
/// Shortest and longest time under load before a kill.
const LOAD_MS: (u64, u64) = (30, 400);
/// Before a kill at least so many requests were acknowledged, unless that takes longer than anybody waits.
const ACKNOWLEDGED_MIN: usize = WRITERS;
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(60);
/// Every so many rounds a further kill hits the start.
const AT_START_EVERY: u64 = 4;
/// Every so many rounds the kill hits a flush.
const AT_FLUSH_EVERY: u64 = 3;
/// Every so many rounds all that was ever acknowledged is compared, not only what is new.
const COMPARE_ALL_EVERY: u64 = 50;
/// More requests than a writer sends in one round.
const REQUESTS_A_ROUND_MAX: i64 = 10_000;
/// Requests compared by one query.
const COMPARED_AT_ONCE: i64 = 1_000;

/// What a campaign has done so far.
#[derive(Debug, Deserialize, Serialize)]
struct Progress {
    seed: u64,
    /// Kills so far.
    done: u64,
    /// Time of request 0, in milliseconds.
    start_ms: i64,
    writers: Vec<Writer>,
}

/// What one writer knows.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
struct Writer {
    /// The number of its next request. All before were acknowledged, but for the doubtful ones.
    next: i64,
    /// Requests whose answer never came, or that were perhaps never sent.
    doubtful: Vec<Range<i64>>,
}

/// A few kills, in the ordinary tests.
pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let folder = place::fresh("kill")?;
    let mut progress = Progress::new(1)?;
    let barograph = Barograph::new(&ground.binary, &folder);
    while progress.done < ROUNDS {
        let name = format!("kill {} loses nothing acknowledged", progress.done + 1);
        tally.check(&name, round(&barograph, &mut progress));
    }
    let all = barograph.start().and_then(|server| compare_all(&server, &progress));
    tally.check(&format!("all {} acknowledged requests are there", progress.acknowledged()), all);
    Ok(())
}

/// `cargo xtask kill`: as many kills as wanted in all, going on from an earlier call unless told otherwise.
pub(crate) fn campaign(binary: &Path, count: u64, seed: u64, restart: bool) -> Result<()> {
    let folder = place::target().join("xtask/kill-campaign");
    let file = folder.join("progress.json");
    if restart || !file.is_file() {
        place::fresh("kill-campaign")?;
        Progress::new(seed)?.write(&file)?;
    }
    let mut progress = Progress::read(&file)?;
    progress.resume();
    println!("{} of {count} kills are done, seed {}", progress.done, progress.seed);
    let barograph = Barograph::new(binary, &folder);
    while progress.done < count {
        round(&barograph, &mut progress).with_context(|| {
            format!(
                "kill {} with seed {}; the data lie in {}",
                progress.done,
                progress.seed,
                folder.display()
            )
        })?;
        progress.write(&file)?;
        if progress.done.is_multiple_of(10) {
            println!("{} kills, {} acknowledged requests, none lost", progress.done, progress.acknowledged());
        }
    }
    compare_all(&barograph.start()?, &progress)?;
    let samples = progress.acknowledged() * i64::try_from(LANES)?;
    println!("{} kills under load, {samples} acknowledged samples, 0 lost, 0 phantoms", progress.done);
    Ok(())
}

/// Start, load, kill, start, compare.
fn round(barograph: &Barograph, progress: &mut Progress) -> Result<()> {
    progress.done += 1;
    let mut random = Random::new(progress.seed ^ progress.done.rotate_left(40));
    if progress.done.is_multiple_of(AT_START_EVERY) {
        let starting = barograph.start_unready()?;
        thread::sleep(Duration::from_millis(random.below(60)));
        starting.kill()?;
    }
    let before: Vec<i64> = progress.writers.iter().map(|writer| writer.next).collect();
    let server = barograph.start()?;
    let load = Duration::from_millis(LOAD_MS.0 + random.below(LOAD_MS.1 - LOAD_MS.0));
    let flush = progress.done.is_multiple_of(AT_FLUSH_EVERY).then(|| random.below(30));
    write_until_killed(server, progress, load, flush)?;
    let server = barograph.start()?;
    let all = progress.done.is_multiple_of(COMPARE_ALL_EVERY);
    compare(&server, progress, if all { &[0; WRITERS] } else { &before })?;
    // How it ends matters to the next start: cleanly every other time.
    if progress.done.is_multiple_of(2) {
        let status = server.terminate()?;
        ensure!(status.success(), "the server ended with {status}");
        return Ok(());
    }
    server.kill()
}

/// All writers write until the server is gone.
fn write_until_killed(
    server: Server,
    progress: &mut Progress,
    load: Duration,
    flush: Option<u64>,
) -> Result<()> {
    let (address, start_ms) = (server.address.clone(), progress.start_ms);
    let acknowledged = AtomicUsize::new(0);
    thread::scope(|scope| {
        let writers: Vec<_> = progress.writers.iter_mut().enumerate().collect();
        let (address, acknowledged) = (address.as_str(), &acknowledged);
        let writing: Vec<_> = writers
            .into_iter()
            .map(|(index, writer)| scope.spawn(move || write(address, index, writer, start_ms, acknowledged)))
            .collect();
        thread::sleep(load);
        let deadline = Instant::now() + ACKNOWLEDGED_WITHIN;
        while acknowledged.load(Ordering::Relaxed) < ACKNOWLEDGED_MIN
            && Instant::now() < deadline
            && !writing.iter().all(thread::ScopedJoinHandle::is_finished)
        {
            thread::sleep(Duration::from_millis(1));
        }
        if let Some(head_start_ms) = flush {
            scope.spawn(move || {
                Client::new(address).send("POST", "/api/barograph/v1/admin/flush", &[], &[]).is_ok()
            });
            thread::sleep(Duration::from_millis(head_start_ms));
        }
        server.kill()?;
        writing.into_iter().try_for_each(|writing| writing.join().expect("a writer does not panic"))
    })
}

/// One request after another; ends when an answer does not come.
fn write(
    address: &str,
    index: usize,
    writer: &mut Writer,
    start_ms: i64,
    acknowledged: &AtomicUsize,
) -> Result<()> {
    let lanes: Vec<Labels> = (0..LANES).map(|lane| labels(index, lane)).collect::<Result<_>>()?;
    let mut client = Client::new(address);
    loop {
        let number = writer.next;
        let mut message = Vec::new();
        for lane in &lanes {
            load::push_series(&mut message, lane.as_bytes(), &[(time_of(start_ms, number), to_f64(number))]);
        }
        writer.next += 1;
        let reply = client.send("POST", "/api/v1/write", &REMOTE_WRITE_HEADERS, &load::compressed(&message));
        match reply {
            Ok(reply) if reply.status == 204 => drop(acknowledged.fetch_add(1, Ordering::Relaxed)),
            Ok(reply) => bail!("remote write answered {}: {}", reply.status, reply.excerpt()),
            Err(_) => {
                writer.doubtful.push(number..number + 1);
                return Ok(());
            }
        }
    }
}

/// Compares every request that was ever sent, and sees that kills hit a server that was at work.
fn compare_all(server: &Server, progress: &Progress) -> Result<()> {
    let kills = i64::try_from(progress.done)?;
    ensure!(
        progress.acknowledged() > kills,
        "{} requests acknowledged in {kills} kills",
        progress.acknowledged()
    );
    compare(server, progress, &[0; WRITERS])
}

/// Compares every request from `since` on with what the server has.
fn compare(server: &Server, progress: &Progress, since: &[i64]) -> Result<()> {
    let mut client = server.client();
    for (index, (writer, since)) in progress.writers.iter().zip(since).enumerate() {
        let mut from = *since;
        while from < writer.next {
            let to = (from + COMPARED_AT_ONCE).min(writer.next);
            compare_part(&mut client, index, writer, progress.start_ms, from..to)
                .with_context(|| format!("writer {index}, requests {from} to {to}"))?;
            from = to;
        }
    }
    Ok(())
}

fn compare_part(
    client: &mut Client,
    index: usize,
    writer: &Writer,
    start_ms: i64,
    numbers: Range<i64>,
) -> Result<()> {
    // The range of a selector is open on its left.
    let width_ms = (numbers.end - numbers.start) * STEP_MS;
    let query = format!("crash_test{{writer=\"{index}\"}}[{width_ms}ms]");
    let at_ms = time_of(start_ms, numbers.end - 1);
    let time = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
    let found = series(&ask(client, "/api/v1/query", &[("query", &query), ("time", &time)])?)?;
    let certain: Vec<i64> = numbers.clone().filter(|number| !writer.doubts(*number)).collect();
    ensure!(certain.is_empty() || found.len() == LANES, "{} series of {LANES}", found.len());
    for (labels, samples) in found {
        let mut expected = certain.iter().copied().peekable();
        for (time, value) in samples {
            let number = to_number(value).with_context(|| format!("{labels} has the value {value}"))?;
            let sent_s = to_f64(time_of(start_ms, number)) / 1000.0;
            ensure!(
                (time - sent_s).abs() < 1e-4,
                "{labels}: the value {value} is at {time}, not at {sent_s}"
            );
            ensure!(numbers.contains(&number), "{labels}: {number} was never sent");
            if expected.peek() == Some(&number) {
                expected.next();
            } else {
                ensure!(writer.doubts(number), "{labels}: {number} comes where {:?} should", expected.peek());
            }
        }
        if let Some(lost) = expected.next() {
            bail!("{labels}: request {lost} was acknowledged and is lost");
        }
    }
    Ok(())
}

impl Progress {
    fn new(seed: u64) -> Result<Self> {
        // Back enough to leave room, each request takes some milliseconds of the samples' time; not so far back that a
        // block is cut over them.
        let start_ms = load::now_ms()? - 30 * 60_000;
        Ok(Self { seed, done: 0, start_ms, writers: vec![Writer::default(); WRITERS] })
    }

    fn read(file: &Path) -> Result<Self> {
        progress::read(file)?.with_context(|| format!("there is no {}", file.display()))
    }

    fn write(&self, file: &Path) -> Result<()> {
        progress::write(file, self)
    }

    fn acknowledged(&self) -> i64 {
        self.writers.iter().map(Writer::acknowledged).sum()
    }

    /// An earlier call may have been stopped within a round, which is then forgotten: its requests may be there.
    fn resume(&mut self) {
        for writer in &mut self.writers {
            let first = writer.next;
            writer.next += REQUESTS_A_ROUND_MAX;
            writer.doubtful.push(first..writer.next);
        }
    }
}

impl Writer {
    fn acknowledged(&self) -> i64 {
        self.next - self.doubtful.iter().map(|numbers| numbers.end - numbers.start).sum::<i64>()
    }

    fn doubts(&self, number: i64) -> bool {
        self.doubtful.iter().any(|numbers| numbers.contains(&number))
    }
}

fn labels(writer: usize, lane: usize) -> Result<Labels> {
    let (writer, lane) = (writer.to_string(), format!("{lane:03}"));
    Ok(Labels::from_pairs([("__name__", "crash_test"), ("lane", &lane), ("writer", &writer)])?)
}

fn time_of(start_ms: i64, number: i64) -> i64 {
    start_ms + number * STEP_MS
}

#[expect(clippy::cast_precision_loss, reason = "numbers far below 2^53")]
fn to_f64(number: i64) -> f64 {
    number as f64
}

fn to_number(value: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "compared with the value right after")]
    let number = value as i64;
    (to_f64(number).to_bits() == value.to_bits()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_survives_being_written() {
        let file = place::fresh("kill-progress-test").unwrap().join("progress.json");
        let mut progress = Progress::new(9).unwrap();
        progress.writers[1] = Writer { next: 12, doubtful: vec![3..4, 11..12] };
        progress.write(&file).unwrap();
        let mut read = Progress::read(&file).unwrap();
        assert_eq!((read.seed, read.acknowledged()), (9, 10));
        read.resume();
        assert_eq!(read.acknowledged(), 10);
        assert!(read.writers[1].doubts(12) && !read.writers[1].doubts(10));
    }
}
