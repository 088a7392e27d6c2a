//! `barograph check health`: what a server says of itself, as an exit code.

use crate::{
    client::{Client, Reply},
    error::Error,
    exit::Health,
    terminal::{Role, Terminal},
};
use serde::Deserialize;
use std::process::ExitCode;

/// Prints one line and gives the exit code of a monitoring system's plug-in.
pub(crate) fn run(client: &Client, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let (health, text) = health_of(client);
    let role = match health {
        Health::Ok => Role::Good,
        Health::Warning => Role::Warning,
        Health::Critical | Health::Unknown => Role::Error,
    };
    Ok(terminal.verdict(role, health.word(), &text, health.code())?)
}

/// What the server says of itself; a server that cannot be reached is critical.
fn health_of(client: &Client) -> (Health, String) {
    match client.get("/health", &[]) {
        Ok(reply) => judge(&reply),
        Err(error) => (Health::Critical, error.to_string()),
    }
}

/// The part of a health document that decides: our own, or `application/health+json`, which others answer.
#[derive(Deserialize)]
struct Document {
    status: String,
    /// Why all is not well.
    #[serde(alias = "output")]
    reason: Option<String>,
}

fn judge(reply: &Reply) -> (Health, String) {
    let Ok(document) = serde_json::from_slice::<Document>(&reply.body) else {
        return (
            Health::Unknown,
            format!("{} answers {} without a health document", reply.url, reply.status),
        );
    };
    let health = match document.status.as_str() {
        "healthy" | "pass" => Health::Ok,
        "degraded" | "warn" => Health::Warning,
        "unhealthy" | "fail" => Health::Critical,
        _ => Health::Unknown,
    };
    let why = document.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    (health, format!("{} says {}{why}", reply.url, document.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &'static str, expected: Health) {
        let reply = Reply { url: "http://a/health".into(), status: 200, body: body.into() };
        assert_eq!(judge(&reply).0, expected, "{body}");
    }

    #[test]
    fn the_status_decides() {
        check(r#"{"status":"healthy","reason":null}"#, Health::Ok);
        check(r#"{"status":"degraded","reason":"a file was set aside"}"#, Health::Warning);
        check(r#"{"status":"unhealthy"}"#, Health::Critical);
        check(r#"{"status":"pass"}"#, Health::Ok);
        check(r#"{"status":"warn","output":"disk 91 % full"}"#, Health::Warning);
        check(r#"{"status":"fail"}"#, Health::Critical);
        check(r#"{"status":"so-so"}"#, Health::Unknown);
        check("<html>", Health::Unknown);
    }
}
