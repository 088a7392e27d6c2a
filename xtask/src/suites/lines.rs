//! What is pushed and sent as lines, by the clients that people use: those of Prometheus' push gateway, InfluxDB 1 and 2,
//! StatsD, DogStatsD, and Zipkin by plain JSON; then asked by PromQL. `lines.py` says what is expected. Beside them collectd is scraped.

use std::{fs, process::Command};

use anyhow::Result;

use super::{Ground, collectd, script};
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
        script::run(command, part, tally)?;
        server.terminate()?;
    }
    collectd::run(ground, tally)
}
