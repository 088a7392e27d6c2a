//! The audit log: what was done and tried, as lines of JSON in the folder `audit` of the data directory.
//!
//! Lines are only ever appended, each durable before the request that it is about is answered. A file that is full is
//! followed by the next; the oldest beyond the number that is kept go. Each start begins a file of its own, as nothing is
//! known of how the last one ended. What cannot be noted is told in the log and counted, and the request goes on: a full
//! disk must not keep an operator out.

use std::sync::{Arc, Mutex, PoisonError};

use barograph_auth::audit::Record;
use barograph_disk::{Append, Disk, Error};

use crate::{config::AuditConfig, errors::chain};

const FOLDER: &str = "audit";
const EXTENSION: &str = ".jsonl";
/// Records of one answer.
pub(crate) const LISTED_MAX: usize = 1_000;

/// The log.
pub(crate) struct Audit {
    disk: Arc<dyn Disk>,
    config: AuditConfig,
    open: Mutex<Option<Open>>,
}

struct Open {
    number: u64,
    bytes: u64,
    file: Box<dyn Append>,
}

impl Audit {
    pub(crate) fn new(disk: Arc<dyn Disk>, config: AuditConfig) -> Self {
        Self { disk, config, open: Mutex::default() }
    }

    /// Notes one thing; whether that worked. Blocks on the disk.
    pub(crate) fn note(&self, record: &Record) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = self.append(&mut open, record.line().as_bytes());
        if let Err(error) = &noted {
            tracing::warn!(error = chain(error), action = record.action, "the audit log was not written");
            // Whatever is in it, the next line goes to a new file.
            *open = None;
        }
        noted.is_ok()
    }

    fn append(&self, open: &mut Option<Open>, line: &[u8]) -> Result<(), Error> {
        let full = |open: &Open| open.bytes + line.len() as u64 > self.config.max_bytes;
        if open.as_ref().is_none_or(full) {
            *open = Some(self.next(open.as_ref().map(|open| open.number))?);
        }
        let Some(open) = open else { return Ok(()) };
        open.file.append(line)?;
        open.file.sync()?;
        open.bytes += line.len() as u64;
        Ok(())
    }

    /// Begins the next file and removes the oldest.
    fn next(&self, last: Option<u64>) -> Result<Open, Error> {
        self.disk.create_dir(FOLDER)?;
        let numbers = self.numbers()?;
        let number = numbers.last().copied().max(last).map_or(1, |last| last + 1);
        let keep = usize::try_from(self.config.files).unwrap_or(usize::MAX).saturating_sub(1);
        for old in numbers.iter().take(numbers.len().saturating_sub(keep)) {
            self.disk.remove(&path_of(*old))?;
        }
        let file = self.disk.create(&path_of(number))?;
        self.disk.sync_dir(FOLDER)?;
        Ok(Open { number, bytes: 0, file })
    }

    fn numbers(&self) -> Result<Vec<u64>, Error> {
        let entries = self.disk.list(FOLDER)?;
        let mut numbers: Vec<u64> =
            entries.iter().filter_map(|entry| entry.name.strip_suffix(EXTENSION)?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The newest records that are wanted, newest first; what is torn is passed over. Blocks on the disk.
    pub(crate) fn read(&self, limit: usize, wanted: impl Fn(&Record) -> bool) -> Result<Vec<Record>, Error> {
        let mut found = Vec::new();
        for number in self.numbers()?.into_iter().rev() {
            let bytes = match self.disk.read_whole(&path_of(number)) {
                // It was removed meanwhile.
                Err(error) if error.is_not_found() => continue,
                bytes => bytes?,
            };
            let text = String::from_utf8_lossy(&bytes);
            for record in text.lines().rev().filter_map(Record::read).filter(|record| wanted(record)) {
                if found.len() >= limit.min(LISTED_MAX) {
                    return Ok(found);
                }
                found.push(record);
            }
        }
        Ok(found)
    }
}

fn path_of(number: u64) -> String {
    format!("{FOLDER}/{number:010}{EXTENSION}")
}

#[cfg(test)]
mod tests {
    use barograph_auth::{Identity, audit::Outcome};
    use barograph_disk::MemoryDisk;

    use super::*;

    fn record(action: &str) -> Record {
        Record::new(&Identity::local(), "127.0.0.1", action, "x", Outcome::Done, 1)
    }

    #[test]
    fn lines_stay_and_old_files_go() {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let line = record("action00").line().len() as u64;
        let config = AuditConfig { max_bytes: line * 2, files: 3 };
        let audit = Audit::new(disk.clone(), config);
        for i in 0..9 {
            assert!(audit.note(&record(&format!("action{i:02}"))));
        }
        let actions = |audit: &Audit, limit| -> Vec<String> {
            let records = audit.read(limit, |_| true).unwrap();
            records.into_iter().map(|record| record.action).collect()
        };
        assert_eq!(actions(&audit, 99), ["action08", "action07", "action06", "action05", "action04"]);
        assert_eq!(actions(&audit, 2), ["action08", "action07"]);
        // The next start begins its own.
        let again = Audit::new(disk, config);
        assert!(again.note(&record("later")));
        assert_eq!(actions(&again, 99), ["later", "action08", "action07", "action06"]);
    }

    #[test]
    fn there_is_none_before_the_first() {
        let audit = Audit::new(Arc::new(MemoryDisk::new()), AuditConfig::default());
        assert!(audit.read(10, |_| true).unwrap().is_empty());
    }
}
