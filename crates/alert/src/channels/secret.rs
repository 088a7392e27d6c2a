//! Words that must not be shown: passwords, tokens, and addresses that let whoever knows them in.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use barograph_yaml::section::{Findings, Section, text};

/// A secret: given in the configuration, or the name of a file that holds it. No `Debug` text shows it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The word itself.
    Text(String),
    /// A file whose content, without white space around it, is the word; relative to the file that names it. The edge reads
    /// it anew each time.
    File(PathBuf),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("<secret>"),
            Self::File(path) => write!(f, "<secret in {}>", path.display()),
        }
    }
}

impl Secret {
    /// The secret of a key or of the file that its other key names.
    pub(crate) fn read(
        section: &mut Section<'_>,
        [plain, file]: [&'static str; 2],
        findings: &mut Findings,
    ) -> Option<Self> {
        let word = section.value(plain, text, findings);
        let path = section.value(file, text, findings);
        match (word, path) {
            (Some(_), Some(_)) => {
                let message = format!("`{plain}` and `{file}` exclude each other; remove one");
                findings.add(section.place_of(file), message);
                None
            }
            (Some(word), None) => Some(Self::Text(word)),
            (None, Some(path)) => Some(Self::File(PathBuf::from(path))),
            (None, None) => None,
        }
    }

    /// The file that holds it.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Text(_) => None,
            Self::File(path) => Some(path),
        }
    }
}
