//! `barograph backup`: a running server makes a backup, or a data directory that no server uses is copied.

use std::{path::PathBuf, process::ExitCode};

use barograph_server::storage::backup;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answer,
    client::{Client, DEFAULT_URL},
    error::Error,
    exit,
    output::{self, Shape},
    terminal::{Role, Terminal},
    time::{self, Span},
};

const PATH: &str = "/api/barograph/v1/backup";

/// What `backup` is told on the command line.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The running server to back up.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL)]
    url: String,
    /// Where below the server's --backup-dir the backup goes, or backups are listed.
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    target: String,
    /// Without a server: the data directory to back up.
    #[arg(long, value_name = "DIR", requires = "to", conflicts_with_all = ["url", "target", "list"])]
    data_dir: Option<PathBuf>,
    /// Without a server: the directory the backup goes to, or that is listed.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "target"])]
    to: Option<PathBuf>,
    /// Keep only so many backups there, the newest.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    /// List the backups that are there instead of making one.
    #[arg(long, conflicts_with = "keep")]
    list: bool,
    /// How long to wait for the server.
    #[arg(long, value_name = "SPAN", default_value = "1h")]
    timeout: Span,
    /// How to print the answer.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Shape::Table)]
    output: Shape,
    #[command(flatten)]
    access: crate::access::Access,
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let document = match (&args.to, &args.data_dir) {
        (None, _) => ask(args)?,
        (Some(place), None) if args.list => {
            backup::listed_document(&backup::list(place).map_err(|e| failed("cannot list the backups", e))?)
        }
        (Some(_), None) => return Err(Error::Usage("--to goes with --data-dir or --list".to_owned())),
        (Some(place), Some(data_dir)) => {
            let keep = args.keep.map(|keep| usize::try_from(keep).unwrap_or(usize::MAX));
            let made = backup::of_directory(data_dir, place, time::now(), keep);
            backup::written_document(&made.map_err(|e| failed("cannot back up", e))?)
        }
    };
    match (args.output, args.list) {
        (Shape::Json, _) => writeln!(terminal.out(), "{document}")?,
        (Shape::Table, true) => print_list(&document, terminal)?,
        (Shape::Table, false) => return print_made(&document, terminal),
    }
    Ok(exit::FINE)
}

fn failed(what: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Failed { what, source: Box::new(source) }
}

/// Asks the server to make a backup, or for those it has.
fn ask(args: &Args) -> Result<Value, Error> {
    let client = Client::new(&args.url, args.timeout, &args.access)?;
    let reply = if args.list {
        client.get(PATH, &[("target", args.target.clone())])?
    } else {
        let mut order = json!({"target": args.target});
        if let Some(keep) = args.keep {
            order["keep"] = json!(keep);
        }
        client.post_json(PATH, &order)?
    };
    answer::document(&reply)
}

#[derive(Deserialize)]
struct Made {
    id: u64,
    files: u64,
    bytes: u64,
    #[serde(default)]
    time: f64,
    #[serde(default)]
    copied_files: u64,
    #[serde(default)]
    copied_bytes: u64,
    #[serde(default)]
    removed: u64,
    #[serde(default)]
    damaged: Vec<Damaged>,
}

#[derive(Deserialize)]
struct Damaged {
    path: String,
    reason: String,
}

fn read<T: for<'de> Deserialize<'de>>(document: &Value) -> Result<T, Error> {
    T::deserialize(document).map_err(|e| failed("cannot read the answer", e))
}

fn print_made(document: &Value, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let made: Made = read(document)?;
    let size = output::size;
    let mut text = format!(
        "{} files, {}; {} files, {} of them new",
        made.files,
        size(made.bytes),
        made.copied_files,
        size(made.copied_bytes)
    );
    if made.removed > 0 {
        text.push_str(&format!("; {} older removed", made.removed));
    }
    for damaged in &made.damaged {
        terminal.message(
            Role::Warning,
            &format!("{} is damaged and was copied as it is: {}", damaged.path, damaged.reason),
        );
    }
    let code = if made.damaged.is_empty() { exit::FINE } else { ExitCode::from(exit::FINDINGS) };
    Ok(terminal.verdict(Role::Good, &format!("backup {}", made.id), &text, code)?)
}

fn print_list(document: &Value, terminal: &mut Terminal) -> Result<(), Error> {
    let backups: Vec<Made> = read(&document["backups"])?;
    let unreadable: Vec<Damaged> = read(&document["unreadable"])?;
    let rows: Vec<_> = backups
        .iter()
        .map(|made| {
            [
                made.id.to_string(),
                time::format(time::of_seconds(made.time)),
                made.files.to_string(),
                output::size(made.bytes),
            ]
        })
        .collect();
    let paint = terminal.data_paint();
    output::table::columns(terminal.out(), &rows, ["ID", "TIME", "FILES", "SIZE"], paint)?;
    for damaged in &unreadable {
        terminal.message(Role::Warning, &format!("{} cannot be read: {}", damaged.path, damaged.reason));
    }
    Ok(())
}
