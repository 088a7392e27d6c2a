//! Our own server as a child process, with a data directory that outlives it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};

use crate::{place, server::Server, shell};

/// The file of settings of a server without the rules that come with it.
const QUIET: &str = "barograph.yml";

/// How the tasks start `barograph serve`; starting again continues with the same data.
#[derive(Clone, Debug)]
pub(crate) struct Barograph {
    binary: PathBuf,
    folder: PathBuf,
    flags: Vec<String>,
}

impl Barograph {
    /// The server whose data and log lie in `folder`.
    pub(crate) fn new(binary: &Path, folder: &Path) -> Self {
        Self { binary: binary.to_owned(), folder: folder.to_owned(), flags: Vec::new() }
    }

    /// With further flags of `serve`.
    pub(crate) fn with(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// With no rules but those it is given: what is stored is then what was sent, and what it says of itself.
    pub(crate) fn without_ready_rules(self) -> Result<Self> {
        fs::write(self.folder.join(QUIET), "ready_rules: {enabled: false}\n")?;
        Ok(self.with(&["--config", QUIET]))
    }

    /// Starts it on a free port and waits until it is ready.
    pub(crate) fn start(&self) -> Result<Server> {
        self.start_at("127.0.0.1:0")
    }

    /// Starts it at a fixed address and waits until it is ready.
    pub(crate) fn start_at(&self, address: &str) -> Result<Server> {
        let mut server = Server::start_announced(self.command(address), &self.folder.join("barograph.log"))?;
        server.wait_ready("/-/ready")?;
        Ok(server)
    }

    /// Starts it on a free port and waits until it says where that is.
    pub(crate) fn start_announced(&self) -> Result<Server> {
        Server::start_announced(self.command("127.0.0.1:0"), &self.folder.join("barograph.log"))
    }

    /// Starts it on a free port and does not wait for anything.
    pub(crate) fn start_unready(&self) -> Result<Server> {
        Server::start(self.command("127.0.0.1:0"), "", &self.folder.join("barograph.log"))
    }

    fn command(&self, address: &str) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(&self.folder).arg("serve").arg("--data-dir").arg(self.folder.join("data"));
        command.args(["--http-addr", address, "--grpc-addr", "127.0.0.1:0", "--log-format", "text"]);
        command.args(["--otlp-grpc-addr", "127.0.0.1:0", "--otlp-http-addr", "127.0.0.1:0"]);
        command.args(&self.flags);
        command
    }
}

/// Builds the binary as tests want it, with the features the whole workspace has then, and says where it lies.
pub(crate) fn build_for_tests() -> Result<PathBuf> {
    shell::run(&mut shell::cargo(&["test", "--quiet", "--workspace", "--no-run"]))?;
    binary(&place::target().join("debug"))
}

/// Builds the binary as it is shipped, and says where it lies.
pub(crate) fn build_for_benches() -> Result<PathBuf> {
    shell::run(&mut shell::cargo(&["build", "--release", "--package", "barograph-cli"]))?;
    binary(&place::target().join("release"))
}

fn binary(folder: &Path) -> Result<PathBuf> {
    let binary = folder.join("barograph");
    ensure!(binary.is_file(), "the build left no {}", binary.display());
    Ok(binary)
}
