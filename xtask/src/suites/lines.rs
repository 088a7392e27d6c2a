//! What is pushed and sent as lines, by the clients that people use: those of Prometheus' push gateway, InfluxDB 1 and 2,
//! StatsD, DogStatsD, and Zipkin by plain JSON; then asked by PromQL. `lines.py` says what is expected.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::Ground;
use crate::{barograph::Barograph, place, python, server, tally::Tally};

/// What the tests need of PyPI.
const PACKAGES: [&str; 5] = ["prometheus_client", "influxdb-client", "influxdb", "statsd", "datadog"];

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let python = match python::bring("lines", &PACKAGES) {
        Ok(python) => python,
        Err(error) => {
            tally.skip("clients of push gateways, InfluxDB and StatsD", &format!("{error:#}"));
            return Ok(());
        }
    };
    let folder = place::fresh("lines")?;
    let (config, statsd) = (folder.join("barograph.yml"), server::free_address()?);
    fs::write(&config, format!("statsd: {{address: '{statsd}', interval: 500ms}}\n"))?;
    let flags = ["--config", &config.display().to_string()];
    let barograph = Barograph::new(&ground.binary, &folder).with(&flags);
    for part in ["sent", "restarted"] {
        let server = barograph.start()?;
        let mut command = Command::new(&python);
        command.arg(place::root().join("xtask/src/suites/lines.py"));
        command.args([part, &server.url(), &statsd]);
        // Whatever the machine sends other traffic through is not for loopback.
        command.env("no_proxy", "127.0.0.1,localhost");
        let mut tests = command.stdout(Stdio::piped()).spawn().context("cannot start Python")?;
        let (mut passed, mut failed, mut whole) = (0, Vec::new(), false);
        for line in BufReader::new(tests.stdout.take().context("standard output is piped")?).lines() {
            let line = line?;
            println!("{line}");
            match line.split_once(' ') {
                Some(("ok", _)) => passed += 1,
                Some(("FAILED", what)) => failed.push(what.trim().to_owned()),
                Some(("end", count)) => whole = count.trim().parse() == Ok(passed + failed.len()),
                _ => {}
            }
        }
        tests.wait()?;
        tally.add(passed, failed, Vec::new());
        let to_the_end = if whole { Ok(()) } else { Err(anyhow::anyhow!("they do not")) };
        tally.check(&format!("{part}: tests run to their end"), to_the_end);
        server.terminate()?;
    }
    Ok(())
}
