//! Instruments in statics: defined where they are used, registered when first touched.
//!
//! A static has no one to return an error to and must not fail the program it measures: if its definition is
//! wrong it records nothing, and [`Registry::problems`] of the global registry tells why.

use std::{ops::Deref, sync::OnceLock};

use crate::{
    Counter, Error, Family, FloatCounter, Gauge, Histogram, Meter, Registry, Summary, Timer, Unit,
    UpDownCounter,
    distribution::SECONDS_BOUNDS,
    instrument::{Bucketed, Instrument},
    label::{EnumFamily, LabelSet},
    registry::{Builder, or_sink},
};

/// An instrument of the global registry, kept in a static.
///
/// ```
/// use barograph::{Counter, Histogram, Static, Unit};
///
/// static MISSES: Static<Counter> = Static::counter("cache_misses_total", "Look-ups that found nothing.");
/// static LOAD: Static<Histogram> =
///     Static::histogram("page_load", "Time until the page was shown.").unit(Unit::Seconds);
///
/// MISSES.inc();
/// LOAD.record(0.25);
/// assert_eq!(MISSES.value(), 1);
/// ```
#[derive(Debug)]
pub struct Static<H> {
    definition: Definition,
    handle: OnceLock<H>,
}

/// A [`Family`] of the global registry, kept in a static.
///
/// ```
/// use barograph::{Counter, StaticFamily};
///
/// static REPLIES: StaticFamily<Counter, 2> =
///     StaticFamily::counter("replies_total", "Replies sent.", ["method", "status"]);
///
/// REPLIES.with(["GET", "200"]).inc();
/// ```
#[derive(Debug)]
pub struct StaticFamily<H, const N: usize> {
    definition: Definition,
    names: [&'static str; N],
    family: OnceLock<Result<Family<H, N>, Error>>,
}

/// An [`EnumFamily`] of the global registry, kept in a static.
#[derive(Debug)]
pub struct StaticEnumFamily<H, L> {
    definition: Definition,
    family: OnceLock<EnumFamily<H, L>>,
}

#[derive(Clone, Copy, Debug)]
struct Definition {
    name: &'static str,
    help: &'static str,
    unit: Unit,
    labels: &'static [(&'static str, &'static str)],
    bounds: &'static [f64],
}

impl Definition {
    const fn new(name: &'static str, help: &'static str, unit: Unit) -> Self {
        Self { name, help, unit, labels: &[], bounds: &SECONDS_BOUNDS }
    }

