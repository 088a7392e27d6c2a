//! Groups of instruments of the process.
//!
//! A group that is reached through a static has no one to return an error to. If the global registry refuses it
//! (a name is taken by another metric), it records into a registry of its own, which nobody exposes, and
//! [`Registry::problems`] tells.

use crate::{Error, Registry, instrument::Instrument, registry::Builder};

/// The group in the global registry, or hidden.
pub(crate) fn group<T>(register: impl Fn(&Registry) -> Result<T, Error>) -> T {
    register(Registry::global()).unwrap_or_else(|problem| {
        Registry::global().note_problem(problem);
        register(&Registry::new()).expect("an empty registry takes every well-formed group")
    })
}

impl<H: Instrument> Builder<'_, H> {
    /// Registers the metric and gives its only series; in a process that is full one that is shown nowhere.
    pub(crate) fn single(self) -> Result<H, Error> {
        Ok(self.family([])?.with([]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Counter;

    #[test]
    fn a_group_that_is_refused_records_in_hiding() {
        Registry::global().gauge("group_refused").register().unwrap();
        let counter: Counter = group(|registry| registry.counter("group_refused").single());
        counter.inc();
        assert_eq!(counter.value(), 1);
        assert!(
            Registry::global().problems().iter().any(|problem| problem.to_string().contains("group_refused"))
        );
    }
}
