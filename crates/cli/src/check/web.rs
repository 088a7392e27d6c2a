//! `barograph check web-config`: a web configuration as `serve` would read it, with the certificates and keys that it names.

use crate::{
    error::Error,
    exit,
    terminal::{Role, Terminal},
};
use barograph_server::config::ClientAuth;
use std::{path::Path, process::ExitCode};

/// Reads the file and what it names, and tells what is wrong.
pub(crate) fn run(path: &Path, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let config = barograph_server::check_web_config(path)
        .map_err(|why| Error::Failed { what: "the web configuration cannot be used", source: why.into() })?;
    let tls = match &config.tls {
        None => "no TLS",
        Some(tls) if tls.client_auth == ClientAuth::None => "TLS",
        Some(tls) if tls.client_auth.requires() => "TLS, clients need a certificate",
        Some(_) => "TLS, clients may show a certificate",
    };
    let text = format!("{}, {tls}, users: {}", path.display(), config.users.len());
    Ok(terminal.verdict(Role::Good, "ok", &text, exit::FINE)?)
}
