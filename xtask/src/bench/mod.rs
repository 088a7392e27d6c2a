//! Benchmarks against the peers: all sides get the same in the same run, by turns, and the median counts.

mod alerts;
mod bombs;
mod contender;
mod health;
mod ingest;
mod json;
mod otlp;
mod overload;
mod query;
mod record;
mod refusals;
mod replay;
mod report;
mod storage;
mod streams;
mod tiers;

use std::path::PathBuf;

use anyhow::{Result, ensure};

pub(crate) use contender::Contender;
pub(crate) use report::{Better, Report};

use crate::{barograph, peers};

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Subject {
    /// Remote write: acknowledged samples, CPU, memory, bytes on disk.
    Ingest,
    /// Metrics by OTLP over HTTP, plain and gzipped: acknowledged samples, CPU, memory.
    Otlp,
    /// Eleven kinds of queries over a day of the same data.
    Query,
    /// Documents of the JSON language beside the PromQL they come down to, asked of one server.
    Json,
    /// A day of samples: CPU of ingest and upkeep, bytes of blocks and roll-ups.
    Storage,
    /// A month at a step of an hour, from roll-ups and from raw samples.
    Tiers,
    /// The time to read a gibibyte of log after a kill.
    Replay,
    /// Queries made to hurt: how fast each is refused or stopped, and how soon a turn is free again.
    Refusals,
    /// Small requests made to hurt: how soon each is refused.
    Bombs,
    /// Others' waiting beside slow clients; ten times what ingest takes, with heavy queries, within a budget of memory.
    Overload,
    /// Rules evaluated in their interval, a storm of alerts, and a dead receiver beside others.
    Alerts,
    /// The SDK: nanoseconds a recording, beside the other crates that record.
    Record,
    /// The SDK: services and functions that are measured, beside the same that are not.
    Layer,
    /// Statistics of clients: a call and an event with and without, documents of 10,000 clients, bytes of an idle one; events
    /// to 10,000 subscribers, and to streams of a running server.
    Sessions,
}

/// How to measure it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to measure.
    #[arg(value_enum)]
    subject: Subject,
    /// Send 100,000 series that were never seen before (ingest only).
    #[arg(long)]
    new_series: bool,
    /// Samples a run, about (ingest); the load is never less than two samples a series.
    #[arg(long, default_value_t = 6_000_000)]
    samples: usize,
    /// Series of the load; the default depends on the subject.
    #[arg(long)]
    series: Option<usize>,
    /// Connections (ingest); both 4 and 32 by default.
    #[arg(long)]
    connections: Vec<usize>,
    /// Runs of each contender (ingest), asks of each query (query), or rounds (layer).
    #[arg(long)]
    repeat: Option<usize>,
    /// Seed of the load.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the rows to this file, as a JSON array.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measure this binary rather than build one.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// When Barograph acknowledges a write: `batch`, which is its default, `sync` or `relaxed`.
    #[arg(long)]
    durability: Option<String>,
    /// Ask only the questions whose names contain this (query), or measure only such rows (record, layer), or parts: `rules`, `storm`, `dead` (alerts).
    #[arg(long)]
    only: Option<String>,
    /// Rules (alerts); 10,000 by default.
    #[arg(long)]
    rules: Option<usize>,
    /// Alerts of a storm (alerts); 10,000 by default.
    #[arg(long)]
    alerts: Option<usize>,
    /// How long the overload lasts, and each phase before it (overload); how long rules are watched (alerts).
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// The server's budget of memory (overload).
    #[arg(long, default_value = "512MiB")]
    memory: String,
    /// Leave out contenders, by name.
    #[arg(long)]
    without: Vec<String>,
}

/// Measures, prints the table, and writes the rows if asked to.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut report = Report::new(arguments.seed);
    let contenders = if arguments.subject.has_servers() { servers(arguments)? } else { Vec::new() };
    match arguments.subject {
        Subject::Ingest if arguments.new_series => ingest::new_series(arguments, &contenders, &mut report)?,
        Subject::Ingest => ingest::live(arguments, &contenders, &mut report)?,
        Subject::Otlp => otlp::run(arguments, &contenders, &mut report)?,
        Subject::Query => query::run(arguments, &contenders, &mut report)?,
        Subject::Json => json::run(arguments, &contenders, &mut report)?,
        Subject::Storage => storage::run(arguments, &contenders, &mut report)?,
        Subject::Tiers => tiers::run(arguments, &contenders, &mut report)?,
        Subject::Replay => replay::run(arguments, &contenders, &mut report)?,
        Subject::Refusals => refusals::run(arguments, &contenders, &mut report)?,
        Subject::Bombs => bombs::run(arguments, &contenders, &mut report)?,
        Subject::Overload => overload::run(arguments, &contenders, &mut report)?,
        Subject::Alerts => alerts::run(arguments, &contenders, &mut report)?,
        Subject::Record => record::run("record", arguments, &mut report)?,
        Subject::Layer => record::run("layer", arguments, &mut report)?,
        Subject::Sessions => {
            record::run("sessions", arguments, &mut report)?;
            let wanted = |part: &str| arguments.only.as_ref().is_none_or(|only| part.contains(only.as_str()));
            let contenders =
                if wanted("health") || wanted("streams") { servers(arguments)? } else { Vec::new() };
            if wanted("health") {
                health::under_ingest(arguments, &contenders, &mut report)?;
            }
            if wanted("streams") {
                streams::run(&contenders, &mut report)?;
            }
        }
    }
    report.print();
    arguments.json.as_ref().map_or(Ok(()), |path| report.write_json(path))
}

/// The servers to be measured.
fn servers(arguments: &Arguments) -> Result<Vec<Contender>> {
    let mut contenders = Vec::new();
    if !arguments.leaves_out(contender::BAROGRAPH) {
        let binary = arguments.binary.clone().map_or_else(barograph::build_for_benches, Ok)?;
        contenders.push(Contender::barograph(&binary, arguments.durability.as_deref()));
    }
    if arguments.subject.has_peers() {
        contenders.extend(Contender::peers(&peers::bring(false)?));
    }
    contenders.retain(|contender| !arguments.leaves_out(contender.name));
    if arguments.subject == Subject::Otlp {
        // The package of Prometheus takes no OTLP.
        contenders.retain(|contender| contender.name != contender::PROMETHEUS);
    }
    ensure!(!contenders.is_empty(), "every contender is left out");
    Ok(contenders)
}

impl Subject {
    /// Whether servers are measured.
    fn has_servers(self) -> bool {
        !matches!(self, Self::Record | Self::Layer | Self::Sessions)
    }

    /// Whether servers of others are measured too.
    fn has_peers(self) -> bool {
        !matches!(
            self,
            Self::Json
                | Self::Tiers
                | Self::Replay
                | Self::Refusals
                | Self::Bombs
                | Self::Overload
                | Self::Sessions
        )
    }
}

impl Arguments {
    fn leaves_out(&self, name: &str) -> bool {
        self.without.iter().any(|without| without == name)
    }
}

/// The middle one of some measurements, the mean of the two in the middle if their count is even.
fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "a median needs a measurement");
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_middle_is_taken() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5_f64.to_bits());
    }
}
