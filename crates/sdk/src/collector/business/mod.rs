//! What the business counts: named counters, how many different ones there were, and shares of one in another.
//!
//! Which there are is configured; `prism` is a ready set of six. Recording finds the name among the few there are and adds
//! one; a distinct count also takes a short lock. An unknown name records nothing and is counted ([`BusinessMetricsCollector::unknown`]).
//! Identities are hashed and never become labels.

mod distinct;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use barograph_model::{MetricType, Timestamp};

pub use distinct::EXACT_MAX;
use distinct::{Window, hash_of};

use super::{CollectError, Definition, MetricCollector, MetricCollectorConfig, Writer};
use crate::{Error, Unit, name};

/// How many names of each kind there are at most.
pub const BUSINESS_NAMES_MAX: usize = 1_000;

/// What is counted. Names are dotted and stored after `business.`: `orders.placed` as `business_orders_placed`.
#[derive(Clone, Debug, PartialEq)]
pub struct BusinessConfig {
    /// Counters.
    pub counters: Vec<String>,
    /// Counts of different ones in a sliding window.
    pub distinct: Vec<DistinctCount>,
    /// Shares, 0 to 1.
    pub ratios: Vec<Ratio>,
    /// How often they are read; 10 seconds by default.
    pub interval: Duration,
}

/// How many different ones there were: exact up to [`EXACT_MAX`] in a 24th of the window, and within 1 % (one standard
/// error) beyond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistinctCount {
    /// The name.
    pub name: String,
    /// How far back it looks.
    pub window: Duration,
}

/// One counter over another; 0 while the other is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// The name.
    pub name: String,
    /// The counter above.
    pub part: String,
    /// The counter below.
    pub whole: String,
}

impl Default for BusinessConfig {
    fn default() -> Self {
        Self {
            counters: Vec::new(),
            distinct: Vec::new(),
            ratios: Vec::new(),
            interval: Duration::from_secs(10),
        }
    }
}

const CHECKS: &str = "gateway.checks";
const VIOLATIONS: &str = "violations.detected";
const RETROSPECTIVES: &str = "retrospectives.completed";
const PATTERNS: &str = "patterns.matched";
const USERS: &str = "users.active";
const VIOLATION_RATE: &str = "violation.rate";

impl BusinessConfig {
    /// Gateway checks and their violations, retrospectives, patterns, and the active users of a day.
    pub fn prism() -> Self {
        let day = Duration::from_secs(24 * 3600);
        [CHECKS, VIOLATIONS, RETROSPECTIVES, PATTERNS]
            .into_iter()
            .fold(Self::default(), Self::counter)
            .distinct(USERS, day)
            .ratio(VIOLATION_RATE, VIOLATIONS, CHECKS)
    }

    /// The same with a counter.
    #[must_use]
    pub fn counter(mut self, name: &str) -> Self {
        self.counters.push(name.to_owned());
        self
    }

    /// The same with a count of different ones.
    #[must_use]
    pub fn distinct(mut self, name: &str, window: Duration) -> Self {
        self.distinct.push(DistinctCount { name: name.to_owned(), window });
        self
    }

    /// The same with a share of one counter in another.
    #[must_use]
    pub fn ratio(mut self, name: &str, part: &str, whole: &str) -> Self {
        self.ratios.push(Ratio { name: name.to_owned(), part: part.to_owned(), whole: whole.to_owned() });
        self
    }

    /// Whether nothing is counted.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty() && self.distinct.is_empty() && self.ratios.is_empty()
    }
}

/// Counts what the business asks for. Cloning it is cheap; clones record into, and are, the same collector, so that one
/// can be handed to [`Collectors`](super::Collectors) and another kept to record with.
#[derive(Clone, Debug)]
pub struct BusinessMetricsCollector(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    counters: Vec<Named<AtomicU64>>,
    distinct: Vec<Named<Mutex<Window>>>,
    /// Places of the counters.
    ratios: Vec<Named<(usize, usize)>>,
    interval: Duration,
    unknown: AtomicU64,
}

#[derive(Debug)]
struct Named<T> {
    name: String,
    definition: Arc<Definition>,
    it: T,
}

impl<T> Named<T> {
    fn new(kind: MetricType, name: &str, unit: Unit, help: String, it: T) -> Self {
        let definition = Definition::named(kind, format!("business.{name}"), unit, help).plain();
        Self { name: name.to_owned(), definition: Arc::new(definition), it }
    }

