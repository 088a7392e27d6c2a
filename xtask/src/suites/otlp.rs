//! OTLP from the SDKs of OpenTelemetry: Python's over gRPC and HTTP, and that of Node over gRPC, HTTP with protobuf, and
//! HTTP with JSON, each with what it brings by its package manager, in a folder under the target folder. The scripts
//! (`otlp.py`, `otlp.mjs`) measure, export, and then ask us by PromQL for what they measured.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::Ground;
use crate::{barograph::Barograph, place, python, server::Server, shell, tally::Tally};

/// What the script needs of PyPI.
const PYTHON: [&str; 2] = ["opentelemetry-sdk", "opentelemetry-exporter-otlp"];
/// What the other needs of npm.
const NODE: [&str; 10] = [
    "@opentelemetry/api",
    "@opentelemetry/resources",
    "@opentelemetry/sdk-metrics",
    "@opentelemetry/sdk-trace-base",
    "@opentelemetry/exporter-metrics-otlp-http",
    "@opentelemetry/exporter-metrics-otlp-proto",
    "@opentelemetry/exporter-metrics-otlp-grpc",
    "@opentelemetry/exporter-trace-otlp-http",
    "@opentelemetry/exporter-trace-otlp-proto",
    "@opentelemetry/exporter-trace-otlp-grpc",
];

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let server = Barograph::new(&ground.binary, &place::fresh("otlp")?).start()?;
    clients(tally, &server, "the SDK of Python", bring_python())?;
    clients(tally, &server, "the SDK of Node", bring_node())?;
    tally.check(
        "the server ends in order",
        server.terminate().and_then(|ended| {
            ensure!(ended.success(), "the server: {ended}");
            Ok(())
        }),
    );
    Ok(())
}

/// Runs a script and counts what it says: `ok`, `FAILED`, and at the end how many of both.
fn clients(tally: &mut Tally, server: &Server, name: &str, script: Result<Command>) -> Result<()> {
    let mut script = match script {
        Ok(script) => script,
        Err(error) => {
            tally.skip(name, &format!("{error:#}"));
            return Ok(());
        }
    };
    script.args([server.announced("otlp_grpc")?, server.announced("otlp_http")?]);
    script.args([server.grpc_address()?, server.url()]);
    // Whatever the machine sends other traffic through is not for loopback.
    script.env("no_proxy", "127.0.0.1,localhost").env("no_grpc_proxy", "127.0.0.1,localhost");
    let mut tests = script.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start {name}"))?;
    let (mut passed, mut failed, mut whole) = (0, Vec::new(), false);
    for line in BufReader::new(tests.stdout.take().context("standard output is piped")?).lines() {
        let line = line?;
        println!("{line}");
        match line.split_once(' ') {
            Some(("ok", _)) => passed += 1,
            Some(("FAILED", what)) => failed.push(format!("{name}: {}", what.trim())),
            Some(("end", count)) => whole = count.trim().parse() == Ok(passed + failed.len()),
            _ => {}
        }
    }
    tests.wait()?;
    tally.add(passed, failed, Vec::new());
    let whole = if whole { Ok(()) } else { Err(anyhow::anyhow!("it does not")) };
    tally.check(&format!("{name} runs to its end"), whole);
    Ok(())
}

fn bring_python() -> Result<Command> {
    let python = python::bring("otlp", &PYTHON)?;
    // Beside the script lies another whose name is that of a package.
    let here = place::target().join("python/otlp/otlp.py");
    fs::copy(script("otlp.py"), &here)?;
    let mut command = Command::new(&python);
    command.arg(here);
    Ok(command)
}

fn bring_node() -> Result<Command> {
    ensure!(shell::on_path("npm"), "npm is not on the search path");
    let folder = place::target().join("node").join("otlp");
    let whole = folder.join("whole");
    if !whole.is_file() {
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("package.json"), "{\"private\": true}\n")?;
        let mut npm = shell::command("npm", &["install", "--no-audit", "--no-fund", "--silent"]);
        shell::run(npm.args(NODE).current_dir(&folder))?;
        fs::write(whole, "")?;
    }
    // Packages are looked for beside the script.
    let here = folder.join("otlp.mjs");
    fs::copy(script("otlp.mjs"), &here)?;
    let mut command = shell::command("node", &[]);
    command.arg(here);
    Ok(command)
}

fn script(name: &str) -> PathBuf {
    place::root().join("xtask/src/suites").join(name)
}
