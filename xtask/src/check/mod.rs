//! What is checked before the tests run: format, lints, documentation, dependencies, pages, tidiness.

mod dependencies;
mod features;
mod layers;
mod licence;
mod links;
mod tidy;

use std::time::Instant;

use anyhow::{Result, bail};

use crate::{npm, shell};

type Check = (&'static str, fn() -> Result<()>);

/// The quick ones first.
const CHECKS: [Check; 9] = [
    ("format", format),
    ("tidy", tidy::check),
    ("links", links::check),
    ("dependencies", dependencies::check),
    ("layers", layers::check),
    ("features", features::check),
    ("lints", lints),
    ("docs", docs),
    ("pages", pages),
];

/// Runs the named checks, or all of them; goes on after one that fails. Whether all are
/// fine.
pub(crate) fn run(names: &[String]) -> Result<bool> {
    if let Some(unknown) = names.iter().find(|name| !CHECKS.iter().any(|check| check.0 == **name)) {
        bail!("no check is called {unknown:?}; there are {}", CHECKS.map(|check| check.0).join(", "));
    }
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        eprintln!("== {name}");
        let started = Instant::now();
        let outcome = check();
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("{name}: fine ({seconds:.1} s)"),
            Err(error) => {
                println!("{name}: failed ({seconds:.1} s): {error:#}");
                failed.push(name);
            }
        }
    }
    if !failed.is_empty() {
        println!("failed: {}", failed.join(", "));
    }
    Ok(failed.is_empty())
}

fn format() -> Result<()> {
    shell::run(&mut shell::cargo(&["fmt", "--all", "--check"]))?;
    for bench in ["record", "layer", "sessions"] {
        let manifest = format!("benches/{bench}/Cargo.toml");
        shell::run(&mut shell::cargo(&["fmt", "--manifest-path", &manifest, "--check"]))?;
    }
    Ok(())
}

fn lints() -> Result<()> {
    let arguments = ["clippy", "--workspace", "--all-targets", "--keep-going", "--", "-D", "warnings"];
    shell::run(&mut shell::cargo(&arguments))
}

fn docs() -> Result<()> {
    // The binary has the name of the SDK's library, whose pages its own would overwrite.
    let arguments = ["doc", "--workspace", "--no-deps", "--keep-going", "--exclude", "barograph-cli"];
    shell::run(shell::cargo(&arguments).env("RUSTDOCFLAGS", "-D warnings"))
}

fn pages() -> Result<()> {
    npm::install()?;
    shell::run(&mut npm::command(&["run", "check"]))
}
