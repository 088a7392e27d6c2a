//! Hours of the metrics of a small service in three instances, as public collections of queries expect them: requests,
//! processors, memory, disk, a batch job, and a metric that comes and goes.

use anyhow::Result;
use barograph_model::{Labels, stale_marker};

use super::{Body, compressed, push_series};
use crate::random::Random;

/// Between two samples of a series, in milliseconds.
pub(crate) const INTERVAL_MS: i64 = 5_000;

const INSTANCES: [&str; 3] =
    ["demo.promlabs.com:10000", "demo.promlabs.com:10001", "demo.promlabs.com:10002"];
/// Upper bounds of the buckets of request durations, in seconds.
const BOUNDS: [f64; 12] = [0.0001, 0.00015, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0];
/// Rounds in a request.
const ROUNDS_EACH: i64 = 60;
const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// A series and how it goes on.
struct Line {
    labels: Labels,
    course: Course,
    value: f64,
}

enum Course {
    /// A counter; the mean step.
    Counter(f64),
    /// A whole number of bytes that wanders below a limit.
    Wander(f64),
    Constant,
    /// The time in seconds of a job that runs each so many rounds.
    Job(i64),
    /// There for so many rounds, then gone for as many.
    Comes(i64),
}

/// The requests for the time from `start_ms` until `end_ms`, to be sent one after the other.
pub(crate) fn requests(start_ms: i64, end_ms: i64, seed: u64) -> Result<Vec<Body>> {
    let mut random = Random::new(seed);
    let mut lines = lines(&mut random)?;
    let mut requests = Vec::new();
    let rounds = (end_ms - start_ms) / INTERVAL_MS;
    for first in (0..rounds).step_by(usize::try_from(ROUNDS_EACH)?) {
        let mut message = Vec::new();
        let mut count = 0;
        for line in &mut lines {
            let rounds = first..(first + ROUNDS_EACH).min(rounds);
            let samples: Vec<_> =
                rounds.filter_map(|round| line.next(start_ms, round, &mut random)).collect();
            count += samples.len();
            if !samples.is_empty() {
                push_series(&mut message, line.labels.as_bytes(), &samples);
            }
        }
        requests.push(Body { bytes: compressed(&message), samples: count });
    }
    Ok(requests)
}

impl Line {
    fn next(&mut self, start_ms: i64, round: i64, random: &mut Random) -> Option<(i64, f64)> {
        let at = start_ms + round * INTERVAL_MS;
        match self.course {
            // One of the instances starts again now and then.
            Course::Counter(_) if random.below(3_000) == 0 => self.value = 0.0,
            Course::Counter(step) => self.value += step * 2.0 * random.fraction(),
            Course::Wander(most) => {
                let moved = self.value + most / 50.0 * (random.fraction() - 0.5);
                self.value = moved.clamp(0.0, most).floor();
            }
            Course::Constant => {}
            #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch")]
            Course::Job(every) if round % every == 0 => self.value = (at / 1000) as f64,
            Course::Job(_) => {}
            Course::Comes(rounds) => match round.rem_euclid(2 * rounds) - rounds {
                ..0 => {}
                0 => return Some((at, stale_marker())),
                _ => return None,
            },
        }
        Some((at, self.value))
    }
}

fn lines(random: &mut Random) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for instance in INSTANCES {
        let mut add = |name: &str, extra: &[(&str, &str)], course, value| {
            let base = [("__name__", name), ("instance", instance), ("job", "demo")];
            let labels = Labels::from_pairs(base.into_iter().chain(extra.iter().copied()))?;
            lines.push(Line { labels, course, value });
            anyhow::Ok(())
        };
        for (method, path, status, requests) in [
            ("GET", "/api/foo", "200", 9.0),
            ("GET", "/api/bar", "200", 4.0),
            ("POST", "/api/foo", "200", 2.0),
            ("POST", "/api/bar", "500", 0.3),
        ] {
            let of = [("method", method), ("path", path), ("status", status)];
            let mut cumulated = 0.0;
            for bound in BOUNDS.map(|bound| bound.to_string()).iter().map(String::as_str).chain(["+Inf"]) {
                cumulated += requests * random.fraction();
                let le = [of[0], of[1], of[2], ("le", bound)];
                add("demo_api_request_duration_seconds_bucket", &le, Course::Counter(cumulated), 0.0)?;
            }
            add("demo_api_request_duration_seconds_count", &of, Course::Counter(cumulated), 0.0)?;
            add("demo_api_request_duration_seconds_sum", &of, Course::Counter(cumulated * 0.01), 0.0)?;
        }
        for (mode, step) in [("user", 0.9), ("system", 0.3), ("idle", 3.7)] {
            add("demo_cpu_usage_seconds_total", &[("mode", mode)], Course::Counter(step), 0.0)?;
        }
        for (kind, most) in [("used", 6.0), ("free", 3.0), ("buffers", 0.5), ("cached", 2.0)] {
            let most = most * GIB;
            add("demo_memory_usage_bytes", &[("type", kind)], Course::Wander(most), (most / 2.0).floor())?;
        }
        add("demo_disk_usage_bytes", &[], Course::Counter(GIB / 5e4), GIB)?;
        add("demo_disk_total_bytes", &[], Course::Constant, 250.0 * GIB)?;
        add("demo_num_cpus", &[], Course::Constant, 4.0)?;
        add("demo_batch_last_success_timestamp_seconds", &[], Course::Job(37), 1.7e9)?;
        add("demo_batch_last_run_timestamp_seconds", &[], Course::Job(12), 1.7e9)?;
        add("demo_intermittent_metric", &[], Course::Comes(24), 1.0)?;
    }
    Ok(lines)
}
