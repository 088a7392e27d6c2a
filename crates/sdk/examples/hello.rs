//! A program that measures itself and prints what it exposes; with an address, it serves it.
//!
//! `cargo run -p barograph --example hello` prints once. `cargo run -p barograph --example hello 127.0.0.1:9400`
//! answers every request on that address, so that a server can scrape it.

use std::{
    error::Error,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use barograph::{
    Counter, Histogram, Registry, Static, StaticFamily, Timestamp, Unit,
    collector::{MetricCollector, ProcessMetricsCollector, SystemMetricsCollector, Writer},
    exposition::{self, negotiate},
};

static GREETINGS: StaticFamily<Counter, 1> =
    StaticFamily::counter("greetings_total", "Greetings said, by language.", ["language"]);
static LENGTH: Static<Histogram> =
    Static::histogram("greeting.length", "Letters of a greeting.").bounds(&[2.0, 4.0, 8.0, 16.0]);
static REPLIES: Static<Counter> = Static::counter("replies_total", "Requests answered.");
static WAIT: Static<Histogram> = Static::histogram("wait", "Time until a request came.").unit(Unit::Seconds);

fn main() -> Result<(), Box<dyn Error>> {
    for (language, greeting) in [("en", "hello"), ("fr", "bonjour"), ("de", "hallo"), ("en", "hi")] {
        GREETINGS.with([language]).inc();
        LENGTH.record(greeting.chars().count() as f64);
    }
    WAIT.record_duration(Duration::from_millis(12));
    match std::env::args().nth(1) {
        Some(address) => serve(&TcpListener::bind(address)?),
        None => print!("{}", page(None)?),
    }
    Ok(())
}

/// All metrics in the format an `Accept` header asks for: the registry's, then those of host and process.
fn page(accept: Option<&str>) -> Result<String, Box<dyn Error>> {
    let mut readings = Writer::new();
    SystemMetricsCollector::new().perform_collection(Timestamp(0), &mut readings)?;
    ProcessMetricsCollector::new().perform_collection(Timestamp(0), &mut readings)?;
    let mut families = Registry::global().collect();
    families.extend(readings.families());
    let mut text = String::new();
    exposition::write(&mut text, &families, negotiate(accept));
    Ok(text)
}

fn serve(listener: &TcpListener) {
    for connection in listener.incoming() {
        if let Err(problem) = connection.map_err(Into::into).and_then(answer) {
            eprintln!("{problem}");
        }
    }
}

fn answer(mut connection: TcpStream) -> Result<(), Box<dyn Error>> {
    connection.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut accept = None;
    for line in BufReader::new(&connection).lines().take(64) {
        let line = line?;
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("accept") => accept = Some(value.to_owned()),
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    REPLIES.inc();
    let body = page(accept.as_deref())?;
    let kind = negotiate(accept.as_deref()).content_type();
    write!(
        connection,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}
