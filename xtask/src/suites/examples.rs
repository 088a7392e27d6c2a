//! The examples run, end in time, and print what they are there to show; so does the demo.

use anyhow::{Result, ensure};

use crate::{shell, tally::Tally};

use super::Ground;

/// Package, example, its words, and what it must print.
const EXAMPLES: &[(&str, &str, &[&str], &[&str])] = &[
    ("barograph", "hello", &[], &["greetings_total{language=\"en\"} 2", "process_"]),
    ("barograph", "custom_collector", &["docs"], &["# TYPE spool_size_bytes gauge", "spool_files "]),
    ("barograph", "flow", &[], &["flow_execution_duration_seconds_count{branchPath=\"root\"", "FLOW-001"]),
    ("barograph-server", "embedded", &[], &["example_jobs_total = 100", "collectors, "]),
];

/// How long one may take, in seconds.
const SECONDS: &str = "60";

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    for (package, example, words, expected) in EXAMPLES {
        shell::run(&mut shell::cargo(&["build", "--quiet", "--package", package, "--example", example]))?;
        let run = ["cargo", "run", "--quiet", "--package", package, "--example", example, "--"];
        tally.check(&format!("example {example}"), shows(&[&run[..], words].concat(), expected));
    }
    let binary = ground.binary.display().to_string();
    let demo = ["demo", "--duration", "6s", "--history", "10m", "--http-addr", "127.0.0.1:0"];
    let expected = ["watched by a server", "payment-0", "/ui/explore?q="];
    tally.check("barograph demo", shows(&[&[binary.as_str()], &demo[..]].concat(), &expected));
    Ok(())
}

/// Whether a program ends well in time and prints all of `expected`.
fn shows(program: &[&str], expected: &[&str]) -> Result<()> {
    let printed = shell::output(&mut shell::command("timeout", &[&[SECONDS], program].concat()))?;
    for text in expected {
        ensure!(
            printed.contains(text),
            "{text:?} is not in what it printed:\n{}",
            shell::last_lines(&printed, 30)
        );
    }
    Ok(())
}
