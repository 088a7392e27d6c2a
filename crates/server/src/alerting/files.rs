//! `alertmanager.yml` as it lies on the disk: read, and looked at for changes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use barograph_alert::config::{self, Config as AlertConfig};

use barograph_yaml::tree::{self, Kind, Node};

use crate::config::{Config, Document, MASK};

/// A file larger than this is not read.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// By what a change of the file is noticed.
pub(super) type Stamp = Option<(Option<SystemTime>, u64)>;

/// What the configuration says of routing, and the file as it was when it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    pub(super) path: Option<PathBuf>,
    pub(super) config: Arc<AlertConfig>,
    /// The text, without what must not be shown.
    pub(super) shown: Arc<str>,
    pub(super) stamp: Stamp,
}

impl Setup {
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
        Ok(Self { path: Some(path.to_owned()), config: Arc::new(config), shown: masked(&text).into(), stamp })
    }
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
    config::parse(&text, &path.display().to_string()).map_err(|faults| faults.to_string())
}

/// The text with secrets masked, addresses of channels among them: whoever knows one can write there.
fn masked(text: &str) -> String {
    match tree::parse(text) {
        Ok(mut root) => {
            mask(&mut root);
            Document::new(&root).masked()
        }
        Err(_) => MASK.to_owned(),
    }
}

fn mask(node: &mut Node) {
    match &mut node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                match value.kind {
                    Kind::Scalar(_) if key.text == "url" || key.text.ends_with("_url") => {
                        value.kind = Kind::Scalar(MASK.to_owned());
                    }
                    _ => mask(value),
                }
            }
        }
        Kind::List(items) => items.iter_mut().for_each(mask),
        Kind::Null | Kind::Scalar(_) => {}
    }
}
