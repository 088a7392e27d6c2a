//! `barograph check config`: a configuration as `serve` would read it, without starting anything.
//!
//! What cannot be used is an error. What can, but likely is not meant, is a finding: a secret or a file of targets
//! that is not there (yet), a configuration that scrapes nothing it names.

use crate::{
    error::Error,
    exit,
    terminal::{Role, Terminal},
};
use barograph_server::config::{
    Auth, Config, DiscoveryConfig, HttpClientConfig, Secret, matching_files, parse_targets,
};
use std::{fs, path::Path, process::ExitCode};

/// Reads the file with the environment over it, and tells what is wrong with it.
pub(crate) fn run(path: &Path, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let config = Config::load(Some(path), std::env::vars())?;
    let mut findings = Vec::new();
    for job in &config.scrape_configs {
        let mut found = check_asked(&job.http, &job.discovery)?;
        if job.discovery.is_empty() {
            found.push("it names no targets".to_owned());
        }
        findings.extend(found.into_iter().map(|text| format!("job `{}`: {text}", job.job_name)));
    }
    for entry in &config.alerting.alertmanagers {
        let found = check_asked(&entry.http, &entry.discovery)?;
        findings.extend(found.into_iter().map(|text| format!("`alertmanagers`: {text}")));
    }
    let mut rules = 0;
    for pattern in &config.rule_files {
        let files = matching_files(pattern);
        if files.is_empty() {
            findings
                .push(format!("no rule file is called {}; its rules come when one is", pattern.display()));
        }
        for file in files {
            rules += check_rules(&file)?;
        }
    }
    let mut alerting = String::new();
    if let Some(file) = &config.alertmanager_config {
        alerting = format!(", {}", super::alertmanager::read(file)?);
    }
    for finding in &findings {
        terminal.message(Role::Warning, finding);
    }
    let (role, word, code) = match findings.len() {
        0 => (Role::Good, "ok", exit::FINE),
        _ => (Role::Warning, "usable", ExitCode::from(exit::FINDINGS)),
    };
    let (path, jobs) = (path.display(), config.scrape_configs.len());
    let rules = if config.rule_files.is_empty() { String::new() } else { format!(", rules: {rules}") };
    Ok(terminal.verdict(role, word, &format!("{path}, scrape jobs: {jobs}{rules}{alerting}"), code)?)
}

/// What deserves a look in how somebody is found and asked.
///
/// # Errors
///
/// A file of targets is there and cannot be used.
fn check_asked(http: &HttpClientConfig, discovery: &DiscoveryConfig) -> Result<Vec<String>, Error> {
    let mut findings = Vec::new();
    let secrets = match &http.auth {
        None => vec![],
        Some(Auth::Basic { username, password }) => vec![username, password],
        Some(Auth::Header { credentials, .. }) => vec![credentials],
    };
    for secret in secrets {
        if let (Secret::File(path), Err(error)) = (secret, secret.reveal()) {
            findings.push(format!("the secret in {} cannot be read: {error}", path.display()));
        }
    }
    for pattern in discovery.file_sd_configs.iter().flat_map(|discovery| &discovery.files) {
        let files = matching_files(pattern);
        if files.is_empty() {
            findings.push(format!("no file is called {}; its targets come when one is", pattern.display()));
        }
        for file in files {
            check_targets(&file)?;
        }
    }
    Ok(findings)
}

/// How many rules a file has.
///
/// # Errors
///
/// It cannot be used.
fn check_rules(path: &Path) -> Result<usize, Error> {
    let file = super::rules::read(path);
    file.map(|file| file.rules()).map_err(|told| Error::Rules { told })
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
