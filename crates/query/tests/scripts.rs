//! The scripts of this folder all pass, and of the upstream ones at least as many as before.

use std::{fs, path::Path};

use barograph_query::script::{FileReport, run_file};

/// How many evals of the upstream scripts pass. It only rises.
const UPSTREAM_FLOOR: usize = 1379;

fn run_folder(folder: &Path) -> FileReport {
    let entries = fs::read_dir(folder).expect("the folder of scripts can be read");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a script can be named").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    assert!(!files.is_empty(), "no scripts in {}", folder.display());
    let mut all = FileReport::default();
    for path in files {
        let label = path.file_name().expect("a script has a name").to_string_lossy().into_owned();
        let report = run_file(&label, &fs::read_to_string(&path).expect("a script can be read"));
        println!("{label}: {} passed, {} failed", report.passed, report.failures.len());
        all.passed += report.passed;
        all.failures.extend(report.failures);
    }
    all
}

#[test]
fn our_scripts_pass() {
    let report = run_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts"));
    let failures: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn upstream_scripts_pass_as_far_as_before() {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the scripts lie is told by the environment of the test"
    )]
    let folder = std::env::var_os("BAROGRAPH_TESTDATA");
    let Some(folder) = folder else {
        println!("skipped: BAROGRAPH_TESTDATA does not say where the upstream scripts are");
        return;
    };
    let report = run_folder(&Path::new(&folder).join("promqltest"));
    for failure in &report.failures {
        println!("{failure}");
    }
    println!("{} passed, {} failed", report.passed, report.failures.len());
    assert!(report.passed >= UPSTREAM_FLOOR, "only {} evals passed", report.passed);
}
