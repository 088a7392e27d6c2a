//! Lines into the files they belong to, of which some are kept open.

use crate::error::Error;
use barograph_model::Tier;
use barograph_wire::json_lines::{Head, layout};
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
};

/// So many files are open at once. A series that goes on through more of them costs some opening again.
const OPEN_MAX: usize = 128;
const METADATA: &str = "metadata.jsonl";

/// The files below a root.
pub(super) struct Folders {
    root: PathBuf,
    open: HashMap<String, Open>,
    /// The tier, metric and span of the line before, whose file most lines go to.
    last: Option<(Tier, String, i64, String)>,
    lines: u64,
    files: u64,
    /// Counts uses of files, to tell which was not used for longest.
    clock: u64,
}

struct Open {
    file: BufWriter<File>,
    used: u64,
}

impl Folders {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, open: HashMap::new(), last: None, lines: 0, files: 0, clock: 0 }
    }

    /// Lines of samples and windows written so far.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    /// Puts a line of a tier into its file.
    pub(super) fn write(&mut self, tier: Tier, line: &[u8]) -> Result<(), Error> {
        let head = Head::parse(line).map_err(|error| foreign(&error))?;
        let span = head.timestamp.div_euclid(layout::span_ms(tier));
        let path = match &self.last {
            Some((t, name, s, path)) if (*t, *s) == (tier, span) && *name == head.name => path.clone(),
            _ => layout::file(tier, &head.name, head.timestamp),
        };
        self.append(&path, line).map_err(|error| cannot_write(&self.root.join(&path), error))?;
        self.lines += 1;
        if self.last.as_ref().is_none_or(|last| last.3 != path) {
            self.last = Some((tier, head.name.into_owned(), span, path));
        }
        Ok(())
    }

    /// Adds what is known of a metric.
    pub(super) fn write_metadata(&mut self, line: &str) -> Result<(), Error> {
        let first = !self.open.contains_key(METADATA);
        if first {
            // Of an earlier export of other tiers.
            let _ = fs::remove_file(self.root.join(METADATA));
        }
        self.append(METADATA, line.as_bytes()).map_err(|error| cannot_write(&self.root.join(METADATA), error))
    }

    /// Writes what is still held. The numbers of lines and files.
    pub(super) fn finish(self) -> Result<(u64, u64), Error> {
        for (path, mut open) in self.open {
            open.file.flush().map_err(|error| cannot_write(&self.root.join(path), error))?;
        }
        Ok((self.lines, self.files))
    }

    fn append(&mut self, path: &str, line: &[u8]) -> io::Result<()> {
        self.clock += 1;
        if !self.open.contains_key(path) {
            self.make_room()?;
            let whole = self.root.join(path);
            whole.parent().map_or(Ok(()), fs::create_dir_all)?;
            self.files += u64::from(!whole.exists());
            let file = OpenOptions::new().create(true).append(true).open(&whole)?;
            self.open.insert(path.to_owned(), Open { file: BufWriter::new(file), used: 0 });
        }
        let Some(open) = self.open.get_mut(path) else { return Ok(()) };
        open.used = self.clock;
        open.file.write_all(line)?;
        open.file.write_all(b"\n")
    }

    fn make_room(&mut self) -> io::Result<()> {
        if self.open.len() < OPEN_MAX {
            return Ok(());
        }
        let oldest = self.open.iter().min_by_key(|(_, open)| open.used).map(|(path, _)| path.clone());
        let closed = oldest.and_then(|path| self.open.remove(&path));
        closed.map_or(Ok(()), |mut open| open.file.flush())
    }
}

fn foreign(error: &barograph_wire::json_lines::LineError) -> Error {
    Error::Failed { what: "cannot read a line of the answer", source: error.to_string().into() }
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::Failed { what: "cannot export", source: format!("{}: {error}", path.display()).into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_find_their_files_however_many_there_are() {
        let root = tempfile::tempdir().unwrap();
        let mut folders = Folders::new(root.path().to_owned());
        for round in 0..2 {
            for hour in 0..200i64 {
                let at = hour * 3_600_000 + round;
                let line = format!(r#"{{"name":"a/b","timestamp":{at},"value":1}}"#);
                folders.write(Tier::Raw, line.as_bytes()).unwrap();
            }
        }
        folders.write_metadata("{}").unwrap();
        assert_eq!(folders.finish().unwrap(), (400, 201));
        let text = fs::read_to_string(root.path().join("raw/a%2Fb/3600000.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 2);
    }
}
