//! Sending until it is taken: what may be sent again, and when.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io,
    time::{Duration, Instant},
};

use super::{
    RETRIES,
    http::{self, Address, Answer, Request},
    wake::Wake,
};
use crate::clock;

/// The first wait after a failure.
const WAIT_MIN: Duration = Duration::from_millis(200);
/// The longest wait, also if the receiver asks for more.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What became of a request.
pub(crate) enum Sent {
    /// It was taken.
    Taken(
        #[cfg_attr(not(feature = "remote"), expect(dead_code, reason = "pushes look at no answer"))] Answer,
    ),
    /// It was refused, and would be again.
    Refused(Answer),
    /// It was not taken in time.
    Failed(Failure),
}

/// Why a request was not taken in time.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There was no answer.
    NoAnswer(io::Error),
    /// The last answer said to come again.
    Status(u16),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoAnswer(error) => write!(f, "{error}"),
            Self::Status(status) => write!(f, "the answer was {status}"),
        }
    }
}

/// Sends until the request is taken or refused, or `give_up` has come. Waits between tries grow twofold, each
/// shortened by chance, unless the receiver says how long; they end early when `wake` says that all must end.
pub(crate) fn send(
    address: &Address,
    request: Request<'_>,
    timeout: Duration,
    give_up: Instant,
    wake: &Wake,
) -> Sent {
    let mut wait = WAIT_MIN;
    loop {
        let give_up = wake.ends().map_or(give_up, |ends| ends.min(give_up));
        let left = give_up.saturating_duration_since(clock::monotonic());
        let (failure, asked) = match http::send(address, request, timeout.min(left.max(WAIT_MIN))) {
            Ok(answer) if answer.is_good() => return Sent::Taken(answer),
            Ok(answer) if !answer.may_pass() => return Sent::Refused(answer),
            Ok(answer) => (Failure::Status(answer.status), answer.retry_after),
            Err(error) => (Failure::NoAnswer(error), None),
        };
        let pause = asked.unwrap_or_else(|| wait.mul_f64(0.5 + 0.5 * chance())).min(WAIT_MAX);
        if clock::monotonic() + pause >= give_up {
            return Sent::Failed(failure);
        }
        RETRIES.inc();
        wake.sleep(pause);
        wait = (wait * 2).min(WAIT_MAX);
    }
}

/// A number from 0 to 1 that nobody else has: hashers begin with keys made by chance.
pub(crate) fn chance() -> f64 {
    f64::from(u32::try_from(random() >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

pub(crate) fn random() -> u64 {
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u8(0);
    hasher.finish()
}
