//! What is wrong with a configuration, each thing with its place.

use std::{fmt, path::PathBuf};

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file; both count from 1.
    File {
        /// The line.
        line: usize,
        /// The character in the line.
        column: usize,
    },
    /// In an environment variable of this name.
    Environment(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line, column } => write!(f, "{line}:{column}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// One thing to be mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it is.
    pub place: Place,
    /// What is wrong and what to do about it, naming the key.
    pub message: String,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("cannot read configuration file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file was read, and these things in it are wrong: at least one.
    #[error("{}", Lines(path, findings))]
    Invalid {
        /// The file, as it was named.
        path: String,
        /// What is wrong, in the order of the file.
        findings: Vec<Finding>,
    },
}

/// Findings as a compiler shows them: a line each, `file:line:column: message`.
struct Lines<'a>(&'a str, &'a [Finding]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.1.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match &finding.place {
                place @ Place::File { .. } => write!(f, "{}:{place}: {}", self.0, finding.message)?,
                place @ Place::Environment(_) => write!(f, "{place}: {}", finding.message)?,
            }
        }
        Ok(())
    }
}
