//! Why a command failed, and how that is told.
//!
//! A report is one line, `error: what: cause: cause`, or one for each mistake in a configuration. Then comes what
//! helps: the query with a mark under the place that is wrong, or the command that would have worked.

use crate::{
    exit, pointer,
    terminal::{Role, Terminal},
};
use barograph_server::{StartError, config::ConfigError};
use std::{io, process::ExitCode};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// What was typed cannot be meant. Typing something else helps.
    #[error("{0}")]
    Usage(String),
    /// Nobody answers there.
    #[error("cannot reach {url}")]
    Unreachable { url: String, source: Cause },
    /// Somebody may answer, but not in time.
    #[error("no answer from {url} within {seconds} s")]
    Late { url: String, seconds: f64 },
    /// What answers there is not a server that speaks the Prometheus API.
    #[error("{url} answers {status}, and not in the form of the Prometheus API: {why}")]
    Foreign { url: String, status: u16, why: String },
    /// The server understood, and says no.
    #[error("{message}")]
    Refused { kind: String, message: String, query: Option<String> },
    /// The configuration cannot be used; each line of the message names a place and what to do there.
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    /// A rule file cannot be used; each line names a place and what to do there.
    #[error("{told}")]
    Rules { told: String },
    /// A file of Alertmanager cannot be used; each line names a place and what to do there.
    #[error("{told}")]
    Alertmanager { told: String },
    /// The command itself failed, for a reason its library gives.
    #[error("{what}")]
    Failed { what: &'static str, source: Cause },
    /// Nobody takes the output.
    #[error("cannot write the output")]
    Output(#[source] io::Error),
}

impl From<io::Error> for Error {
    /// The only input and output that goes by `?` is writing to standard output.
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Error {
    /// Tells standard error what happened, and what to exit with.
    pub(crate) fn report(&self, terminal: &Terminal) -> ExitCode {
        if let Self::Output(error) = self
            && error.kind() == io::ErrorKind::BrokenPipe
        {
            return exit::FINE;
        }
        for line in self.line().lines() {
            terminal.message(Role::Error, line);
        }
        if let Self::Refused { message, query: Some(query), .. } = self
            && let Some(position) = pointer::locate(message, query)
        {
            terminal.note(&pointer::draw(query, position, terminal.messages_paint()));
        }
        if let Self::Failed { source, .. } = self
            && matches!(source.downcast_ref(), Some(StartError::Listen { source, .. }) if source.kind() == io::ErrorKind::AddrInUse)
        {
            let told = "another program has that address, perhaps a server that runs already; name another one, as with \
                        --http-addr (`barograph serve --help` has them all)";
            terminal.message(Role::Info, told);
        }
        if let Self::Unreachable { .. } = self {
            terminal.message(Role::Info, "start a server with `barograph serve`, or name one with --url");
        }
        match self {
            Self::Usage(_) => ExitCode::from(exit::USAGE),
            _ => ExitCode::from(exit::FAILED),
        }
    }

    /// The error and its causes.
    fn line(&self) -> String {
        let mut line = self.to_string();
        if let Self::Refused { kind, .. } = self
            && !kind.is_empty()
        {
            line = format!("{kind}: {line}");
        }
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_on_the_same_line() {
        let inner = io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused");
        let error = Error::Unreachable { url: "http://a:1".into(), source: inner.into() };
        assert_eq!(error.line(), "cannot reach http://a:1: connection refused");
    }

    #[test]
    fn a_refusal_names_its_kind() {
        let error = Error::Refused { kind: "bad_data".into(), message: "no".into(), query: None };
        assert_eq!(error.line(), "bad_data: no");
    }
}
