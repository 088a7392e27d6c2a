//! Statistics of the server for other systems: a line of JSON in a file, now and then.
//!
//! Whatever ships log files takes them from there. A file that is full goes to `NAME.1`, in place of an earlier one.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use crate::config::StatsExport;

/// Appends a line, in a new file if the old one is full. Blocks on the disk.
pub(crate) fn append(export: &StatsExport, document: &str) -> io::Result<()> {
    let path = export.file.as_path();
    let len = document.len() as u64 + 1;
    if size(path)?.is_some_and(|size| size + len > export.max_bytes) {
        let mut full = path.as_os_str().to_owned();
        full.push(".1");
        fs::rename(path, full)?;
    }
    let mut file = File::options().create(true).append(true).open(path)?;
    file.write_all(format!("{document}\n").as_bytes())
}

fn size(path: &Path) -> io::Result<Option<u64>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(meta.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_full_file_makes_room() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("stats.jsonl");
        let export = StatsExport { file: file.clone(), interval: Duration::from_secs(1), max_bytes: 10 };
        for line in ["{\"a\":1}", "{}", "{\"b\":22}", "[]"] {
            append(&export, line).unwrap();
        }
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        assert_eq!(read(&file), "[]\n");
        assert_eq!(read(&dir.path().join("stats.jsonl.1")), "{\"b\":22}\n");
        let nowhere = StatsExport { file: dir.path().join("no/file"), ..export };
        assert!(append(&nowhere, "{}").is_err());
    }
}
