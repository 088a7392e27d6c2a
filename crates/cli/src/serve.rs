//! `barograph serve`: the server in the foreground, until a signal ends it.
//!
//! The first SIGTERM or SIGINT stops taking, flushes and exits with 0; the second exits at once. With `--drain` the first
//! makes readiness probes fail, and what it does otherwise is done that much later, or on a second one. A service manager
//! is told when the server is ready, that it is alive, and that it stops.

use crate::{
    allocator,
    error::Error,
    exit,
    notify::Notifier,
    terminal::{ColorChoice, Terminal},
};
use barograph_server::{
    OtlpPort, OtlpPorts, Server, Settings,
    config::{Sources, format_duration, parse_duration, parse_size, profile},
    logging::{self, LogFormat},
    sdk::telemetry::{Origin, Profile},
};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The port where HTTP is spoken unless another is asked for.
const HTTP_PORT: u16 = 10701;

/// What `serve` is told on the command line.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The settings, in YAML; a plain prometheus.yml will do.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Take `${NAME}` in values of that file from the environment.
    #[arg(long)]
    config_expand_env: bool,
    /// How often to look whether that file changed, and read it again then; 0s for never [default: 0s].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    config_auto_reload_interval: Option<Duration>,
    /// Answer `/-/reload` and `/-/quit`.
    #[arg(long)]
    enable_lifecycle: bool,
    /// Where data is kept.
    #[arg(long, value_name = "DIR", default_value = "./barograph-data")]
    data_dir: PathBuf,
    /// Where to listen for HTTP: pages, queries, remote write. Port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10701")]
    http_addr: SocketAddr,
    /// The port for HTTP in place of that in --http-addr.
    #[arg(long, value_name = "PORT")]
    health_port: Option<u16>,
    /// The URL under which people reach the server, where something in front of it gives it another.
    #[arg(long, visible_alias = "web.external-url", value_name = "URL")]
    external_url: Option<String>,
    /// What the paths of requests begin with [default: the path of --external-url].
    #[arg(long, visible_alias = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,
    /// Where to listen for gRPC. Port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10700")]
    grpc_addr: SocketAddr,
    /// How TLS is spoken on all ports, in the format of Prometheus' --web.config.file; without it, it is not.
    #[arg(long, visible_alias = "web.config.file", value_name = "FILE")]
    web_config: Option<PathBuf>,
    /// Where to listen for OTLP over gRPC, besides --grpc-addr; `off` for nowhere [default: 127.0.0.1:4317 where --http-addr has its usual port].
    #[arg(long, value_name = "HOST:PORT")]
    otlp_grpc_addr: Option<OtlpPort>,
    /// Where to listen for OTLP over HTTP, besides --http-addr; `off` for nowhere [default: 127.0.0.1:4318 where --http-addr has its usual port].
    #[arg(long, value_name = "HOST:PORT")]
    otlp_http_addr: Option<OtlpPort>,
    /// Where to listen for StatsD, over UDP and TCP; without it, nowhere.
    #[arg(long, value_name = "HOST:PORT")]
    statsd_addr: Option<SocketAddr>,
    /// Where backups may be made, below this directory; without it none are.
    #[arg(long, value_name = "DIR")]
    backup_dir: Option<PathBuf>,
    /// Answer the calls of the Prometheus API that change the store.
    #[arg(long)]
    enable_admin_api: bool,
    /// How late a sample may be that is older than the last of its series: 1h, 0s for not at all [default: 1h].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    out_of_order: Option<Duration>,
    /// How long raw samples are kept: 15d, 0s for ever [default: 24h].
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    retention_raw: Option<Duration>,
    /// How long roll-ups of a minute are kept [default: 7d].
    #[arg(long = "retention-1m", value_name = "DURATION", value_parser = parse_duration)]
    retention_1m: Option<Duration>,
    /// How long roll-ups of five minutes are kept [default: 30d].
    #[arg(long = "retention-5m", value_name = "DURATION", value_parser = parse_duration)]
    retention_5m: Option<Duration>,
    /// How long roll-ups of an hour are kept [default: 365d].
    #[arg(long = "retention-1h", value_name = "DURATION", value_parser = parse_duration)]
    retention_1h: Option<Duration>,
    /// What all blocks may take on disk; beyond it those go first that have used up most of their time: 10GiB.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    retention_bytes: Option<u64>,
    /// What the server is run for: dev, test or prod; decides how it measures itself [default: prod].
    #[arg(long, value_name = "PROFILE", value_parser = |name: &str| profile(name))]
    profile: Option<Profile>,
    /// How log lines are written.
    #[arg(long, visible_alias = "log.format", value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    log_format: Format,
    /// The least important log lines that are written: error, warn, info, debug, trace [default: info].
    #[arg(long, visible_alias = "log.level", value_name = "LEVEL")]
    log_level: Option<String>,
    /// When log lines are coloured; `auto` does as `--color` says.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    log_color: ColorChoice,
    /// The memory that data, caches and queries may take together: 512MB, 2GiB [default: half of the machine's].
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// How long to serve on with readiness probes failing before the server stops, so that load balancers go elsewhere.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "0s")]
    drain: Duration,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(args: Args, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let format = match args.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    };
    let color = terminal.messages_in_color(args.log_color);
    logging::start(format, args.log_level.as_deref().unwrap_or("info"), color).map_err(Error::Usage)?;
    let mut sources = Sources::new(args.config.as_deref(), std::env::vars());
    sources.flags = flags(&args);
    sources.profile = args.profile;
    let mut config = sources.load().map_err(|source| failed("cannot read the configuration", source))?;
    if let Some(level) = &config.log_level {
        logging::set_level(level).map_err(Error::Usage)?;
    }
    if args.profile.is_some() {
        config.origins.insert("metrics.profile".to_owned(), Origin::Flag);
    }
    // A server beside the usual one leaves the usual ports to that.
    let usual = if args.http_addr.port() == HTTP_PORT { OtlpPort::Usual } else { OtlpPort::Off };
    let settings = Settings {
        config,
        data_dir: args.data_dir,
        http_addr: Some(SocketAddr::new(
            args.http_addr.ip(),
            args.health_port.unwrap_or(args.http_addr.port()),
        )),
        grpc_addr: Some(args.grpc_addr),
        otlp: OtlpPorts {
            grpc: args.otlp_grpc_addr.unwrap_or(usual),
            http: args.otlp_http_addr.unwrap_or(usual),
        },
        memory: args.memory,
        give_back: allocator::give_back,
        web_config: args.web_config,
        backup_dir: args.backup_dir,
        admin_api: args.enable_admin_api,
        application: None,
    };
    terminal.finish()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| failed("cannot start the runtime", source))?;
    let notifier = Notifier::of(std::env::vars_os(), std::process::id());
    runtime.block_on(serve(settings, args.drain, Arc::new(notifier)))?;
    Ok(exit::FINE)
}

