//! `alertmanager.yml` as it lies on the disk: read, and looked at for changes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use barograph_alert::{
    config::{self, Config as AlertConfig},
    template::Library,
};
use barograph_yaml::tree::{self, Kind, Node};

use crate::{
    config::{Config, Document, MASK, matching_files},
    delivery::Receivers,
};

/// A file larger than this is not read.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// By what a change of the file is noticed.
pub(super) type Stamp = Option<(Option<SystemTime>, u64)>;

/// What the configuration says of routing, and the file as it was when it was read.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(super) path: Option<PathBuf>,
    pub(super) config: Arc<AlertConfig>,
    /// The text, without what must not be shown.
    pub(super) shown: Arc<str>,
    pub(super) stamp: Stamp,
    /// Templates that channels call by name.
    pub(super) templates: Library,
}

impl Default for Setup {
    fn default() -> Self {
        let templates = barograph_alert::channels::library();
        Self { path: None, config: Arc::default(), shown: Arc::default(), stamp: None, templates }
    }
}

impl Setup {
    /// The receivers of it.
    pub(crate) fn receivers(&self) -> Receivers {
        let channels = self.config.receivers.iter();
        let channels = channels.map(|(name, receiver)| (name.clone(), receiver.channels.clone()));
        let folder = self.path.as_deref().and_then(Path::parent).map(Path::to_owned);
        Receivers::new(channels.collect(), self.templates.clone(), folder.unwrap_or_default())
    }

    /// Reads the file that a configuration names.
    ///
    /// # Errors
    /// What is wrong with it, a line each.
    pub(crate) fn read(config: &Config) -> Result<Self, String> {
        match &config.alertmanager_config {
            Some(path) => Self::of(path),
            None => Ok(Self::default()),
        }
    }

    pub(super) fn of(path: &Path) -> Result<Self, String> {
        let stamp = stamp(path);
        let text = read(path)?;
        let config =
            config::parse(&text, &path.display().to_string()).map_err(|faults| faults.to_string())?;
        let templates = templates(path, &text, &config)?;
        let (path, shown) = (Some(path.to_owned()), masked(&text).into());
        Ok(Self { path, config: Arc::new(config), shown, stamp, templates })
    }
}

/// The templates of the files that `alertmanager.yml` names, relative to it, after those that are there anyway. All that `text`,
/// which is that file, calls are among them.
fn templates(path: &Path, text: &str, config: &AlertConfig) -> Result<Library, String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut library = barograph_alert::channels::library();
    let mut files: Vec<PathBuf> =
        config.templates.iter().flat_map(|pattern| matching_files(&folder.join(pattern))).collect();
    files.sort();
    files.dedup();
    for file in files {
        let text = read(&file)?;
        library.add(&text).map_err(|error| format!("{}:{error}", file.display()))?;
    }
    let name = path.display().to_string();
    config::check_called(text, &name, &library).map_err(|faults| faults.to_string())?;
    Ok(library)
}

pub(super) fn stamp(path: &Path) -> Stamp {
    let facts = fs::metadata(path).ok()?;
    Some((facts.modified().ok(), facts.len()))
}

fn read(path: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
        return Err(format!("{} is larger than 16 MiB", path.display()));
    }
    fs::read_to_string(path).map_err(failed)
}

/// Reads a file to see whether it can be used.
///
/// # Errors
/// What is wrong with it, a line each.
pub fn check(path: &Path) -> Result<AlertConfig, String> {
    let text = read(path)?;
    let config = config::parse(&text, &path.display().to_string()).map_err(|faults| faults.to_string())?;
    templates(path, &text, &config)?;
    Ok(config)
}

/// The text with secrets masked, addresses of channels but for their hosts among them: whoever knows one can write there.
fn masked(text: &str) -> String {
    match tree::parse(text) {
        Ok(mut root) => {
            mask(&mut root);
            Document::new(&root).masked()
        }
        Err(_) => MASK.to_owned(),
    }
}

/// An address without user, path and query, so that clients read it as one. What names no host is masked as a whole.
fn masked_url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return MASK.to_owned() };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default().rsplit('@').next().unwrap_or_default();
    let is_plain = |text: &str, others: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
    };
    match is_plain(scheme, "") && is_plain(host, ".-_:[]") {
        true => format!("{scheme}://{host}/{MASK}"),
        false => MASK.to_owned(),
    }
}

fn mask(node: &mut Node) {
    match &mut node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                match value.kind {
                    Kind::Scalar(ref url) if key.text == "url" || key.text.ends_with("_url") => {
                        value.kind = Kind::Scalar(masked_url(url));
                    }
                    _ => mask(value),
                }
            }
        }
        Kind::List(items) => items.iter_mut().for_each(mask),
        Kind::Null | Kind::Scalar(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_the_host_is_shown() {
        let check = |url: &str, expected: &str| assert_eq!(masked_url(url), expected);
        check("https://hooks.example.org/services/T0/B0?x=y", "https://hooks.example.org/<secret>");
        check("http://user:word@[::1]:8080", "http://[::1]:8080/<secret>");
        check("word", "<secret>");
        check("http://a word/b", "<secret>");
        let text = masked("receivers: [{name: a, webhook_configs: [{url: 'http://h/token'}]}]");
        assert!(text.contains("http://h/<secret>") && !text.contains("token"), "{text}");
    }
}
