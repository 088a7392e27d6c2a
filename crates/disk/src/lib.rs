//! Files of the store behind a small trait: real ones, and ones in memory that fail on demand.
//!
//! In the order one needs them:
//!
//! 1. [`Disk`]: one directory tree, its files named by `/`-separated relative paths. Files are appended to, synced,
//!    renamed and removed. Nothing is overwritten in place, but for what [`Disk::edit`] opens.
//! 2. [`RealDisk`]: a folder of the machine, held by one process at a time.
//! 3. [`MemoryDisk`]: a page cache in memory; a crash loses, tears or zeroes what was not synced, and any call
//!    can be made to fail. Tests run the store on it, with numbers of a seed from [`Chance`].
//! 4. [`record`]: framing of log records, each with length, type, sequence number and checksum.
//! 5. [`file`](mod@file): whole files with a header (magic and version) and a checksummed footer.
//!
//! This crate knows nothing of samples. Bytes on disk: `docs/format.md`.
//!
//! ```
//! use barograph_disk::{Disk, MemoryDisk};
//!
//! let disk = MemoryDisk::new();
//! disk.write_whole("notes", b"kept")?;
//! assert_eq!(disk.read_whole("notes")?, b"kept");
//! # Ok::<(), barograph_disk::Error>(())
//! ```

mod chance;
mod disk;
mod error;
pub mod file;
mod memory;
mod real;
pub mod record;

pub use chance::Chance;
pub use disk::{Append, Disk, Edit, Entry, Held, ReadAt, TEMPORARY};
pub use error::Error;
pub use memory::{Fault, MemoryDisk};
pub use real::RealDisk;
