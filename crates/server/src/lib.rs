//! The engine with its edges: HTTP, scraping, collection, configuration, as a library.
//!
//! [`Server::start`] takes [`Settings`] and returns a running server; the `barograph` binary does little more than
//! call it. Everything asynchronous, every thread and every clock of the product is in this crate; what it calls
//! below is synchronous and told the time.
//!
//! - [`config`]: the configuration file
//! - [`engine`]: the store and what drives it, shared by all inputs and outputs
//! - [`results`]: results of queries that are kept to be used again
//! - [`rules`]: rule files, and the rules in them evaluated
//! - [`scrape`]: targets, and what is read from them
//! - [`storage`]: backups, sizes and growth
//! - `http`: what is answered

pub mod clock;
mod collect;
mod commits;
pub mod config;
pub mod engine;
mod errors;
mod grpc;
mod http;
pub mod logging;
mod maintenance;
mod memory;
mod queries;
mod records;
pub mod results;
pub mod rules;
pub mod scrape;
mod scraping;
mod server;
pub mod storage;
mod telemetry;

pub use commits::CommitError;
pub use engine::Engine;
pub use server::{Server, Settings, StartError};

/// The version of this crate, which is that of the product.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
