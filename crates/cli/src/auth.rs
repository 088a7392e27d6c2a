//! `barograph auth`: users and tokens, in a data directory that no server uses or at a running server; and hashes for the
//! configuration.
//!
//! Passwords come from standard input or from a file, never from the command line, where others could see them.

use std::{
    io::{BufRead, IsTerminal, Read},
    path::PathBuf,
    process::ExitCode,
};

use barograph_server::auth::offline::{self, Role, Scope, Scopes};
use serde_json::{Value, json};

use crate::{
    answer,
    client::{Client, Target},
    error::Error,
    exit,
    terminal::{self, Terminal},
    time::{self, Span},
};

const BASE: &str = "/api/barograph/v1/auth";
/// A file with a password is no longer.
const PASSWORD_BYTES_MAX: u64 = 1 << 10;

/// What can be done about who may call.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Add a user; the password comes from standard input.
    CreateUser(CreateUser),
    /// Make and revoke tokens.
    #[command(subcommand)]
    Token(Token),
    /// Print the hash of a password, as `auth.users` of the configuration takes it.
    Hash {
        /// The file that holds the password, in place of standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

/// Where users and tokens are.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// A data directory that no server uses, in place of a running server.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    server: Target,
}

#[derive(clap::Args)]
pub(crate) struct CreateUser {
    /// The name to log in by.
    name: String,
    /// What they are: read, write, alert-ack, admin. May be given more than once.
    #[arg(long = "role", value_name = "ROLE", required = true, value_parser = role)]
    roles: Vec<Role>,
    /// The file that holds the password of the new user, in place of standard input.
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Subcommand)]
pub(crate) enum Token {
    /// Make a token of a service, and print it; it is not shown again.
    Create {
        /// What it is for.
        name: String,
        /// What it may do: read, write, alert-ack, admin. May be given more than once.
        #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope)]
        scopes: Vec<Scope>,
        /// How long it is good; without it, until it is revoked.
        #[arg(long, value_name = "SPAN")]
        expires: Option<Span>,
        #[command(flatten)]
        place: Place,
    },
}

fn role(name: &str) -> Result<Role, String> {
    Role::parse(name).ok_or_else(|| "expected read, write, alert-ack or admin".to_owned())
}

fn scope(name: &str) -> Result<Scope, String> {
    Scope::parse(name).ok_or_else(|| "expected read, write, alert-ack or admin".to_owned())
}

pub(crate) fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    match command {
        Command::Hash { password_file } => {
            let password = password(password_file.as_ref(), terminal)?;
            let hash = offline::hash("", &password).map_err(|e| failed("cannot make a hash", e))?;
            writeln!(terminal.out(), "{hash}")?;
        }
        Command::CreateUser(args) => {
            let password = password(args.new_password_file.as_ref(), terminal)?;
            create_user(&args, &password)?;
            terminal.message(terminal::Role::Good, &format!("user {} is added", args.name));
        }
        Command::Token(Token::Create { name, scopes, expires, place }) => {
            let token = create_token(&name, Scopes::of(&scopes), expires, &place)?;
            writeln!(terminal.out(), "{token}")?;
        }
    }
    Ok(exit::FINE)
}

fn failed(what: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Failed { what, source: Box::new(source) }
}

/// The password, without the end of its line.
fn password(file: Option<&PathBuf>, terminal: &Terminal) -> Result<String, Error> {
    let mut text = String::new();
    let read = match file {
        Some(path) => {
            std::fs::File::open(path).and_then(|file| file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text))
        }
        None => {
            if std::io::stdin().is_terminal() {
                terminal.message(
                    terminal::Role::Info,
                    "type the password and press Enter; it is shown as it is typed",
                );
            }
            std::io::stdin().lock().take(PASSWORD_BYTES_MAX).read_line(&mut text)
        }
    };
    read.map_err(|error| failed("cannot read the password", error))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn create_user(args: &CreateUser, password: &str) -> Result<(), Error> {
    let CreateUser { name, roles, place, .. } = args;
    if let Some(data_dir) = &place.data_dir {
        let made = offline::create_user(data_dir, name, password, roles, time::now());
        return made.map_err(|e| failed("cannot add the user", e));
    }
    let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    post(&place.server.client()?, "users", &json!({"name": name, "password": password, "roles": roles}))
        .map(drop)
}

fn create_token(name: &str, scopes: Scopes, expires: Option<Span>, place: &Place) -> Result<String, Error> {
    let seconds = expires.map(|span| span.to_duration().as_secs());
    if let Some(data_dir) = &place.data_dir {
        let now = time::now();
        let at =
            seconds.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(now.0));
        let made = offline::create_token(data_dir, name, scopes, at, now);
        return made.map(|(token, _)| token).map_err(|e| failed("cannot make the token", e));
    }
    let mut wanted = json!({"name": name, "scopes": scopes.iter().map(Scope::as_str).collect::<Vec<_>>(), "service": true});
    if let Some(seconds) = seconds {
        wanted["expires_in"] = seconds.into();
    }
    let made = post(&place.server.client()?, "tokens", &wanted)?;
    let token = made["token"].as_str().map(str::to_owned);
    token.ok_or_else(|| failed("cannot read the answer", std::io::Error::other("there is no token in it")))
}

fn post(client: &Client, path: &str, document: &Value) -> Result<Value, Error> {
    answer::document(&client.post_json(&format!("{BASE}/{path}"), document)?)
}
