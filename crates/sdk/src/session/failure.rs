//! How calls fail: categories of errors, and the last of them for whoever looks for the reason.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::{ErrorClass, Outcome};

/// How many of the last errors are remembered; older ones only count.
pub const RECENT_ERRORS_MAX: usize = 100;

/// The most bytes of an error's message; longer ones are cut between two characters.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 512;

/// How many categories there are.
pub(super) const CATEGORIES: usize = 7;

/// What kind of error an error is. A failed call is of one of [`Category::Client`] and [`Category::Server`], if an
/// answer was due, and beside that of each of the others that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// Between a decoded message and a value of the program.
    Conversion,
    /// Between bytes and a message.
    Serialization,
    /// The transport: a reset, a broken pipe.
    Network,
    /// What should not be: a panic, a status that says so.
    Internal,
    /// It took too long.
    Timeout,
    /// The caller's fault.
    Client,
    /// The server's fault.
    Server,
}

impl Category {
    /// All of them, in the order of the fields.
    pub const ALL: [Self; CATEGORIES] = [
        Self::Conversion,
        Self::Serialization,
        Self::Network,
        Self::Internal,
        Self::Timeout,
        Self::Client,
        Self::Server,
    ];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conversion => "conversion",
            Self::Serialization => "serialization",
            Self::Network => "network",
            Self::Internal => "internal",
            Self::Timeout => "timeout",
            Self::Client => "client",
            Self::Server => "server",
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }

    /// Whose fault a failed call was, and the cause that its status tells, if it tells one; `None` if it did not fail.
    ///
    /// gRPC: `CANCELLED`, `INVALID_ARGUMENT`, `NOT_FOUND`, `ALREADY_EXISTS`, `PERMISSION_DENIED`, `UNAUTHENTICATED`,
    /// `FAILED_PRECONDITION` and `OUT_OF_RANGE` are the caller's; all others the server's.
    pub const fn of(outcome: Outcome) -> Option<(Self, Option<Self>)> {
        Some(match outcome {
            Outcome::Status(0..400) | Outcome::Grpc(0) => return None,
            Outcome::Status(408) => (Self::Client, Some(Self::Timeout)),
            Outcome::Status(400..500) => (Self::Client, None),
            Outcome::Status(500) => (Self::Server, Some(Self::Internal)),
            Outcome::Status(504) => (Self::Server, Some(Self::Timeout)),
            Outcome::Status(_) => (Self::Server, None),
            Outcome::Grpc(1 | 3 | 5 | 6 | 7 | 9 | 11 | 16) => (Self::Client, None),
            Outcome::Grpc(4) => (Self::Server, Some(Self::Timeout)),
            Outcome::Grpc(8 | 10 | 12) => (Self::Server, None),
            Outcome::Grpc(14) => (Self::Server, Some(Self::Network)),
            Outcome::Grpc(_) => (Self::Server, Some(Self::Internal)),
            Outcome::Failed(class) => match class {
                ErrorClass::Client | ErrorClass::Cancelled => (Self::Client, None),
                ErrorClass::Timeout => (Self::Server, Some(Self::Timeout)),
                ErrorClass::Panic => (Self::Server, Some(Self::Internal)),
                ErrorClass::Connection => (Self::Server, Some(Self::Network)),
                ErrorClass::Server | ErrorClass::Custom(_) => (Self::Server, None),
            },
        })
    }
}

/// An error that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecentError {
    /// When, in milliseconds since the epoch.
    pub at_ms: u64,
    /// What kind of error: the cause if it is known, else whose fault it was.
    pub category: Category,
    /// The method that was called, if it was in a call.
    pub method: Option<Arc<str>>,
    /// Whose call or event it was.
    pub client: Arc<str>,
    /// What is known of it.
    pub message: String,
    /// The trace it belongs to, in hexadecimal digits.
    pub trace: Option<String>,
}

/// The last errors.
#[derive(Debug, Default)]
pub(super) struct RecentErrors {
    last: Mutex<VecDeque<RecentError>>,
    forgotten: AtomicU64,
}

impl RecentErrors {
    pub(super) fn add(&self, error: RecentError) {
        let mut last = self.lock();
        if last.len() == RECENT_ERRORS_MAX {
            last.pop_front();
            self.forgotten.fetch_add(1, Relaxed);
        }
        last.push_back(error);
    }

    /// The newest first.
    pub(super) fn list(&self) -> Vec<RecentError> {
        self.lock().iter().rev().cloned().collect()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<RecentError>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text, cut to [`ERROR_MESSAGE_BYTES_MAX`].
pub(super) fn cut(message: &str) -> &str {
    &message[..message.floor_char_boundary(ERROR_MESSAGE_BYTES_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_categories() {
        let check =
            |outcome, fault, cause| assert_eq!(Category::of(outcome), Some((fault, cause)), "{outcome:?}");
        let (client, server) = (Category::Client, Category::Server);
        assert_eq!(Category::of(Outcome::Status(399)), None);
        assert_eq!(Category::of(Outcome::Grpc(0)), None);
        check(Outcome::Status(404), client, None);
        check(Outcome::Status(408), client, Some(Category::Timeout));
        check(Outcome::Status(500), server, Some(Category::Internal));
        check(Outcome::Status(501), server, None);
        check(Outcome::Status(503), server, None);
        check(Outcome::Status(504), server, Some(Category::Timeout));
        for code in [1, 3, 5, 6, 7, 9, 11, 16] {
            check(Outcome::Grpc(code), client, None);
        }
        for code in [8, 10, 12] {
            check(Outcome::Grpc(code), server, None);
        }
        for code in [2, 13, 15, 17] {
            check(Outcome::Grpc(code), server, Some(Category::Internal));
        }
        check(Outcome::Grpc(4), server, Some(Category::Timeout));
        check(Outcome::Grpc(14), server, Some(Category::Network));
        check(Outcome::Failed(ErrorClass::Panic), server, Some(Category::Internal));
        check(Outcome::Failed(ErrorClass::Cancelled), client, None);
    }

    #[test]
    fn messages_are_cut_between_characters() {
        let long = "é".repeat(300);
        assert_eq!(cut(&long).len(), ERROR_MESSAGE_BYTES_MAX);
        assert_eq!(cut(&format!("a{long}")).len(), ERROR_MESSAGE_BYTES_MAX - 1);
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn the_last_errors_are_remembered() {
        let errors = RecentErrors::default();
        for at_ms in 0..=RECENT_ERRORS_MAX as u64 {
            let (client, message) = ("a".into(), String::new());
            let category = Category::Network;
            errors.add(RecentError { at_ms, category, method: None, client, message, trace: None });
        }
        let list = errors.list();
        assert_eq!((list.len(), list[0].at_ms, errors.forgotten()), (100, 100, 1));
    }
}
