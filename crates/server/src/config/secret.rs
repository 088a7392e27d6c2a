//! Words that must not be shown.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

/// A password or token: given in the configuration, or the name of a file that holds it.
///
/// Its text appears in no `Debug` output, no log and no configuration dump.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The word itself.
    Text(String),
    /// A file whose content, without white space around it, is the word. It is read anew each time.
    File(PathBuf),
}

impl Secret {
    /// The word.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn reveal(&self) -> io::Result<String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => read(path),
        }
    }
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map(|text| text.trim().to_owned())
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("<secret>"),
            Self::File(path) => write!(f, "<secret in {}>", path.display()),
        }
    }
}

/// How a scrape proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// HTTP basic authentication.
    Basic {
        /// The user, who may be named in a file too.
        username: Secret,
        /// The password.
        password: Secret,
    },
    /// An `Authorization` header of another kind.
    Header {
        /// The word before the credentials, usually `Bearer`.
        scheme: String,
        /// What follows it.
        credentials: Secret,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let secret = |text: &str| Secret::Text(text.to_owned());
        let auth = Auth::Basic { username: secret("ann"), password: secret("hunter2") };
        assert_eq!(format!("{auth:?}"), "Basic { username: <secret>, password: <secret> }");
    }

    #[test]
    fn a_file_is_read_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "hunter2\n").unwrap();
        assert_eq!(Secret::File(path.clone()).reveal().unwrap(), "hunter2");
        fs::remove_file(&path).unwrap();
        assert!(Secret::File(path).reveal().is_err());
    }
}
