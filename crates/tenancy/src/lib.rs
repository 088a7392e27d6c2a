//! Data of several tenants in one store, kept apart by a label that nobody sees or sets.
//!
//! A [`Tenant`] is whose data somebody works with. Where samples come in, [`Marked`] gives each series the label [`LABEL`] of
//! its tenant, and takes away one that a sender wrote. Where series are read, [`Tenanted`] stands before the store: it is
//! the same [`Source`](barograph_model::Source), for one tenant alone, and the label is not in what it gives out. Whoever
//! reads through it cannot ask for more, whatever the matchers say.
//!
//! The default tenant has no label: its bytes are those of a store without tenants, so what was stored before there were
//! any is its own.
//!
//! [`Bucket`] and [`Shares`] are what a tenant may have of what is there for all: samples a second, and places at work. Both
//! are plain data and told the time.

mod bucket;
mod marked;
mod shares;
mod tenant;
mod view;

pub use bucket::Bucket;
pub use marked::{Marked, may_name_one, strip};
pub use shares::Shares;
pub use tenant::{BadTenant, NAME_BYTES_MAX, Tenant};
pub use view::Tenanted;

/// The label that says whose a series is.
pub const LABEL: &str = "__tenant__";

/// Stands between the name of a tenant and that of a metric where the catalog keeps what is said of it.
const SEPARATOR: char = '\u{1f}';
