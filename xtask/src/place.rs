//! Where things lie: the workspace, what is built, what is kept between runs.

use std::{env, fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::shell;

/// The folder of the workspace's manifest.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// Cargo's target folder, which also keeps what the tasks download and write.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |named| root().join(named))
}

/// An empty folder of this name under the target folder; what lay there before is removed.
pub(crate) fn fresh(name: &str) -> Result<PathBuf> {
    let path = target().join("xtask").join(name);
    if path.exists() {
        fs::remove_dir_all(&path).with_context(|| format!("cannot empty {}", path.display()))?;
    }
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

/// An empty folder of this name whose files are kept in memory, where the system has room for that, and otherwise as
/// [`fresh`].
pub(crate) fn fresh_in_memory(name: &str) -> Result<PathBuf> {
    const ROOM_KIB: u64 = 1 << 20;
    let memory = PathBuf::from("/dev/shm");
    let printed = shell::output(shell::command("df", &["-P", "-k"]).arg(&memory)).unwrap_or_default();
    let room = printed.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse().ok());
    if room.unwrap_or(0) < ROOM_KIB {
        return fresh(name);
    }
    // Of each user and each target folder another.
    let place = target().join("xtask").join(name);
    let path = memory.join(format!("barograph{}", place.display().to_string().replace('/', "-")));
    if path.exists() {
        fs::remove_dir_all(&path).with_context(|| format!("cannot empty {}", path.display()))?;
    }
    fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

/// The test data that are not part of the repository: `$BAROGRAPH_TESTDATA`, if it is set and there.
pub(crate) fn testdata() -> Option<PathBuf> {
    env::var_os("BAROGRAPH_TESTDATA").map(|named| root().join(named)).filter(|path| path.is_dir())
}

/// Whether a switch of the environment is on, that is set and neither empty nor `0`.
pub(crate) fn switched_on(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}
