//! `barograph serve`: the server in the foreground, until a signal ends it.

use crate::{error::Error, terminal::Terminal};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

/// What `serve` is told on the command line.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The settings, in YAML; a plain prometheus.yml will do.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where data is kept.
    #[arg(long, value_name = "DIR", default_value = "./barograph-data")]
    pub(crate) data_dir: PathBuf,
    /// Where to listen for HTTP: pages, queries, remote write. Port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10701")]
    pub(crate) http_addr: SocketAddr,
    /// Where to listen for gRPC. Port 0 picks a free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10700")]
    pub(crate) grpc_addr: SocketAddr,
    /// How log lines are written.
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub(crate) log_format: String,
    /// The least important log lines that are written.
    #[arg(long, value_name = "LEVEL", default_value = "info",
          value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(crate) log_level: String,
    /// The memory that data, caches and queries may take together: 512MB, 2GiB [default: half of the machine's].
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<String>,
}

pub(crate) fn run(_args: Args, _terminal: &mut Terminal) -> Result<ExitCode, Error> {
    Err(Error::Usage("this build has no server".to_owned()))
}
