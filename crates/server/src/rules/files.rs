//! Rule files, read together: all of them can be used, or what was there before stays.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use barograph_alert::{RuleFile, file};

use crate::config::{ReadyRules, matching_files};

/// A rule file larger than this is not read.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Rule files with their names, in the order of these.
pub(crate) type Files = Vec<(String, RuleFile)>;

/// By what a change of files is noticed.
pub(super) type Stamps = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// Reads all files that patterns name, each once; those that come with the server are behind them.
///
/// # Errors
/// What is wrong in any of them, a line each.
pub(crate) fn read(patterns: &[PathBuf], ready: &ReadyRules) -> Result<Files, String> {
    let mut files = Vec::new();
    let mut faults = Vec::new();
    for path in paths(patterns) {
        match read_file(&path) {
            Ok(file) => files.push((path.display().to_string(), file)),
            Err(fault) => faults.push(fault),
        }
    }
    files.extend(ready.files());
    if faults.is_empty() { Ok(files) } else { Err(faults.join("\n")) }
}

fn read_file(path: &Path) -> Result<RuleFile, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(format!("{} is larger than 16 MiB", path.display()));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    file::parse(&text, &path.display().to_string()).map_err(|faults| faults.to_string())
}

/// What files there are, and when they were written.
pub(super) fn stamps(patterns: &[PathBuf]) -> Stamps {
    let stamp = |path: PathBuf| {
        let facts = fs::metadata(&path).ok();
        let written = facts.as_ref().and_then(|facts| facts.modified().ok());
        let len = facts.map_or(0, |facts| facts.len());
        (path, written, len)
    };
    paths(patterns).into_iter().map(stamp).collect()
}

fn paths(patterns: &[PathBuf]) -> Vec<PathBuf> {
    let mut paths: Vec<_> = patterns.iter().flat_map(|pattern| matching_files(pattern)).collect();
    paths.sort();
    paths.dedup();
    paths
}
