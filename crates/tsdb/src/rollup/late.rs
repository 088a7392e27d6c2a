//! Windows made again, because samples came for them after they were made.
//!
//! A raw block whose data is newer than what a tier was made of, and that has times before the tier's floor, holds such
//! samples. Exactly the windows of exactly the series they fell into are made again, of all raw samples there are. Where
//! the raw samples that a window was made of are gone already, which the number of samples in it tells, the late ones
//! are joined to it instead. All of it becomes one block of the tier, so that no window can be joined to twice.
//!
//! Late samples may be some that were sent again. Where raw samples are there, they are told by their times. Where these
//! are gone, the first and the last of a window tell: if one of them comes again, so did all between them.

use std::sync::Arc;

use barograph_codec::{
    Code,
    rollups::{Scratch, Windows},
};
use barograph_model::{Labels, Parts, Rollup, Tier, TimeRange, Timestamp, is_stale};

use super::{
    Windowed,
    make::{State, claims_of},
};
use crate::{
    Error, Maintenance, Policy, Store,
    block::{Block, Cover, Writer},
    columns::Columns,
    merge::{Blocks, Wanted, find_all},
};

impl Store {
    /// Makes the windows of a tier again that late samples in raw blocks fell into. Whether that was done, as of a pass.
    pub(super) fn roll_late(
        &self,
        tier: Tier,
        raw: &[Arc<Block>],
        rolled: u64,
        next_seq: &mut u64,
        done: &mut Maintenance,
    ) -> Result<bool, Error> {
        let state = self.tier_state(tier);
        let is_late = |block: &&Arc<Block>| block.meta.data > state.rolled && block.meta.min_at < state.floor;
        let (late, known): (Vec<_>, Vec<_>) = raw.iter().partition(is_late);
        let late: Vec<_> = late.into_iter().cloned().collect();
        let known: Vec<_> = known.into_iter().cloned().collect();
        if late.is_empty() {
            return Ok(true);
        }
        let seq = *next_seq;
        *next_seq += 1;
        match self.write_late(tier, state, (&late, &known), rolled, seq, done) {
            Err(Error::Disk(error)) if error.is_corrupt() => {
                self.remove_unfinished(seq);
                self.set_aside_at(error.path());
                Ok(false)
            }
            written => written.map(|()| true).inspect_err(|_| self.remove_unfinished(seq)),
        }
    }

    fn write_late(
        &self,
        tier: Tier,
        state: State,
        (late, known): (&[Arc<Block>], &[Arc<Block>]),
        rolled: u64,
        seq: u64,
        done: &mut Maintenance,
    ) -> Result<(), Error> {
        let first = late.iter().map(|block| block.meta.min_at).min().unwrap_or(state.floor);
        let last = late.iter().map(|block| block.meta.max_at).max().unwrap_or(state.floor);
        let end = tier.window_of(last).saturating_add(tier.width()).min(state.floor);
        let range = TimeRange::new(Timestamp(tier.window_of(first)), Timestamp(end));
        let claims = claims_of(&[late, known].concat());
        let mut wanted = Vec::new();
        for block in late {
            let index = block.index(&self.cache)?;
            wanted.extend((0..index.series_count()).filter_map(|id| index.labels(id)));
        }
        wanted.sort_unstable();
        wanted.dedup();
        let mut late = Follow::new(Blocks::open(late, range, Wanted::All, &self.cache)?);
        let mut known = Follow::new(Blocks::open(known, range, Wanted::Only(&wanted), &self.cache)?);
        let mut made = self.made(tier, range, &wanted)?;
        let mut writer = Writer::create(&*self.disk, seq, Code::Light)?;
        let mut again = Again::new(tier);
        let policies = self.policies.all();
        for labels in &wanted {
            let policy = Policy::of(&policies, labels);
            late.go_to(self, labels)?;
            if late.timestamps().is_empty() || policy.is_some_and(|policy| !policy.makes(tier)) {
                continue;
            }
            known.go_to(self, labels)?;
            again.made.clear();
            while made.peek()?.is_some_and(|next| next < *labels) {
                made.next_series()?;
            }
            if made.peek()?.is_some_and(|next| next == *labels) {
                made.next_series()?;
                let mut list = |windows: &Windows, run| windows.list(run, &mut again.made);
                while self.unless_damaged(made.next_part(&mut list), true)? {}
            }
            again.roll((late.timestamps(), late.values()), (known.timestamps(), known.values()));
            if policy.is_some_and(|policy| !policy.keeps_sketches()) {
                again.windows.forget_sketches();
            }
            writer.push_windows(labels, &again.windows)?;
        }
        let cover = Cover { tier, rolled, floor: state.floor, ..claims };
        self.publish_windows(writer, cover, done)
    }

