//! The pages in a real browser: the end-to-end tests of `crates/ui`, against a running server that they may
//! restart.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
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
use crate::{barograph::Barograph, npm, place, server::Server, shell, tally::Tally};

const CHROMIUM: &str = "chromium";
/// What the control connection answers after a restart.
const RESTARTED: &str = "restarted";
/// Longest wait for a restart.
const RESTART_MAX: Duration = Duration::from_secs(90);
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
    let server = barograph.start()?;
    let (url, address) = (server.url(), server.address.clone());
    let control = TcpListener::bind("127.0.0.1:0")?;
    control.set_nonblocking(true)?;
    let restart = restart_command(&control)?;
    let running = Mutex::new(Some(server));
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| serve_restarts(&control, &ended, &barograph, &address, &running));
        let outcome = run_tests(&url, &restart, tally);
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

fn restart_command(control: &TcpListener) -> Result<String> {
    let this = std::env::current_exe()?;
    Ok(format!("'{}' restart-server {}", this.display(), control.local_addr()?))
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

fn run_tests(url: &str, restart: &str, tally: &mut Tally) -> Result<()> {
    let mut child: Command = npm::command(&["run", "--silent", "e2e"]);
    child.env("BAROGRAPH_URL", url).env("BAROGRAPH_RESTART_CMD", restart).env("NODE_DISABLE_COLORS", "1");
    let mut child = child.stdout(Stdio::piped()).spawn().context("cannot start npm")?;
    let mut counts = Counts::default();
    for line in BufReader::new(child.stdout.take().context("standard output is piped")?).lines() {
        let line = line?;
        println!("{line}");
        counts.read(&line);
    }
    let status = child.wait()?;
    let mut failed: Vec<_> =
        (1..=counts.failed).map(|_| "a test of the pages, see above".to_owned()).collect();
    if !status.success() && failed.is_empty() {
        failed.push(format!("npm run e2e: {status}"));
    }
    ensure!(counts.passed + failed.len() + counts.skipped > 0, "npm run e2e ran no test");
    let skipped = (1..=counts.skipped).map(|_| "a test of the pages, see above".to_owned()).collect();
    tally.add(counts.passed, failed, skipped);
    Ok(())
}

/// The summary of node's test runner: `# pass 3`, or `ℹ pass 3` on a terminal.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Counts {
    fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) else { return };
        let Some((what, Ok(count))) = rest.split_once(' ').map(|(what, count)| (what, count.trim().parse()))
        else {
            return;
        };
        match what {
            "pass" => self.passed = count,
            "fail" => self.failed = count,
            "skipped" | "todo" => self.skipped += count,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_the_test_runner_is_read() {
        let mut counts = Counts::default();
        for line in ["ok 1 - opens", "# tests 5", "# pass 3", "# fail 1", "ℹ skipped 1", "# duration_ms 12.5"]
        {
            counts.read(line);
        }
        assert_eq!(counts, Counts { passed: 3, failed: 1, skipped: 1 });
    }
}
