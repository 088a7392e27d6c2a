//! The gRPC port, asked by clients of another implementation: Python's `grpcio`, with its reflection and health packages,
//! in an environment of its own under the target folder. `grpc.py` says what is expected.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use super::Ground;
use crate::{barograph::Barograph, place, python, server::Server, tally::Tally};

/// What the tests need of PyPI.
const PACKAGES: [&str; 3] = ["grpcio", "grpcio-health-checking", "grpcio-reflection"];
/// Said by the watcher when it watches.
const WATCHING: &str = "watching";

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let python = match python::bring("grpc", &PACKAGES) {
        Ok(python) => python,
        Err(error) => {
            tally.skip("clients of another implementation", &format!("{error:#}"));
            return Ok(());
        }
    };
    let server = Barograph::new(&ground.binary, &place::fresh("grpc")?).start()?;
    let mut tests = start(&python, "tests", &server)?;
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
    tally.check("tests run to their end", if whole { Ok(()) } else { Err(anyhow::anyhow!("they do not")) });
    tally.check("who watches is told before the server goes", goodbye(&python, server));
    Ok(())
}

/// A watcher sees NOT_SERVING, then the end of its stream, and the server ends in order.
fn goodbye(python: &PathBuf, server: Server) -> Result<()> {
    let mut watcher = start(python, "goodbye", &server)?;
    let mut lines = BufReader::new(watcher.stdout.take().context("standard output is piped")?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    ensure!(first == WATCHING, "it does not watch: {first:?}");
    let ended = server.terminate()?;
    let seen: Vec<String> = lines.collect::<Result<_, _>>()?;
    watcher.wait()?;
    ensure!(ended.success(), "the server: {ended}");
    ensure!(seen == ["NOT_SERVING", "UNAVAILABLE"], "seen: {seen:?}");
    Ok(())
}

fn start(python: &PathBuf, part: &str, server: &Server) -> Result<Child> {
    let mut command = Command::new(python);
    command.arg(place::root().join("xtask/src/suites/grpc.py"));
    command.args([part, &server.grpc_address()?, &server.url()]);
    // Whatever the machine sends other traffic through is not for loopback.
    command.env("no_proxy", "127.0.0.1,localhost").env("no_grpc_proxy", "127.0.0.1,localhost");
    command.stdout(Stdio::piped()).spawn().context("cannot start Python")
}
