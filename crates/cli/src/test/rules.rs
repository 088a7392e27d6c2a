//! `barograph test rules`: unit tests of rules, read and told as promtool reads and tells them. No server is needed.

use super::junit;
use crate::{
    check,
    error::Error,
    exit,
    terminal::{Paint, Role, Terminal},
};
use barograph_alert::test::{self, CaseReport, Failure};
use barograph_query::Options;
use barograph_server::config::matching_files;
use regex::Regex;
use serde_json::json;
use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The files of tests.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Run only tests whose name this regular expression finds; may be given several times.
    #[arg(long, value_name = "REGEX")]
    run: Vec<Regex>,
    /// Tell differences line by line: `-` was expected, `+` was there.
    #[arg(long)]
    diff: bool,
    /// Allow the experimental parts of PromQL.
    #[arg(long)]
    experimental: bool,
    /// How results are told.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    output: Format,
    /// Write the results to this file too, in the form of JUnit.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What became of one file.
pub(super) struct FileReport {
    pub(super) file: String,
    /// Why no test of it could be run, a line each.
    pub(super) unusable: Vec<String>,
    pub(super) cases: Vec<CaseReport>,
}

impl FileReport {
    fn is_fine(&self) -> bool {
        self.unusable.is_empty() && self.cases.iter().all(|case| case.failures.is_empty())
    }
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let options = if args.experimental { Options::experimental() } else { Options::default() };
    let mut reports = Vec::new();
    for path in &args.files {
        let report = run_file(path, &options, &args.run);
        if args.output == Format::Text {
            let paint = terminal.data_paint();
            tell(terminal.out(), &report, args.diff, paint)?;
        }
        reports.push(report);
    }
    if args.output == Format::Json {
        let document: Vec<_> = reports.iter().map(document).collect();
        writeln!(terminal.out(), "{}", json!(document))?;
    }
    if let Some(path) = &args.junit {
        let failed =
            |source: io::Error| Error::Failed { what: "cannot write the results", source: source.into() };
        fs::write(path, junit::text(&reports)).map_err(failed)?;
    }
    let fine = reports.iter().all(FileReport::is_fine);
    Ok(if fine { exit::FINE } else { ExitCode::from(exit::FAILED) })
}

fn run_file(path: &Path, options: &Options, wanted: &[Regex]) -> FileReport {
    let file = path.display().to_string();
    match read(path, &file) {
        Ok((tests, rules)) => {
            let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|regex| regex.is_match(name));
            FileReport { cases: test::run(&tests, &rules, options, is_wanted), file, unusable: Vec::new() }
        }
        Err(told) => {
            FileReport { file, unusable: told.lines().map(str::to_owned).collect(), cases: Vec::new() }
        }
    }
}

type Read = (test::TestFile, Vec<(String, barograph_alert::RuleFile)>);

/// A file of tests with the rule files it names, which lie relative to it.
fn read(path: &Path, name: &str) -> Result<Read, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {name}: {error}"))?;
    let mut tests = test::parse(&text, name).map_err(|faults| faults.to_string())?;
    let folder = path.parent().unwrap_or(Path::new(""));
    if let Some(file) = &tests.alertmanager_config {
        let path = folder.join(file);
        let name = path.display().to_string();
        let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {name}: {error}"))?;
        let config = barograph_alert::config::parse(&text, &name).map_err(|faults| faults.to_string())?;
        tests.config = Arc::new(config);
    }
    let mut rules = Vec::new();
    for pattern in &tests.rule_files {
        let found = matching_files(&folder.join(pattern));
        if found.is_empty() {
            return Err(format!("{name}: no rule file is called {pattern}"));
        }
        for path in found {
            rules.push((path.display().to_string(), check::rules::read(&path)?));
        }
    }
    Ok((tests, rules))
}

fn tell(out: &mut dyn Write, report: &FileReport, diff: bool, paint: Paint) -> io::Result<()> {
    writeln!(out, "Unit Testing:  {}", report.file)?;
    if report.is_fine() {
        return writeln!(out, "  {}\n", paint.of(Role::Good, "SUCCESS"));
    }
    writeln!(out, "  {}:", paint.of(Role::Error, "FAILED"))?;
    for line in &report.unusable {
        writeln!(out, "    {line}")?;
    }
    for failure in report.cases.iter().flat_map(|case| &case.failures) {
        match &failure.difference {
            Some((expected, got)) if diff => {
                writeln!(out, "    {}", failure.what)?;
                tell_difference(out, expected, got, paint)?;
            }
            _ => writeln!(out, "{failure}")?,
        }
        writeln!(out)?;
    }
    writeln!(out)
}

/// Lines of both sides in their order: both are sorted by labels, and few enough to be looked for.
fn tell_difference(out: &mut dyn Write, expected: &[String], got: &[String], paint: Paint) -> io::Result<()> {
    for line in expected {
        if got.contains(line) {
            writeln!(out, "          {line}")?;
        } else {
            writeln!(out, "        {}", paint.of(Role::Error, &format!("- {line}")))?;
        }
    }
    for line in got.iter().filter(|line| !expected.contains(line)) {
        writeln!(out, "        {}", paint.of(Role::Good, &format!("+ {line}")))?;
    }
    Ok(())
}

fn document(report: &FileReport) -> serde_json::Value {
    let failure = |failure: &Failure| match &failure.difference {
        Some((expected, got)) => json!({"what": failure.what, "expected": expected, "got": got}),
        None => json!({"what": failure.what}),
    };
    let case = |case: &CaseReport| {
        let failures: Vec<_> = case.failures.iter().map(failure).collect();
        json!({"name": case.name, "passed": failures.is_empty(), "failures": failures})
    };
    json!({
        "file": report.file,
        "passed": report.is_fine(),
        "errors": report.unusable,
        "tests": report.cases.iter().map(case).collect::<Vec<_>>(),
    })
}
