//! `barograph check config`: a configuration as `serve` would read it, without starting anything.
//!
//! What cannot be used is an error. What can, but likely is not meant, is a finding: a secret or a file of targets
//! that is not there (yet), a configuration that scrapes nothing it names.

use crate::{
    error::Error,
    exit,
    terminal::{Role, Terminal},
};
use barograph_server::config::{Auth, Config, ScrapeConfig, Secret, parse_targets};
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Reads the file with the environment over it, and tells what is wrong with it.
pub(crate) fn run(path: &Path, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let config = Config::load(Some(path), std::env::vars())?;
    let mut findings = Vec::new();
    for job in &config.scrape_configs {
        let found = check_job(job)?;
        findings.extend(found.into_iter().map(|text| format!("job `{}`: {text}", job.job_name)));
    }
    for finding in &findings {
        terminal.message(Role::Warning, finding);
    }
    let (role, word, code) = match findings.len() {
        0 => (Role::Good, "ok", exit::FINE),
        _ => (Role::Warning, "usable", ExitCode::from(exit::FINDINGS)),
    };
    let (path, jobs) = (path.display(), config.scrape_configs.len());
    Ok(terminal.verdict(role, word, &format!("{path}, scrape jobs: {jobs}"), code)?)
}

/// What deserves a look in a job.
///
/// # Errors
///
/// A file of targets is there and cannot be used.
fn check_job(job: &ScrapeConfig) -> Result<Vec<String>, Error> {
    let mut findings = Vec::new();
    let secrets = match &job.auth {
        None => vec![],
        Some(Auth::Basic { username, password }) => vec![username, password],
        Some(Auth::Header { credentials, .. }) => vec![credentials],
    };
    for secret in secrets {
        if let (Secret::File(path), Err(error)) = (secret, secret.reveal()) {
            findings.push(format!("the secret in {} cannot be read: {error}", path.display()));
        }
    }
    let patterns = || job.file_sd_configs.iter().flat_map(|discovery| &discovery.files);
    for pattern in patterns() {
        let files = matching(pattern);
        if files.is_empty() {
            findings.push(format!("no file is called {}; its targets come when one is", pattern.display()));
        }
        for file in files {
            check_targets(&file)?;
        }
    }
    if patterns().next().is_none() && job.static_configs.iter().all(|group| group.targets.is_empty()) {
        findings.push("it names no targets".to_owned());
    }
    Ok(findings)
}

fn check_targets(path: &Path) -> Result<(), Error> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| Error::Failed {
        what: "cannot read a file of targets",
        source: format!("{name}: {error}").into(),
    })?;
    parse_targets(&text, &name)?;
    Ok(())
}

/// The files that a pattern with at most one `*` in its last part names, sorted.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((before, after)) = name.split_once('*') else {
        return if pattern.exists() { vec![pattern.to_owned()] } else { vec![] };
    };
    let folder = pattern.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let matches = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
    };
    let listed: io::Result<Vec<_>> = fs::read_dir(folder).and_then(Iterator::collect);
    let mut files: Vec<_> =
        listed.unwrap_or_default().iter().map(fs::DirEntry::path).filter(matches).collect();
    files.sort();
    files
}
