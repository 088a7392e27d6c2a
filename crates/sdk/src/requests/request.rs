//! A request that is being answered, and how it ends.

use std::{
    fmt,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use super::Requests;
use crate::{Counter, Held, Histogram, OVERFLOW, errors::ErrorClass, slab::Slab};

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
pub(crate) const GRPC_STATUSES: [&str; 17] = [
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

impl Outcome {
    /// The class of the failure, `None` if it was none.
    pub const fn class(self) -> Option<ErrorClass> {
        match self {
            Self::Status(status) => ErrorClass::of_http(status),
            Self::Grpc(code) => ErrorClass::of_grpc(code),
            Self::Failed(class) => Some(class),
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
    requests: Requests,
    route: &'static Route,
    duration: Histogram,
    began: Instant,
    over: bool,
    _in_flight: Held,
}

impl Request {
    pub(super) fn new(
        requests: Requests,
        route: &'static Route,
        duration: Histogram,
        in_flight: Held,
        began: Instant,
    ) -> Self {
        Self { requests, route, duration, began, over: false, _in_flight: in_flight }
    }

    /// The request is over.
    pub fn finish(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    /// The same request under another method and route, which came out later.
    pub fn rename(&mut self, method: &str, route: &str) {
        (self.route, self.duration) = self.requests.find(method, route);
    }

    /// The same request under another route.
    pub fn reroute(&mut self, route: &str) {
        self.rename(&self.route.method, route);
    }

    /// Counts bytes of the body asked with.
    pub fn received(&self, bytes: u64) {
        self.route.received.add(bytes);
    }

    /// Counts bytes of the body answered with.
    pub fn sent(&self, bytes: u64) {
        self.route.sent.add(bytes);
    }

    /// What it is recorded into.
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// How long it has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn end(&mut self, outcome: Outcome) {
        self.over = true;
        self.requests.note(self.route, self.duration, outcome, self.began.elapsed());
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

/// The labels of a histogram of durations, and the counters beside it, so that a request need not carry texts of its
/// own, nor look anything up.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Box<str>,
    pub(super) route: Box<str>,
    pub(super) received: Counter,
    pub(super) sent: Counter,
}

impl Route {
    /// That of a histogram, whose series tells `labels` when it is met for the first time.
    pub(super) fn of(
        duration: Histogram,
        labels: impl FnOnce() -> Option<[String; 2]>,
        bytes: impl FnOnce([&str; 2]) -> [Counter; 2],
    ) -> &'static Self {
        static ROUTES: Slab<OnceLock<Route>, 256, 256> = Slab::new();
        ROUTES.cell(duration.0).get_or_init(|| {
            let [method, route] = labels().unwrap_or_else(|| [OVERFLOW, OVERFLOW].map(str::to_owned));
            let [received, sent] = bytes([&method, &route]);
            Self { method: method.into(), route: route.into(), received, sent }
        })
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
