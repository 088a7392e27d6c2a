//! Windows at the edges of a deletion: those that lie in it only in part.
//!
//! Whole windows are deleted as samples are. One that is cut is made again of the raw samples that are left in it; with
//! none left, it is deleted too. Where raw samples are gone already, it keeps what it says, and the caller is told.

use std::sync::Arc;

use barograph_codec::{
    Code,
    rollups::{Scratch, Windows},
};
use barograph_model::{HistogramRollup, Labels, Matcher, Source, Tier, TimeRange, Timestamp};

use super::State;
use crate::{
    Error, Maintenance, Policy, Store,
    block::{Block, Cover, Writer},
    histograms::{Sample, windows_of},
    merge::{Blocks, Wanted, find_all},
};

impl Store {
    /// Makes the windows again that a range of deleted times cuts; how many were left as they are.
    pub(crate) fn roll_edges(
        &self,
        matchers: &[Matcher],
        range: &TimeRange,
        next_seq: &mut u64,
    ) -> Result<usize, Error> {
        let known = self.coverage_of(Tier::Raw, matchers).start.millis();
        let mut left = 0;
        for tier in Tier::ROLLED {
            for histograms in [false, true] {
                let state = if histograms { self.histogram_state(tier) } else { self.tier_state(tier) };
                for window in edges_of(tier, range).into_iter().filter(|window| *window < state.floor) {
                    let blocks = self.blocks_with(tier, histograms, window);
                    let series = self.series_at(&blocks, matchers, window)?;
                    if series.is_empty() {
                        continue;
                    }
                    if window < known {
                        left += series.len();
                        continue;
                    }
                    let emptied = match histograms {
                        false => self.roll_edge(tier, window, &series, state, next_seq)?,
                        true => self.roll_histogram_edge(tier, window, &series, state, next_seq)?,
                    };
                    self.delete_window(&blocks, &emptied, window)?;
                }
            }
        }
        Ok(left)
    }

    /// The blocks of a tier that may have a window.
    fn blocks_with(&self, tier: Tier, histograms: bool, window: i64) -> Vec<Arc<Block>> {
        let blocks = self.blocks();
        let of_tier = |block: &&Arc<Block>| block.meta.tier == tier && block.meta.histograms == histograms;
        let at = TimeRange::closed(Timestamp(window), Timestamp(window));
        blocks.iter().filter(of_tier).filter(|block| block.overlaps(&at)).cloned().collect()
    }

    /// The series of a selection that may have a window, in label order.
    fn series_at(
        &self,
        blocks: &[Arc<Block>],
        matchers: &[Matcher],
        window: i64,
    ) -> Result<Vec<Labels>, Error> {
        let at = TimeRange::closed(Timestamp(window), Timestamp(window));
        let mut found = Vec::new();
        for block in blocks {
            let index = block.index(&self.cache)?;
            let ids = self.matching(block, &index, matchers).unwrap_or_default();
            let has = |id: &u32| index.pages(*id).any(|page| index.span(page).overlaps(&at));
            found.extend(ids.into_iter().filter(has).filter_map(|id| index.labels(id)));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Makes one window of some series of what is left of them; the series of which nothing is.
    fn roll_edge(
        &self,
        tier: Tier,
        window: i64,
        series: &[Labels],
        state: State,
        next_seq: &mut u64,
    ) -> Result<Vec<Labels>, Error> {
        let seq = *next_seq;
        let within = TimeRange::new(Timestamp(window), Timestamp(window.saturating_add(tier.width())));
        let policies = self.policies.all();
        let write = || -> Result<Vec<Labels>, Error> {
            let raw = self.raw_blocks();
            let mut left = Blocks::open(&raw, within, Wanted::Only(series), &self.cache)?;
            let mut writer = Writer::create(&*self.disk, seq, Code::Light)?;
            let (mut windows, mut scratch) = (Windows::default(), Scratch::default());
            let mut emptied = series.to_vec();
            while let Some(series) = left.next_series()? {
                windows.roll(tier, series.timestamps, series.values, &mut scratch);
                let policy = Policy::of(&policies, &series.labels);
                if policy.is_some_and(|policy| !policy.keeps_sketches()) {
                    windows.forget_sketches();
                }
                writer.push_windows(&series.labels, &windows)?;
                if !windows.is_empty() {
                    emptied.retain(|labels| *labels != series.labels);
                }
            }
            let State { floor, rolled } = state;
            let cover = Cover { tier, rolled, floor, ..Cover::default() };
            self.publish_windows(writer, cover, &mut Maintenance::default())?;
            Ok(emptied)
        };
        let emptied = write().inspect_err(|_| self.remove_unfinished(seq))?;
        *next_seq += 1;
        Ok(emptied)
    }

    /// The same of native histograms.
    fn roll_histogram_edge(
        &self,
        tier: Tier,
        window: i64,
        series: &[Labels],
        state: State,
        next_seq: &mut u64,
    ) -> Result<Vec<Labels>, Error> {
        let within = TimeRange::new(Timestamp(window), Timestamp(window.saturating_add(tier.width())));
        let (mut made, mut emptied) = (Vec::<(Labels, Vec<HistogramRollup>)>::new(), Vec::new());
        for labels in series {
            let raw = self.histogram_blocks(Tier::Raw, &within);
            let left: Vec<Sample> = self.entries_of(raw, within, labels)?;
            match windows_of(&left, tier) {
                windows if windows.is_empty() => emptied.push(labels.clone()),
                windows => made.push((labels.clone(), windows)),
            }
        }
        self.write_histogram_windows(tier, &made, state, next_seq)?;
        Ok(emptied)
    }

    /// Notes a window of some series as deleted.
    fn delete_window(&self, blocks: &[Arc<Block>], series: &[Labels], window: i64) -> Result<(), Error> {
        // What was deleted of them before is noted in those that are there now.
        let now = self.blocks();
        let numbers = blocks.iter().map(|block| block.meta.seq);
        for seq in numbers.filter(|_| !series.is_empty()) {
            let Some(block) = now.iter().find(|block| block.meta.seq == seq) else { continue };
            let index = block.index(&self.cache)?;
            let mut deletes = block.deletes.as_deref().cloned().unwrap_or_default();
            let mut news = false;
            for id in find_all(&index, series) {
                news |= deletes.add(id, window, window);
            }
            if news {
                deletes.write(&*self.disk, seq)?;
                self.replace(block, block.with_deletes(deletes));
            }
        }
        Ok(())
    }
}

/// The windows that a range of times cuts, at most two.
fn edges_of(tier: Tier, range: &TimeRange) -> Vec<i64> {
    let cut = |at: i64| Some(tier.window_of(at)).filter(|window| *window != at);
    // Where time begins and ends there is nothing to cut.
    let ends =
        [range.start, range.end].map(|end| cut(end.millis()).filter(|_| end.millis().abs() < i64::MAX / 2));
    let mut edges: Vec<i64> = ends.into_iter().flatten().collect();
    edges.dedup();
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_windows_in_part_are_edges() {
        let check = |from, to, expected: &[i64]| {
            let range = TimeRange::new(Timestamp(from), Timestamp(to));
            assert_eq!(edges_of(Tier::Minute, &range), expected, "{from} {to}");
        };
        check(60_000, 180_000, &[]);
        check(60_001, 180_000, &[60_000]);
        check(60_000, 180_001, &[180_000]);
        check(60_001, 60_002, &[60_000]);
        check(i64::MIN, i64::MAX, &[]);
        check(-1, 1, &[-60_000, 0]);
    }
}
