//! OTLP from the SDKs of OpenTelemetry: Python's over gRPC and HTTP, and that of Node over gRPC, HTTP with protobuf, and
//! HTTP with JSON, and Python's once more over TLS, with a token, and both told to come again; each with what it brings by its package manager, in a folder under the target folder. The scripts
//! (`otlp.py`, `otlp.mjs`) measure, export, and then ask us by PromQL for what they measured.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use super::{Ground, script};
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

/// Of the one user where the server asks who calls.
const PASSWORD: &str = "correct horse battery";

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let server = Barograph::new(&ground.binary, &place::fresh("otlp")?).start()?;
    clients(tally, &server, "the SDK of Python", bring_python(), &[])?;
    clients(tally, &server, "the SDK of Node", bring_node(), &[])?;
    often(ground, tally)?;
    guarded(ground, tally)?;
    tally.check(
        "the server ends in order",
        server.terminate().and_then(|ended| {
            ensure!(ended.success(), "the server: {ended}");
            Ok(())
        }),
    );
    Ok(())
}

/// A server that lets nobody come often: by `Retry-After` and `RetryInfo` the SDKs come again with what was refused, and nothing of
/// it is lost.
fn often(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let folder = place::fresh("otlp-often")?;
    let config = folder.join("barograph.yml");
    fs::write(
        &config,
        "collectors: {built_in: false}\n\
         rate_limit: {write: {per_address: {requests_per_second: 0.5, burst: 1}}}\n",
    )?;
    let flags = ["--config", &config.display().to_string()];
    let server = Barograph::new(&ground.binary, &folder).with(&flags).start()?;
    clients(tally, &server, "the SDK of Python, told to come again", bring_python(), &["often"])?;
    clients(tally, &server, "the SDK of Node, told to come again", bring_node(), &["often"])
}

/// A server that speaks TLS, asks who calls, and lets nobody call too often: the SDK of Python is heard with a token, and
/// comes again when it is told to.
fn guarded(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let mut script = match bring_python() {
        Ok(script) => script,
        Err(error) => {
            tally.skip("the SDK of Python over TLS", &format!("{error:#}"));
            return Ok(());
        }
    };
    let folder = place::fresh("otlp-guarded")?;
    let fixtures = place::root().join("crates/server/tests/fixtures/tls");
    let tls = |name: &str| fixtures.join(name).display().to_string();
    let (web, config) = (folder.join("web.yml"), folder.join("barograph.yml"));
    let (certificate, key) = (tls("server.pem"), tls("server.key"));
    fs::write(&web, format!("tls_server_config: {{cert_file: '{certificate}', key_file: '{key}'}}\n"))?;
    let password = folder.join("password");
    fs::write(&password, PASSWORD)?;
    let mut hashing = Command::new(&ground.binary);
    hashing.args(["auth", "hash", "--password-file"]).arg(&password);
    let hash = shell::output(&mut hashing)?;
    fs::write(
        &config,
        format!(
            "collectors: {{built_in: false}}\n\
             auth: {{users: [{{name: sender, password_hash: '{}', roles: [read, write]}}]}}\n\
             rate_limit: {{write: {{per_caller: {{requests_per_second: 0.5, burst: 1}}}}}}\n",
            hash.trim()
        ),
    )?;
    let flags = ["--web-config", &web.display().to_string(), "--config", &config.display().to_string()];
    let server = Barograph::new(&ground.binary, &folder).with(&flags).start_announced()?;
    script.args([server.announced("otlp_grpc")?, server.announced("otlp_http")?]);
    script.args([server.grpc_address()?, format!("https://{}", server.address)]);
    script.args([tls("ca.pem"), format!("sender:{PASSWORD}")]);
    script::run(script, "the SDK of Python over TLS", tally)
}

/// Runs a script against a server.
fn clients(
    tally: &mut Tally,
    server: &Server,
    name: &str,
    script: Result<Command>,
    more: &[&str],
) -> Result<()> {
    let mut script = match script {
        Ok(script) => script,
        Err(error) => {
            tally.skip(name, &format!("{error:#}"));
            return Ok(());
        }
    };
    script.args([server.announced("otlp_grpc")?, server.announced("otlp_http")?]);
    script.args([server.grpc_address()?, server.url()]).args(more);
    script::run(script, name, tally)
}

fn bring_python() -> Result<Command> {
    let python = python::bring("otlp", &PYTHON)?;
    // Beside the script lies another whose name is that of a package.
    let here = place::target().join("python/otlp/otlp.py");
    fs::copy(path_of("otlp.py"), &here)?;
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
    fs::copy(path_of("otlp.mjs"), &here)?;
    let mut command = shell::command("node", &[]);
    command.arg(here);
    Ok(command)
}

fn path_of(name: &str) -> PathBuf {
    place::root().join("xtask/src/suites").join(name)
}
