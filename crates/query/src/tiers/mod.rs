//! Windows of the tiers above raw, as both PromQL and point queries read them.
//!
//! [`each_series`] reads the windows that the store keeps and makes those it has not made yet; [`Distribution`] is
//! what quantiles are taken from.

mod distribution;
mod histograms;
mod read;
mod roll;

pub(crate) use distribution::Distribution;
pub(crate) use histograms::histograms;
pub(crate) use read::{Reading, each_series};
pub(crate) use roll::roll;
