//! A small shop of services under sample load, and a server that watches it: what `barograph demo` runs.
//!
//! The shop is made up and everything else is real. Services (`services`) measure themselves with the SDK, each
//! instance in a registry of its own behind a port of its own; the server is the one that `barograph serve` runs, finds
//! them in a list of targets, scrapes them, and evaluates rules. Visitors come by the hour (`days`), a day passes in
//! minutes, and faults come and go (`faults`), all as a seed decides. The hours before the start are written as history.
//!
//! ```text
//!   days, faults, seed ──► shop ──► services ──► registries ──► /metrics ◄── server
//!                            └────────────────── history ──── import ──────────►
//! ```

mod days;
mod faults;
mod history;
mod random;
mod services;
mod shop;
mod targets;

use std::{fs, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use barograph_model::Timestamp;
use barograph_server::{
    Server, Settings, StartError,
    clock::Clock,
    config::{Config, ConfigError},
};
use tempfile::TempDir;

use crate::{days::Days, faults::Fault, shop::Shop, targets::Targets};

/// The seed if none is given: the first fault is the one that shows best.
pub const SEED: u64 = 10;

/// Where the server listens if that is free, so that commands find it.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 10701);

/// When the shop's time stood still for longer, as on a machine that slept, what was missed happens at once.
const MISSED: i64 = 10_000;

const RULES: &str = include_str!("rules.yml");

/// How a demo runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides all chance.
    pub seed: u64,
    /// Visits a second, on the average of a day; at most [`RATE_MAX`].
    pub rate: f64,
    /// How long a day of the shop takes.
    pub day: Duration,
    /// How much of the past is written before the start, if the data directory is new; at most [`HISTORY_MAX`].
    pub history: Duration,
    /// Where the server keeps its data; `None` for a temporary directory, which is removed in the end.
    pub data_dir: Option<PathBuf>,
    /// Where the server listens; `None` for its usual port, or a free one if that is taken.
    pub http_addr: Option<SocketAddr>,
    /// As [`Settings::memory`].
    pub memory: Option<u64>,
    /// As [`Settings::give_back`].
    pub give_back: fn(bool),
}

/// The most visits a second. A call in flight has a task, and each takes some seconds at most.
pub const RATE_MAX: f64 = 1_000.0;

/// The longest history.
pub const HISTORY_MAX: Duration = Duration::from_secs(7 * 86_400);

impl Default for Options {
    /// Twenty visits a second, a day in twenty minutes, a day of history.
    fn default() -> Self {
        Self {
            seed: SEED,
            rate: 20.0,
            day: Duration::from_secs(1200),
            history: Duration::from_secs(86_400),
            data_dir: None,
            http_addr: None,
            memory: None,
            give_back: |_| {},
        }
    }
}

