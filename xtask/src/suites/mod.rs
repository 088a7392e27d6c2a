//! Tests with real parts: the product's own binary, real clients of it and a real browser, all as processes on
//! loopback, each with a limit of time and ended by its own id.

mod alert_diff;
mod alertmanager;
mod alertmanager_files;
mod answers;
mod assistants;
mod browser;
mod collectd;
mod collected;
mod compliance;
mod examples;
mod exporters;
mod fuzz;
mod grafana;
mod grpc;
mod history;
pub(crate) mod kill;
mod lines;
mod mail;
mod memory;
mod monitoring;
mod openapi;
mod otlp;
mod outbox;
mod promtool;
mod random_rules;
mod real_prometheus;
mod remote;
mod remote_second;
mod remote_write;
mod scraping;
mod script;
mod scripts;
mod sim;
mod tls;

pub(crate) use browser::ask_for_restart;

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    peers::{self, Peers},
    tally::Tally,
};

/// What every suite may use.
pub(crate) struct Ground {
    /// The `barograph` binary.
    pub(crate) binary: PathBuf,
    /// This program, as a test may call it.
    this: PathBuf,
    peers: std::cell::OnceCell<Result<Peers, String>>,
}

impl Ground {
    pub(crate) fn new(binary: PathBuf, this: PathBuf) -> Self {
        Self { binary, this, peers: std::cell::OnceCell::new() }
    }

    /// The peers, or why there are none.
    fn peers(&self) -> Result<&Peers, &str> {
        let brought = self.peers.get_or_init(|| peers::bring(false).map_err(|error| format!("{error:#}")));
        brought.as_ref().map_err(String::as_str)
    }
}

type Suite = (&'static str, fn(&Ground, &mut Tally) -> Result<()>);

const SUITES: &[Suite] = &[
    ("sim", sim::run),
    ("fuzz", fuzz::run),
    ("outbox", outbox::run),
    ("alertmanager", alertmanager::run),
    ("alert_diff", alert_diff::run),
    ("remote_write", remote_write::run),
    ("remote", remote::run),
    ("examples", examples::run),
    ("grafana", grafana::run),
    ("grpc", grpc::run),
    ("mcp", assistants::run),
    ("tls", tls::run),
    ("kill", kill::run),
    ("lines", lines::run),
    ("mail", mail::run),
    ("memory", memory::run),
    ("upstream_scripts", scripts::run),
    ("compliance", compliance::run),
    ("promtool", promtool::run),
    ("real_prometheus", real_prometheus::run),
    ("exporters", exporters::run),
    ("scraping", scraping::run),
    ("monitoring", monitoring::run),
    ("openapi", openapi::run),
    ("otlp", otlp::run),
    ("history", history::run),
    ("browser", browser::run),
];

/// The names of all suites.
pub(crate) fn names() -> Vec<&'static str> {
    SUITES.iter().map(|suite| suite.0).collect()
}

/// Runs the named suites, or all of them. A suite that cannot go on counts as one failed test.
pub(crate) fn run(ground: &Ground, wanted: &[String], tally: &mut Tally) {
    for (name, suite) in SUITES {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("== suite {name}");
        tally.enter(name);
        if let Err(error) = suite(ground, tally) {
            tally.check("goes on to its end", Err(error));
        }
    }
}
