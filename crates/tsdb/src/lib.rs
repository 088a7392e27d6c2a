//! The time-series store: series in, series out, and nothing acknowledged ever lost.
//!
//! In the order one needs them:
//!
//! 1. [`Store`]: opened on a [`barograph_disk::Disk`], holds it alone.
//! 2. [`Store::append`]: rows go to the *head* (memory) and to the buffer of the *log*; it says which rows were not
//!    stored and why ([`Reason`]), and gives a ticket.
//! 3. [`Store::commit`]: makes the buffer durable; a ticket at or below what it returns may be acknowledged.
//! 4. [`Store::maintain`]: cuts two hours of the head into a *block* when they are over, merges blocks to days, deletes
//!    what is past retention. [`Store::flush`] cuts everything at once.
//! 5. [`Store::delete`]: samples that nobody shall see any more; [`Store::clean_deletes`] takes them off the disk.
//! 6. [`LogFollower`]: what was appended, read once more in the order of the log, to be passed on.
//! 7. [`barograph_model::Source`]: how the samples are read, whether they lie in the head or in blocks.
//! 8. [`backup`]: copies of a store while it works, and the way back; [`verify()`] looks for damage.
//!
//! The crate has no threads and no clock: the server calls `commit` in a loop and `maintain` from time to
//! time. Any thread may call anything at any time.
//!
//! ```
//! use std::sync::Arc;
//! use barograph_disk::MemoryDisk;
//! use barograph_model::{Labels, Timestamp};
//! use barograph_tsdb::{Options, Row, Store};
//!
//! let now = Timestamp(1_700_000_000_000);
//! let (store, _) = Store::open(Arc::new(MemoryDisk::new()), Options::default(), now)?;
//! let labels = Labels::from_pairs([("__name__", "up"), ("job", "api")])?;
//! let appended = store.append(&[Row { labels: labels.as_bytes(), at: now.millis(), value: 1.0 }], now)?;
//! assert_eq!((appended.stored, appended.new_series), (1, 1));
//! assert!(store.commit()? >= appended.ticket);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod again;
mod aliases;
mod append;
pub mod backup;
mod block;
mod catalog;
mod changes;
mod columns;
mod compact;
mod deletes;
mod error;
mod estimate;
mod exemplars;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod head;
mod histograms;
mod keeping;
mod known;
mod late;
mod levels;
mod limits;
mod log;
mod maintain;
mod merge;
mod metrics;
mod options;
mod policy;
mod recovery;
mod replay;
mod retention;
mod rollup;
mod row;
mod select;
mod source;
mod spelling;
mod stats;
mod store;
mod unfinished;
mod verify;
mod wal;

pub use deletes::Deleted;
pub use error::Error;
pub use exemplars::ExemplarFate;
pub use guard::{
    Cardinality, LabelValues, Limit, MetricLabel, MetricSeries, OVERFLOW, Overflow, OwnerLimits, PairSeries,
};
pub use histograms::HistogramRow;
pub use levels::{InMemory, Level};
pub use limits::SeriesLimits;
pub use log::{LogEntry, LogFollower, LogPosition, LogRead};
pub use maintain::{Maintenance, Sizes};
pub use metrics::MetricInfo;
pub use options::Options;
pub use policy::{Importance, POLICIES_MAX, Policy};
pub use recovery::{Recovery, SetAside};
pub use retention::{Keeping, Retention, RetentionRule};
pub use row::{Appended, Reason, Rejected, Row};
pub use stats::Stats;
pub use store::Store;
pub use verify::{Damage, Verified, verify};
