//! Policies: what is kept of single metrics, other than of the rest. They are set while the store works.
//!
//! All of them lie in one small checksummed file, replaced as a whole: one that was set is durable and holds from then
//! on, also after a restart. Bytes on disk: `docs/format.md`, "Policies".

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use barograph_codec::varint;
use barograph_disk::{Disk, Error, file};
use barograph_model::{Labels, Tier};

pub(crate) const PATH: &str = "policies";
const KIND: file::Kind = file::Kind { magic: *b"BAROPOL\0", version: 1 };

/// Metrics with a policy at most.
pub const POLICIES_MAX: usize = 10_000;

/// By how much importance lengthens or shortens how long a tier is kept.
const IMPORTANCE_FACTOR: u32 = 4;

/// What is kept of one metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How long each tier is kept, in the order of [`Tier::ALL`]; `None` as `importance` says, [`Duration::MAX`] for ever.
    pub retention: [Option<Duration>; 4],
    /// For tiers of which `retention` says nothing.
    pub importance: Importance,
    /// The tiers that windows are made for; `None` for all. Windows of others are not made, and go if they are there.
    pub windows: Option<Vec<Tier>>,
    /// The functions that windows are to answer; none for all. Quantiles need sketches, which are kept only where one of
    /// them is named; all other functions share the same few columns, which are always kept.
    pub functions: Vec<String>,
}

/// How much a metric matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Importance {
    /// Each tier is kept a quarter of the usual time.
    Low,
    /// As is usual.
    #[default]
    Normal,
    /// Each tier is kept four times as long.
    High,
}

impl Importance {
    /// All of them, from the least.
    pub const ALL: [Self; 3] = [Self::Low, Self::Normal, Self::High];

    /// Its name: `low`, `normal`, `high`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
        }
    }
}

impl Policy {
    /// That of the metric of a series, if it has one.
    pub(crate) fn of<'p>(policies: &'p BTreeMap<String, Self>, labels: &Labels) -> Option<&'p Self> {
        policies.get(labels.metric_name()?)
    }

    /// Whether a function takes the sketch of a window: `p99` and the like, `quantile`, `percentile`.
    pub fn needs_sketch(function: &str) -> bool {
        let percent = function.strip_prefix('p').is_some_and(|rest| rest.parse::<f64>().is_ok());
        percent || matches!(function, "quantile" | "percentile")
    }

    pub(crate) fn keeps_sketches(&self) -> bool {
        self.functions.is_empty() || self.functions.iter().any(|function| Self::needs_sketch(function))
    }

    pub(crate) fn makes(&self, tier: Tier) -> bool {
        self.windows.as_ref().is_none_or(|windows| windows.contains(&tier))
    }

    /// How long a tier is kept that usually is for `usual`; the outer `None` says nothing of it, the inner one keeps it.
    pub(crate) fn age(&self, tier: Tier, usual: Option<Duration>) -> Option<Option<Duration>> {
        if tier != Tier::Raw && !self.makes(tier) {
            return Some(Some(Duration::ZERO));
        }
        match (self.retention[tier as usize], self.importance) {
            (Some(age), _) => Some((age != Duration::MAX).then_some(age)),
            (None, Importance::Normal) => None,
            (None, Importance::High) => Some(usual.map(|age| age.saturating_mul(IMPORTANCE_FACTOR))),
            (None, Importance::Low) => Some(usual.map(|age| age / IMPORTANCE_FACTOR)),
        }
    }
}

/// See the module.
#[derive(Default)]
pub(crate) struct Policies {
    all: RwLock<Arc<BTreeMap<String, Policy>>>,
    /// Held by whoever writes the file.
    writing: Mutex<()>,
    /// Whether upkeep has not acted on the newest ones yet.
    news: AtomicBool,
}

impl Policies {
    /// # Errors
    /// Of a corrupt file too: the caller sets it aside and begins without policies.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self, Error> {
        let content = match file::read_small(disk, PATH, KIND) {
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            content => content?,
        };
        let all =
            decode(&content).ok_or_else(|| Error::corrupt("policies", PATH, file::HEADER_LEN as u64))?;
        Ok(Self { all: RwLock::new(Arc::new(all)), ..Self::default() })
    }

    /// All of them, by metric.
    pub(crate) fn all(&self) -> Arc<BTreeMap<String, Policy>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the policy of a metric; one with nothing in it is removed. Durable when it returns the new one; `None` if
    /// there is no room.
    pub(crate) fn change(
        &self,
        disk: &dyn Disk,
        metric: &str,
        change: impl FnOnce(Policy) -> Policy,
    ) -> Result<Option<Policy>, Error> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = BTreeMap::clone(&self.all());
        let policy = change(all.remove(metric).unwrap_or_default());
        if policy != Policy::default() {
            if all.len() >= POLICIES_MAX {
                return Ok(None);
            }
            all.insert(metric.to_owned(), policy.clone());
        }
        file::write_small(disk, PATH, KIND, &encode(&all))?;
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        self.news.store(true, Ordering::Release);
        Ok(Some(policy))
    }

    /// Has what is past its retention looked for with the next upkeep.
    pub(crate) fn announce(&self) {
        self.news.store(true, Ordering::Relaxed);
    }

    /// Whether there are policies that this was not called for yet.
    pub(crate) fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::AcqRel)
    }
}

