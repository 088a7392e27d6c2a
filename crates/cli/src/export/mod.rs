//! `barograph export`: samples and roll-ups of a running server, into files.
//!
//! Nothing is held but a few pieces of the answer, so there may be any number of samples.

mod folders;

use crate::{
    answer,
    client::{Client, Target},
    error::Error,
    exit,
    terminal::Terminal,
    time::{self, Moment},
};
use barograph_model::{Tier, Timestamp};
use barograph_wire::json_lines::layout;
use folders::Folders;
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

const PATH: &str = "/api/barograph/v1/export";

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Into a folder of JSON Lines, a file a metric and span of time: everything comes back from it.
    Jsonl(JsonlArgs),
    /// As comma-separated values on standard output.
    Csv(CsvArgs),
    /// As OpenMetrics text with times on standard output.
    Text(What),
}

/// Which samples.
#[derive(clap::Args)]
pub(crate) struct What {
    #[command(flatten)]
    target: Target,
    /// Only series that this selector matches, such as `{job="api"}`.
    #[arg(long = "match", value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only samples since then: Unix seconds, RFC 3339, or from now (`-1h`).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<Moment>,
    /// Only samples until then.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<Moment>,
}

#[derive(clap::Args)]
pub(crate) struct JsonlArgs {
    #[command(flatten)]
    what: What,
    /// The tier, `raw`, `1m`, `5m` or `1h`; may be repeated.
    #[arg(long = "tier", value_name = "TIER", default_value = "raw")]
    tiers: Vec<Tier>,
    /// The folder, made if it is not there. Tiers that it has already are not written again.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct CsvArgs {
    #[command(flatten)]
    what: What,
    /// The tier: `raw`, `1m`, `5m` or `1h`.
    #[arg(long, value_name = "TIER", default_value = "raw")]
    tier: Tier,
}

pub(crate) fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    match command {
        Command::Jsonl(args) => jsonl(&args, terminal),
        Command::Csv(args) => print(&args.what, args.tier, "csv", terminal),
        Command::Text(what) => print(&what, Tier::Raw, "text", terminal),
    }
}

fn print(what: &What, tier: Tier, format: &str, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let client = what.target.client()?;
    client.stream(PATH, &what.fields(tier, format), |piece| Ok(terminal.out().write_all(piece)?))?;
    Ok(exit::FINE)
}

fn jsonl(args: &JsonlArgs, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let client = args.what.target.client()?;
    for tier in &args.tiers {
        let folder = args.folder.join(tier.as_str());
        if folder.exists() {
            return Err(Error::Usage(format!("{} is there already; name another folder", folder.display())));
        }
    }
    let mut folders = Folders::new(args.folder.clone());
    for &tier in &args.tiers {
        let before = folders.lines();
        let mut lines = Lines::default();
        client.stream(PATH, &args.what.fields(tier, "jsonl"), |piece| {
            lines.each(piece, |line| folders.write(tier, line))
        })?;
        lines.end()?;
        let span = layout::span_ms(tier) / 3_600_000;
        let count = folders.lines() - before;
        terminal.note(&format!("{tier}: {count} lines, {span} h a file"));
    }
    write_metadata(&client, &mut folders)?;
    let (lines, files) = folders.finish()?;
    writeln!(terminal.out(), "{lines} lines in {files} files under {}", args.folder.display())?;
    Ok(exit::FINE)
}

/// What the catalog knows goes beside the samples.
fn write_metadata(client: &Client, folders: &mut Folders) -> Result<(), Error> {
    #[derive(Deserialize)]
    struct Known {
        #[serde(rename = "type")]
        kind: String,
        help: String,
        unit: String,
    }
    let answer = answer::open(client.get("/api/v1/metadata", &[])?)?;
    let catalog: BTreeMap<String, Vec<Known>> = answer.read()?;
    for (name, entries) in &catalog {
        for Known { kind, help, unit } in entries {
            let line = serde_json::json!({"name": name, "type": kind, "unit": unit, "help": help});
            folders.write_metadata(&line.to_string())?;
        }
    }
    Ok(())
}

impl What {
    fn fields(&self, tier: Tier, format: &str) -> Vec<(&'static str, String)> {
        let now = time::now();
        let seconds =
            |moment: &Option<Moment>| moment.map(|moment| moment.resolve(now)).map(Timestamp::seconds);
        let mut fields = vec![("tier", tier.to_string()), ("format", format.to_owned())];
        fields.extend(self.selector.as_ref().map(|selector| ("match[]", selector.clone())));
        fields.extend(seconds(&self.start).map(|at| ("start", at.to_string())));
        fields.extend(seconds(&self.end).map(|at| ("end", at.to_string())));
        fields
    }
}

/// Pieces of an answer, cut into lines.
#[derive(Default)]
struct Lines {
    /// The beginning of a line whose end is still to come.
    begun: Vec<u8>,
}

impl Lines {
    /// Calls `see` with each line that ends in `piece`, without its line feed.
    fn each(&mut self, piece: &[u8], mut see: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
        for part in piece.split_inclusive(|&byte| byte == b'\n') {
            match part.strip_suffix(b"\n") {
                None => self.begun.extend_from_slice(part),
                Some(line) if self.begun.is_empty() => see(line)?,
                Some(end) => {
                    self.begun.extend_from_slice(end);
                    see(&self.begun)?;
                    self.begun.clear();
                }
            }
        }
        Ok(())
    }

    fn end(self) -> Result<(), Error> {
        match self.begun.is_empty() {
            true => Ok(()),
            false => {
                Err(Error::Failed { what: "cannot read the answer", source: "it ends inside a line".into() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_may_be_cut_anywhere() {
        let whole = b"one\n\ntwo\nthree\n";
        for cut in 0..whole.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for piece in [&whole[..cut], &whole[cut..]] {
                lines
                    .each(piece, |line| {
                        seen.push(String::from_utf8(line.to_vec()).unwrap());
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(seen, ["one", "", "two", "three"], "{cut}");
            assert!(lines.end().is_ok());
        }
        let mut lines = Lines::default();
        lines.each(b"one\ntw", |_| Ok(())).unwrap();
        assert!(lines.end().is_err());
    }
}
