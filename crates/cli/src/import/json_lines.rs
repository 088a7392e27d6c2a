//! JSON Lines: files and folders of them, in the order of time.

use super::{
    Findings, cannot_read,
    send::{Sender, Totals},
};
use crate::{
    client::Client,
    error::Error,
    terminal::{Role, Terminal},
};
use barograph_model::{Labels, Metadata, MetricType, Sample, Tier};
use barograph_wire::json_lines::{Line, parse};
use serde::Deserialize;
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read as _},
    path::{Path, PathBuf},
};

/// A longer line is refused. That of a window of histograms with all their buckets has about as much.
const LINE_BYTES_MAX: u64 = 8 << 20;

pub(super) fn run(
    client: &Client,
    paths: &[PathBuf],
    terminal: &Terminal,
    findings: &mut Findings,
) -> Result<Totals, Error> {
    let mut files = Vec::new();
    for path in paths {
        find(path, &mut files, terminal).map_err(|error| cannot_read(path, &error))?;
    }
    // Names are times: the oldest first, whatever the metric, makes the least work for the server.
    files.sort_by_cached_key(|file| {
        let stem = file.file_stem().and_then(|stem| stem.to_str()?.parse::<i64>().ok());
        (stem.unwrap_or(i64::MIN), file.clone())
    });
    let mut reader = Reader { sender: Sender::new(client), run: None, windows: 0, findings };
    for file in &files {
        reader.file(file, terminal)?;
    }
    reader.end_run()?;
    if reader.windows > 0 {
        let why = "the server makes them itself, of raw samples; `backup` moves them as they are";
        terminal.message(Role::Info, &format!("{} roll-ups were passed over: {why}", reader.windows));
    }
    reader.sender.finish()
}

/// All `.jsonl` files below a folder, but for its roll-ups if it has raw samples; a file as it is.
fn find(path: &Path, files: &mut Vec<PathBuf>, terminal: &Terminal) -> std::io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let has_raw = path.join(Tier::Raw.as_str()).is_dir();
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        let name = entry.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let is_rolled = Tier::ROLLED.iter().any(|tier| tier.as_str() == name);
        if entry.is_dir() && has_raw && is_rolled {
            let why = "the server makes roll-ups itself, of raw samples";
            terminal.message(Role::Info, &format!("{} is passed over: {why}", entry.display()));
        } else if entry.is_dir() || name.ends_with(".jsonl") {
            find(&entry, files, terminal)?;
        }
    }
    Ok(())
}

struct Reader<'a> {
    sender: Sender<'a>,
    /// The series of the lines before, and their samples.
    run: Option<(Labels, Vec<Sample>)>,
    windows: u64,
    findings: &'a mut Findings,
}

/// So many samples of a series are gathered before they are sent.
const RUN_MAX: usize = 10_000;

impl Reader<'_> {
    fn file(&mut self, path: &Path, terminal: &Terminal) -> Result<(), Error> {
        let cannot = |error: std::io::Error| cannot_read(path, &error);
        let mut input = BufReader::with_capacity(1 << 18, File::open(path).map_err(cannot)?);
        let is_metadata = path.file_name().is_some_and(|name| name == "metadata.jsonl");
        let mut line = Vec::new();
        for number in 1u64.. {
            line.clear();
            if (&mut input).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(cannot)? == 0 {
                break;
            }
            let whole = line.ends_with(b"\n");
            if !whole && line.len() as u64 == LINE_BYTES_MAX {
                self.findings.add(format!("{}:{number}: a line is longer than 8 MiB", path.display()));
                skip_line(&mut input).map_err(cannot)?;
                continue;
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let taken = if is_metadata { self.metadata(&line)? } else { self.line(&line)? };
            match taken {
                Ok(()) => {}
                Err(why) if whole => self.findings.add(format!("{}:{number}: {why}", path.display())),
                // What was being written when its writer ended.
                Err(_) => {
                    let told = format!("{}:{number}: the last line is torn; it is skipped", path.display());
                    terminal.message(Role::Warning, &told);
                }
            }
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<Result<(), String>, Error> {
        let (labels, sample) = match parse(line) {
            Ok(Line::Sample(labels, sample)) => (labels, sample),
            Ok(Line::Histogram(labels, at, histogram)) => {
                self.end_run()?;
                self.sender.histograms(&labels, &[(at, *histogram)])?;
                return Ok(Ok(()));
            }
            Ok(Line::Rollup(..) | Line::HistogramRollup(..)) => {
                self.windows += 1;
                return Ok(Ok(()));
            }
            Err(error) => return Ok(Err(error.to_string())),
        };
        match &mut self.run {
            Some((same, samples)) if *same == labels && samples.len() < RUN_MAX => samples.push(sample),
            _ => {
                self.end_run()?;
                self.run = Some((labels, vec![sample]));
            }
        }
        Ok(Ok(()))
    }

    fn end_run(&mut self) -> Result<(), Error> {
        match self.run.take() {
            Some((labels, samples)) => self.sender.series(&labels, &samples),
            None => Ok(()),
        }
    }

    fn metadata(&mut self, line: &[u8]) -> Result<Result<(), String>, Error> {
        #[derive(Deserialize)]
        struct Known {
            name: String,
            #[serde(rename = "type", default)]
            kind: String,
            #[serde(default)]
            unit: String,
            #[serde(default)]
            help: String,
        }
        let Known { name, kind, unit, help } = match serde_json::from_slice(line) {
            Ok(known) => known,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let kind = MetricType::from_word(&kind).unwrap_or_default();
        self.sender.metadata(&name, &Metadata { kind, unit, help }).map(Ok)
    }
}

fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    input.skip_until(b'\n').map(|_| ())
}