    fn builder<H: Instrument>(&self) -> Builder<'static, H> {
        let builder = Builder::define(Registry::global(), self.name, self.bounds);
        let builder = builder.help(self.help).unit(self.unit);
        self.labels.iter().fold(builder, |builder, (name, value)| builder.label(name, value))
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $make:ident: $handle:ident in $unit:expr;)*) => {$(
        impl Static<$handle> {
            $(#[$doc])*
            pub const fn $make(name: &'static str, help: &'static str) -> Self {
                Self { definition: Definition::new(name, help, $unit), handle: OnceLock::new() }
            }
        }

        impl<const N: usize> StaticFamily<$handle, N> {
            $(#[$doc])*
            pub const fn $make(name: &'static str, help: &'static str, names: [&'static str; N]) -> Self {
                Self { definition: Definition::new(name, help, $unit), names, family: OnceLock::new() }
            }
        }

        impl<L: LabelSet> StaticEnumFamily<$handle, L> {
            $(#[$doc])*
            pub const fn $make(name: &'static str, help: &'static str) -> Self {
                Self { definition: Definition::new(name, help, $unit), family: OnceLock::new() }
            }
        }
    )*};
}

constructors! {
    /// Defines a counter.
    counter: Counter in Unit::None;
    /// Defines a counter of amounts that are no whole numbers.
    float_counter: FloatCounter in Unit::None;
    /// Defines a counter that goes up and down.
    up_down_counter: UpDownCounter in Unit::None;
    /// Defines a gauge.
    gauge: Gauge in Unit::None;
    /// Defines a histogram.
    histogram: Histogram in Unit::None;
    /// Defines a meter.
    meter: Meter in Unit::None;
    /// Defines a timer.
    timer: Timer in Unit::Seconds;
    /// Defines a summary.
    summary: Summary in Unit::None;
}

impl<H> Static<H> {
    /// The same in a unit.
    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.definition.unit = unit;
        self
    }

    /// The same with fixed labels.
    #[must_use]
    pub const fn labels(mut self, labels: &'static [(&'static str, &'static str)]) -> Self {
        self.definition.labels = labels;
        self
    }
}

impl<H: Bucketed> Static<H> {
    /// The same with other classic bucket bounds.
    #[must_use]
    pub const fn bounds(mut self, bounds: &'static [f64]) -> Self {
        self.definition.bounds = bounds;
        self
    }
}

impl<H: Instrument> Deref for Static<H> {
    type Target = H;

    /// The instrument, registered the first time.
    #[inline]
    fn deref(&self) -> &H {
        self.handle.get().unwrap_or_else(|| self.register())
    }
}

impl<H: Instrument> Static<H> {
    #[cold]
    fn register(&self) -> &H {
        self.handle.get_or_init(|| or_sink(Registry::global(), self.definition.builder().register()))
    }
}

impl<H, const N: usize> StaticFamily<H, N> {
    /// The same in a unit.
    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.definition.unit = unit;
        self
    }
}

impl<H: Bucketed, const N: usize> StaticFamily<H, N> {
    /// The same with other classic bucket bounds.
    #[must_use]
    pub const fn bounds(mut self, bounds: &'static [f64]) -> Self {
        self.definition.bounds = bounds;
        self
    }
}

impl<H: Instrument, const N: usize> StaticFamily<H, N> {
    /// The instrument for these values; see [`Family::with`].
    #[inline]
    pub fn with(&self, values: [&str; N]) -> H {
        match self.family.get().unwrap_or_else(|| self.register()) {
            Ok(family) => family.with(values),
            Err(_) => H::from_index(crate::handle::SINK),
        }
    }

    /// The instrument for values that are literals; see [`Family::with_literals`].
    #[inline]
    pub fn with_literals(&self, values: [&'static str; N]) -> H {
        match self.family.get().unwrap_or_else(|| self.register()) {
            Ok(family) => family.with_literals(values),
            Err(_) => H::from_index(crate::handle::SINK),
        }
    }

    #[cold]
    fn register(&self) -> &Result<Family<H, N>, Error> {
        self.family.get_or_init(|| {
            let registered = self.definition.builder().family(self.names);
            registered.inspect_err(|problem| Registry::global().note_problem(problem.clone()))
        })
    }
}

impl<H, L> StaticEnumFamily<H, L> {
    /// The same in a unit.
    #[must_use]
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.definition.unit = unit;
        self
    }
}

impl<H: Bucketed, L> StaticEnumFamily<H, L> {
    /// The same with other classic bucket bounds.
    #[must_use]
    pub const fn bounds(mut self, bounds: &'static [f64]) -> Self {
        self.definition.bounds = bounds;
        self
    }
}

impl<H: Instrument, L: LabelSet> StaticEnumFamily<H, L> {
    /// The instrument for these labels; see [`EnumFamily::with`].
    #[inline]
    pub fn with(&self, labels: L) -> H {
        self.family.get().unwrap_or_else(|| self.register()).with(labels)
    }

    #[cold]
    fn register(&self) -> &EnumFamily<H, L> {
        self.family.get_or_init(|| {
            self.definition.builder().enum_family().unwrap_or_else(|problem| {
                Registry::global().note_problem(problem);
                EnumFamily::sink()
            })
        })
    }
}
