//! What must survive besides samples, in one embedded database with transactions.
//!
//! In the order one needs them:
//!
//! 1. [`Table`]: a name, the type of its keys and that of its values. [`Key`]s are ordered as they read; values are JSON,
//!    so that a newer version may add fields.
//! 2. [`State`]: the database in the file `state` of a [`Disk`](barograph_disk::Disk). [`State::write`] is one
//!    transaction: all of a [`Batch`] becomes durable, or nothing. [`State::read`] sees one moment.
//! 3. [`History`]: a table of what happened to many subjects, with bounds on age and number.
//!
//! A file that is not what was written is renamed to `state.corrupt` and named, and an empty one takes its place; nothing
//! of it is ever a panic of the caller's. After the disk failed, the file is opened anew with the next call. There is no
//! clock and no thread in here; a commit is an fsync, so whoever has much to write collects it in one batch.
//!
//! Bytes on disk: `docs/format.md`, "State".
//!
//! ```
//! use std::sync::Arc;
//! use barograph_disk::MemoryDisk;
//! use barograph_state::{State, Table};
//!
//! const CITIES: Table<String, u64> = Table::new("cities");
//!
//! let state = State::open(Arc::new(MemoryDisk::new()))?;
//! state.write(|batch| batch.put(&CITIES, &"Bergen".to_owned(), &291_940))?;
//! assert_eq!(state.read(|view| view.get(&CITIES, &"Bergen".to_owned()))?, Some(291_940));
//! # Ok::<(), barograph_state::Error>(())
//! ```

mod backend;
mod error;
mod history;
mod key;
mod state;
mod table;

pub use error::Error;
pub use history::{Bounds, Event, History};
pub use key::Key;
pub use state::{SetAside, State};
pub use table::{Batch, Table, View};
