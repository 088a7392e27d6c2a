//! What is wrong with a file, each thing with its place.

use std::fmt;

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
    /// On the command line, in the flag of this name.
    Flag(String),
    /// In a document that is no file, at this path.
    Path(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { line, column } => write!(f, "{line}:{column}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Path(path) => f.write_str(path),
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

/// What is wrong with a file that was read: at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The file, as it was named.
    pub path: String,
    /// What is wrong, in the order of the file.
    pub findings: Vec<Finding>,
}

impl std::error::Error for Faults {}

impl fmt::Display for Faults {
    /// As a compiler shows them: a line each, `file:line:column: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match &finding.place {
                place @ Place::File { .. } => write!(f, "{}:{place}: {}", self.path, finding.message)?,
                place @ (Place::Environment(_) | Place::Flag(_) | Place::Path(_)) => {
                    write!(f, "{place}: {}", finding.message)?;
                }
            }
        }
        Ok(())
    }
}
