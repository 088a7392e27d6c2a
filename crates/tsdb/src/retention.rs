//! Retention: how long each tier is kept, and which blocks go when all together take too much.
//!
//! A block goes when the last of its series is due. Series that are due before are noted as deleted, and the block is
//! written anew without them.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use barograph_model::{Matcher, MetricType, Tier, Timestamp};

use crate::{
    Error, Maintenance, Options, Store,
    block::{Block, Meta},
    options::millis,
};

/// How long each tier is kept; `None` keeps it. By default as [`Tier::default_retention`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention([Option<Duration>; 4]);

impl Default for Retention {
    fn default() -> Self {
        Self(Tier::ALL.map(|tier| Some(tier.default_retention())))
    }
}

impl Retention {
    /// Everything is kept.
    pub const FOREVER: Self = Self([None; 4]);

    /// How long a tier is kept.
    pub const fn of(&self, tier: Tier) -> Option<Duration> {
        self.0[tier as usize]
    }

    /// With another time for a tier.
    #[must_use]
    pub const fn with(mut self, tier: Tier, age: Option<Duration>) -> Self {
        self.0[tier as usize] = age;
        self
    }
}

/// Another retention for some series.
#[derive(Clone, Debug)]
pub struct RetentionRule {
    /// All of these hold for the series it is about.
    pub matchers: Vec<Matcher>,
    /// How long each tier is kept, in the order of [`Tier::ALL`]; `None` says nothing of a tier, [`Duration::MAX`] keeps
    /// it.
    pub tiers: [Option<Duration>; 4],
}

impl PartialEq for RetentionRule {
    fn eq(&self, other: &Self) -> bool {
        let text = |rule: &Self| rule.matchers.iter().map(ToString::to_string).collect::<Vec<_>>();
        self.tiers == other.tiers && text(self) == text(other)
    }
}

/// How long what is kept, all of it together. It may change while a store is open ([`Store::set_keeping`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Keeping {
    /// How long each tier is kept.
    pub retention: Retention,
    /// Other times for some series; of those that match, the first that speaks of a tier counts.
    pub rules: Vec<RetentionRule>,
    /// Other times for the metrics of a type, where no rule speaks of a tier; [`Duration::MAX`] keeps it.
    pub by_type: Vec<(MetricType, [Option<Duration>; 4])>,
    /// Bytes that all blocks may take; `None` for any number.
    pub bytes: Option<u64>,
    /// How long after it was looked for what is past its retention that is done again.
    pub cleanup_interval: Duration,
}

impl Keeping {
    /// What options say.
    pub fn of(options: &Options) -> Self {
        Self {
            retention: options.retention,
            rules: options.retention_rules.clone(),
            by_type: options.retention_by_type.clone(),
            bytes: options.retention_bytes,
            cleanup_interval: options.cleanup_interval,
        }
    }

    /// How long the tier is kept that is kept the longest, by any rule.
    pub(crate) fn longest_kept(&self) -> Duration {
        let usual = Tier::ALL.map(|tier| self.retention.of(tier).unwrap_or(Duration::MAX));
        let rules = self.rules.iter().flat_map(|rule| rule.tiers).flatten();
        let types = self.by_type.iter().flat_map(|of| of.1).flatten();
        usual.into_iter().chain(rules).chain(types).max().unwrap_or(Duration::MAX)
    }
}

/// A block as retention sees it.
#[derive(Clone, Copy, Debug)]
struct Aged {
    seq: u64,
    tier: Tier,
    age: i64,
    size: u64,
    /// How long the longest kept of its series is kept; `None` for ever.
    kept: Option<Duration>,
    /// Whether its samples are in all tiers, or it is of a tier itself.
    may_go: bool,
}

