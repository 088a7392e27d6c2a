//! The text formats in which metrics are exposed and scraped.
//!
//! A [`Family`] is one metric: its name, type, unit, help and points. [`negotiate`] picks the [`Format`] a client
//! asked for, [`write()`] spells families in it.

mod family;
mod negotiate;
mod write;

pub use family::{Family, Point};
pub use negotiate::{Format, negotiate};
pub use write::{format_float, write};
