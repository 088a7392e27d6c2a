//! `barograph check config`: what is wrong, where, and what the exit code says of it.

mod support;

use std::fs;
use support::{Run, barograph};
use tempfile::TempDir;

/// A folder with these files, and what `check config` says of the first.
fn check(files: &[(&str, &str)]) -> (TempDir, Run) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let path = folder.path().join(files[0].0);
    let run = barograph(&["check", "config", path.to_str().expect("a path in UTF-8")]);
    (folder, run)
}

#[test]
fn a_good_file_is_fine() {
    let text = "scrape_configs: [{job_name: node, static_configs: [{targets: ['127.0.0.1:9100']}]}]\n";
    let (folder, run) = check(&[("b.yml", text)]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(run.out, format!("ok: {}/b.yml, scrape jobs: 1\n", folder.path().display()));
}

#[test]
fn every_mistake_is_placed() {
    let (folder, run) = check(&[("b.yml", "global:\n  scrape_intervall: 5s\nquery: {timeout: soon}\n")]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    let lines: Vec<&str> = run.err.lines().collect();
    let at = |place: &str| format!("error: {}/b.yml:{place}: ", folder.path().display());
    assert_eq!(lines.len(), 2, "{}", run.err);
    assert!(lines[0].starts_with(&at("2:3")) && lines[0].contains("scrape_interval"), "{}", lines[0]);
    assert!(lines[1].starts_with(&at("3:18")), "{}", lines[1]);
}

#[test]
fn what_is_likely_not_meant_is_a_finding() {
    let text = "scrape_configs:\n  - {job_name: a}\n  - {job_name: b, file_sd_configs: [{files: [t/*.yml]}]}\n  \
                - {job_name: c, static_configs: [{targets: [h]}], basic_auth: {password_file: word}}\n";
    let (_folder, run) = check(&[("b.yml", text)]);
    assert_eq!(run.code, 3, "{}", run.err);
    assert!(run.out.starts_with("usable: "), "{}", run.out);
    let lines: Vec<&str> = run.err.lines().collect();
    assert_eq!(lines.len(), 3, "{}", run.err);
    assert!(lines[0].starts_with("warning: job `a`: it names no targets"), "{}", lines[0]);
    assert!(lines[1].starts_with("warning: job `b`: no file is called "), "{}", lines[1]);
    assert!(lines[2].starts_with("warning: job `c`: the secret in "), "{}", lines[2]);
}

#[test]
fn alertmanagers_are_looked_at_too() {
    let text = "alerting: {alertmanagers: [{file_sd_configs: [{files: ['t*.yml']}], basic_auth: {password_file: word}}]}\n";
    let (_folder, run) = check(&[("b.yml", text)]);
    assert_eq!(run.code, 3, "{}", run.err);
    let lines: Vec<&str> = run.err.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.err);
    assert!(lines[0].starts_with("warning: `alertmanagers`: the secret in "), "{}", lines[0]);
    assert!(lines[1].starts_with("warning: `alertmanagers`: no file is called "), "{}", lines[1]);
    // That of a Prometheus that was just installed names none, and is fine.
    let text = "alerting: {alertmanagers: [{static_configs: [{targets: }]}]}\nscrape_configs: []\n";
    assert_eq!(check(&[("b.yml", text)]).1.code, 0);
}

#[test]
fn files_of_targets_are_read_too() {
    let text = "scrape_configs: [{job_name: a, file_sd_configs: [{files: ['t*.yml']}]}]\n";
    let (_folder, run) = check(&[("b.yml", text), ("t1.yml", "- targets: [a:1]\n"), ("u.yml", "{")]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let (_folder, run) = check(&[("b.yml", text), ("t1.yml", "targets: [a:1]\n")]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("t1.yml:1:1: "), "{}", run.err);
}

#[test]
fn a_file_that_is_not_there_is_a_failure() {
    let run = barograph(&["check", "config", "/nowhere/b.yml"]);
    assert_eq!(run.code, 1);
    assert!(run.err.starts_with("error: cannot read configuration file /nowhere/b.yml: "), "{}", run.err);
    assert_eq!(barograph(&["check", "config"]).code, 2);
}
