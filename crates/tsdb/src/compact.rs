//! Merging blocks: what to merge is decided apart from doing it.
//!
//! Blocks of one window, which a flush left in parts, become one as soon as nothing more is likely to come to the
//! window; the blocks of a day become one as soon as nothing more is likely to come to the day. Where late samples keep
//! coming, they are merged now and then, so that there never are too many blocks of one time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use barograph_disk::{Disk, Error};
use barograph_model::TimeRange;

use crate::{
    block::{Block, Cache, Cover, Meta, Writer},
    head::{WINDOW_MS, window_of},
    merge::{self, Wanted},
};

const DAY_MS: i64 = 12 * WINDOW_MS;

/// Blocks that are to become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// Their numbers, in order.
    pub(crate) inputs: Vec<u64>,
    pub(crate) level: u64,
}

/// So many blocks of one time are merged even if more are coming.
const BLOCKS_MAX: usize = 24;

/// What should be merged now. Nothing will come in order before `floor`; `late` are windows to which late samples are
/// coming.
pub(crate) fn plan(blocks: &[&Meta], floor: i64, late: &BTreeSet<i64>) -> Vec<Job> {
    let day_of = |at: i64| at.div_euclid(DAY_MS).saturating_mul(DAY_MS);
    let ready = |start: i64, width, inputs: &[u64]| {
        let end = start.saturating_add(width);
        let quiet = late.range(start..end).next().is_none();
        end <= floor && (quiet || inputs.len() >= BLOCKS_MAX)
    };
    let days = group(blocks, |meta| (day_of(meta.min_at), day_of(meta.max_at)));
    let whole_days = days.into_iter().filter(|(day, inputs)| ready(*day, DAY_MS, inputs));
    let mut jobs: Vec<_> = whole_days.map(|(_, inputs)| Job { inputs, level: 2 }).collect();
    let planned: BTreeSet<u64> = jobs.iter().flat_map(|job| job.inputs.iter().copied()).collect();
    let left: Vec<_> = blocks.iter().filter(|meta| !planned.contains(&meta.seq)).copied().collect();
    let span = |meta: &Meta| (window_of(meta.min_at), window_of(meta.max_at));
    let windows = group(&left, span);
    let whole_windows = windows.into_iter().filter(|(window, inputs)| ready(*window, WINDOW_MS, inputs));
    jobs.extend(whole_windows.map(|(_, inputs)| Job { inputs, level: 1 }));
    jobs
}

/// The blocks that lie within one span of time, where there are several, with the start of the span.
fn group(blocks: &[&Meta], span: impl Fn(&Meta) -> (i64, i64)) -> Vec<(i64, Vec<u64>)> {
    let mut groups: BTreeMap<i64, Vec<u64>> = BTreeMap::new();
    for meta in blocks {
        let (first, last) = span(meta);
        if first == last {
            groups.entry(first).or_default().push(meta.seq);
        }
    }
    groups.retain(|_, inputs| inputs.len() > 1);
    groups.values_mut().for_each(|inputs| inputs.sort_unstable());
    groups.into_iter().collect()
}

/// Writes the block that takes the place of `inputs`.
pub(crate) fn merge(
    disk: &dyn Disk,
    seq: u64,
    inputs: &[Arc<Block>],
    level: u64,
    cache: &Cache,
) -> Result<Option<(Meta, u64)>, Error> {
    let mut blocks = merge::Blocks::open(inputs, TimeRange::ALL, Wanted::All, cache)?;
    let mut writer = Writer::create(disk, seq)?;
    while let Some(series) = blocks.next_series()? {
        writer.push(&series.labels, series.timestamps, series.values)?;
    }
    writer.publish(Cover {
        level,
        data: inputs.iter().map(|block| block.meta.data).max(),
        floor: inputs.iter().map(|block| block.meta.floor).max().unwrap_or(i64::MIN),
        wal_covered: inputs.iter().map(|block| block.meta.wal_covered).max().unwrap_or(0),
        late_covered: inputs.iter().map(|block| block.meta.late_covered).max().unwrap_or(0),
        replaces: inputs.iter().map(|block| block.meta.seq).collect(),
        ..Cover::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(spans: &[(i64, i64)], floor: i64, expected: &[(&[u64], u64)]) {
        check_late(spans, floor, &[], expected);
    }

    fn check_late(spans: &[(i64, i64)], floor: i64, late: &[i64], expected: &[(&[u64], u64)]) {
        let metas: Vec<_> = (1u64..)
            .zip(spans)
            .map(|(seq, &(from, to))| Meta {
                seq,
                min_at: from * WINDOW_MS,
                max_at: to * WINDOW_MS - 1,
                ..Meta::default()
            })
            .collect();
        let late = late.iter().map(|window| window * WINDOW_MS).collect();
        let jobs = plan(&metas.iter().collect::<Vec<_>>(), floor * WINDOW_MS, &late);
        let expected: Vec<_> =
            expected.iter().map(|(inputs, level)| Job { inputs: inputs.to_vec(), level: *level }).collect();
        assert_eq!(jobs, expected);
    }

    #[test]
    fn merges_what_is_complete() {
        check(&[], 0, &[]);
        check(&[(0, 1), (1, 2)], 2, &[]);
        check(&[(0, 1), (1, 2)], 12, &[(&[1, 2], 2)]);
        check(&[(0, 1), (0, 1), (1, 2)], 0, &[]);
        check(&[(0, 1), (0, 1), (1, 2)], 2, &[(&[1, 2], 1)]);
        check(&[(0, 12), (12, 13)], 24, &[]);
        check(&[(0, 1), (5, 6), (12, 13), (12, 13)], 13, &[(&[1, 2], 2), (&[3, 4], 1)]);
    }

    #[test]
    fn waits_where_late_samples_come() {
        check_late(&[(0, 1), (0, 1), (2, 3), (2, 3)], 3, &[2], &[(&[1, 2], 1)]);
        check_late(&[(0, 12), (2, 3)], 12, &[5], &[]);
        check_late(&[(0, 12), (2, 3)], 24, &[12], &[(&[1, 2], 2)]);
        let many: Vec<u64> = (1..=24).collect();
        check_late(&[(0, 1); 24], 1, &[0], &[(&many, 1)]);
    }
}
