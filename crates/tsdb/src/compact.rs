//! Merging blocks: what to merge is decided apart from doing it.
//!
//! Blocks of one window, which a flush left in parts, become one as soon as nothing more is likely to come to the
//! window; the blocks of a day become one as soon as nothing more is likely to come to the day. Where late samples keep
//! coming, they are merged now and then, so that there never are too many blocks of one time. Blocks of tiers go on to
//! longer spans.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use barograph_codec::{Code, rollups::Windows};
use barograph_disk::{Disk, Error};
use barograph_model::{Parts, Tier, TimeRange};

use crate::{
    block::{Block, Cache, Cover, Meta, Writer},
    head::WINDOW_MS,
    merge::{self, Wanted},
    rollup::Windowed,
};

const DAY_MS: i64 = 12 * WINDOW_MS;

/// Blocks that are to become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) tier: Tier,
    /// Their numbers, in order.
    pub(crate) inputs: Vec<u64>,
    pub(crate) level: u64,
}

impl Job {
    /// What is a day long or longer stays: the parts of two hours of samples will be merged again.
    fn code(&self) -> Code {
        if self.tier == Tier::Raw && self.level < 2 { Code::Light } else { Code::Dense }
    }
}

/// So many blocks of one time are merged even if more are coming.
const BLOCKS_MAX: usize = 24;

/// The spans that blocks of a tier are merged to, the longest first, with their level. Long enough that a series has some
/// hundred numbers in a page.
const fn spans(tier: Tier) -> &'static [(i64, u64)] {
    match tier {
        Tier::Raw => &[(DAY_MS, 2), (WINDOW_MS, 1)],
        Tier::Minute => &[(DAY_MS, 2)],
        Tier::FiveMinutes => &[(4 * DAY_MS, 3), (DAY_MS, 2)],
        Tier::Hour => &[(32 * DAY_MS, 3), (4 * DAY_MS, 2), (DAY_MS, 1)],
    }
}

/// What should be merged now. Nothing will come in order before `floor`; `late` are windows to which late samples are
/// coming.
pub(crate) fn plan(blocks: &[&Meta], floor: i64, late: &BTreeSet<i64>) -> Vec<Job> {
    let mut jobs = Vec::new();
    for tier in Tier::ALL {
        let mut left: Vec<&Meta> = blocks.iter().filter(|meta| meta.tier == tier).copied().collect();
        for &(span, level) in spans(tier) {
            for (start, inputs) in group(&left, span) {
                let end = start.saturating_add(span);
                let quiet = late.range(start..end).next().is_none();
                if end <= floor && (quiet || inputs.len() >= BLOCKS_MAX) {
                    left.retain(|meta| !inputs.contains(&meta.seq));
                    jobs.push(Job { tier, inputs, level });
                }
            }
        }
    }
    jobs
}

/// The blocks that lie within one span of time, where there are several, with the start of the span. Of windows that
/// overlap, either all are in it or what is left out is newer or older than all that are: so the newest still counts.
fn group(blocks: &[&Meta], span: i64) -> Vec<(i64, Vec<u64>)> {
    let span_of = |at: i64| at.div_euclid(span).saturating_mul(span);
    let mut groups: BTreeMap<i64, Vec<&Meta>> = BTreeMap::new();
    for meta in blocks {
        let start = span_of(meta.min_at);
        if start == span_of(meta.max_at) {
            groups.entry(start).or_default().push(meta);
        }
    }
    groups.retain(|start, inputs| {
        inputs.len() > 1 && !is_parted(blocks, inputs, *start, start.saturating_add(span))
    });
    let numbers = |inputs: Vec<&Meta>| {
        let mut numbers: Vec<u64> = inputs.iter().map(|meta| meta.seq).collect();
        numbers.sort_unstable();
        numbers
    };
    groups.into_iter().map(|(start, inputs)| (start, numbers(inputs))).collect()
}

/// Whether a block that reaches beyond a span lies between the data of those that are to become one.
fn is_parted(blocks: &[&Meta], inputs: &[&Meta], start: i64, end: i64) -> bool {
    let data = inputs.iter().map(|meta| meta.data);
    let (Some(oldest), Some(newest)) = (data.clone().min(), data.max()) else { return false };
    blocks.iter().any(|meta| {
        let is_input = inputs.iter().any(|input| input.seq == meta.seq);
        let overlaps = meta.min_at < end && meta.max_at >= start;
        meta.tier != Tier::Raw && !is_input && overlaps && (oldest..=newest).contains(&meta.data)
    })
}

/// Writes the block that takes the place of `inputs`.
pub(crate) fn merge(
    disk: &dyn Disk,
    seq: u64,
    inputs: &[Arc<Block>],
    job: &Job,
    cache: &Cache,
) -> Result<Option<(Meta, u64)>, Error> {
    let mut writer = Writer::create(disk, seq, job.code())?;
    if job.tier == Tier::Raw {
        let mut blocks = merge::Blocks::open(inputs, TimeRange::ALL, Wanted::All, cache)?;
        while let Some(series) = blocks.next_series()? {
            writer.push(&series.labels, series.timestamps, series.values)?;
        }
    } else {
        let mut indexed = Vec::with_capacity(inputs.len());
        for block in inputs {
            let index = block.index(cache)?;
            indexed.push((block.clone(), index.clone(), (0..index.series_count()).collect()));
        }
        let mut blocks = Windowed::open(indexed, TimeRange::ALL, Parts::ALL, None);
        let mut windows = Windows::default();
        while let Some(labels) = blocks.next_series()? {
            blocks.read_all(&mut windows)?;
            writer.push_windows(&labels, &windows)?;
        }
    }
    writer.publish(Cover {
        level: job.level,
        tier: job.tier,
        rolled: inputs.iter().map(|block| block.meta.rolled).max().unwrap_or(0),
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
        let expected: Vec<_> = expected
            .iter()
            .map(|(inputs, level)| Job { tier: Tier::Raw, inputs: inputs.to_vec(), level: *level })
            .collect();
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
