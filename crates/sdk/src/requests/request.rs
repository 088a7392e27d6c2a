//! A request that is being answered, and how it ends.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use super::{Requests, route::Route};
use crate::{clock, errors::ErrorClass};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with an HTTP status; 400 and above is a failure.
    Status(u16),
    /// It was answered with a gRPC status; all but 0 is a failure.
    Grpc(u32),
    /// It failed without a status.
    Failed(ErrorClass),
}

/// The names of the gRPC statuses, by code.
pub(crate) const GRPC_STATUSES: [&str; GRPC_UNKNOWN_FROM as usize] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Codes from here on have no name, and share that of another.
const GRPC_UNKNOWN_FROM: u32 = 17;

impl Outcome {
    /// The class of the failure, `None` if it was none.
    pub const fn class(self) -> Option<ErrorClass> {
        match self {
            Self::Status(status) => ErrorClass::of_http(status),
            Self::Grpc(code) => ErrorClass::of_grpc(code),
            Self::Failed(class) => Some(class),
        }
    }

    /// A number of this outcome alone, below 2^32 and not zero; `None` where there is no end of such.
    pub(super) fn code(self) -> Option<u64> {
        match self {
            Self::Status(status) => Some(1 << 16 | u64::from(status)),
            Self::Grpc(code) => Some(2 << 16 | u64::from(code.min(GRPC_UNKNOWN_FROM))),
            Self::Failed(class) => class.index().map(|index| 3 << 16 | index as u64),
        }
    }

    /// Hands out the value of the label `status`: the number, the name of the gRPC status, or the class.
    pub(crate) fn with_label<T>(self, take: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Status(status) => {
                let mut digits = [0; 5];
                take(decimal(status, &mut digits))
            }
            Self::Grpc(code) => {
                let name = usize::try_from(code).ok().and_then(|code| GRPC_STATUSES.get(code));
                take(name.unwrap_or(&"UNKNOWN"))
            }
            Self::Failed(class) => take(class.as_str()),
        }
    }
}

/// A number as text, without allocating.
fn decimal(mut number: u16, digits: &mut [u8; 5]) -> &str {
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            return str::from_utf8(&digits[first..]).unwrap_or_default();
        }
    }
}

/// A request that is being answered. It is recorded once: by [`Request::finish`], or when it is dropped.
#[must_use = "a request that is dropped counts as cancelled"]
pub struct Request {
    route: &'static Route,
    began: Instant,
    over: bool,
}

impl Request {
    #[inline]
    pub(super) fn begin(route: &'static Route) -> Self {
        route.requests.0.in_flight.inc();
        Self { route, began: clock::monotonic(), over: false }
    }

    /// The request is over.
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    /// The same request under another method and route, which came out later.
    pub fn rename(&mut self, method: &str, route: &str) {
        self.route = Route::find(self.requests(), method, route);
    }

    /// The same request under another route.
    pub fn reroute(&mut self, route: &str) {
        self.rename(&self.route.method, route);
    }

    /// Counts bytes of the body asked with.
    pub fn received(&self, bytes: u64) {
        if bytes > 0 {
            self.route.received.add(bytes);
        }
    }

    /// Counts bytes of the body answered with.
    pub fn sent(&self, bytes: u64) {
        if bytes > 0 {
            self.route.sent.add(bytes);
        }
    }

    /// What it is recorded into.
    pub fn requests(&self) -> &Requests {
        &self.route.requests
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.began)
    }

    fn end(&mut self, outcome: Outcome) {
        self.over = true;
        let requests = self.requests();
        requests.note(self.route, outcome, self.elapsed());
        requests.0.in_flight.dec();
    }
}

impl Drop for Request {
    /// Nobody finished it: its code panicked, or whoever waited for it went away.
    fn drop(&mut self) {
        if !self.over {
            let panicking = thread::panicking();
            self.end(Outcome::Failed(if panicking { ErrorClass::Panic } else { ErrorClass::Cancelled }));
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {})", self.route.method, self.route.route)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_outcomes() {
        let check = |outcome: Outcome, label: &str, class: &str| {
            outcome.with_label(|text| assert_eq!(text, label));
            assert_eq!(outcome.class().map_or("", ErrorClass::as_str), class);
        };
        check(Outcome::Status(200), "200", "");
        check(Outcome::Status(0), "0", "");
        check(Outcome::Status(u16::MAX), "65535", "server");
        check(Outcome::Status(404), "404", "client");
        check(Outcome::Grpc(0), "OK", "");
        check(Outcome::Grpc(14), "UNAVAILABLE", "server");
        check(Outcome::Grpc(99), "UNKNOWN", "server");
        check(Outcome::Failed(ErrorClass::Timeout), "timeout", "timeout");
    }
}
