//! What a long run has done so far, in a file from which the next call goes on. It is written whole or not at all.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde::{Serialize, de::DeserializeOwned};

/// What was done, unless nothing was.
///
/// # Errors
/// The file cannot be read, or is another's.
pub(crate) fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>> {
    if !file.is_file() {
        return Ok(None);
    }
    let known = serde_json::from_slice(&fs::read(file)?).with_context(|| format!("{}", file.display()))?;
    Ok(Some(known))
}

/// Keeps what was done, and makes the folder if need be.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn write(file: &Path, done: &impl Serialize) -> Result<()> {
    fs::create_dir_all(file.parent().context("the file lies in a folder")?)?;
    let fresh = file.with_extension("new");
    fs::write(&fresh, serde_json::to_vec(done)?)?;
    Ok(fs::rename(&fresh, file)?)
}
