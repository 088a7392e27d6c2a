//! Files that name targets.
//!
//! They are looked at again and again; one is read anew when its time or size changed. A file that cannot be
//! understood keeps the targets it had before; one that is gone has none.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::config::{FileDiscovery, TargetGroup, matching_files, parse_targets};

/// A file of targets larger than this is not read.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What was read of the files of one user.
#[derive(Debug, Default)]
pub(super) struct TargetFiles {
    files: BTreeMap<PathBuf, Known>,
}

#[derive(Debug, Default)]
struct Known {
    stamp: Option<(SystemTime, u64)>,
    groups: Vec<TargetGroup>,
}

impl TargetFiles {
    /// Looks at the files; whether anything changed, and what could not be read, by file.
    pub(super) fn refresh(&mut self, configs: &[FileDiscovery]) -> (bool, Vec<String>) {
        let mut paths = Vec::new();
        for pattern in configs.iter().flat_map(|discovery| &discovery.files) {
            paths.extend(matching_files(pattern));
        }
        let before = self.files.len();
        self.files.retain(|path, _| paths.contains(path));
        let mut changed = self.files.len() != before;
        let mut errors = Vec::new();
        for path in paths {
            match self.refresh_file(&path) {
                Ok(read) => changed |= read,
                Err(reason) => errors.push(reason),
            }
        }
        (changed, errors)
    }

    /// Reads a file if it changed; whether it did.
    fn refresh_file(&mut self, path: &Path) -> Result<bool, String> {
        let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let facts = fs::metadata(path).map_err(failed)?;
        let stamp = (facts.modified().map_err(failed)?, facts.len());
        let known = self.files.entry(path.to_owned()).or_default();
        if known.stamp == Some(stamp) {
            return Ok(false);
        }
        known.stamp = Some(stamp);
        if facts.len() > FILE_BYTES_MAX {
            return Err(format!("{} is larger than 16 MiB", path.display()));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        known.groups =
            parse_targets(&text, &path.display().to_string()).map_err(|error| error.to_string())?;
        Ok(true)
    }

    /// What they said last, in the order of their names.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&Path, &TargetGroup)> {
        self.files
            .iter()
            .flat_map(|(path, known)| known.groups.iter().map(move |group| (path.as_path(), group)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_change_break_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["t-*.yml", "one.json"].map(|file| folder.path().join(file)).to_vec();
        let configs = [FileDiscovery { files }];
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let mut files = TargetFiles::default();
        let addresses = |files: &TargetFiles| {
            files.groups().map(|(_, group)| group.targets.join("+")).collect::<Vec<_>>()
        };

        assert_eq!(files.refresh(&configs), (false, vec![]));
        write("t-1.yml", "- targets: [a]");
        write("t-2.yml", "- targets: [b]");
        write("t-3.json", "- targets: [not, matched]");
        write("one.json", r#"[{"targets": ["c"]}]"#);
        assert_eq!(files.refresh(&configs), (true, vec![]));
        assert_eq!(addresses(&files), ["c", "a", "b"]);
        assert_eq!(files.refresh(&configs), (false, vec![]));

        write("t-1.yml", "- targets: [a, broken");
        let (changed, errors) = files.refresh(&configs);
        assert!(!changed && errors.len() == 1 && errors[0].contains("t-1.yml:"), "{errors:?}");
        assert_eq!(addresses(&files).len(), 3);

        fs::remove_file(folder.path().join("t-2.yml")).unwrap();
        assert_eq!(files.refresh(&configs), (true, vec![]));
        assert_eq!(addresses(&files), ["c", "a"]);
    }
}