    fn find<'n>(all: &'n [Self], name: &str) -> Option<&'n T> {
        all.iter().find(|named| named.name == name).map(|named| &named.it)
    }
}

impl BusinessMetricsCollector {
    /// A collector for what is configured.
    ///
    /// # Errors
    /// A name that cannot be exposed or stands twice, a share of counters that there are not, or more names than
    /// [`BUSINESS_NAMES_MAX`] of a kind.
    pub fn new(config: &BusinessConfig) -> Result<Self, Error> {
        check(config)?;
        let place = |of: &str| config.counters.iter().position(|counter| counter == of).unwrap_or_default();
        let counter = |name: &String| {
            Named::new(
                MetricType::Counter,
                name,
                Unit::None,
                format!("How often: {name}."),
                AtomicU64::new(0),
            )
        };
        let distinct = |DistinctCount { name, window }: &DistinctCount| {
            let help = format!("How many different: {name}, in the last {} s.", window.as_secs());
            Named::new(MetricType::Gauge, name, Unit::None, help, Mutex::new(Window::new(*window)))
        };
        let ratio = |Ratio { name, part, whole }: &Ratio| {
            let help = format!("Share of {part} in {whole}.");
            Named::new(MetricType::Gauge, name, Unit::Ratio, help, (place(part), place(whole)))
        };
        Ok(Self(Arc::new(Shared {
            counters: config.counters.iter().map(counter).collect(),
            distinct: config.distinct.iter().map(distinct).collect(),
            ratios: config.ratios.iter().map(ratio).collect(),
            interval: config.interval,
            unknown: AtomicU64::new(0),
        })))
    }

    /// Counts one.
    pub fn count(&self, counter: &str) {
        self.add(counter, 1);
    }

    /// Counts `n`.
    pub fn add(&self, counter: &str, n: u64) {
        match Named::find(&self.0.counters, counter) {
            Some(total) => {
                total.fetch_add(n, Relaxed);
            }
            None => self.note_unknown(),
        }
    }

    /// Counts one as seen now, unless it was seen before.
    pub fn seen(&self, distinct: &str, id: &str) {
        match Named::find(&self.0.distinct, distinct) {
            Some(window) => window.lock().unwrap_or_else(PoisonError::into_inner).insert(hash_of(id)),
            None => self.note_unknown(),
        }
    }

    /// Counts one of a share's whole and, if it failed, one of its part.
    pub fn record_check(&self, ratio: &str, failed: bool) {
        let Some((part, whole)) = Named::find(&self.0.ratios, ratio) else { return self.note_unknown() };
        // The whole first: a share is never above 1.
        self.0.counters[*whole].it.fetch_add(1, Relaxed);
        self.0.counters[*part].it.fetch_add(u64::from(failed), Relaxed);
    }

    /// Counts a check of the gateway, of [`BusinessConfig::prism`].
    #[doc(alias = "recordGatewayCheck")]
    pub fn record_gateway_check(&self, violated: bool) {
        self.record_check(VIOLATION_RATE, violated);
    }

    /// Counts a completed retrospective, of [`BusinessConfig::prism`].
    #[doc(alias = "recordRetrospective")]
    pub fn record_retrospective(&self) {
        self.count(RETROSPECTIVES);
    }

    /// Counts a matched pattern, of [`BusinessConfig::prism`].
    #[doc(alias = "recordPatternMatch")]
    pub fn record_pattern_match(&self) {
        self.count(PATTERNS);
    }

    /// Counts a user as active, of [`BusinessConfig::prism`]. The id is hashed at once and kept nowhere.
    #[doc(alias = "recordActiveUser")]
    pub fn record_active_user(&self, id: &str) {
        self.seen(USERS, id);
    }

    /// What a counter has counted; `None` if there is none of that name.
    pub fn total(&self, counter: &str) -> Option<u64> {
        Named::find(&self.0.counters, counter).map(|total| total.load(Relaxed))
    }

    /// Whether there is anything to count.
    pub fn counts_something(&self) -> bool {
        !self.0.counters.is_empty() || !self.0.distinct.is_empty()
    }

    /// How often something was recorded under a name that there is not.
    pub fn unknown(&self) -> u64 {
        self.0.unknown.load(Relaxed)
    }

    #[cold]
    fn note_unknown(&self) {
        self.0.unknown.fetch_add(1, Relaxed);
    }
}

impl MetricCollector for BusinessMetricsCollector {
    fn config(&self) -> MetricCollectorConfig {
        MetricCollectorConfig::new("business").every(self.0.interval)
    }