/// Why a demo does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The server does not start.
    #[error("cannot start the server")]
    Server(#[from] StartError),
    /// The demo's own configuration is refused.
    #[error("the configuration of the demo cannot be used")]
    Config(#[from] ConfigError),
    /// A metric of a service is refused.
    #[error("cannot register the metrics of a service")]
    Metric(#[from] barograph::Error),
    /// A file cannot be written, or a port not opened.
    #[error("cannot set up the services")]
    Io(#[from] io::Error),
    /// The server does not take the past.
    #[error("cannot write the history: {0}")]
    History(String),
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// When.
    pub at: Timestamp,
    /// What, as part of a sentence.
    pub text: &'static str,
    /// Whether it is a fault that begins, not one that ends.
    pub begins: bool,
    /// Where to see it.
    pub url: String,
}

/// A running demo.
pub struct Demo {
    server: Server,
    address: SocketAddr,
    clock: Arc<dyn Clock>,
    /// When the shop begins: before the start, if there is to be a past.
    from: Timestamp,
    shop: Shop,
    targets: Targets,
    history: Duration,
    fault: Option<Fault>,
    /// Holds the files of rules and targets, and the data if they may go.
    _files: TempDir,
}

impl Demo {
    /// Starts the server and the services. Nothing happens in the shop before [`Demo::live`].
    ///
    /// # Errors
    /// See [`DemoError`].
    pub async fn start(options: Options, clock: Arc<dyn Clock>) -> Result<Self, DemoError> {
        let files = tempfile::Builder::new().prefix("barograph-demo-").tempdir()?;
        let data_dir = options.data_dir.unwrap_or_else(|| files.path().join("data"));
        // What is there already is not written over.
        let new = fs::read_dir(&data_dir).map_or(true, |mut files| files.next().is_none());
        let history = if new { options.history.min(HISTORY_MAX) } else { Duration::ZERO };
        let start = clock.now();
        let before = i64::try_from(history.as_millis()).unwrap_or(i64::MAX);
        let days = Days::new(start, options.day.max(Duration::from_secs(60)));
        let rate = options.rate.clamp(0.1, RATE_MAX);
        let from = start.saturating_add(-before);
        let shop = Shop::new(options.seed, rate, days, from)?;
        let targets = Targets::open(&shop, files.path().join("targets.json")).await?;
        fs::write(files.path().join("rules.yml"), RULES)?;
        let settings = Settings {
            config: Config::parse(CONFIG, "the configuration of the demo", files.path(), [])?,
            data_dir,
            http_addr: Some(options.http_addr.unwrap_or(USUAL)),
            grpc_addr: None,
            otlp: Default::default(),
            memory: options.memory,
            give_back: options.give_back,
            web_config: None,
            backup_dir: None,
            admin_api: false,
            application: None,
        };
        let server = match Server::start(settings.clone()).await {
            Err(StartError::Listen { source, .. })
                if options.http_addr.is_none() && source.kind() == io::ErrorKind::AddrInUse =>
            {
                Server::start(Settings { http_addr: Some(SocketAddr::new(USUAL.ip(), 0)), ..settings })
                    .await?
            }
            started => started?,
        };
        let address = server.address().unwrap_or(USUAL);
        Ok(Self { server, address, clock, from, shop, targets, history, fault: None, _files: files })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every instance of a service: its name, its version, and where its metrics are read.
    pub fn services(&self) -> impl Iterator<Item = (&str, &str, SocketAddr)> {
        self.targets.pages().map(|(identity, page)| (identity.instance.as_str(), identity.version, page))
    }

    /// How much of the past [`Demo::write_history`] writes: nothing into a directory that has data.
    pub fn history(&self) -> Duration {
        self.history
    }

    /// Writes the past. Returns how many samples it has.
    ///
    /// # Errors
    /// [`DemoError::History`].
    pub async fn write_history(&mut self) -> Result<u64, DemoError> {
        history::write(&mut self.shop, self.from, &*self.clock, self.address).await
    }

    /// Lets things happen, until it is dropped or fails; it can be called again.
    ///
    /// # Errors
    /// The list of targets cannot be written.
    pub async fn live(&mut self, mut tell: impl FnMut(News)) -> Result<(), DemoError> {
        let mut steps = tokio::time::interval(shop::STEP);
        steps.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = self.clock.now();
        loop {
            steps.tick().await;
            let now = self.clock.now();
            let missed = now.millis() - last.millis() > MISSED;
            last = now;
            self.shop.advance(now, |call| {
                if missed {
                    call.play_at_once();
                } else {
                    tokio::spawn(call.play());
                }
            });
            self.targets.refresh(&self.shop)?;
            let (before, fault) = (self.fault, self.shop.fault());
            self.fault = fault;
            if before != fault {
                for (fault, begins) in
                    before.map(|fault| (fault, false)).into_iter().chain(fault.map(|fault| (fault, true)))
                {
                    tell(self.news(fault, begins, now));
                }
            }
        }
    }

    /// Stops services and server, and removes what is temporary.
    pub async fn stop(self) {
        self.server.stop().await;
    }

    fn news(&self, fault: Fault, begins: bool, at: Timestamp) -> News {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("q", fault.query())
            .append_pair("range", "15m")
            .finish();
        let url = format!("http://{}/ui/explore?{query}", self.address);
        News { at, text: if begins { fault.begins() } else { fault.ends() }, begins, url }
    }
}

const CONFIG: &str = "\
global:
  scrape_interval: 2s
  scrape_timeout: 2s
  evaluation_interval: 5s
rule_files: [rules.yml]
scrape_configs:
  - job_name: shop
    file_sd_configs:
      - files: [targets.json]
";