/// The flags that stand for a key of the file, with the key and the value.
fn flags(args: &Args) -> Vec<(&'static str, &'static str, String)> {
    let duration = |value: Option<Duration>| value.map(format_duration);
    let yes = |value: bool| value.then(|| "true".to_owned());
    [
        ("--external-url", "web.external_url", args.external_url.clone()),
        ("--route-prefix", "web.route_prefix", args.route_prefix.clone()),
        ("--statsd-addr", "statsd.address", args.statsd_addr.map(|address| address.to_string())),
        ("--out-of-order", "storage.out_of_order", duration(args.out_of_order)),
        ("--retention-raw", "retention.raw", duration(args.retention_raw)),
        ("--retention-1m", "retention.1m", duration(args.retention_1m)),
        ("--retention-5m", "retention.5m", duration(args.retention_5m)),
        ("--retention-1h", "retention.1h", duration(args.retention_1h)),
        ("--retention-bytes", "retention.bytes", args.retention_bytes.map(|bytes| bytes.to_string())),
        ("--log-level", "log.level", args.log_level.clone()),
        ("--config-expand-env", "config.expand_env", yes(args.config_expand_env)),
        (
            "--config-auto-reload-interval",
            "config.auto_reload_interval",
            duration(args.config_auto_reload_interval),
        ),
        ("--enable-lifecycle", "config.lifecycle", yes(args.enable_lifecycle)),
    ]
    .into_iter()
    .filter_map(|(flag, key, value)| Some((flag, key, value?)))
    .collect()
}

async fn serve(settings: Settings, drain: Duration, notifier: Arc<Notifier>) -> Result<(), Error> {
    let mut signals = Signals::new().map_err(|source| failed("cannot listen for signals", source))?;
    // A signal while the log is being replayed ends the process at once: nothing was taken yet.
    let server = tokio::select! {
        () = signals.next() => return Ok(()),
        server = Server::start(settings) => server.map_err(|source| failed("cannot start the server", source))?,
    };
    let http = server.address().map(|address| format!("serving on {}://{address}", server.scheme()));
    notifier.ready(http.as_deref().unwrap_or_default());
    if let Some(period) = notifier.watchdog() {
        tokio::spawn(stay_alive(notifier.clone(), period));
    }
    let mut quits = server.quits();
    loop {
        tokio::select! {
            _ = quits.wait_for(|quits| *quits) => break,
            wish = signals.wish() => match wish {
                Wish::End => break,
                Wish::Reload => {
                    notifier.reloading();
                    // What is wrong is in the log; the configuration before runs on.
                    let status = match server.reload().await {
                        Ok(_) => http.clone().unwrap_or_default(),
                        Err(_) => "the configuration cannot be used; the one before runs on".to_owned(),
                    };
                    notifier.ready(&status);
                }
            },
        }
    }
    notifier.stopping("finishing what is under way");
    if !drain.is_zero() {
        server.drain();
        tokio::select! {
            () = signals.next() => {}
            () = tokio::time::sleep(drain) => {}
        }
    }
    tokio::select! {
        () = signals.next() => {}
        () = server.stop() => {}
    }
    Ok(())
}

/// Tells that the server is alive, as long as its runtime gets to it.
async fn stay_alive(notifier: Arc<Notifier>, period: Duration) {
    let mut due = tokio::time::interval(period.max(Duration::from_millis(1)));
    loop {
        due.tick().await;
        notifier.alive();
    }
}

/// What a signal asks for.
enum Wish {
    Reload,
    End,
}

/// The signals that ask for an end, and that which asks to read the configuration again.
pub(crate) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// What is asked for next.
    async fn wish(&mut self) -> Wish {
        tokio::select! {
            _ = self.hangup.recv() => Wish::Reload,
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
        }
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

pub(crate) fn failed(what: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Failed { what, source: Box::new(source) }
}
