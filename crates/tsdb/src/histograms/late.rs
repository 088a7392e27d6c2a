//! Windows of histograms made again, because some came for them after they were made.
//!
//! As with samples: a raw block whose data is newer than what a tier was made of, and that has times before the tier's
//! floor, holds such histograms. The windows they fell into are made again of all there are. Where those that a window was
//! made of are gone already, so that it would become smaller, it stays as it is.

use std::{collections::BTreeSet, sync::Arc};

use barograph_model::{HistogramRollup, Labels, Tier, TimeRange, Timestamp};

use super::{page::Sample, read::Blocks, upkeep::windows_of};
use crate::{Error, Policy, Store, block::Block, rollup::State};

impl Store {
    /// Whether so many late histograms wait that they should not wait for the end of their windows.
    pub(crate) fn late_histograms_are_many(&self) -> bool {
        self.histograms.late_bytes() >= self.options.late_bytes_max / 2
    }

    /// Makes the windows of a tier again that late histograms in raw blocks fell into.
    pub(super) fn roll_late_histograms(
        &self,
        tier: Tier,
        raw: &[Arc<Block>],
        rolled: u64,
        next_seq: &mut u64,
    ) -> Result<(), Error> {
        let state = self.histogram_state(tier);
        let is_late = |block: &&Arc<Block>| block.meta.data > state.rolled && block.meta.min_at < state.floor;
        let late: Vec<_> = raw.iter().filter(is_late).cloned().collect();
        if late.is_empty() {
            return Ok(());
        }
        let policies = self.policies.all();
        let before = TimeRange::new(Timestamp::MIN, Timestamp(state.floor));
        let mut reader = Blocks::open(late, &[], before, &self.cache)?;
        let mut made = Vec::new();
        while let Some((labels, samples)) = reader.next_series::<Sample>(false)? {
            let policy = Policy::of(&policies, &labels);
            if policy.is_some_and(|policy| !policy.makes(tier)) {
                continue;
            }
            let again = self.made_again(tier, raw, &labels, &samples)?;
            if !again.is_empty() {
                made.push((labels, again));
            }
        }
        self.write_histogram_windows(tier, &made, State { floor: state.floor, rolled }, next_seq)
    }

    /// The windows of a series that late histograms fell into.
    fn made_again(
        &self,
        tier: Tier,
        raw: &[Arc<Block>],
        labels: &Labels,
        late: &[Sample],
    ) -> Result<Vec<HistogramRollup>, Error> {
        let touched: BTreeSet<i64> = late.iter().map(|(at, _)| tier.window_of(*at)).collect();
        let (Some(first), Some(last)) = (touched.first(), touched.last()) else { return Ok(Vec::new()) };
        let range = TimeRange::new(Timestamp(*first), Timestamp(last.saturating_add(tier.width())));
        let blocks = raw.iter().filter(|block| block.overlaps(&range)).cloned().collect();
        let mut samples: Vec<Sample> = self.entries_of(blocks, range, labels)?;
        samples.retain(|(at, _)| touched.contains(&tier.window_of(*at)));
        let blocks = self.histogram_blocks(tier, &range);
        let known: Vec<HistogramRollup> = self.entries_of(blocks, range, labels)?;
        let mut windows = windows_of(&samples, tier);
        for window in &mut windows {
            let before = known.iter().find(|known| known.start == window.start);
            if let Some(before) = before.filter(|before| before.count > window.count) {
                *window = before.clone();
            }
        }
        Ok(windows)
    }
}
