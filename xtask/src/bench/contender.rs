//! The servers that are compared: how each is started, and how many bytes its samples take on disk.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{barograph::Barograph, peers::Peers, server, server::Server};

pub(crate) const BAROGRAPH: &str = "barograph";
pub(crate) const PROMETHEUS: &str = "prometheus";
pub(crate) const VICTORIA_METRICS: &str = "victoria-metrics";

/// Longest wait for background merges of a peer.
const MERGES_MAX: Duration = Duration::from_secs(120);

/// One of the servers.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(super) program: PathBuf,
    /// When Barograph acknowledges, if not as it does by itself.
    durability: Option<String>,
}

impl Contender {
    pub(crate) fn barograph(binary: &Path, durability: Option<&str>) -> Self {
        Self { name: BAROGRAPH, program: binary.to_owned(), durability: durability.map(str::to_owned) }
    }

    pub(crate) fn peers(peers: &Peers) -> [Self; 2] {
        [
            Self { name: VICTORIA_METRICS, program: peers.victoria_metrics.clone(), durability: None },
            Self { name: PROMETHEUS, program: peers.prometheus.clone(), durability: None },
        ]
    }

    /// Starts it with its data in an empty folder, and waits until it is ready.
    pub(crate) fn start(&self, folder: &Path) -> Result<Server> {
        if self.name == BAROGRAPH {
            let barograph = Barograph::new(&self.program, folder);
            let Some(durability) = &self.durability else { return barograph.start() };
            let config = folder.join("barograph.yml");
            fs::write(&config, format!("storage:\n  durability: {durability}\n"))?;
            return barograph.with(&["--config", &config.display().to_string()]).start();
        }
        let address = server::free_address()?;
        let data = folder.join("data");
        let mut command = Command::new(&self.program);
        command.current_dir(folder);
        let ready = if self.name == VICTORIA_METRICS {
            command.arg(format!("-storageDataPath={}", data.display()));
            command
                .arg(format!("-httpListenAddr={address}"))
                .args(["-retentionPeriod=10y", "-loggerLevel=WARN"]);
            "/health"
        } else {
            let config = folder.join("prometheus.yml");
            fs::write(&config, "global: {}\n")?;
            command.arg(format!("--config.file={}", config.display()));
            command.arg(format!("--storage.tsdb.path={}", data.display()));
            command.arg(format!("--web.listen-address={address}"));
            command.args(["--web.enable-remote-write-receiver", "--web.enable-admin-api"]);
            command.args(["--storage.tsdb.retention.time=10y", "--log.level=warn"]);
            "/-/ready"
        };
        let mut server = Server::start(command, &address, &folder.join("log"))?;
        server.wait_ready(ready)?;
        Ok(server)
    }

    /// Where it takes metrics by OTLP.
    pub(super) fn otlp_path(&self) -> &'static str {
        match self.name {
            BAROGRAPH => "/v1/metrics",
            _ => "/opentelemetry/v1/metrics",
        }
    }

    /// Makes it write all it has in its lasting form, and adds up the bytes of samples and index.
    pub(crate) fn bytes_on_disk(&self, server: &Server, folder: &Path) -> Result<f64> {
        let mut client = server.client();
        match self.name {
            BAROGRAPH => {
                let reply = client.send("POST", "/api/barograph/v1/admin/flush", &[], &[])?;
                ensure!(reply.status == 200, "flush answered {}: {}", reply.status, reply.excerpt());
                let sizes = reply.json()?;
                let size = |name: &str| sizes[name].as_f64().with_context(|| format!("flush says no {name}"));
                Ok(size("raw_bytes")? + size("index_bytes")?)
            }
            VICTORIA_METRICS => {
                for path in ["/internal/force_flush", "/internal/force_merge"] {
                    let reply = client.get(path)?;
                    ensure!(reply.status == 200, "{path} answered {}", reply.status);
                }
                settled_bytes(&folder.join("data"))
            }
            _ => {
                // A snapshot writes the head as a block.
                let reply = client.send("POST", "/api/v1/admin/tsdb/snapshot", &[], &[])?;
                ensure!(reply.status == 200, "snapshot answered {}: {}", reply.status, reply.excerpt());
                let name =
                    reply.json()?["data"]["name"].as_str().context("a snapshot has a name")?.to_owned();
                Ok(to_f64(folder_bytes(&folder.join("data/snapshots").join(name))?))
            }
        }
    }
}

/// The size of a folder once merges in the background have left it alone for two seconds.
fn settled_bytes(folder: &Path) -> Result<f64> {
    let deadline = Instant::now() + MERGES_MAX;
    let mut last = (folder_bytes(folder)?, Instant::now());
    while last.1.elapsed() < Duration::from_secs(2) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(200));
        let now = folder_bytes(folder)?;
        if now != last.0 {
            last = (now, Instant::now());
        }
    }
    Ok(to_f64(last.0))
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    // Merges remove files while this walks: what is gone counts nothing.
    let Ok(entries) = fs::read_dir(folder) else { return Ok(0) };
    for entry in entries {
        let entry = entry?;
        match entry.metadata() {
            Ok(data) if data.is_dir() => bytes += folder_bytes(&entry.path())?,
            Ok(data) => bytes += data.len(),
            Err(_) => {}
        }
    }
    Ok(bytes)
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^53")]
fn to_f64(bytes: u64) -> f64 {
    bytes as f64
}
