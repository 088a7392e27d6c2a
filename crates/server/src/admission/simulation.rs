//! The controller before servers that are made up: work takes random times, and comes at random from half to three times of
//! what they can do, and half again.

use std::{cmp::Reverse, collections::BinaryHeap, collections::VecDeque, time::Duration};

use super::{
    class::Class,
    controller::{Controller, Verdict},
};
use crate::config::{AdmissionConfig, ClassLimits};

/// Work at once that does not slow other work down.
const SERVERS: usize = 20;
/// How long a piece of work takes on average, in seconds.
const WORK: f64 = 0.05;

/// Numbers that look random, the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From a distribution of waiting times.
    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.roll()).ln()
    }
}

/// What came of a phase.
struct Outcome {
    /// Pieces of work done in a second.
    per_second: f64,
    /// How long the slowest hundredth took at least.
    p99: f64,
    /// The limit at its end.
    limit: usize,
}

struct World {
    controller: Controller,
    dice: Dice,
    now: f64,
    /// What is being worked on: when it ends, and when it was admitted, in nanoseconds.
    busy: BinaryHeap<Reverse<(u64, u64)>>,
    /// What was admitted and has no server yet, by when.
    line: VecDeque<f64>,
}

fn nanos(seconds: f64) -> u64 {
    Duration::from_secs_f64(seconds).as_nanos().try_into().unwrap()
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

impl World {
    fn new(query: ClassLimits, total: usize) -> Self {
        let config = AdmissionConfig { query, total, ..AdmissionConfig::default() };
        Self {
            controller: Controller::new(&config),
            dice: Dice(7),
            now: 0.0,
            busy: BinaryHeap::new(),
            line: VecDeque::new(),
        }
    }

    fn begin(&mut self, admitted: f64) {
        if self.busy.len() < SERVERS {
            let end = self.now + self.dice.exponential(WORK);
            self.busy.push(Reverse((nanos(end), nanos(admitted))));
        } else {
            self.line.push_back(admitted);
        }
    }

    /// So many seconds under a load, as a part of what the servers can do.
    fn run(&mut self, load: f64, length: f64) -> Outcome {
        let until = self.now + length;
        let every = WORK / (SERVERS as f64 * load);
        let mut next = self.now + self.dice.exponential(every);
        let mut times = Vec::new();
        loop {
            let end = self.busy.peek().map_or(f64::INFINITY, |Reverse((end, _))| seconds(*end));
            self.now = next.min(end);
            if self.now >= until {
                break;
            }
            if end <= next {
                let Some(Reverse((_, admitted))) = self.busy.pop() else { continue };
                let took = self.now - seconds(admitted);
                times.push(took);
                let took = Duration::from_secs_f64(took.max(0.0));
                let called =
                    self.controller.leave(Class::Query, Some(took), Duration::from_secs_f64(self.now));
                if let Some(admitted) = self.line.pop_front() {
                    self.begin(admitted);
                }
                for _ in called {
                    self.begin(self.now);
                }
            } else {
                next += self.dice.exponential(every);
                let die = self.dice.roll();
                if self.controller.ask(Class::Query, die) == Verdict::Now {
                    self.begin(self.now);
                }
            }
        }
        times.sort_by(f64::total_cmp);
        Outcome {
            per_second: times.len() as f64 / length,
            p99: times[times.len() * 99 / 100],
            limit: self.controller.standing(Class::Query).limit.unwrap(),
        }
    }
}

const CAPACITY: f64 = SERVERS as f64 / WORK;

#[test]
fn overload_neither_slows_down_nor_wastes() {
    let mut world = World::new(ClassLimits { min: 5, max: 500, initial: 40, queue: 0 }, 10_000);
    let calm = world.run(0.5, 30.0);
    let over = world.run(3.0, 60.0);
    assert!(over.per_second >= 0.95 * CAPACITY, "{} a second", over.per_second);
    assert!(over.p99 <= 2.0 * calm.p99, "{} against {}", over.p99, calm.p99);
    let range = (0.8 * SERVERS as f64)..(3.5 * SERVERS as f64);
    assert!(range.contains(&(over.limit as f64)), "{}", over.limit);
    world.run(0.5, 10.0);
    let after = world.run(0.5, 30.0);
    assert!(after.p99 <= 1.2 * calm.p99, "{} against {}", after.p99, calm.p99);
    assert!(after.per_second >= 0.45 * CAPACITY);
}

#[test]
fn without_a_limit_it_would_collapse() {
    let any = 1_000_000;
    let mut world = World::new(ClassLimits { min: any, max: any, initial: any, queue: 0 }, any * 10);
    let calm = world.run(0.5, 30.0);
    let over = world.run(3.0, 60.0);
    assert!(over.p99 > 20.0 * calm.p99, "{} against {}", over.p99, calm.p99);
}

#[test]
fn lower_classes_are_refused_first() {
    let wide = ClassLimits { min: 1_000, max: 1_000, initial: 1_000, queue: 0 };
    let config = AdmissionConfig { query: wide, ingest: wide, total: 100, ..AdmissionConfig::default() };
    let mut controller = Controller::new(&config);
    let mut dice = Dice(3);
    for _ in 0..2_000 {
        for class in [Class::Query, Class::Ingest, Class::Health, Class::Alerts] {
            let die = dice.roll();
            let verdict = controller.ask(class, die);
            assert!(verdict == Verdict::Now || !class.is_critical());
            // Health and alerts are done at once; the others pile up to what they may have.
            if verdict == Verdict::Now && class.is_critical() {
                controller.leave(class, None, Duration::ZERO);
            }
        }
        if dice.roll() < 0.5 {
            controller.leave(Class::Query, None, Duration::ZERO);
            controller.leave(Class::Ingest, None, Duration::ZERO);
        }
    }
    let standing = |class| controller.standing(class);
    assert!(controller.in_flight() <= 100 + 1, "{}", controller.in_flight());
    assert!(standing(Class::Query).refused > standing(Class::Ingest).refused);
    assert!(standing(Class::Ingest).refused > 0);
    assert_eq!((standing(Class::Health).refused, standing(Class::Alerts).refused), (0, 0));
    // Each has its share, whatever the others do.
    assert!(standing(Class::Query).in_flight >= 15 && standing(Class::Ingest).in_flight >= 35);
}
