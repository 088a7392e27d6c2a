//! Over a store that is at work, what is kept of results is what evaluating says: whatever comes late, is moved in,
//! deleted, cut, rolled up or let go meanwhile, on its own clock.

use std::{sync::Arc, time::Duration};

use barograph_disk::MemoryDisk;
use barograph_model::{
    Budget, Histogram, HistogramParts, Labels, Matcher, Tier, TimeRange, Timestamp, stale_marker,
};
use barograph_query::{Cache, Options, Reuse, Reused, Steps, evaluate_range, parse};
use barograph_tsdb::{HistogramRow, Retention, Row, Store};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const START: i64 = 1_699_999_200_000;
const SETTLED_MS: i64 = 2 * MINUTE;

const QUERIES: [&str; 9] = [
    "x",
    "sum by (i) (x)",
    "rate(x[10m])",
    "max_over_time(x[30m]) - min_over_time(x[30m] offset 20m)",
    "quantile_over_time(0.9, x[1h])",
    "{job=~\"t.*\"} > 3",
    "histogram_quantile(0.9, sum(rate(h[20m])))",
    "avg_over_time(sum(x)[1h:5m])",
    "x and on (i) y",
];

/// Numbers that follow from a seed (splitmix64, Steele et al. 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        i64::try_from((z ^ (z >> 31)) >> 2).expect("two bits are gone") % limit
    }
}

struct World {
    store: Store,
    cache: Cache,
    random: Random,
    now: i64,
    asked: (usize, Steps, Option<Tier>),
    kept: u64,
}

fn series(name: &str, i: i64) -> Labels {
    Labels::from_pairs([("__name__", name), ("i", &i.to_string()), ("job", "test")]).expect("labels are good")
}

fn open() -> Store {
    let mut options = barograph_tsdb::Options::default();
    options.retention = Retention::default()
        .with(Tier::Raw, Some(Duration::from_secs(5 * 3600)))
        .with(Tier::Minute, Some(Duration::from_secs(9 * 3600)));
    Store::open(Arc::new(MemoryDisk::default()), options, Timestamp(START)).expect("the store opens").0
}

impl World {
    fn new(seed: u64) -> Self {
        let steps = Steps { start: Timestamp(START), end: Timestamp(START + HOUR), step_ms: MINUTE };
        let (store, cache) = (open(), Cache::new(256 << 10));
        Self { store, cache, random: Random(seed), now: START, asked: (0, steps, None), kept: 0 }
    }

    fn put(&self, labels: &Labels, at: i64, value: f64, history: bool) {
        let rows = [Row { labels: labels.as_bytes(), at, value }];
        let now = Timestamp(self.now);
        let appended =
            if history { self.store.append_any_age(&rows, now) } else { self.store.append(&rows, now) };
        appended.expect("the store takes rows");
    }

    /// Some time passes, in which samples come in order.
    fn pass(&mut self) {
        let until = self.now + self.random.below(90) * MINUTE;
        while self.now < until {
            self.now += MINUTE;
            for i in 0..3 {
                if self.random.below(40) > 0 {
                    let gone = self.random.below(200) == 0;
                    let value = if gone { stale_marker() } else { (self.now / MINUTE % 97 * (i + 1)) as f64 };
                    self.put(&series("x", i), self.now, value, false);
                }
            }
            self.put(&series("y", 1), self.now, 1.0, false);
            let count = (self.now - START) as f64 / 1e3;
            self.put_histogram(self.now, count, false);
        }
        self.store.commit().expect("the disk is good");
        if self.random.below(3) > 0 {
            self.store.maintain(Timestamp(self.now)).expect("the disk is good");
        }
    }

    fn put_histogram(&self, at: i64, count: f64, history: bool) {
        let parts = HistogramParts {
            zero_threshold: 0.5,
            count: 2.0 * count,
            sum: count,
            positive: vec![(1, count), (3, count)],
            ..HistogramParts::default()
        };
        let (labels, histogram) = (series("h", 0), Histogram::new(parts).expect("a histogram"));
        let rows = [HistogramRow { labels: labels.as_bytes(), at, histogram: &histogram }];
        let now = Timestamp(self.now);
        let appended = match history {
            true => self.store.append_histograms_any_age(&rows, now),
            false => self.store.append_histograms(&rows, now),
        };
        appended.expect("the store takes rows");
    }

    fn past(&mut self) -> i64 {
        self.now - self.random.below(8 * 60) * MINUTE - self.random.below(MINUTE)
    }

    fn change(&mut self) {
        let (at, i) = (self.past(), self.random.below(4));
        match self.random.below(8) {
            0 | 1 => self.put(&series("x", i), at.max(self.now - 50 * MINUTE), 1e3, false),
            2 | 3 => self.put(&series("x", i), at, 2e3, true),
            4 => self.put_histogram(at, 1.0, true),
            5 => {
                let matchers = [Matcher::equal("__name__", "x"), Matcher::equal("i", &i.to_string())];
                let range = TimeRange::new(Timestamp(at), Timestamp(at + self.random.below(50) * MINUTE));
                self.store.delete(&matchers, range, Timestamp(self.now)).expect("the disk is good");
            }
            6 => drop(self.store.flush(Timestamp(self.now)).expect("the disk is good")),
            _ => drop(self.store.maintain_all(Timestamp(self.now)).expect("the disk is good")),
        }
    }