    /// What a tier has of some series.
    fn made(&self, tier: Tier, range: TimeRange, wanted: &[Labels]) -> Result<Windowed<'_>, Error> {
        let mut blocks = Vec::new();
        for block in self.blocks().iter() {
            if block.meta.holds(tier) && block.overlaps(&range) {
                let index = block.index(&self.cache)?;
                let ids = find_all(&index, wanted);
                blocks.push((block.clone(), index, ids));
            }
        }
        Ok(Windowed::open(blocks, range, Parts::ALL, None))
    }

    /// Notes a page that is not what was written, and takes `instead`: the rest goes on.
    fn unless_damaged<T>(&self, read: Result<T, barograph_disk::Error>, instead: T) -> Result<T, Error> {
        match read {
            Err(error) if error.is_corrupt() => {
                self.report_damage_at(error.path());
                Ok(instead)
            }
            read => Ok(read?),
        }
    }
}

/// Raw blocks, read along with series that come in label order.
struct Follow {
    blocks: Blocks,
    /// The series that was read last.
    labels: Option<Labels>,
    samples: Columns,
    /// Whether it is the one that was gone to.
    is_here: bool,
}

impl Follow {
    fn new(blocks: Blocks) -> Self {
        Self { blocks, labels: None, samples: Columns::default(), is_here: false }
    }

    /// Goes to a series; afterwards its samples are there, none if it has none.
    fn go_to(&mut self, store: &Store, labels: &Labels) -> Result<(), Error> {
        while self.labels.as_ref().is_none_or(|at| at < labels) {
            let read = match self.blocks.next_series() {
                Err(error) if error.is_corrupt() => {
                    store.report_damage_at(error.path());
                    continue;
                }
                read => read?,
            };
            let Some(series) = read else {
                self.labels = None;
                break;
            };
            self.samples.clear();
            self.samples.add(series.timestamps, series.values);
            self.labels = Some(series.labels);
        }
        self.is_here = self.labels.as_ref() == Some(labels);
        Ok(())
    }

    fn timestamps(&self) -> &[i64] {
        if self.is_here { self.samples.timestamps() } else { &[] }
    }

    fn values(&self) -> &[f64] {
        if self.is_here { self.samples.values() } else { &[] }
    }
}

/// The windows of one series that are made again.
struct Again {
    tier: Tier,
    /// What the tier has of the series, with sketches.
    made: Vec<Rollup>,
    windows: Windows,
    scratch: Scratch,
}

impl Again {
    fn new(tier: Tier) -> Self {
        Self { tier, made: Vec::new(), windows: Windows::default(), scratch: Scratch::default() }
    }

