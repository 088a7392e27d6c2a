//! `barograph demo`: a server, and a small shop of services for it to watch, in this process.
//!
//! Ends with a signal or after `--duration`, and leaves nothing behind unless it was given a directory.

use crate::{
    allocator,
    error::Error,
    exit,
    serve::{Signals, failed},
    terminal::{ColorChoice, Role, Terminal},
};
use barograph_demo::{Demo, DemoError, News, Options, RATE_MAX, SEED};
use barograph_server::{
    clock::SystemClock,
    config::{parse_duration, parse_size},
    logging::{self, LogFormat},
};
use std::{future, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

/// What `demo` is told on the command line.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Decides all that happens: the same seed, the same visits and faults.
    #[arg(long, value_name = "NUMBER", default_value_t = SEED)]
    seed: u64,
    /// Visits a second, on the average of a day: 0.1 to 1000.
    #[arg(long, value_name = "NUMBER", default_value_t = 20.0, value_parser = rate)]
    rate: f64,
    /// How long a day of the shop takes: 5m, at least 1m.
    #[arg(long, value_name = "DURATION", default_value = "20m", value_parser = parse_duration)]
    day: Duration,
    /// How much of the past is made up before the start, up to 7d; 0s for none. Only into a new directory.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_duration)]
    history: Duration,
    /// End after so long [default: when told to].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    duration: Option<Duration>,
    /// Where data is kept [default: a temporary directory].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where to listen; port 0 picks a free one [default: 127.0.0.1:10701, or a free port if that is taken].
    #[arg(long, value_name = "HOST:PORT")]
    http_addr: Option<SocketAddr>,
    /// The memory that data, caches and queries may take together.
    #[arg(long, value_name = "SIZE", default_value = "512MB", value_parser = parse_size)]
    memory: u64,
    /// Print nothing but the address.
    #[arg(long)]
    quiet: bool,
    /// The least important log lines of the server that are written: error, warn, info, debug, trace.
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    log_level: String,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if (0.1..=RATE_MAX).contains(&rate) { Ok(rate) } else { Err(format!("it is not from 0.1 to {RATE_MAX}")) }
}

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let color = terminal.messages_in_color(ColorChoice::Auto);
    logging::start(LogFormat::Text, &args.log_level, color).map_err(Error::Usage)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| failed("cannot start the runtime", source))?;
    runtime.block_on(demo(args, terminal))?;
    Ok(exit::FINE)
}

async fn demo(args: Args, terminal: &mut Terminal) -> Result<(), Error> {
    let mut signals = Signals::new().map_err(|source| failed("cannot listen for signals", source))?;
    let options = Options {
        seed: args.seed,
        rate: args.rate,
        day: args.day,
        history: args.history,
        data_dir: args.data_dir,
        http_addr: args.http_addr,
        memory: Some(args.memory),
        give_back: allocator::give_back,
    };
    let mut demo = Demo::start(options, Arc::new(SystemClock::new()))
        .await
        .map_err(|source| failed("no demo", source))?;
    let address = demo.address();
    if args.quiet {
        writeln!(terminal.out(), "http://{address}/")?;
    } else {
        welcome(&demo, terminal)?;
    }
    terminal.finish()?;
    let outcome = tokio::select! {
        () = signals.next() => Ok(()),
        () = end(args.duration) => Ok(()),
        outcome = play(&mut demo, terminal, args.quiet) => outcome,
    };
    tokio::select! {
        () = signals.next() => {}
        () = demo.stop() => {}
    }
    outcome
}

/// Past and present, until something fails.
async fn play(demo: &mut Demo, terminal: &mut Terminal, quiet: bool) -> Result<(), Error> {
    let stopped = |source: DemoError| failed("the demo stopped", source);
    if !demo.history().is_zero() {
        let samples = demo.write_history().await.map_err(stopped)?;
        if !quiet {
            terminal
                .message(Role::Info, &format!("{samples} samples of the past are written; the shop is open"));
        }
    }
    demo.live(|news| {
        if !quiet {
            tell(terminal, &news);
        }
    })
    .await
    .map_err(stopped)
}

async fn end(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => future::pending().await,
    }
}

fn welcome(demo: &Demo, terminal: &mut Terminal) -> Result<(), Error> {
    let address = demo.address();
    let out = terminal.out();
    writeln!(out, "A shop of {} instances is watched by a server:\n", demo.services().count())?;
    for (instance, version, page) in demo.services() {
        writeln!(out, "  {instance:<12} {version:<7} http://{page}/metrics")?;
    }
    writeln!(out, "\n  Overview     http://{address}/")?;
    // A quarter of an hour shows the fault that is on, a day the tide, a heat map slow payments.
    let shop = "http_requests_total%7Bjob!%3D%22barograph%22%7D";
    let payments = "http_request_duration_seconds_bucket%7Bjob%3D%22payment%22%7D";
    for (name, query) in [
        ("Requests", format!("sum+by+(job)+(rate({shop}%5B1m%5D))&range=15m")),
        ("The day", format!("sum+by+(job)+(rate({shop}%5B5m%5D))&range=24h")),
        ("Payments", format!("{payments}&view=heatmap&range=1h")),
    ] {
        writeln!(out, "  {name:<12} http://{address}/ui/explore?q={query}")?;
    }
    writeln!(out, "  Alerts       http://{address}/api/v1/alerts")?;
    writeln!(out, "\nOr ask: barograph query --url http://{address} instant job:http_errors:ratio1m")?;
    writeln!(out, "Faults come and go, one in four minutes if a day takes twenty. Ctrl-C ends it.\n")?;
    Ok(())
}

fn tell(terminal: &Terminal, news: &News) {
    let time = news.at.to_rfc3339();
    let time = time.get(11..19).unwrap_or(&time);
    let mark = if news.begins { "!" } else { "." };
    terminal.note(&format!("{time}Z {mark} {}\n            {}", news.text, news.url));
}
