//! The series of a fleet of hosts: label sets of about 130 bytes, and values of the kinds that exporters send.

use barograph_model::Labels;

use super::{Body, compressed, push_series};
use crate::random::Random;

/// Largest distance of a scrape from its due time, in milliseconds.
const JITTER_MS: u64 = 5;

/// How the values of a series go on.
#[derive(Clone, Copy, Debug)]
enum Course {
    /// An integer counter; the mean step.
    Counter(f64),
    /// An integer counter of exactly this many a step, so that buckets stay cumulative.
    Steady(f64),
    /// A counter of hundredths; the mean step.
    Hundredths(f64),
    /// A counter with all digits.
    Fine(f64),
    /// A gauge of two decimals around a middle.
    Gauge(f64),
    /// Nearly always the same.
    Constant(f64),
}

/// One series of the fleet, with the state of its values.
struct Member {
    labels: Labels,
    course: Course,
    value: f64,
    random: Random,
    host: u64,
}

/// Series that are scraped together, host by host.
pub(crate) struct Fleet {
    members: Vec<Member>,
    seed: u64,
}

impl Fleet {
    /// `count` series; the same for the same seed. `first_host` keeps the series of two fleets apart.
    pub(crate) fn new(count: usize, first_host: u64, seed: u64) -> Self {
        let kinds = kinds();
        let members = (0..count)
            .map(|index| {
                let host = first_host + u64::try_from(index / kinds.len()).expect("an index fits");
                let (name, extra, course) = &kinds[index % kinds.len()];
                let mut random = Random::new(seed ^ host.rotate_left(32) ^ (index % kinds.len()) as u64);
                let value = match course {
                    Course::Constant(value) | Course::Gauge(value) => *value,
                    Course::Steady(_) => 0.0,
                    Course::Counter(step) | Course::Hundredths(step) | Course::Fine(step) => {
                        (random.fraction() * 10_000.0 * step).floor()
                    }
                };
                Member { labels: labels(name, extra, host), course: *course, value, random, host }
            })
            .collect();
        Self { members, seed }
    }

    /// The series of some metrics only, of as many hosts: the same as in a whole fleet.
    pub(crate) fn of_metrics(hosts: usize, metrics: &[&str], seed: u64) -> Self {
        let mut fleet = Self::new(hosts * kinds().len(), 0, seed);
        fleet
            .members
            .retain(|member| member.labels.metric_name().is_some_and(|name| metrics.contains(&name)));
        fleet
    }

    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// How many series one host has.
    pub(crate) fn series_of_a_host() -> usize {
        kinds().len()
    }

    /// The next sample of each series in `part`.
    pub(super) fn points(&mut self, part: std::ops::Range<usize>, round: Round) -> Vec<Point<'_>> {
        let seed = self.seed;
        let at = round.start_ms + i64::try_from(round.index).expect("a round fits") * round.interval_ms;
        let next = |member| point(member, at, (seed, round.index));
        self.members[part].iter_mut().map(next).collect()
    }

    /// The next `rounds` samples of the series in `part`, as one request: one entry a series.
    pub(crate) fn request(&mut self, part: std::ops::Range<usize>, first: Round, rounds: usize) -> Body {
        let mut message = Vec::with_capacity(part.len() * (180 + rounds * 18));
        let mut samples = Vec::with_capacity(rounds);
        let seed = self.seed;
        for member in &mut self.members[part.clone()] {
            samples.clear();
            for round in (first.index..).take(rounds) {
                let at = first.start_ms + i64::try_from(round).expect("a round fits") * first.interval_ms;
                samples.push((at + jitter(seed, member.host, round), member.next()));
            }
            push_series(&mut message, member.labels.as_bytes(), &samples);
        }
        Body { bytes: compressed(&message), samples: part.len() * rounds }
    }
}

/// A sample, and whose it is.
pub(super) struct Point<'f> {
    pub(super) labels: &'f Labels,
    pub(super) host: u64,
    /// Whether it is of a total.
    pub(super) counts: bool,
    pub(super) at: i64,
    pub(super) value: f64,
}

fn point(member: &mut Member, at: i64, (seed, round): (u64, u64)) -> Point<'_> {
    let value = member.next();
    let counts = !matches!(member.course, Course::Gauge(_) | Course::Constant(_));
    let at = at + jitter(seed, member.host, round);
    Point { labels: &member.labels, host: member.host, counts, at, value }
}

/// A point in the load's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// Time of round 0, in milliseconds since the epoch.
    pub(crate) start_ms: i64,
    pub(crate) interval_ms: i64,
    pub(crate) index: u64,
}

