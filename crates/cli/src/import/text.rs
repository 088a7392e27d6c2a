//! Exposition text, piece by piece, so that a file may be of any size.

use super::{
    Findings, cannot_read,
    send::{Sender, Totals},
};
use crate::{client::Client, error::Error};
use barograph_model::{Exemplar, Metadata, Sample, Timestamp};
use barograph_wire::exposition::{Dialect, Item, LINE_BYTES_MAX, history, parse};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// About how much is read at once.
const PIECE_BYTES: usize = 4 << 20;

pub(super) fn run(
    client: &Client,
    path: &Path,
    now: Timestamp,
    findings: &mut Findings,
) -> Result<Totals, Error> {
    let cannot = |error: std::io::Error| cannot_read(path, &error);
    let mut file = File::open(path).map_err(cannot)?;
    let dialect = dialect_of(&mut file).map_err(cannot)?;
    let mut reader = Reader {
        sender: Sender::new(client),
        metadata: BTreeMap::new(),
        dialect,
        now,
        name: path.display().to_string(),
        lines: 0,
        findings,
    };
    let mut text = Vec::new();
    loop {
        let room = PIECE_BYTES.max(text.len() + LINE_BYTES_MAX) - text.len();
        let read = (&mut file).take(room as u64).read_to_end(&mut text).map_err(cannot)?;
        // The last line may go on in the next piece.
        let end = match read {
            0 => text.len(),
            _ => text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1),
        };
        reader.piece(&text[..end])?;
        text.drain(..end);
        if read == 0 {
            break;
        }
    }
    for (name, metadata) in &reader.metadata {
        reader.sender.metadata(name, metadata)?;
    }
    reader.sender.finish()
}

/// A page that ends as OpenMetrics wants it is OpenMetrics, whose times are seconds.
fn dialect_of(file: &mut File) -> std::io::Result<Dialect> {
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(16)))?;
    let mut end = Vec::new();
    (&mut *file).take(16).read_to_end(&mut end)?;
    file.rewind()?;
    Ok(if end.trim_ascii_end().ends_with(b"# EOF") { Dialect::OpenMetrics } else { Dialect::Text })
}

struct Reader<'a> {
    sender: Sender<'a>,
    metadata: BTreeMap<String, Metadata>,
    dialect: Dialect,
    now: Timestamp,
    name: String,
    /// Lines of the pieces before.
    lines: usize,
    findings: &'a mut Findings,
}

impl Reader<'_> {
    fn piece(&mut self, text: &[u8]) -> Result<(), Error> {
        let mut ended;
        let mut page = text;
        if self.dialect == Dialect::OpenMetrics && !text.trim_ascii_end().ends_with(b"# EOF") {
            // Each piece is a page, and so it ends as one.
            ended = text.to_vec();
            ended.extend_from_slice(history::END.as_bytes());
            page = &ended;
        }
        let mut parser = parse(page, self.dialect);
        while let Some(item) = parser.next() {
            let line = self.lines + parser.line();
            match item {
                Ok(Item::Type { name, kind }) => self.describe(&name).kind = kind,
                Ok(Item::Help { name, help }) => self.describe(&name).help = help.into_owned(),
                Ok(Item::Unit { name, unit }) => self.describe(&name).unit = unit.to_owned(),
                Ok(Item::Sample(sample)) => {
                    let at = sample.at.unwrap_or(self.now);
                    let own = Sample { at, value: sample.value };
                    let labels = match sample.series.labels() {
                        Ok(labels) => labels,
                        Err(error) => {
                            self.finding(line, error.expected, &error.found);
                            continue;
                        }
                    };
                    let example = sample.exemplar.and_then(|exemplar| {
                        let labels = exemplar.labels().ok()?;
                        let sample = Sample { at: exemplar.at.unwrap_or(at), value: exemplar.value };
                        Some(Exemplar { labels, sample })
                    });
                    match example {
                        Some(example) => self.sender.example(&labels, own, example)?,
                        None => self.sender.series(&labels, &[own])?,
                    }
                }
                Err(error) => self.finding(line, error.expected, &error.found),
            }
        }
        self.lines += text.iter().filter(|&&byte| byte == b'\n').count();
        Ok(())
    }

    fn finding(&mut self, line: usize, expected: &str, found: &str) {
        self.findings.add(format!("{}:{line}: expected {expected}, found {found}", self.name));
    }

    fn describe(&mut self, name: &str) -> &mut Metadata {
        self.metadata.entry(name.to_owned()).or_default()
    }
}
