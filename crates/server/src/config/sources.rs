//! Where a configuration comes from, so that it can be read again: a file, the environment over it, flags over both.

use std::{
    collections::{HashMap, hash_map::DefaultHasher},
    fmt, fs,
    hash::{Hash, Hasher},
    path::{Path, PathBuf},
};

use barograph::telemetry::Profile;

use super::{
    Config, ConfigError, ENVIRONMENT_PREFIX, Place,
    expand::expand,
    read, read_limited,
    section::{Findings, boolean},
    tree::{Kind, Node},
};

/// The key that asks for variables to be expanded.
const EXPAND: [&str; 2] = ["config", "expand_env"];

/// Where a configuration comes from.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// The environment of the process, all of it.
    pub environment: Vec<(String, String)>,
    /// What flags say: the flag, the path of the key it stands for, its value.
    pub flags: Vec<(&'static str, &'static str, String)>,
    /// What the server is run for, if a flag says so.
    pub profile: Option<Profile>,
}

impl fmt::Debug for Sources {
    /// Without values: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Sources {
    /// A file, or none, with an environment over it.
    pub fn new(file: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>) -> Self {
        let environment = environment.into_iter().collect();
        Self { file: file.map(Path::to_owned), environment, flags: Vec::new(), profile: None }
    }

    /// Reads the configuration as it is now.
    ///
    /// # Errors
    /// When the file cannot be read or anything in it is wrong.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.file {
            None => self.parse("", "configuration", Path::new(""))?,
            Some(path) => {
                let text =
                    read_limited(path).map_err(|source| ConfigError::Io { path: path.clone(), source })?;
                self.parse(&text, &path.display().to_string(), path.parent().unwrap_or(Path::new("")))?
            }
        };
        config.metrics.chosen = self.profile;
        config.sources = Some(self.clone());
        Ok(config)
    }

    /// A number that changes with the content of the file; `None` if there is none to read.
    pub fn checksum(&self) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        fs::read(self.file.as_ref()?).ok()?.hash(&mut hasher);
        Some(hasher.finish())
    }

    pub(super) fn parse(&self, text: &str, name: &str, folder: &Path) -> Result<Config, ConfigError> {
        let config = barograph_yaml::read(text, name, |mut root, findings| {
            self.lay_over(&mut root, findings);
            read(&root, folder, findings)
        });
        Ok(config?)
    }

    fn lay_over(&self, root: &mut Node, findings: &mut Findings) {
        for (name, value) in &self.environment {
            let Some(path) = name.strip_prefix(ENVIRONMENT_PREFIX).filter(|path| path.contains("__")) else {
                continue;
            };
            let path = path.to_lowercase();
            let path: Vec<_> = path.split("__").collect();
            root.set(&path, &Place::Environment(name.clone()), value);
        }
        for (flag, path, value) in &self.flags {
            let path: Vec<_> = path.split('.').collect();
            root.set(&path, &Place::Flag((*flag).to_owned()), value);
        }
        if wants_expansion(root) {
            let pairs = self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            expand(root, &pairs.collect::<HashMap<_, _>>(), findings);
        }
    }
}

/// Whether the key that asks for it is there and true; what is wrong with it is told when it is read.
fn wants_expansion(root: &Node) -> bool {
    let below = |node: &Node, key: &str| match &node.kind {
        Kind::Map(entries) => {
            entries.iter().find(|(found, _)| found.text == key).map(|(_, node)| node.clone())
        }
        _ => None,
    };
    let found = EXPAND.iter().try_fold(root.clone(), |node, key| below(&node, key));
    matches!(found, Some(Node { kind: Kind::Scalar(text), .. }) if boolean(&text) == Ok(true))
}