    fn ask(&mut self) -> Result<(), String> {
        if self.random.below(4) == 0 {
            let step_ms = [MINUTE, 30_000, 5 * MINUTE][usize::try_from(self.random.below(3)).expect("small")];
            let length = (1 + self.random.below(12)) * 30 * MINUTE;
            let query = usize::try_from(self.random.below(9)).expect("small");
            let tiers = [None, None, Some(Tier::Raw), Some(Tier::Minute), Some(Tier::FiveMinutes)];
            let tier = tiers[usize::try_from(self.random.below(5)).expect("small")];
            let steps = Steps { start: Timestamp(self.now - length), end: Timestamp(self.now), step_ms };
            self.asked = (query, steps, tier);
        }
        let (query, steps, tier) = self.asked;
        // It slides with time, in whole steps.
        let by = (self.now - steps.end.0) / steps.step_ms * steps.step_ms;
        let (start, end) = (Timestamp(steps.start.0 + by), Timestamp(steps.end.0 + by));
        let steps = Steps { start, end, ..steps };
        let expr = parse(QUERIES[query]).expect("a query");
        let (options, budget) = (Options { tier, ..Options::default() }, Budget::unlimited());
        let plain =
            evaluate_range(&self.store, &expr, steps, &options, &budget).map_err(|e| e.to_string())?;
        for _ in 0..2 {
            let reuse = Reuse::new(&self.cache, Timestamp(self.now - SETTLED_MS));
            let kept = reuse.evaluate_range(&self.store, &expr, steps, &options, &budget);
            let kept = kept.map_err(|e| e.to_string())?;
            self.kept += u64::from(reuse.reused() != Reused::Nothing);
            let (kept, plain) = (format!("{kept:?}"), format!("{plain:?}"));
            if kept != plain {
                return Err(format!("{} {steps:?} {tier:?}:\n{kept}\n{plain}", QUERIES[query]));
            }
        }
        Ok(())
    }
}

#[test]
fn whatever_happens_to_the_store() {
    let mut kept = 0;
    for seed in 0..24 {
        let mut world = World::new(seed);
        for event in 0..60 {
            match world.random.below(10) {
                0..3 => world.pass(),
                3..5 => world.change(),
                _ => world.ask().unwrap_or_else(|e| panic!("seed {seed}, event {event}: {e}")),
            }
        }
        kept += world.kept;
    }
    assert!(kept > 300, "{kept}");
}

/// Six hours with a sample a minute, in blocks and tiers.
fn filled() -> World {
    let mut world = World::new(0);
    for minute in 0..6 * 60 {
        world.now = START + minute * MINUTE;
        world.put(&series("x", 1), world.now, (minute % 7) as f64, false);
        world.put_histogram(world.now, minute as f64, false);
    }
    world.now += 4 * HOUR;
    world.store.maintain_all(Timestamp(world.now)).expect("the disk is good");
    world
}

impl World {
    /// What a query gives over hours that are long over, once all of it is kept; also as evaluating says.
    fn kept(&self, query: &str, tier: Tier) -> String {
        let start = Timestamp(START + 2 * HOUR);
        let steps = Steps { start, end: start.saturating_add(2 * HOUR), step_ms: 5 * MINUTE };
        let expr = parse(query).expect("a query");
        let (options, budget) = (Options { tier: Some(tier), ..Options::default() }, Budget::unlimited());
        let plain = evaluate_range(&self.store, &expr, steps, &options, &budget).expect("an answer");
        for _ in 0..3 {
            let reuse = Reuse::new(&self.cache, Timestamp(self.now - SETTLED_MS)).without_infos();
            let kept = reuse.evaluate_range(&self.store, &expr, steps, &options, &budget).expect("an answer");
            assert_eq!(format!("{:?}", kept.value), format!("{:?}", plain.value), "{query}");
            if reuse.reused() == Reused::All {
                return format!("{:?}", kept.value);
            }
        }
        panic!("{query} is not kept");
    }
}

#[test]
fn windows_that_are_made_again_count() {
    let world = filled();
    let query = "max_over_time(x[10m])";
    let before = world.kept(query, Tier::Minute);
    world.put(&series("x", 1), START + 3 * HOUR + 1, 1e6, true);
    assert_eq!(world.kept(query, Tier::Minute), before, "no window was made again yet");
    world.store.flush(Timestamp(world.now)).expect("the disk is good");
    assert_ne!(world.kept(query, Tier::Minute), before);
    assert_eq!(world.kept(query, Tier::Hour), world.kept(query, Tier::Hour));
}

#[test]
fn late_histograms_count() {
    let world = filled();
    let query = "histogram_quantile(0.5, sum(sum_over_time(h[10m])))";
    let before = world.kept(query, Tier::Raw);
    world.put_histogram(START + 3 * HOUR + 1, 1e6, true);
    assert_ne!(world.kept(query, Tier::Raw), before);
}
