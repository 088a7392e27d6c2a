//! What was counted over all starts: the totals of sessions, kept in a small file while `stats.persist` is on.
//!
//! It is written each minute and at the end, so a crash loses a minute of counting. A server that cannot read or keep it
//! serves all the same, and says so in the log. Bytes on disk: `docs/format.md`, "Totals".

use std::fmt::Write as _;

use barograph::session::Totals;
use barograph_disk::{
    Disk, Error,
    file::{self, Kind},
};

use crate::errors::chain;

const KIND: Kind = Kind { magic: *b"BAROTOT\0", version: 1 };
const PATH: &str = "totals";

/// What earlier processes counted; nothing of what cannot be read.
pub(crate) fn read(disk: &dyn Disk) -> Totals {
    match file::read_small(disk, PATH, KIND) {
        Ok(content) => parsed(&content),
        Err(error) if error.is_not_found() => Totals::default(),
        Err(error) => {
            tracing::warn!(error = chain(&error), "totals of earlier starts are not known; they begin again");
            Totals::default()
        }
    }
}

/// Keeps them.
///
/// # Errors
/// The disk does not take the file.
pub(crate) fn write(disk: &dyn Disk, totals: &Totals) -> Result<(), Error> {
    let mut text = String::new();
    for (name, total) in totals {
        let _ = writeln!(text, "{name} {total}");
    }
    file::write_small(disk, PATH, KIND, text.as_bytes()).map(|_| ())
}

/// A line a total: its name, a space, the number. Other lines are passed over.
fn parsed(content: &[u8]) -> Totals {
    let text = String::from_utf8_lossy(content);
    let line = |line: &str| {
        let (name, total) = line.split_once(' ')?;
        Some((name.to_owned(), total.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use barograph_disk::MemoryDisk;

    use super::*;

    #[test]
    fn totals_come_back() {
        let disk = MemoryDisk::new();
        assert!(read(&disk).is_empty());
        let totals = Totals::from([("api-calls-total".into(), 7), ("events-sent-total".into(), u64::MAX)]);
        write(&disk, &totals).unwrap();
        assert_eq!(read(&disk), totals);
        disk.write_whole(PATH, b"something else").unwrap();
        assert!(read(&disk).is_empty());
    }
}
