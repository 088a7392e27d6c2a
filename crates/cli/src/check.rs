//! `barograph check`: looks for faults and says so in its exit code.

use crate::{
    client::{Client, Reply},
    error::Error,
    exit::Health,
    terminal::{Role, Terminal},
    time::Span,
};
use serde::Deserialize;
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Whether a running server is well: exits 0 if so, 1 with a warning, 2 if not, 3 if that cannot be told.
    Health {
        /// The server to ask.
        #[arg(value_name = "URL", default_value = "http://127.0.0.1:10701")]
        url: String,
        /// How long to wait for it.
        #[arg(long, value_name = "SPAN", default_value = "5s")]
        timeout: Span,
    },
}

pub(crate) fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    match command {
        Command::Health { url, timeout } => {
            let (health, text) = health_of(&Client::new(&url, timeout)?);
            let role = match health {
                Health::Ok => Role::Good,
                Health::Warning => Role::Warning,
                Health::Critical | Health::Unknown => Role::Error,
            };
            Ok(terminal.verdict(role, health.word(), &text, health.code())?)
        }
    }
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
