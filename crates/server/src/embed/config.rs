//! What an embedded service is to be, and the builder that says so in one expression.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use barograph::collector::{BusinessConfig, DataDirectories};
use barograph_model::Tier;

use super::{MetricsService, Pending, ServiceError};
use crate::config::{Config, Storage};

/// Memory of an embedded store unless it is said: 256 MiB, which is also the least.
const MEMORY: u64 = 256 << 20;

/// Where samples lie, and how long.
#[derive(Clone, Debug)]
pub struct MetricsStorageConfig {
    /// The directory of the store; made if it is missing. One service or server at a time.
    pub root: PathBuf,
    /// How long each tier is kept, in the order of [`Tier::ALL`]: 24 hours, 7, 30 and 365 days unless it is said; zero keeps
    /// it.
    pub retention: [Option<Duration>; 4],
}

/// What a service is to be.
#[derive(Clone, Debug)]
pub struct MetricsServiceConfig {
    /// Where samples lie, and how long.
    pub storage: MetricsStorageConfig,
    /// The application's name, the label `job` of what is collected; `application` unless it is said.
    pub name: String,
    /// The label `instance` of the same; the host's name unless it is said.
    pub instance: String,
    /// Whether the six built-in collectors run, as by default.
    pub enable_built_in_collectors: bool,
    /// How often tiers are made; 60 seconds by default.
    pub aggregation_interval: Duration,
    /// How often it is looked for what is past its retention; 1 hour by default.
    pub cleanup_interval: Duration,
    /// What the business collector counts; nothing by default.
    pub business: BusinessConfig,
    /// What the data collector looks at; the service's own tiers by default.
    pub data: DataDirectories,
    /// Where HTTP API and pages are served, on a loopback address; nowhere by default.
    pub http: Option<SocketAddr>,
    /// Bytes of memory for recent samples, caches and queries together; 256 MiB by default, which is the least.
    pub memory: u64,
    /// All else that can be configured, such as scraping and rules.
    pub server: Config,
}

impl MetricsServiceConfig {
    /// The defaults, with a store in `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let storage = Storage::default();
        Self {
            storage: MetricsStorageConfig { root: root.into(), retention: [None; 4] },
            name: "application".to_owned(),
            instance: crate::surroundings::host_name(),
            enable_built_in_collectors: true,
            aggregation_interval: storage.aggregation_interval,
            cleanup_interval: storage.cleanup_interval,
            business: BusinessConfig::default(),
            data: DataDirectories::default(),
            http: None,
            memory: MEMORY,
            server: Config::default(),
        }
    }

    /// The configuration of the server inside.
    pub(super) fn server(&self) -> Config {
        let mut config = self.server.clone();
        config.storage.aggregation_interval = self.aggregation_interval;
        config.storage.cleanup_interval = self.cleanup_interval;
        for (tier, age) in config.retention.tiers.iter_mut().zip(self.storage.retention) {
            *tier = age.or(*tier);
        }
        config.collectors.built_in = self.enable_built_in_collectors;
        config.collectors.business.interval = self.business.interval;
        config.collectors.directories = self.data.clone();
        config
    }
}

/// Says in one expression what a service is to be, and starts it: see [`Barograph::builder`](super::Barograph::builder).
#[derive(Clone, Debug)]
#[must_use = "a service runs once it is started"]
pub struct Builder(MetricsServiceConfig);

impl Builder {
    pub(super) fn new() -> Self {
        Self(MetricsServiceConfig::new("barograph-data"))
    }

    /// The directory of the store; `barograph-data` by default. Made if it is missing.
    #[doc(alias = "storageRoot")]
    pub fn storage(mut self, root: impl Into<PathBuf>) -> Self {
        self.0.storage.root = root.into();
        self
    }

    /// How long a tier is kept; zero for ever.
    #[doc(alias("rawRetentionHours", "oneMinuteRetentionDays"))]
    pub fn retention(mut self, tier: Tier, age: Duration) -> Self {
        self.0.storage.retention[tier as usize] = Some(age);
        self
    }

    /// The application's name, the label `job` of what is collected.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.0.name);
        self
    }

    /// The label `instance` of what is collected; the host's name by default.
    pub fn instance(mut self, instance: &str) -> Self {
        instance.clone_into(&mut self.0.instance);
        self
    }

    /// Whether the built-in collectors run.
    #[doc(alias = "enableBuiltInCollectors")]
    pub fn built_in_collectors(mut self, enabled: bool) -> Self {
        self.0.enable_built_in_collectors = enabled;
        self
    }

    /// How often tiers are made.
    #[doc(alias = "aggregationInterval")]
    pub fn aggregation_interval(mut self, interval: Duration) -> Self {
        self.0.aggregation_interval = interval;
        self
    }

    /// How often it is looked for what is past its retention.
    #[doc(alias = "cleanupInterval")]
    pub fn cleanup_interval(mut self, interval: Duration) -> Self {
        self.0.cleanup_interval = interval;
        self
    }

    /// What the business collector counts.
    pub fn business(mut self, business: BusinessConfig) -> Self {
        self.0.business = business;
        self
    }

    /// What the data collector looks at.
    pub fn data(mut self, directories: DataDirectories) -> Self {
        self.0.data = directories;
        self
    }

    /// Serves HTTP API and pages on a loopback address; port 0 takes a free one.
    pub fn http(mut self, address: SocketAddr) -> Self {
        self.0.http = Some(address);
        self
    }

    /// Bytes of memory for recent samples, caches and queries together.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.0.memory = bytes;
        self
    }

    /// All else that can be configured, such as scraping and rules; what has a method here overrides it.
    pub fn server(mut self, config: Config) -> Self {
        self.0.server = config;
        self
    }

    /// What was said so far.
    pub fn config(self) -> MetricsServiceConfig {
        self.0
    }

    /// Starts the service.
    ///
    /// # Errors
    /// [`ServiceError::Start`], and names that cannot be.
    pub fn start(self) -> Pending<Result<MetricsService, ServiceError>> {
        Pending::new(async {
            let service = MetricsService::new(self.0)?;
            service.initialize().await?;
            Ok(service)
        })
    }
}
