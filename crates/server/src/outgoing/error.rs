//! Why there is no answer, by what the caller does next.

use std::time::Duration;

use crate::config::format_duration;

/// Why there is no answer. No text has a secret in it, nor the path of a URL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request cannot be sent as it is configured, or leads nowhere. Asking again does not help.
    #[error("{0}")]
    Unusable(String),
    /// Nobody answers. Asking again may help.
    #[error("{0}")]
    Unreachable(String),
    /// The time is up. Asking again may help.
    #[error("no whole answer within {}", format_duration(*.0))]
    Timeout(Duration),
    /// The answer is larger than it may be.
    #[error("the answer is larger than its limit of {0} bytes")]
    TooLarge(u64),
    /// The answer broke off, or is not what it says that it is.
    #[error("{0}")]
    Broken(String),
}

impl Error {
    /// Whether asking the same again may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Timeout(_) | Self::Broken(_))
    }
}