impl Store {
    /// Keeps things as long as this says from the next look on, which comes with the next upkeep. What is gone stays gone.
    pub fn set_keeping(&self, keeping: Keeping) {
        *self.keeping.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keeping);
        self.policies.announce();
    }

    /// How long what is kept.
    pub(crate) fn keeping(&self) -> Arc<Keeping> {
        self.keeping.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Deletes what is past its retention, if it is time to look again.
    pub(crate) fn clean_up(
        &self,
        now: Timestamp,
        next_seq: &mut u64,
        done: &mut Maintenance,
    ) -> Result<(), Error> {
        let keeping = self.keeping();
        let due = self.cleaned_at().saturating_add(millis(keeping.cleanup_interval)) <= now.millis();
        // Only a limit by bytes can be passed by what is new.
        let grown = keeping.bytes.is_some() && done.blocks_cut + done.blocks_merged > 0;
        let news = self.policies.take_news();
        if due || grown || news {
            self.delete_expired(now, done)?;
            self.forget_due(now, next_seq)?;
        }
        Ok(())
    }

    /// When it was looked last for what is past its retention.
    pub(crate) fn cleaned_at(&self) -> i64 {
        self.cleaned_at.load(Ordering::Relaxed)
    }

    /// Deletes the blocks that are past their retention.
    pub(crate) fn delete_expired(&self, now: Timestamp, done: &mut Maintenance) -> Result<(), Error> {
        // First, so that no question counts on what goes.
        self.cleaned_at.fetch_max(now.millis(), Ordering::Relaxed);
        let blocks = self.blocks();
        let aged: Vec<_> = blocks
            .iter()
            .map(|block| Aged {
                seq: block.meta.seq,
                tier: block.meta.tier,
                age: age_of(block, now),
                size: block.size,
                kept: self.longest_kept(block, age_of(block, now)),
                may_go: block.meta.tier != Tier::Raw || self.is_rolled(block),
            })
            .collect();
        let gone = expired(&aged, self.keeping().bytes);
        for block in blocks.iter().filter(|block| gone.contains(&block.meta.seq)) {
            if block.meta.holds(Tier::Raw) {
                self.raw_start.fetch_max(block.meta.max_at.saturating_add(1), Ordering::Relaxed);
            }
            let removed = self.remove_block(block);
            self.note_block(&block.meta);
            removed?;
            done.blocks_deleted += 1;
        }
        Ok(())
    }

    /// Writes blocks anew without the series that are due before others in them.
    pub(crate) fn forget_due(&self, now: Timestamp, next_seq: &mut u64) -> Result<(), Error> {
        let blocks = self.blocks();
        for block in blocks.iter().filter(|block| !block.is_damaged()) {
            let (meta, age) = (&block.meta, age_of(block, now));
            if !self.may_be_due(meta.tier, age) || meta.tier == Tier::Raw && !self.is_rolled(block) {
                continue;
            }
            let Some(kept) = self.kept(block) else { continue };
            let mut deletes = block.deletes.as_deref().cloned().unwrap_or_default();
            let mut news = false;
            for (id, kept) in (0u32..).zip(kept) {
                let due = kept.is_some_and(|kept| age > millis(kept));
                news |= due && deletes.add(id, meta.min_at, meta.max_at);
            }
            if news {
                deletes.write(&*self.disk, meta.seq)?;
                self.replace(block, block.with_deletes(deletes));
                self.note_block(meta);
                self.clean(next_seq, meta.seq)?;
            }
        }
        Ok(())
    }

    /// Whether everything in a raw block is in all tiers, as far as these are made of it.
    fn is_rolled(&self, raw: &Arc<Block>) -> bool {
        Tier::ROLLED.into_iter().all(|tier| {
            let state = if raw.meta.histograms { self.histogram_state(tier) } else { self.tier_state(tier) };
            state.has(&raw.meta) || self.makes_nothing(tier, raw)
        })
    }

    /// The time from which on all raw samples are there that were taken.
    pub(crate) fn raw_start(&self) -> i64 {
        self.raw_start.load(Ordering::Relaxed)
    }
}

/// The time from which on all raw samples are there, as far as a look at the blocks tells: before the first raw block
/// there is only what tiers know.
pub(crate) fn raw_start<'m>(metas: impl Iterator<Item = &'m Meta> + Clone) -> i64 {
    let raw = metas.clone().filter(|meta| meta.holds(Tier::Raw)).map(|meta| meta.min_at).min();
    let rolled = metas.filter(|meta| meta.tier != Tier::Raw && !meta.histograms);
    match raw {
        Some(raw) => {
            let mut before = rolled.filter(|meta| meta.min_at < meta.tier.window_of(raw));
            before.next().map_or(i64::MIN, |_| raw)
        }
        None => rolled.map(|meta| meta.floor).max().unwrap_or(i64::MIN),
    }
}