impl Member {
    fn next(&mut self) -> f64 {
        let random = self.random.fraction();
        match self.course {
            Course::Counter(step) => self.value += (2.0 * step * random).floor(),
            Course::Steady(step) => self.value += step,
            Course::Hundredths(step) => self.value = hundredths(self.value + 2.0 * step * random),
            Course::Fine(step) => self.value += 2.0 * step * random,
            Course::Gauge(middle) => self.value = hundredths(middle * (0.8 + 0.4 * random)),
            Course::Constant(_) if random < 0.001 => self.value += 1.0,
            Course::Constant(_) => {}
        }
        self.value
    }
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// A host's series share the time of their scrape, so the jitter depends on host and round alone.
fn jitter(seed: u64, host: u64, round: u64) -> i64 {
    let width = 2 * JITTER_MS + 1;
    let offset = Random::new(seed ^ host.wrapping_mul(0x9e37) ^ (round << 20)).below(width);
    offset.cast_signed() - JITTER_MS.cast_signed()
}

fn labels(name: &str, extra: &[(&str, String)], host: u64) -> Labels {
    let instance = format!("node-{host:05}.rack-{:02}.example.net:9100", host % 40);
    let zone = format!("eu-west-1{}", ["a", "b", "c"][usize::try_from(host % 3).expect("below 3")]);
    let common = [("__name__", name), ("instance", &instance), ("job", "node"), ("zone", &zone)];
    let extra = extra.iter().map(|(name, value)| (*name, value.as_str()));
    let environment = [("environment", "production")];
    Labels::from_pairs(common.into_iter().chain(environment).chain(extra))
        .expect("the labels are well formed")
}

type Kind = (&'static str, Vec<(&'static str, String)>, Course);

/// What one host exposes.
fn kinds() -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for cpu in 0..8 {
        for (mode, step) in
            [("idle", 14.0), ("user", 0.7), ("system", 0.2), ("iowait", 0.05), ("softirq", 0.02)]
        {
            let extra = vec![("cpu", format!("{cpu}")), ("mode", mode.to_owned())];
            kinds.push(("node_cpu_seconds_total", extra, Course::Hundredths(step)));
        }
    }
    for (mount, device) in [("/", "/dev/nvme0n1p1"), ("/var/lib/data", "/dev/nvme1n1")] {
        let extra = || {
            let device = ("device", device.to_owned());
            vec![device, ("fstype", "ext4".to_owned()), ("mountpoint", mount.to_owned())]
        };
        kinds.push(("node_filesystem_size_bytes", extra(), Course::Constant(512e9)));
        kinds.push(("node_filesystem_avail_bytes", extra(), Course::Counter(4096.0)));
        kinds.push(("node_filesystem_files_free", extra(), Course::Constant(31_000_000.0)));
    }
    for device in ["eth0", "lo"] {
        let extra = || vec![("device", device.to_owned())];
        kinds.push(("node_network_receive_bytes_total", extra(), Course::Counter(180_000.0)));
        kinds.push(("node_network_transmit_bytes_total", extra(), Course::Counter(90_000.0)));
        kinds.push(("node_network_receive_packets_total", extra(), Course::Counter(400.0)));
        kinds.push(("node_network_receive_errs_total", extra(), Course::Constant(0.0)));
    }
    for (handler, step) in [("/api/orders", 40.0), ("/api/search", 15.0)] {
        let handler = || ("handler", handler.to_owned());
        let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"];
        let mut below = 0.0;
        for (le, part) in bounds.into_iter().zip([0.02, 0.08, 0.2, 0.3, 0.2, 0.1, 0.05, 0.03, 0.015, 0.005]) {
            below += (step * part * 10.0_f64).ceil();
            let extra = vec![handler(), ("le", le.to_owned())];
            kinds.push(("http_request_duration_seconds_bucket", extra, Course::Steady(below)));
        }
        kinds.push(("http_request_duration_seconds_count", vec![handler()], Course::Steady(below)));
        kinds.push(("http_request_duration_seconds_sum", vec![handler()], Course::Fine(step * 0.6)));
    }
    for (name, middle) in [("node_load1", 3.2), ("node_load5", 2.9), ("node_load15", 2.5)] {
        kinds.push((name, Vec::new(), Course::Gauge(middle)));
    }
    for (name, middle) in [("node_hwmon_temp_celsius", 54.0), ("node_memory_used_percent", 61.0)] {
        kinds.push((name, Vec::new(), Course::Gauge(middle)));
    }
    for (name, value) in
        [("node_boot_time_seconds", 1.75e9), ("node_memory_MemTotal_bytes", 64e9), ("up", 1.0)]
    {
        kinds.push((name, Vec::new(), Course::Constant(value)));
    }
    kinds.extend([
        ("node_context_switches_total", Vec::new(), Course::Counter(60_000.0)),
        ("process_cpu_seconds_total", Vec::new(), Course::Fine(0.8)),
        ("node_disk_io_time_seconds_total", vec![("device", "nvme0n1".to_owned())], Course::Fine(0.4)),
    ]);
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Round = Round { start_ms: 1_000_000, interval_ms: 15_000, index: 0 };

    #[test]
    fn a_seed_makes_the_same_bytes_again() {
        let body = |seed| Fleet::new(200, 0, seed).request(0..200, START, 3).bytes;
        assert_eq!(body(7), body(7));
        assert_ne!(body(7), body(8));
    }

    #[test]
    fn label_sets_are_unique_and_of_a_usual_size() {
        let fleet = Fleet::new(10_000, 0, 1);
        let mut sets: Vec<_> = fleet.members.iter().map(|member| member.labels.as_bytes()).collect();
        let mean = sets.iter().map(|set| set.len()).sum::<usize>() / sets.len();
        assert!((120..180).contains(&mean), "mean {mean} bytes");
        sets.sort_unstable();
        sets.dedup();
        assert_eq!(sets.len(), 10_000);
    }
}