    fn perform_collection(&mut self, now: Timestamp, out: &mut Writer) -> Result<(), CollectError> {
        let Shared { counters, distinct, ratios, .. } = &*self.0;
        // Parts are read before wholes: see `record_check`.
        for Named { definition, it: (part, whole), .. } in ratios {
            let part = counters[*part].it.load(Relaxed) as f64;
            let whole = counters[*whole].it.load(Relaxed) as f64;
            out.write(definition, if whole > 0.0 { part / whole } else { 0.0 });
        }
        for Named { definition, it, .. } in counters {
            out.write(definition, it.load(Relaxed) as f64);
        }
        for Named { definition, it, .. } in distinct {
            out.write(definition, it.lock().unwrap_or_else(PoisonError::into_inner).count(now));
        }
        Ok(())
    }
}

fn check(config: &BusinessConfig) -> Result<(), Error> {
    let refuse = |name: &str, reason| Err(Error::InvalidName { name: name.to_owned(), reason });
    let distinct = config.distinct.iter().map(|count| &count.name);
    let ratios = config.ratios.iter().map(|ratio| &ratio.name);
    let names: Vec<&String> = config.counters.iter().chain(distinct).chain(ratios).collect();
    if names.len() > BUSINESS_NAMES_MAX {
        return refuse(names[BUSINESS_NAMES_MAX], "there are more than 1,000 names");
    }
    for (i, name) in names.iter().enumerate() {
        if !name::is_identifier(&name.replace('.', "_")) {
            return refuse(
                name,
                "a name has letters, digits, dots and underscores, and starts with no digit",
            );
        }
        if names[..i].contains(name) {
            return refuse(name, "it stands twice");
        }
    }
    let known = |name: &String| config.counters.contains(name);
    let lost = config.ratios.iter().flat_map(|ratio| [&ratio.part, &ratio.whole]).find(|name| !known(name));
    lost.map_or(Ok(()), |name| refuse(name, "a share is of counters, and there is none of that name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prism_has_six_metrics() {
        let business = BusinessMetricsCollector::new(&BusinessConfig::prism()).unwrap();
        let mut out = Writer::new();
        business.clone().perform_collection(Timestamp(0), &mut out).unwrap();
        assert_eq!((out.readings().len(), out.value("business.violation.rate")), (6, Some(0.0)));
        for violated in [true, false, false, false] {
            business.record_gateway_check(violated);
        }
        business.record_retrospective();
        business.record_pattern_match();
        ["user-123", "user-7", "user-123"].iter().for_each(|id| business.record_active_user(id));
        business.clone().perform_collection(Timestamp(10_000), &mut out).unwrap();
        for (given, expected) in [
            ("business.gateway.checks", 4.0),
            ("business.violations.detected", 1.0),
            ("business.retrospectives.completed", 1.0),
            ("business.patterns.matched", 1.0),
            ("business.users.active", 2.0),
            ("business.violation.rate", 0.25),
        ] {
            assert_eq!(out.value(given), Some(expected), "{given}");
        }
        assert!(out.readings().iter().all(|reading| reading.labels.is_empty()), "an id is no label");
        assert_eq!((business.total("gateway.checks"), business.unknown()), (Some(4), 0));
    }

    #[test]
    fn anything_can_be_counted() {
        let config = BusinessConfig::default()
            .counter("orders.placed")
            .counter("orders.lost")
            .distinct("customers", Duration::from_secs(3600))
            .ratio("orders.loss", "orders.lost", "orders.placed");
        let mut business = BusinessMetricsCollector::new(&config).unwrap();
        business.add("orders.placed", 9);
        business.record_check("orders.loss", true);
        business.seen("customers", "c");
        business.record_gateway_check(true);
        business.count("nothing");
        let mut out = Writer::new();
        business.perform_collection(Timestamp(0), &mut out).unwrap();
        assert_eq!(
            (out.value("business.orders.loss"), out.value("business.customers")),
            (Some(0.1), Some(1.0))
        );
        assert_eq!(
            (out.readings()[1].stored_name().as_str(), business.unknown()),
            ("business_orders_placed", 2)
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let check = |config: BusinessConfig, why: &str| {
            let error = BusinessMetricsCollector::new(&config).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        let empty = BusinessConfig::default;
        check(empty().counter("a b"), "letters");
        check(empty().counter("a").distinct("a", Duration::ZERO), "twice");
        check(empty().counter("a").ratio("r", "a", "b"), "none of that name");
        check((0..=1000).fold(empty(), |config, i| config.counter(&format!("c{i}"))), "1,000");
    }
}
