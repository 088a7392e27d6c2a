//! Collectors: what reads metrics from the outside at an interval, rather than being told by the program.
//!
//! A [`Collector`] reads and writes [`Reading`]s into a [`Writer`]; a [`Runner`] keeps its interval and statistics
//! and holds its failures back from everyone else. Nothing here has a thread or a clock for deciding: whoever
//! embeds the collectors calls [`Runner::tick`] with the time. [`System`] reads the host, [`Process`] this process.
//!
//! ```
//! use barograph::collector::{CollectError, Collector, Definition, Runner, Writer};
//! use barograph::{Timestamp, Unit};
//!
//! static DEPTH: Definition = Definition::gauge("spool.depth", Unit::None, "Files waiting to be sent.");
//!
//! struct Spool;
//! impl Collector for Spool {
//!     fn name(&self) -> &str {
//!         "spool"
//!     }
//!     fn collect(&mut self, _now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
//!         out.write(&DEPTH, 3.0);
//!         Ok(())
//!     }
//! }
//!
//! let mut runner = Runner::new(Box::new(Spool));
//! let mut out = Writer::new();
//! assert!(runner.tick(Timestamp(1_000), &mut out));
//! assert_eq!(out.readings()[0].stored_name(), "spool_depth");
//! assert_eq!(runner.stats().runs, 1);
//! ```

mod definition;
mod probe;
#[cfg(all(target_os = "linux", feature = "host"))]
mod proc_file;
mod process;
mod runner;
mod system;
mod writer;

use std::{fmt, time::Duration};

use barograph_model::Timestamp;

pub use definition::Definition;
pub use probe::{Active, RuntimeProbe};
pub use process::Process;
pub use runner::{Failure, INTERVAL_MIN, Runner, Stats};
pub use system::System;
pub use writer::{READINGS_MAX, Reading, Writer};

/// Something that reads metrics when it is asked to.
pub trait Collector: Send {
    /// A short name, unlike that of any other collector of the program.
    fn name(&self) -> &str;

    /// How often to ask, unless told otherwise. One second by default.
    fn interval(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Reads everything as it stands at `now`.
    ///
    /// # Errors
    /// What could not be read. Readings written before stand, so one broken part need not cost the others.
    fn collect(&mut self, now: Timestamp, out: &mut Writer) -> Result<(), CollectError>;

    /// Forgets what earlier runs left behind, such as the counts that differences are taken from.
    fn reset(&mut self) {}

    /// The given names of metrics that this collector has on other systems or in other set-ups, but not here.
    fn unsupported(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// Why a collector could not read everything. It is asked again all the same.
#[derive(Debug)]
#[non_exhaustive]
pub enum CollectError {
    /// A file or device could not be read.
    Read {
        /// Which.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// What was read is not in the form it should have.
    Malformed {
        /// Where it was read.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Another failure, of a collector of the application.
    Other(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for CollectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, .. } => write!(f, "cannot read {path}"),
            Self::Malformed { path, reason } => write!(f, "cannot understand {path}: {reason}"),
            Self::Other(cause) => cause.fmt(f),
        }
    }
}

impl std::error::Error for CollectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read { source, .. } => Some(source),
            Self::Other(cause) => cause.source(),
            _ => None,
        }
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for CollectError {
    fn from(cause: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::Other(cause)
    }
}
