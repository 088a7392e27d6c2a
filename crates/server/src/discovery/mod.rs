//! Discovery: the addresses that configuration, files and places name, for whoever asks or tells them something.
//!
//! What an address becomes is decided by its user: scraping makes a target of it, `onward` an Alertmanager. Files and places
//! that cannot be read keep their last good addresses.
//!
//! - `files`: files that are looked at again and again
//! - `places`: pages over HTTP and names in the DNS, asked by a task each; `dns`: the questions and answers

mod dns;
mod files;
mod places;

use std::collections::BTreeMap;

use files::TargetFiles;
use places::Places;

use crate::config::{DiscoveryConfig, TargetGroup};
pub(crate) use places::Around;

/// What was found for one user, from when it is applied until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Discovered {
    files: TargetFiles,
    places: Places,
}

impl Discovered {
    /// Begins to ask the places that were not asked yet, and stops with those that are configured no more.
    pub(crate) fn apply(&mut self, config: &DiscoveryConfig, around: &Around) {
        self.places.apply(config, around);
    }

    /// Whether files or places say something else than the time before, and what could not be read. Blocks on the disk.
    pub(crate) fn refresh(&mut self, config: &DiscoveryConfig) -> (bool, Vec<String>) {
        let (changed, errors) = self.files.refresh(&config.file_sd_configs);
        (self.places.refresh() || changed, errors)
    }

    /// Hands over the labels of each address, `__address__` among them: those of the configuration first, then by the names of
    /// files, then by places.
    pub(crate) fn each(&self, config: &DiscoveryConfig, mut found: impl FnMut(&BTreeMap<&str, &str>)) {
        for group in &config.static_configs {
            addresses(group, None, &mut found);
        }
        for (path, group) in self.files.groups() {
            addresses(group, Some(&path.display().to_string()), &mut found);
        }
        for group in &self.places.groups() {
            addresses(group, None, &mut found);
        }
    }
}

fn addresses(group: &TargetGroup, file: Option<&str>, found: &mut impl FnMut(&BTreeMap<&str, &str>)) {
    for address in &group.targets {
        let mut labels: BTreeMap<&str, &str> =
            group.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        labels.insert("__address__", address);
        labels.extend(file.map(|file| ("__meta_filepath", file)));
        found(&labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FileDiscovery;

    #[test]
    fn addresses_have_the_labels_of_their_group() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.json");
        std::fs::write(&path, r#"[{"targets": ["b"]}]"#).unwrap();
        let labels = [("zone".to_owned(), "x".to_owned())].into();
        let config = DiscoveryConfig {
            static_configs: vec![TargetGroup { targets: vec!["a:1".to_owned()], labels }],
            file_sd_configs: vec![FileDiscovery { files: vec![path.clone()] }],
            ..DiscoveryConfig::default()
        };
        let mut discovered = Discovered::default();
        assert_eq!(discovered.refresh(&config), (true, vec![]));
        let mut found = Vec::new();
        discovered.each(&config, |labels| found.push(format!("{labels:?}")));
        let file = format!(r#"{{"__address__": "b", "__meta_filepath": {path:?}}}"#);
        assert_eq!(found, [r#"{"__address__": "a:1", "zone": "x"}"#.to_owned(), file]);
    }
}
