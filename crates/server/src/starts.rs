//! How often the server was started over its data: the one figure of sessions that outlives a process.
//!
//! A server that cannot read or keep it starts all the same, and says so in the log. Bytes on disk: `docs/format.md`,
//! "Starts".

use barograph::session::Lifetime;
use barograph_disk::{
    Disk, Error,
    file::{self, Kind},
};

use crate::errors::chain;

const KIND: Kind = Kind { magic: *b"BAROSTA\0", version: 1 };
const PATH: &str = "starts";

/// What is known of earlier processes. Counts this one.
pub(crate) fn count(disk: &dyn Disk) -> Lifetime {
    let lifetime = match read(disk) {
        Ok(starts) => Lifetime { restarts: starts, before: None },
        Err(error) => {
            tracing::warn!(error = chain(&error), "the number of starts is not known; it begins again");
            Lifetime::default()
        }
    };
    let starts = lifetime.restarts.saturating_add(1);
    if let Err(error) = file::write_small(disk, PATH, KIND, &starts.to_le_bytes()) {
        tracing::warn!(error = chain(&error), "the number of starts is not kept");
    }
    lifetime
}

/// How many starts there were.
fn read(disk: &dyn Disk) -> Result<u64, Error> {
    let content = match file::read_small(disk, PATH, KIND) {
        Err(error) if error.is_not_found() => return Ok(0),
        content => content?,
    };
    let content = content.try_into().map_err(|_| Error::corrupt("number", PATH, 0))?;
    Ok(u64::from_le_bytes(content))
}

#[cfg(test)]
mod tests {
    use barograph_disk::MemoryDisk;

    use super::*;

    #[test]
    fn starts_are_counted() {
        let disk = MemoryDisk::new();
        for restarts in 0..3 {
            assert_eq!(count(&disk), Lifetime { restarts, before: None });
        }
        disk.write_whole(PATH, b"something else").unwrap();
        assert_eq!(count(&disk), Lifetime::default());
        assert_eq!(count(&disk), Lifetime::default().restarted());
    }
}
