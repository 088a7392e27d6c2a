//! What it is that a rule watches for, beyond what its expression says.

mod threshold;

pub use threshold::{Missing, Side, Standing, Threshold};
