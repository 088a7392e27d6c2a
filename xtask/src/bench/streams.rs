//! Events over connections of a running server: users publish at a pace, streams of server-sent events read; from the
//! request to the line that a listener reads. Both sides run on this machine, so their work counts against each other.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Better, Contender, Report, contender};
use crate::{barograph::Barograph, http::Client, place};

/// How long each runs.
const LONG: Duration = Duration::from_secs(10);
const PUBLISHERS: u32 = 2;
const STACK_BYTES: usize = 128 << 10;
/// A stream that says nothing for so long is broken.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// So many streams, spread over so many topics, of which one gets the next event, so many a second.
#[derive(Clone, Copy)]
struct Crowd {
    name: &'static str,
    streams: usize,
    topics: usize,
    events_per_second: u32,
}

const CROWDS: [Crowd; 2] = [
    Crowd { name: "streams: 100 of one topic", streams: 100, topics: 1, events_per_second: 1_000 },
    Crowd { name: "streams: 2,000 of 200 topics", streams: 2_000, topics: 200, events_per_second: 1_000 },
];

/// What one stream saw.
#[derive(Debug, Default)]
struct Seen {
    events: u64,
    missed: u64,
    lags_ms: Vec<f64>,
}

pub(crate) fn run(contenders: &[Contender], report: &mut Report) -> Result<()> {
    let ours = contenders.iter().find(|contender| contender.name == contender::BAROGRAPH);
    let ours = ours.context("streams are measured of barograph alone")?;
    for crowd in CROWDS {
        one(ours, crowd, report)?;
    }
    Ok(())
}

fn one(ours: &Contender, crowd: Crowd, report: &mut Report) -> Result<()> {
    let folder = place::fresh("bench-streams")?;
    let server = Barograph::new(&ours.program, &folder).start()?;
    let began = Instant::now();
    let listeners: Vec<_> = (0..crowd.streams)
        .map(|i| {
            let stream = open(&server.address, i % crowd.topics)?;
            let thread = thread::Builder::new().stack_size(STACK_BYTES);
            Ok(thread.spawn(move || listen(stream, began))?)
        })
        .collect::<Result<_>>()?;
    let before = server.cpu_seconds()?;
    let from = Instant::now();
    let published = thread::scope(|scope| {
        let each = |i| {
            let address = &server.address;
            scope.spawn(move || publish(address, crowd, i, (began, from)))
        };
        let publishers: Vec<_> = (0..PUBLISHERS).map(each).collect();
        let count = |publisher: thread::ScopedJoinHandle<'_, Result<u64>>| {
            publisher.join().expect("a publisher does not panic")
        };
        publishers.into_iter().map(count).sum::<Result<u64>>()
    })?;
    let took = from.elapsed().as_secs_f64();
    let mut client = server.client();
    for topic in 0..crowd.topics {
        client.send("POST", &format!("/api/barograph/v1/events/topic-{topic}?event=end"), &[], b"0")?;
    }
    let mut all = Seen::default();
    for listener in listeners {
        let seen = listener.join().expect("a listener does not panic")?;
        all.events += seen.events;
        all.missed += seen.missed;
        all.lags_ms.extend(seen.lags_ms);
    }
    let cpu = server.cpu_seconds()? - before;
    let expected = published * (crowd.streams / crowd.topics) as u64;
    ensure!(
        all.events + all.missed == expected,
        "{} came and {} were missed of {expected}",
        all.events,
        all.missed
    );
    all.lags_ms.sort_by(f64::total_cmp);
    let at = |share: usize| all.lags_ms[all.lags_ms.len() * share / 100];
    report.add(crowd.name, None, ("ms", Better::Lower), vec![(ours.name, at(99))]);
    report.note(format!(
        "{}, p99 above from request to reader: p50 {:.2} ms; {published} events in {took:.1} s, {} deliveries of {expected}, \
         {} missed and told; {:.0} a second at {:.0} % of a processor of the server",
        crowd.name,
        at(50),
        all.events,
        all.missed,
        all.events as f64 / took,
        cpu / took * 100.0
    ));
    drop(server);
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// Opens a stream; it is subscribed once the greeting is there.
fn open(address: &str, topic: usize) -> Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SILENCE_MAX))?;
    let path = format!("/api/barograph/v1/live?bus=user&topics=topic-{topic}");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    let mut reader = BufReader::with_capacity(8 << 10, stream);
    let mut line = String::new();
    while !line.starts_with("event: hello") {
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "the stream ended before it began");
    }
    Ok(reader)
}

/// Reads until the event `end`.
fn listen(mut reader: BufReader<TcpStream>, began: Instant) -> Result<Seen> {
    let mut seen = Seen::default();
    let (mut line, mut name) = (String::new(), String::new());
    loop {
        line.clear();
        ensure!(reader.read_line(&mut line)? > 0, "the stream ended");
        if let Some(event) = line.strip_prefix("event: ") {
            event.trim().clone_into(&mut name);
        }
        let Some(data) = line.strip_prefix("data: ") else { continue };
        match &*name {
            "end" => return Ok(seen),
            "missed" => {
                let missed: serde_json::Value = serde_json::from_str(data)?;
                seen.missed += missed["count"].as_u64().context("a mark has a count")?;
            }
            "message" => {
                let sent: f64 = data.trim().parse()?;
                seen.events += 1;
                seen.lags_ms.push(began.elapsed().as_secs_f64() * 1e3 - sent);
            }
            _ => {}
        }
    }
}

/// Publishes its part; each event says when it was sent.
fn publish(address: &str, crowd: Crowd, part: u32, (began, from): (Instant, Instant)) -> Result<u64> {
    let mut client = Client::new(address);
    let interval = Duration::from_secs(u64::from(PUBLISHERS)) / crowd.events_per_second;
    let (mut count, mut topic) = (0_u32, part as usize);
    while interval * count < LONG {
        if let Some(early) = (interval * count).checked_sub(from.elapsed()) {
            thread::sleep(early);
        }
        let path = format!("/api/barograph/v1/events/topic-{}", topic % crowd.topics);
        let body = format!("{:.6}", began.elapsed().as_secs_f64() * 1e3);
        let reply = client.send("POST", &path, &[], body.as_bytes())?;
        ensure!(reply.status == 200, "an event answered {}: {}", reply.status, reply.excerpt());
        topic += PUBLISHERS as usize;
        count += 1;
    }
    Ok(u64::from(count))
}
