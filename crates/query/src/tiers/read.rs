//! The windows of a selection, one series after the other.
//!
//! The store makes windows when it cuts a block, so the newest ones are not there yet. They are made here, of raw
//! samples: a reader sees windows without a seam, and a tier that was never made answers all the same.

use std::cmp::Ordering;

use barograph_model::{
    Budget, Labels, Matcher, Parts, Rollup, Rollups, Selection, SeriesCursor, Source, SourceError, Tier,
    TimeRange, Timestamp,
};

use super::roll;

/// What is read of a tier.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) budget: &'a Budget,
    /// One above raw.
    pub(crate) tier: Tier,
    /// What of the windows is wanted.
    pub(crate) parts: Parts,
    pub(crate) matchers: &'a [Matcher],
    /// Windows that start from here ...
    pub(crate) start: i64,
    /// ... and before this; both are starts of windows.
    pub(crate) end: i64,
}

/// Visits the series that have a window, in label order.
pub(crate) fn each_series<E: From<SourceError>>(
    reading: &Reading<'_>,
    mut visit: impl FnMut(Labels, &Rollups) -> Result<(), E>,
) -> Result<(), E> {
    let Reading { source, budget, tier, parts, matchers, start, end } = *reading;
    let covered = source.coverage_of(tier, matchers);
    let made =
        if covered.is_empty() { start } else { tier.window_of(covered.end.0).clamp(start, end.max(start)) };
    let between = |a, b| Selection { matchers, range: TimeRange::new(Timestamp(a), Timestamp(b)) };
    let mut stored = match start < made {
        true => Some(source.rollups(tier, parts, &between(start, made), budget)?),
        false => None,
    };
    let mut fresh = match made < end {
        true => Some(source.select(&between(made, end), budget)?),
        false => None,
    };
    let mut next_stored = stored.as_mut().map_or(Ok(None), |cursor| cursor.next_series())?;
    let mut next_fresh = fresh.as_mut().map_or(Ok(None), |cursor| cursor.next_series())?;
    let (mut rolled, mut made_here) = (Rollups::default(), Vec::new());
    loop {
        budget.charge(0).map_err(SourceError::from)?;
        let order = match (&next_stored, &next_fresh) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(stored), Some(fresh)) => stored.cmp(fresh),
        };
        rolled.clear();
        let mut labels = None;
        if let Some(cursor) = stored.as_mut().filter(|_| order.is_le()) {
            while cursor.next_batch(&mut rolled)? {}
            labels = std::mem::replace(&mut next_stored, cursor.next_series()?);
        }
        if let Some(cursor) = fresh.as_mut().filter(|_| order.is_ge()) {
            read_fresh(&mut **cursor, tier, parts.has(Parts::SKETCH), &mut made_here)?;
            made_here.iter().for_each(|window| rolled.push(window, parts));
            labels = std::mem::replace(&mut next_fresh, cursor.next_series()?);
        }
        if let Some(labels) = labels.filter(|_| !rolled.is_empty()) {
            budget.charge_series(labels.as_bytes().len()).map_err(SourceError::from)?;
            visit(labels, &rolled)?;
        }
    }
}

fn read_fresh(
    cursor: &mut dyn SeriesCursor,
    tier: Tier,
    sketches: bool,
    windows: &mut Vec<Rollup>,
) -> Result<(), SourceError> {
    windows.clear();
    while let Some(batch) = cursor.next_batch()? {
        let samples = batch.timestamps.iter().copied().zip(batch.values.iter().copied());
        roll(tier.width(), sketches, samples, windows);
    }
    Ok(())
}
