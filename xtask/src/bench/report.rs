//! The one form of benchmark results: a table for people, rows for programs.
//!
//! A row is `{name, threads?, value, unit, peer?, peer_value?, ratio?, seed, machine}`: ours, the best peer of the
//! same run, and ours divided by the peer's. All values are medians.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use super::contender::BAROGRAPH;

/// Which of two values wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// What was measured, in the order of measuring.
pub(crate) struct Report {
    seed: u64,
    machine: String,
    measures: Vec<Measure>,
    notes: Vec<String>,
}

struct Measure {
    name: String,
    threads: Option<usize>,
    unit: &'static str,
    better: Better,
    /// By contender.
    values: Vec<(&'static str, f64)>,
}

/// One row of the JSON file.
#[derive(serde::Serialize)]
struct Row<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    threads: Option<usize>,
    value: f64,
    unit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    seed: u64,
    machine: &'a str,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, machine: machine(), measures: Vec::new(), notes: Vec::new() }
    }

    /// Adds the medians of one measure, by contender.
    pub(crate) fn add(
        &mut self,
        name: &str,
        threads: Option<usize>,
        (unit, better): (&'static str, Better),
        values: Vec<(&'static str, f64)>,
    ) {
        self.measures.push(Measure { name: name.to_owned(), threads, unit, better, values });
    }

    /// A sentence to stand below the table.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(crate) fn print(&self) {
        let mut contenders: Vec<&str> = Vec::new();
        for (contender, _) in self.measures.iter().flat_map(|measure| &measure.values) {
            if !contenders.contains(contender) {
                contenders.push(contender);
            }
        }
        print!("{:<34} {:>7}", "measure", "threads");
        contenders.iter().for_each(|contender| print!(" {contender:>16}"));
        println!("  {:<16} {:>7}", "unit", "ratio");
        for measure in &self.measures {
            let threads = measure.threads.map(|threads| threads.to_string()).unwrap_or_default();
            print!("{:<34} {threads:>7}", measure.name);
            for contender in &contenders {
                let value = measure.values.iter().find(|value| value.0 == *contender);
                print!(" {:>16}", value.map(|value| readable(value.1)).unwrap_or_default());
            }
            let ratio = measure.ratio().map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
            let better = if measure.better == Better::Higher { "more is better" } else { "less is better" };
            println!("  {:<16} {ratio:>7}  ({better})", measure.unit);
        }
        self.notes.iter().for_each(|note| println!("{note}"));
        println!(
            "ratio: ours by the best peer of the same run; medians; seed {}; {}",
            self.seed, self.machine
        );
    }

    pub(crate) fn write_json(&self, path: &Path) -> Result<()> {
        let rows: Vec<_> = self.measures.iter().filter_map(|measure| self.row(measure)).collect();
        let text = serde_json::to_string_pretty(&rows)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }

    /// `None` where we were left out.
    fn row<'a>(&'a self, measure: &'a Measure) -> Option<Row<'a>> {
        let peer = measure.best_peer();
        Some(Row {
            name: &measure.name,
            threads: measure.threads,
            value: measure.ours()?,
            unit: measure.unit,
            peer: peer.map(|peer| peer.0),
            peer_value: peer.map(|peer| peer.1),
            ratio: measure.ratio(),
            seed: self.seed,
            machine: &self.machine,
        })
    }
}

impl Measure {
    fn ours(&self) -> Option<f64> {
        self.values.iter().find(|value| value.0 == BAROGRAPH).map(|value| value.1)
    }

    fn best_peer(&self) -> Option<(&'static str, f64)> {
        let peers = self.values.iter().copied().filter(|value| value.0 != BAROGRAPH);
        match self.better {
            Better::Higher => peers.max_by(|a, b| a.1.total_cmp(&b.1)),
            Better::Lower => peers.min_by(|a, b| a.1.total_cmp(&b.1)),
        }
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.ours()? / self.best_peer()?.1)
    }
}

/// Four significant digits or all of a large number's, in groups of three.
fn readable(value: f64) -> String {
    if value.abs() < 1000.0 {
        return format!("{value:.3}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Processor, its count and memory.
fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim().to_owned())
    };
    let model = field(&cpuinfo, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = field(&fs::read_to_string("/proc/meminfo").unwrap_or_default(), "MemTotal");
    let kibibytes = memory.and_then(|text| text.trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0);
    format!("{count} x {model}, {} GiB", kibibytes.div_ceil(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(better: Better) -> Measure {
        let values = vec![(BAROGRAPH, 8.0), ("a", 1.0), ("b", 2.0)];
        Measure { name: "m".to_owned(), threads: None, unit: "u", better, values }
    }

    #[test]
    fn the_ratio_is_to_the_best_peer() {
        assert_eq!(measure(Better::Higher).best_peer(), Some(("b", 2.0)));
        assert_eq!(measure(Better::Higher).ratio(), Some(4.0));
        assert_eq!(measure(Better::Lower).ratio(), Some(8.0));
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!(readable(1_234_567.8), "1,234,568");
        assert_eq!(readable(0.123_45), "0.123");
    }
}
