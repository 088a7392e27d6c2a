//! How much room the file system of the data directory has.

use std::path::Path;

/// Room on a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// All that ordinary processes share: what is taken, and what is free for them. What is reserved for the superuser is
    /// neither.
    pub total: u64,
    /// What an ordinary process may still take.
    pub free: u64,
}

/// The room where a path lies; `None` where the system does not tell.
#[cfg(unix)]
pub fn space_at(path: &Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let taken = stat.f_blocks.saturating_sub(stat.f_bfree);
    Some(Space {
        total: taken.saturating_add(stat.f_bavail).saturating_mul(stat.f_frsize),
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
    })
}

/// The room where a path lies; `None` where the system does not tell.
#[cfg(not(unix))]
pub fn space_at(_: &Path) -> Option<Space> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_disk_has_room() {
        let space = space_at(Path::new("/")).unwrap();
        assert!(space.total > 0 && space.free <= space.total);
        assert_eq!(space_at(Path::new("/nowhere/at/all")), None);
    }
}
