//! Addresses from configuration, from files, and from places that were asked.
//!
//! Files are looked at again and again; one is read anew when its time or size changed. A file that cannot be
//! understood keeps the targets it had before; one that is gone has none.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{
    sources::Sources,
    target::{Built, build},
};
use crate::config::{ScrapeConfig, TargetGroup, matching_files, parse_targets};

/// A file of targets larger than this is not read.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What was read of the files of one job.
#[derive(Debug, Default)]
pub(super) struct TargetFiles {
    files: HashMap<PathBuf, Known>,
}

#[derive(Debug, Default)]
struct Known {
    stamp: Option<(SystemTime, u64)>,
    groups: Vec<TargetGroup>,
}

impl TargetFiles {
    /// Looks at the files of a job; whether anything changed, and what could not be read, by file.
    pub(super) fn refresh(&mut self, config: &ScrapeConfig) -> (bool, Vec<String>) {
        let mut paths = Vec::new();
        for pattern in config.file_sd_configs.iter().flat_map(|discovery| &discovery.files) {
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
}

/// What all addresses of a job became, in the order of configuration, then of file names, then of places.
pub(super) fn discover(config: &ScrapeConfig, files: &TargetFiles, sources: &Sources) -> Vec<Built> {
    let mut found = Vec::new();
    for group in &config.static_configs {
        build_group(config, group, None, &mut found);
    }
    let mut known: Vec<_> = files.files.iter().collect();
    known.sort_by_key(|(path, _)| *path);
    for (path, known) in known {
        for group in &known.groups {
            build_group(config, group, Some(&path.display().to_string()), &mut found);
        }
    }
    for group in &sources.groups() {
        build_group(config, group, None, &mut found);
    }
    found
}

fn build_group(config: &ScrapeConfig, group: &TargetGroup, file: Option<&str>, found: &mut Vec<Built>) {
    for address in &group.targets {
        let mut labels: BTreeMap<&str, &str> =
            group.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        labels.insert("__address__", address);
        labels.extend(file.map(|file| ("__meta_filepath", file)));
        found.push(build(config, &labels));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn urls(config: &ScrapeConfig, files: &TargetFiles) -> Vec<String> {
        let url = |built| match built {
            Built::Target(target) => target.url,
            other => panic!("a target, not {other:?}"),
        };
        discover(config, files, &Sources::default()).into_iter().map(url).collect()
    }

    #[test]
    fn files_come_change_break_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let text = "scrape_configs: [{job_name: j, static_configs: [{targets: [s]}], file_sd_configs: [{files: ['t-*.yml', one.json]}]}]";
        let config = Config::parse(text, "test", folder.path(), []).unwrap();
        let config = &config.scrape_configs[0];
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let mut files = TargetFiles::default();

        assert_eq!(files.refresh(config), (false, vec![]));
        assert_eq!(urls(config, &files), ["http://s/metrics"]);

        write("t-1.yml", "- targets: [a]");
        write("t-2.yml", "- targets: [b]");
        write("t-3.json", "- targets: [not, matched]");
        write("one.json", r#"[{"targets": ["c"]}]"#);
        assert_eq!(files.refresh(config), (true, vec![]));
        assert_eq!(
            urls(config, &files),
            ["http://s/metrics", "http://c/metrics", "http://a/metrics", "http://b/metrics"]
        );
        assert_eq!(files.refresh(config), (false, vec![]));

        write("t-1.yml", "- targets: [a, broken");
        let (changed, errors) = files.refresh(config);
        assert!(!changed && errors.len() == 1 && errors[0].contains("t-1.yml:"), "{errors:?}");
        assert_eq!(urls(config, &files).len(), 4);

        fs::remove_file(folder.path().join("t-2.yml")).unwrap();
        assert_eq!(files.refresh(config), (true, vec![]));
        assert_eq!(urls(config, &files), ["http://s/metrics", "http://c/metrics", "http://a/metrics"]);
    }
}
