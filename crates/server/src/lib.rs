//! The engine with its edges, as a library.

pub mod clock;
pub mod config;
pub mod scrape;
