//! What the kinds of handles have in common, so that builders and families are written once.

use crate::{Counter, FloatCounter, Gauge, Histogram, Meter, Summary, Timer, UpDownCounter, metric::Kind};

/// A handle a registry gives out: [`Counter`], [`FloatCounter`], [`UpDownCounter`], [`Gauge`], [`Histogram`],
/// [`Meter`], [`Timer`] or [`Summary`].
pub trait Instrument: sealed::Indexed {}

impl<H: sealed::Indexed> Instrument for H {}

pub(crate) mod sealed {
    use super::Kind;

    /// A handle as its index.
    pub trait Indexed: Copy + Send + Sync + 'static {
        #[doc(hidden)]
        #[expect(private_interfaces, reason = "the trait is sealed")]
        const KIND: Kind;
        #[doc(hidden)]
        fn from_index(index: u32) -> Self;
    }
}

macro_rules! instruments {
    ($($handle:ident),*) => {$(
        impl sealed::Indexed for $handle {
            #[expect(private_interfaces, reason = "the trait is sealed")]
            const KIND: Kind = Kind::$handle;
            fn from_index(index: u32) -> Self {
                Self(index)
            }
        }
    )*};
}

instruments!(Counter, FloatCounter, UpDownCounter, Gauge, Histogram, Meter, Timer, Summary);

/// Instruments that are exposed with classic buckets.
pub trait Bucketed: Instrument {}
impl Bucketed for Histogram {}
impl Bucketed for Timer {}

/// Instruments whose value a closure may tell instead.
pub trait Observed: Instrument {}
impl Observed for Counter {}
impl Observed for FloatCounter {}
impl Observed for UpDownCounter {}
impl Observed for Gauge {}
