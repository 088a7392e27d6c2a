//! `barograph import`: samples of any age into a running server.
//!
//! Files are read here and sent in requests that are acknowledged one by one. All of it may be done again: a sample that
//! the server has already stays as it is, so an import that broke off is begun anew.

mod blocks;
mod json_lines;
mod prometheus;
mod send;
mod text;

use crate::{
    client::Target,
    error::Error,
    exit,
    terminal::{Role, Terminal},
    time::{self, Moment},
};
use barograph_model::{TimeRange, Timestamp};
use std::{fmt, path::PathBuf, process::ExitCode};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// The blocks of a Prometheus data directory, or of a snapshot of one.
    Prometheus(PrometheusArgs),
    /// JSON Lines, as `export jsonl` writes them.
    Jsonl(JsonlArgs),
    /// Exposition text: Prometheus or OpenMetrics.
    Text(TextArgs),
}

#[derive(clap::Args)]
pub(crate) struct PrometheusArgs {
    #[command(flatten)]
    target: Target,
    /// Only samples since then: Unix seconds, RFC 3339, or from now (`-30d`).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<Moment>,
    /// Only samples until then.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<Moment>,
    /// The data directory, a snapshot, or one block.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct JsonlArgs {
    #[command(flatten)]
    target: Target,
    /// Files, and folders whose `.jsonl` files are read.
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct TextArgs {
    #[command(flatten)]
    target: Target,
    /// The file. Samples without a time get that of the import.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(crate) fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let mut findings = Findings::default();
    let outcome = match command {
        Command::Prometheus(args) => {
            let now = time::now();
            let start = args.start.map_or(Timestamp::MIN, |moment| moment.resolve(now));
            let end = args.end.map_or(Timestamp::MAX, |moment| moment.resolve(now));
            let range = TimeRange::closed(start, end);
            prometheus::run(&args.target.client()?, &args.folder, range, terminal, &mut findings)
        }
        Command::Jsonl(args) => json_lines::run(&args.target.client()?, &args.paths, terminal, &mut findings),
        Command::Text(args) => text::run(&args.target.client()?, &args.file, time::now(), &mut findings),
    };
    if let Ok(totals) = &outcome {
        findings.count += totals.complaints;
        findings.told.extend(totals.told.iter().cloned());
    }
    findings.told.iter().for_each(|finding| terminal.message(Role::Warning, finding));
    let more = findings.count.saturating_sub(findings.told.len() as u64);
    if more > 0 {
        terminal.message(Role::Warning, &format!("and {more} more like these"));
    }
    let totals = outcome?;
    writeln!(terminal.out(), "{} samples sent, {} of them stored", totals.sent, totals.stored)?;
    Ok(if findings.count == 0 { exit::FINE } else { ExitCode::from(exit::FINDINGS) })
}

/// So many findings are told one by one.
const TOLD_MAX: usize = 20;

/// What could not be taken. The rest goes on.
#[derive(Debug, Default)]
struct Findings {
    count: u64,
    told: Vec<String>,
}

impl Findings {
    fn add(&mut self, finding: impl fmt::Display) {
        self.count += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(finding.to_string());
        }
    }
}

/// A file or folder that cannot be read at all.
fn cannot_read(path: &std::path::Path, error: &std::io::Error) -> Error {
    Error::Failed { what: "cannot import", source: format!("{}: {error}", path.display()).into() }
}
