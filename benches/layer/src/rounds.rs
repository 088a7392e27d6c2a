//! Rounds by turns: each contender once, over and over, so that what disturbs one disturbs all.

use std::time::Duration;

use crate::common::on_processor;

/// Ours, the last of the contenders.
pub const OURS: &str = "barograph";
/// The same without anything.
pub const NONE: &str = "none";

/// Rounds that warm up.
const WARM_UP: usize = 2;
/// How long a round takes, about.
const ROUND: Duration = Duration::from_millis(8);

/// One way to do it.
pub struct Contender {
    pub name: &'static str,
    /// Does it so many times.
    pub round: Box<dyn Fn(u32)>,
}

impl Contender {
    pub fn new(name: &'static str, round: impl Fn(u32) + 'static) -> Self {
        Self { name, round: Box::new(round) }
    }
}

/// Nanoseconds of CPU a call, of each contender in each round.
pub fn by_turns(contenders: &[Contender], rounds: usize) -> Vec<(&'static str, Vec<f64>)> {
    let calls: Vec<u32> = contenders
        .iter()
        .map(|contender| {
            let once = (0..3).map(|_| time(contender, 2_000)).fold(f64::INFINITY, f64::min);
            (ROUND.as_secs_f64() * 1e9 / once.max(0.2)) as u32
        })
        .collect();
    let mut found: Vec<_> = contenders.iter().map(|contender| (contender.name, Vec::new())).collect();
    for round in 0..rounds + WARM_UP {
        for turn in 0..contenders.len() {
            // Who goes first changes, so that what drifts favours no one.
            let at = (round + turn) % contenders.len();
            let nanoseconds = time(&contenders[at], calls[at]);
            if round >= WARM_UP {
                found[at].1.push(nanoseconds);
            }
        }
    }
    found
}

fn time(contender: &Contender, calls: u32) -> f64 {
    let before = on_processor();
    (contender.round)(calls);
    (on_processor() - before).as_secs_f64() * 1e9 / f64::from(calls)
}
