//! What kind of failure a failure is: the values of the label `error_class`.
//!
//! A call failed when its HTTP status is 400 or above, its gRPC status is not `OK`, or it timed out, was cancelled or
//! panicked. A status says of itself which class it is; for an error value of the program a [`Classifier`] looks at
//! its type, its causes and patterns that the program may add.

mod classifier;

use std::fmt;

pub use classifier::{Classifier, PATTERNS_MAX};

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[doc(alias = "classify_error")]
pub enum ErrorClass {
    /// The caller asked for what cannot be: HTTP 4xx and the gRPC statuses that mean the same.
    Client,
    /// It was our fault: HTTP 5xx and the gRPC statuses that mean the same.
    Server,
    /// It took longer than it may.
    Timeout,
    /// The caller went away or took the call back.
    Cancelled,
    /// The code panicked.
    Panic,
    /// Another program could not be reached, or broke off.
    Connection,
    /// A class of the program's own: a short lowercase word.
    Custom(&'static str),
}

impl ErrorClass {
    /// The classes that every program has, in the order in which they are counted.
    pub const BUILT_IN: [Self; 6] =
        [Self::Client, Self::Server, Self::Timeout, Self::Cancelled, Self::Panic, Self::Connection];

    /// The value of the label `error_class`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Panic => "panic",
            Self::Connection => "connection",
            Self::Custom(word) => word,
        }
    }

    /// The place among [`ErrorClass::BUILT_IN`].
    pub(crate) const fn index(self) -> Option<usize> {
        match self {
            Self::Client => Some(0),
            Self::Server => Some(1),
            Self::Timeout => Some(2),
            Self::Cancelled => Some(3),
            Self::Panic => Some(4),
            Self::Connection => Some(5),
            Self::Custom(_) => None,
        }
    }

    /// The class of an HTTP status; `None` below 400, where nothing failed.
    pub const fn of_http(status: u16) -> Option<Self> {
        match status {
            0..400 => None,
            400..500 => Some(Self::Client),
            _ => Some(Self::Server),
        }
    }

    /// The class of a gRPC status; `None` of `OK`. Codes that are neither a timeout nor a cancellation go by the HTTP
    /// status that `google.rpc.Code` gives for them; codes that do not exist are the server's fault.
    pub const fn of_grpc(code: u32) -> Option<Self> {
        match code {
            0 => None,
            1 => Some(Self::Cancelled),
            4 => Some(Self::Timeout),
            // Invalid argument, not found, already exists, permission denied, resource exhausted, failed
            // precondition, aborted, out of range, unauthenticated.
            3 | 5..=11 | 16 => Some(Self::Client),
            _ => Some(Self::Server),
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_statuses() {
        let check = |status, class| assert_eq!(ErrorClass::of_http(status), class, "{status}");
        check(0, None);
        check(200, None);
        check(304, None);
        check(399, None);
        check(400, Some(ErrorClass::Client));
        check(408, Some(ErrorClass::Client));
        check(499, Some(ErrorClass::Client));
        check(500, Some(ErrorClass::Server));
        check(504, Some(ErrorClass::Server));
        check(u16::MAX, Some(ErrorClass::Server));
    }

    #[test]
    fn grpc_statuses() {
        let classes: Vec<_> =
            (0..=17).map(|code| ErrorClass::of_grpc(code).map_or("", ErrorClass::as_str)).collect();
        let (c, s) = ("client", "server");
        let expected = ["", "cancelled", s, c, "timeout", c, c, c, c, c, c, c, s, s, s, s, c, s];
        assert_eq!(classes, expected);
    }

    #[test]
    fn indices_are_places() {
        for (place, class) in ErrorClass::BUILT_IN.into_iter().enumerate() {
            assert_eq!(class.index(), Some(place));
        }
        assert_eq!(ErrorClass::Custom("quota").index(), None);
    }
}
