//! Who is told of an alert, and when: what Alertmanager does, decided from plain data.
//!
//! [`Alert`] is one alert as it is routed, whoever raised it: a rule, a Prometheus that posts it, or a person.

mod alert;

pub use alert::{Alert, Cause, Fingerprint, LabelSet, Severity};
