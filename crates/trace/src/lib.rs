//! Spans as they came: kept durably, found by trace and by time.
//!
//! In the order one needs them:
//!
//! 1. [`Batch`]: the bytes of one request, with whose they are, and the traces, the number of spans and the times that are in
//!    it. What the bytes mean is the caller's to know; nothing here looks into them.
//! 2. [`Spans`]: a folder of segments. [`Spans::append`] takes a batch and gives a ticket; when [`Spans::commit`] has
//!    returned that ticket or a later one, the batch survives a crash. A batch may be there twice after a disk failed,
//!    never less than once.
//! 3. [`Spans::trace`] and [`Spans::scan`]: the batches of an owner that may hold a trace, or lie in a range of time, byte for
//!    byte as they came. A batch is found by the last eight bytes of a trace's id, so a reader looks for the whole id in it.
//! 4. [`Spans::maintain`]: the oldest segments go when they are too old, or all together are too large.
//! 5. [`files`] and [`verify()`]: what a copy of the folder is made of, and whether it is what was written.
//!
//! Records that are not what was written are passed over and told; the others of their segment serve. There is no thread
//! and no clock in here. Bytes on disk: `docs/format.md`, "Spans".
//!
//! ```
//! use std::sync::Arc;
//! use barograph_disk::MemoryDisk;
//! use barograph_trace::{Batch, Options, Spans, TraceId};
//!
//! let (spans, _) = Spans::open(Arc::new(MemoryDisk::new()), Options::default())?;
//! let trace = TraceId([7; 16]);
//! let batch = Batch { owner: "", body: b"bytes", traces: vec![trace], spans: 1, earliest: 1, latest: 2 };
//! let ticket = spans.append(&batch, 0)?;
//! assert!(spans.commit(ticket)? >= ticket);
//! assert_eq!(spans.trace("", trace, 1 << 20)?.bodies, [b"bytes"]);
//! # Ok::<(), barograph_trace::Error>(())
//! ```

mod error;
mod index;
mod log;
pub mod record;
mod recover;
mod shelf;
mod spans;
mod whole;

pub use error::Error;
pub use record::{Batch, TraceId};
pub use recover::{Damage, Recovery};
pub use shelf::Stats;
pub use spans::{Found, Options, Scanned, Spans};
pub use whole::{File, Verified, files, verify};