    /// Makes the windows that the late samples are in. Those that are known came first.
    fn roll(&mut self, late: (&[i64], &[f64]), known: (&[i64], &[f64])) {
        let mut touched: Vec<i64> = late.0.iter().map(|&at| self.tier.window_of(at)).collect();
        touched.dedup();
        let of_touched = |(timestamps, values): (&[i64], &[f64])| {
            let mut columns = Columns::default();
            let both = timestamps.iter().copied().zip(values.iter().copied());
            columns.extend(both.filter(|(at, _)| touched.binary_search(&self.tier.window_of(*at)).is_ok()));
            columns
        };
        let mut all = of_touched(known);
        let mut gone = self.gone(&all);
        all.add(late.0, late.1);
        // Those that are all there again are made anew.
        gone.retain(|made| {
            self.count(&all, made) < made.count || !(has_first(&all, made) && has_last(&all, made))
        });
        self.windows.roll(self.tier, all.timestamps(), all.values(), &mut self.scratch);
        if gone.is_empty() {
            return;
        }
        let mut whole = Vec::new();
        self.windows.list(0..self.windows.len(), &mut whole);
        let made_at = |at: i64| gone.iter().find(|made| made.start == self.tier.window_of(at));
        let repeated = |at: i64| {
            let inside = made_at(at).filter(|made| (made.first_at..=made.last_at).contains(&at));
            inside.is_some_and(|made| has_first(&all, made) || has_last(&all, made))
        };
        let (mut timestamps, mut values) = (Vec::new(), Vec::new());
        for (&at, &value) in late.0.iter().zip(late.1).filter(|(at, _)| !repeated(**at)) {
            timestamps.push(at);
            values.push(value);
        }
        self.windows.roll(self.tier, &timestamps, &values, &mut self.scratch);
        let mut added = Vec::new();
        self.windows.list(0..self.windows.len(), &mut added);
        for window in &mut added {
            let place = whole.binary_search_by_key(&window.start, |other| other.start);
            let of_all = place.ok().map(|place| whole[place].clone());
            match gone.iter().find(|made| made.start == window.start) {
                Some(made) => *window = absorbed(made, window),
                None => *window = of_all.unwrap_or_else(|| window.clone()),
            }
        }
        self.windows.clear();
        added.iter().for_each(|window| self.windows.push(window));
    }

    /// The windows that were made of more samples than are known now.
    fn gone(&self, known: &Columns) -> Vec<Rollup> {
        self.made.iter().filter(|made| self.count(known, made) < made.count).cloned().collect()
    }

    /// How many samples there are in a window.
    fn count(&self, samples: &Columns, window: &Rollup) -> u64 {
        let (timestamps, values) = (samples.timestamps(), samples.values());
        let from = timestamps.partition_point(|&at| at < window.start);
        let to = timestamps.partition_point(|&at| at < window.start.saturating_add(self.tier.width()));
        values[from..to].iter().filter(|value| !is_stale(**value)).count() as u64
    }
}

/// Whether the first sample of a window is there.
fn has_first(samples: &Columns, window: &Rollup) -> bool {
    has(samples, window.first_at, window.first)
}

/// Whether the last sample of a window is there.
fn has_last(samples: &Columns, window: &Rollup) -> bool {
    has(samples, window.last_at, window.last)
}

fn has(samples: &Columns, at: i64, value: f64) -> bool {
    let place = samples.timestamps().binary_search(&at);
    place.is_ok_and(|place| samples.values()[place].to_bits() == value.to_bits())
}

/// A window with further samples in it. What depends on their order among the others is taken from the window alone
/// where they lie between its first and its last: its increase has their parts already, as long as none is a reset.
fn absorbed(made: &Rollup, added: &Rollup) -> Rollup {
    let (earlier, later) = if added.first_at < made.first_at { (added, made) } else { (made, added) };
    let mut whole = earlier.clone();
    if later.first_at > earlier.last_at {
        whole.join(later);
        return whole;
    }
    let (left, right) = (made.count as f64, added.count as f64);
    let off = added.sum / right - made.sum / left;
    whole.m2 = made.m2 + added.m2 + off * off * (left * right / (left + right));
    whole.count = made.count + added.count;
    whole.sum = made.sum + added.sum;
    whole.min = made.min.min(added.min);
    whole.max = made.max.max(added.max);
    whole.increase = made.increase.max(added.increase);
    let last = if added.last_at > made.last_at { added } else { made };
    (whole.last, whole.last_at, whole.ended) = (last.last, last.last_at, last.ended);
    whole.sketch = made.sketch.clone();
    if let (Some(mine), Some(theirs)) = (&mut whole.sketch, &added.sketch) {
        mine.merge(theirs);
    }
    whole
}
