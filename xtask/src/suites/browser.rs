//! The pages in a real browser: the end-to-end tests of `crates/ui`, against a running server that they may
//! restart.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::Ground;
use crate::{
    barograph::Barograph,
    npm, place,
    server::{self, Server},
    shell,
    tally::Tally,
};

const CHROMIUM: &str = "chromium";
/// What the control connection answers after a restart.
const RESTARTED: &str = "restarted";
/// Longest wait for a restart.
const RESTART_MAX: Duration = Duration::from_secs(400);
/// Distance of two looks whether the tests have ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    if !npm::folder().join("e2e").is_dir() {
        tally.skip("pages", "crates/ui has no end-to-end tests");
        return Ok(());
    }
    if let Err(error) = npm::install().and_then(|()| bring_chromium()) {
        tally.skip("pages", &format!("{error:#}"));
        return Ok(());
    }
    let barograph = Barograph::new(&ground.binary, &place::fresh("browser")?);
    // It is to be started again where it was.
    let server = barograph.start_at(&server::free_address()?)?;
    let (url, address) = (server.url(), server.address.clone());
    let control = TcpListener::bind("127.0.0.1:0")?;
    control.set_nonblocking(true)?;
    let restart = format!("'{}' restart-server {}", ground.this.display(), control.local_addr()?);
    let running = Mutex::new(Some(server));
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| serve_restarts(&control, &ended, &barograph, &address, &running));
        let outcome = run_tests(&ground.binary, &url, &restart, tally);
        ended.store(true, Ordering::Relaxed);
        outcome
    })?;
    let server = running.into_inner().expect("no restart panics").context("a restart failed")?;
    let stopped = server.terminate().and_then(|status| {
        ensure!(status.success(), "{status}");
        Ok(())
    });
    tally.check("the server ends cleanly afterwards", stopped);
    Ok(())
}

/// `cargo xtask restart-server`: asks the running suite to restart its server, and waits until that is ready.
pub(crate) fn ask_for_restart(control: &str) -> Result<()> {
    let mut stream = TcpStream::connect(control).with_context(|| format!("no suite listens at {control}"))?;
    stream.set_read_timeout(Some(RESTART_MAX))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer.trim() == RESTARTED, "the server was not restarted: {}", answer.trim());
    Ok(())
}

fn bring_chromium() -> Result<()> {
    if shell::on_path(CHROMIUM) {
        return Ok(());
    }
    ensure!(shell::on_path("apt-get"), "there is no {CHROMIUM}, and no apt to install it");
    let mut install =
        shell::command("apt-get", &["install", "-y", "-q", "--no-install-recommends", CHROMIUM]);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    // Lists that are old or absent are the usual reason why the first attempt fails.
    if shell::run(&mut install).is_err() {
        shell::run(&mut shell::command("apt-get", &["update", "-q"]))?;
        shell::run(&mut install)?;
    }
    Ok(())
}

/// Restarts the server at the same address, with the same data, once for every connection.
fn serve_restarts(
    control: &TcpListener,
    ended: &AtomicBool,
    barograph: &Barograph,
    address: &str,
    running: &Mutex<Option<Server>>,
) {
    while !ended.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = control.accept() else {
            thread::sleep(LOOK_EVERY);
            continue;
        };
        let mut running = running.lock().expect("no restart panics");
        let outcome = running.take().context("the server is gone").and_then(|server| {
            server.terminate()?;
            *running = Some(barograph.start_at(address)?);
            Ok(())
        });
        let answer = outcome.map_or_else(|error| format!("{error:#}"), |()| RESTARTED.to_owned());
        let _ = stream.write_all(answer.as_bytes());
    }
}

fn run_tests(binary: &Path, url: &str, restart: &str, tally: &mut Tally) -> Result<()> {
    let mut child: Command = npm::command(&["run", "--silent", "e2e"]);
    child
        .env("BAROGRAPH_BINARY", binary)
        .env("BAROGRAPH_URL", url)
        .env("BAROGRAPH_RESTART_CMD", restart)
        .env("NODE_OPTIONS", "--test-reporter=tap");
    let mut child = child.stdout(Stdio::piped()).spawn().context("cannot start npm")?;
    let mut counts = Counts::default();
    for line in BufReader::new(child.stdout.take().context("standard output is piped")?).lines() {
        let line = line?;
        println!("{line}");
        counts.read(&line);
    }
    let status = child.wait()?;
    if !status.success() && counts.failed.is_empty() {
        counts.failed.push(format!("npm run e2e: {status}"));
    }
    ensure!(counts != Counts::default(), "npm run e2e ran no test");
    tally.add(counts.passed, counts.failed, counts.skipped);
    Ok(())
}

/// What node's test runner says in the TAP form of the tests at the top; those within others are indented.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
}

impl Counts {
    fn read(&mut self, line: &str) {
        let (failed, rest) = match (line.strip_prefix("ok "), line.strip_prefix("not ok ")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return,
        };
        let name = rest.split_once(" - ").map_or(rest, |(_, name)| name);
        if let Some((name, why)) = name.split_once(" # ") {
            self.skipped.push(format!("{name}: {why}"));
        } else if failed {
            self.failed.push(name.to_owned());
        } else {
            self.passed += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_test_runner_are_read() {
        let mut counts = Counts::default();
        for line in [
            "TAP version 13",
            "# Subtest: opens",
            "    ok 1 - a part of it",
            "ok 1 - opens",
            "not ok 2 - zooms - by dragging",
            "ok 3 - prints # SKIP no printer",
            "# pass 1",
        ] {
            counts.read(line);
        }
        let (failed, skipped) =
            (vec!["zooms - by dragging".to_owned()], vec!["prints: SKIP no printer".to_owned()]);
        assert_eq!(counts, Counts { passed: 1, failed, skipped });
    }
}
