//! Bridges: what is instrumented with other crates arrives unchanged.
//!
//! | feature | for code that uses | start |
//! |---|---|---|
//! | `metrics` | the macros of `metrics` | `Recorder` |
//! | `tracing` | spans and events of `tracing` | `SpanLayer` |
//! | `opentelemetry` | instruments of OpenTelemetry | `Reader` |
//!
//! Names are those that the code gave, in the spelling that is exposed; units are not converted. What a name has that
//! cannot be exposed becomes `_`.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;
#[cfg(feature = "tracing")]
mod tracing;

#[cfg(feature = "metrics")]
pub use self::metrics::{KEYS_MAX, Recorder};
#[cfg(feature = "opentelemetry")]
pub use self::opentelemetry::Reader;
#[cfg(feature = "tracing")]
pub use self::tracing::SpanLayer;

/// The name with what cannot be exposed replaced: letters, digits, underscores and (in names of metrics) dots stay.
#[cfg(any(feature = "metrics", feature = "opentelemetry"))]
fn plain(name: &str) -> String {
    let replace = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' };
    let plain: String = name.chars().map(replace).collect();
    if plain.starts_with(|c: char| c.is_ascii_digit()) { format!("_{plain}") } else { plain }
}