/// The numbers of the blocks to delete: those past their tier's age, then, while all together take more than `bytes_max`,
/// those that have used up most of their time. A raw block of 12 hours so goes before one of minutes of 3 days. Raw
/// blocks whose samples are not in all tiers stay.
fn expired(blocks: &[Aged], bytes_max: Option<u64>) -> Vec<u64> {
    let is_old = |block: &&Aged| block.kept.is_some_and(|kept| block.age > millis(kept));
    let (gone, mut kept): (Vec<Aged>, Vec<Aged>) =
        blocks.iter().filter(|block| block.may_go).partition(is_old);
    let mut total: u64 = blocks.iter().map(|block| block.size).sum();
    total -= gone.iter().map(|block| block.size).sum::<u64>();
    let mut gone: Vec<u64> = gone.iter().map(|block| block.seq).collect();
    let used = |block: &Aged| {
        let whole = block.kept.unwrap_or(block.tier.default_retention());
        block.age as f64 / millis(whole).max(1) as f64
    };
    kept.sort_by(|a, b| used(b).total_cmp(&used(a)).then(a.seq.cmp(&b.seq)));
    for block in kept {
        if bytes_max.is_none_or(|max| total <= max) {
            break;
        }
        total -= block.size;
        gone.push(block.seq);
    }
    gone
}

/// How long ago the last sample of a block was, or the end of its last window.
fn age_of(block: &Block, now: Timestamp) -> i64 {
    let end = block.meta.max_at.saturating_add(block.meta.tier.width() - 1);
    now.millis().saturating_sub(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// A block that ended so many hours after some moment, of which `check` says how long ago it is.
    fn block(seq: u64, tier: Tier, end_hour: i64) -> Aged {
        Aged { seq, tier, age: -end_hour * HOUR, size: 10, kept: None, may_go: true }
    }

    fn check(blocks: &[Aged], raw_hours: Option<u64>, bytes_max: Option<u64>, now_hour: i64, gone: &[u64]) {
        let raw = raw_hours.map(|hours| Duration::from_secs(hours * 3600));
        let retention = Retention::default().with(Tier::Raw, raw);
        let aged = |block: &Aged| Aged {
            age: block.age + now_hour * HOUR,
            kept: retention.of(block.tier),
            ..*block
        };
        assert_eq!(expired(&blocks.iter().map(aged).collect::<Vec<_>>(), bytes_max), gone);
    }

    #[test]
    fn oldest_go_first() {
        let raw = [block(3, Tier::Raw, 3), block(1, Tier::Raw, 1), block(2, Tier::Raw, 2)];
        check(&raw, None, None, 9999, &[]);
        check(&raw, Some(24), None, 25, &[]);
        check(&raw, Some(23), None, 25, &[1]);
        check(&raw, Some(1), None, 25, &[3, 1, 2]);
        check(&raw, None, Some(30), 25, &[]);
        check(&raw, None, Some(29), 25, &[1]);
        check(&raw, Some(23), Some(10), 25, &[1, 2]);
        check(&raw, None, Some(0), 25, &[1, 2, 3]);
    }

    #[test]
    fn tiers_go_by_their_own_age() {
        let all = [block(1, Tier::Minute, 0), block(2, Tier::FiveMinutes, 0), block(3, Tier::Hour, 0)];
        check(&all, None, None, 7 * 24, &[]);
        check(&all, None, None, 7 * 24 + 1, &[1]);
        check(&all, None, None, 31 * 24, &[1, 2]);
        check(&all, None, None, 366 * 24, &[1, 2, 3]);
        let mixed = [block(1, Tier::Minute, 0), block(2, Tier::Raw, 60), block(3, Tier::Hour, 0)];
        check(&mixed, Some(24), Some(20), 72, &[2]);
        check(&mixed, Some(24), Some(10), 72, &[2, 1]);
    }

    #[test]
    fn what_is_in_no_tier_stays() {
        let raw = [Aged { may_go: false, ..block(1, Tier::Raw, 0) }, block(2, Tier::Raw, 0)];
        check(&raw, Some(1), Some(0), 99, &[2]);
    }
}
