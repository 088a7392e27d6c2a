//! Scraping: pages of metrics fetched from targets, their samples handed to a [`Sink`].
//!
//! A [`ScrapeManager`] keeps the targets of all jobs as configuration and target files say, one task a target. A
//! scrape is: *fetch* the page, *read* its samples, relabel those not seen before, hand them over together with
//! `up` and its companions. Series that were on the last page and are not on this one end with a staleness marker;
//! a page that fails in any way ends all of them, none of its samples is kept.
//!
//! - `target`: an address that was discovered, made a target
//! - `fetch`: the HTTP exchange
//! - `page`: bytes to samples; `cache`: what was learned of a target's series
//! - `task`: when to scrape; `manager`: which targets there are; `view`: what is told of them

mod cache;
mod fetch;
mod manager;
mod page;
mod sink;
mod status;
mod target;
mod task;
mod telemetry;
mod view;
pub(crate) use task::first_wait;

pub use manager::{Discovery, ScrapeManager};
pub use sink::{Outcome, Sink, SinkError};
pub use status::{DroppedTarget, Health, ScrapeCounts, TargetStatus};
pub use telemetry::Instruments;
pub use view::View;

#[cfg(test)]
mod tests;
