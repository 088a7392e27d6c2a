//! collectd watches this machine, as an ordinary user on loopback, and its plugin `write_prometheus` is scraped: as text and
//! as protobuf, both with times of their own.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{Ground, answers::ask};
use crate::{
    barograph::Barograph,
    http::Client,
    peers::{self, Collectd},
    place,
    server::{self, Server},
    tally::Tally,
};

/// Longest wait for what is collected to be there.
const ARRIVE_MAX: Duration = Duration::from_secs(60);

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let collectd = match peers::collectd() {
        Ok(collectd) => collectd,
        Err(why) => {
            tally.skip("collectd", &format!("{why:#}"));
            return Ok(());
        }
    };
    let folder = place::fresh("collectd")?;
    let exporter = start(&collectd, &folder)?;
    let config = folder.join("barograph.yml");
    let job = |name: &str, protocol: &str| {
        format!(
            "- {{job_name: {name}, honor_labels: true, scrape_interval: 1s, scrape_timeout: 1s, \
             scrape_protocols: [{protocol}], static_configs: [{{targets: ['{}']}}]}}\n",
            exporter.address
        )
    };
    let jobs = [job("text", "PrometheusText0.0.4"), job("protobuf", "PrometheusProto")].concat();
    fs::write(&config, format!("collectors: {{built_in: false}}\nscrape_configs:\n{jobs}"))?;
    let flags = ["--config", &config.display().to_string()];
    let ours = Barograph::new(&ground.binary, &folder).with(&flags).start()?;
    let mut client = ours.client();
    for job in ["text", "protobuf"] {
        for expression in [
            format!("collectd_load_shortterm{{job=\"{job}\", instance=\"machine\"}} >= 0"),
            format!("sum by (job) (collectd_memory{{job=\"{job}\"}}) > 0"),
            format!("sum by (job) (rate(collectd_cpu_total{{job=\"{job}\"}}[10s])) > 0"),
            format!("up{{job=\"{job}\"}} == 1"),
        ] {
            tally.check(&format!("collectd: {expression}"), arrives(&mut client, &expression));
        }
    }
    tally.check("collectd: its types are known", {
        let metadata = ask(&mut client, "/api/v1/metadata", &[("metric", "collectd_cpu_total")]);
        metadata.and_then(|found| {
            let kind = found["collectd_cpu_total"][0]["type"].as_str().context("nothing is known")?;
            ensure!(kind == "counter", "it is a {kind}");
            Ok(())
        })
    });
    drop(client);
    ours.terminate()?;
    exporter.terminate()?;
    Ok(())
}

fn start(collectd: &Collectd, folder: &Path) -> Result<Server> {
    let address = server::free_address()?;
    let (host, port) = address.split_once(':').context("an address has a port")?;
    let config = folder.join("collectd.conf");
    let (plugins, types) = (collectd.plugins(), collectd.types());
    let text = format!(
        "BaseDir \"{folder}\"\nPIDFile \"{folder}/collectd.pid\"\nPluginDir \"{plugins}\"\nTypesDB \"{types}\"\n\
         Hostname \"machine\"\nInterval 1\nLoadPlugin cpu\nLoadPlugin load\nLoadPlugin memory\n\
         LoadPlugin write_prometheus\n<Plugin write_prometheus>\n  Host \"{host}\"\n  Port \"{port}\"\n</Plugin>\n",
        folder = folder.display(),
        plugins = plugins.display(),
        types = types.display(),
    );
    fs::write(&config, text)?;
    let mut command = collectd.command();
    command.current_dir(folder).arg("-f").arg("-C").arg(&config);
    let mut exporter = Server::start(command, &address, &folder.join("collectd.log"))?;
    exporter.wait_ready("/metrics")?;
    Ok(exporter)
}

/// Waits until an expression has an answer.
fn arrives(client: &mut Client, expression: &str) -> Result<()> {
    let deadline = Instant::now() + ARRIVE_MAX;
    loop {
        let found = ask(client, "/api/v1/query", &[("query", expression)])?;
        if found["result"].as_array().is_some_and(|result| !result.is_empty()) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "nothing is found");
        thread::sleep(Duration::from_millis(200));
    }
}
