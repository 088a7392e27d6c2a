//! What is wrong with a version: it is worse than the one before, or should not be in use any more.

mod compared;
mod order;
mod outdated;

pub use compared::{Compared, GROUPS_MAX};
pub use outdated::{Outdated, Pattern};

/// The label that bears a version if a rule does not say otherwise.
pub(super) const LABEL: &str = "version";

/// What a rule of the kind `version` says beside its expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Version {
    /// Which versions are compared, and how.
    Compared(Compared),
    /// Which versions should not be in use.
    Outdated(Outdated),
}