fn encode(all: &BTreeMap<String, Policy>) -> Vec<u8> {
    let mut bytes = Vec::new();
    varint::put(&mut bytes, all.len() as u64);
    for (metric, policy) in all {
        varint::put_slice(&mut bytes, metric.as_bytes());
        for age in policy.retention {
            let coded = match age {
                None => 0,
                Some(Duration::MAX) => 1,
                Some(age) => u64::try_from(age.as_millis()).unwrap_or(u64::MAX).saturating_add(2),
            };
            varint::put(&mut bytes, coded);
        }
        varint::put(&mut bytes, policy.importance as u64);
        let made = |windows: &Vec<Tier>| windows.iter().fold(1, |bits, tier| bits | 1 << *tier as u64);
        varint::put(&mut bytes, policy.windows.as_ref().map_or(0, made));
        varint::put(&mut bytes, policy.functions.len() as u64);
        policy.functions.iter().for_each(|function| varint::put_slice(&mut bytes, function.as_bytes()));
    }
    bytes
}

/// The content of the file; `None` for bytes that were not written so.
pub(crate) fn decode(bytes: &[u8]) -> Option<BTreeMap<String, Policy>> {
    let rest = &mut &*bytes;
    let text = |rest: &mut &[u8]| Some(std::str::from_utf8(varint::take_slice(rest)?).ok()?.to_owned());
    let mut all = BTreeMap::new();
    for _ in 0..varint::take(rest)? {
        let metric = text(rest)?;
        let mut policy = Policy::default();
        for age in &mut policy.retention {
            *age = match varint::take(rest)? {
                0 => None,
                1 => Some(Duration::MAX),
                coded => Some(Duration::from_millis(coded - 2)),
            };
        }
        policy.importance = *Importance::ALL.get(varint::take_usize(rest)?)?;
        policy.windows = match varint::take(rest)? {
            0 => None,
            bits @ 1..16 if bits & 1 == 1 => {
                Some(Tier::ROLLED.into_iter().filter(|tier| bits & 1 << *tier as u64 != 0).collect())
            }
            _ => return None,
        };
        for _ in 0..varint::take(rest)? {
            policy.functions.push(text(rest)?);
        }
        all.insert(metric, policy);
    }
    rest.is_empty().then_some(all)
}

#[cfg(test)]
mod tests {
    use barograph_disk::MemoryDisk;

    use super::*;

    fn policy() -> Policy {
        Policy {
            retention: [Some(Duration::from_secs(7)), None, Some(Duration::MAX), Some(Duration::ZERO)],
            importance: Importance::High,
            windows: Some(vec![Tier::Minute, Tier::Hour]),
            functions: vec!["avg".into(), "p99".into()],
        }
    }

    #[test]
    fn they_come_back_until_they_are_removed() {
        let disk = MemoryDisk::new();
        let policies = Policies::read(&disk).unwrap();
        let set = |policies: &Policies, metric, policy: Policy| {
            assert_eq!(policies.change(&disk, metric, |_| policy.clone()).unwrap(), Some(policy));
        };
        set(&policies, "a", policy());
        set(&policies, "b", Policy { windows: Some(vec![]), ..Policy::default() });
        assert!(policies.take_news() && !policies.take_news());
        let again = Policies::read(&disk).unwrap();
        assert_eq!(again.all(), policies.all());
        assert_eq!(again.all()["a"], policy());
        set(&again, "a", Policy::default());
        assert_eq!(Policies::read(&disk).unwrap().all().len(), 1);
        let bytes = encode(&policies.all());
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "{len}");
        }
    }

    #[test]
    fn what_is_said_counts_before_importance() {
        let day = Some(Duration::from_secs(86_400));
        let check = |policy: &Policy, tier, age| assert_eq!(policy.age(tier, day), age, "{policy:?} {tier}");
        let (normal, own) = (Policy::default(), policy());
        check(&normal, Tier::Raw, None);
        check(&own, Tier::Raw, Some(Some(Duration::from_secs(7))));
        check(&own, Tier::Minute, Some(Some(Duration::from_secs(4 * 86_400))));
        // It is not made.
        check(&own, Tier::FiveMinutes, Some(Some(Duration::ZERO)));
        let low = Policy { importance: Importance::Low, ..Policy::default() };
        check(&low, Tier::Hour, Some(Some(Duration::from_secs(21_600))));
        assert!(own.keeps_sketches() && normal.keeps_sketches());
        assert!(!Policy { functions: vec!["max".into(), "pow".into()], ..normal }.keeps_sketches());
    }
}
