//! A load as a fleet of hosts makes it, in remote-write requests.

pub(crate) mod demo;
mod encode;
mod fleet;
pub(crate) mod otlp;
mod send;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;

pub(crate) use encode::{REMOTE_WRITE_HEADERS, compressed, push_field, push_series};
pub(crate) use fleet::{Fleet, Round};
pub(crate) use send::{To, send, send_to};

/// An encoded, compressed request.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    pub(crate) samples: usize,
}

/// The present, in milliseconds since the epoch.
pub(crate) fn now_ms() -> Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
pub(crate) fn to_f64(count: usize) -> f64 {
    count as f64
}
