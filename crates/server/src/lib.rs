//! The engine with its edges, as a library.

pub mod config;
