//! YAML files read strictly: each key asked for by name, each mistake with its place.
//!
//! 1. [`tree`]: the file as a tree in which every node knows its line and column.
//! 2. [`section`]: a mapping read key by key. Keys that nobody asked for are mistakes, told with the nearest known one.
//! 3. [`error`]: all mistakes of a file at once, as a compiler shows them.
//! 4. [`outline`]: what a reader reads, found out by having it read.
//! 5. [`units`]: durations and sizes as people write them.
//!
//! ```
//! use barograph_yaml::{read, section::{Section, count}};
//!
//! let limit = |text: &str| {
//!     read(text, "a.yml", |root, findings| {
//!         let mut section = Section::open(&root, "the file", findings);
//!         let limit = section.value("limit", count, findings);
//!         section.finish(&[], findings);
//!         limit
//!     })
//! };
//! assert_eq!(limit("limit: 5"), Ok(Some(5)));
//! assert_eq!(limit("limti: 5").unwrap_err().to_string(), "a.yml:1:1: unknown key `limti` in the file; did you mean `limit`?");
//! ```

pub mod error;
pub mod outline;
pub mod section;
pub mod tree;
pub mod units;

pub use error::{Faults, Finding, Place};
use section::Findings;
use tree::Node;

/// Reads a file's text; `name` is what messages call it. The reader is given the root and collects what is wrong.
///
/// # Errors
/// It is not YAML, or anything was found wrong.
pub fn read<T>(text: &str, name: &str, reader: impl FnOnce(Node, &mut Findings) -> T) -> Result<T, Faults> {
    let faults = |findings| Faults { path: name.to_owned(), findings };
    let root = tree::parse(text).map_err(|finding| faults(vec![finding]))?;
    let mut findings = Findings::default();
    let value = reader(root, &mut findings);
    match findings.into_vec() {
        findings if findings.is_empty() => Ok(value),
        findings => Err(faults(findings)),
    }
}
