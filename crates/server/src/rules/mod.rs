//! Rules: files of them are watched, and their groups evaluated, each at its own pace.
//!
//! - `files`: rule files, read together and again when they change
//! - `board`: which groups there are and how they fare, for whoever asks
//! - `own`: rules that were made by API
//! - `manager`: starts and stops groups as files say
//! - `task`: one group, evaluated again and again; what its rules ask goes the way of all queries, and what they
//!   record that of all samples
//! - `kept`: what of their state survives a restart
//! - `failing`: alerts about rules that fail

mod board;
mod failing;
pub(crate) mod files;
mod instruments;
mod kept;
mod manager;
pub(crate) mod own;
mod task;

pub(crate) use board::{Board, Running, first_due};
pub use instruments::Instruments;
pub(crate) use manager::{Setup, run};

/// Groups that ask at the same time at most; the others wait, and people who ask do not wait for them.
const ASKING_MAX: usize = 4;
