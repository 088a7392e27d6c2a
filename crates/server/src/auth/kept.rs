//! Sessions in the state database, so that a restart logs nobody out.
//!
//! What begins or ends one is durable before it is answered; when one was used last is written once a minute, all in one batch.
//! A session comes back only while what vouched for it still does: one of a user of the file not after their password was
//! changed there, one of an issuer not after its section was.

use std::sync::{Arc, Mutex, PoisonError};

use barograph_auth::{Session, secret};
use barograph_state::{Error, State, Table};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Duration};

use super::Auth;
use crate::{current, errors::chain, http::App, server::stopped};

/// How often what was only used is written.
const EVERY: Duration = Duration::from_secs(60);

/// By the digest of the cookie.
const SESSIONS: Table<String, Kept> = Table::new("sessions");

/// A session as it is stored.
#[derive(Serialize, Deserialize)]
struct Kept {
    session: Session,
    /// A digest of what vouches for it beside the state database.
    by: Option<String>,
}

/// Where they are stored; one writes at a time, so that what ended does not come back.
pub(super) struct Keeper {
    state: Arc<State>,
    turn: Mutex<()>,
}

impl Keeper {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { state, turn: Mutex::default() }
    }
}

impl Auth {
    /// Takes back the sessions that are stored, the one used last first. Blocks.
    pub(super) fn restore_sessions(&self) -> Result<(), Error> {
        let mut stored = self.keeper.state.read(|view| view.all(&SESSIONS))?;
        stored.sort_by_key(|(_, kept)| std::cmp::Reverse(kept.session.used_ms));
        let now = self.now_ms();
        let mut sessions = self.sessions();
        for (digest, kept) in stored {
            let Some(key) = secret::of_hex(&digest) else { continue };
            match self.vouches(&kept.session) == Some(kept.by) {
                true => sessions.restore(key, kept.session, now),
                false => sessions.give_back([key]),
            }
        }
        Ok(())
    }

    /// Makes durable what changed. A disk that fails loses nothing that is in memory, and is told.
    pub(crate) async fn keep_sessions(self: &Arc<Self>) {
        let auth = self.clone();
        let _ = current::blocking(move || auth.write_sessions()).await;
    }

    fn write_sessions(&self) {
        let _turn = self.keeper.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let changes = self.sessions().take_changes();
        if changes.is_empty() {
            return;
        }
        let written = self.keeper.state.write(|batch| {
            for (key, session) in &changes {
                let digest = secret::hex(key);
                match session.as_ref().and_then(|session| Some((session, self.vouches(session)?))) {
                    Some((session, by)) => {
                        batch.put(&SESSIONS, &digest, &Kept { session: session.clone(), by })?;
                    }
                    None => drop(batch.remove(&SESSIONS, &digest)?),
                }
            }
            Ok(())
        });
        if let Err(error) = written {
            tracing::warn!(
                error = chain(&error),
                "sessions cannot be stored; a restart would log out whom it concerns"
            );
            self.sessions().give_back(changes.into_iter().map(|(key, _)| key));
        }
    }

    /// What vouches for a session, as far as it is not in the state database; `None` if nothing does any more.
    fn vouches(&self, session: &Session) -> Option<Option<String>> {
        let config = self.config.as_ref()?;
        if session.vouched.is_some() {
            let oidc = config.oidc.as_ref()?;
            let text = format!("{} {} {:?}", oidc.issuer, oidc.client_id, oidc.mapping);
            return Some(Some(secret::sha256_hex(text.as_bytes())));
        }
        let own = config.users.iter().find(|user| user.name == session.user);
        Some(own.map(|user| secret::sha256_hex(user.password.as_bytes())))
    }
}

/// Writes when sessions were used, until the server stops.
pub(crate) async fn run(app: App, mut stopping: watch::Receiver<bool>) {
    let mut due = tokio::time::interval(EVERY);
    loop {
        let ends = tokio::select! {
            _ = due.tick() => false,
            () = stopped(&mut stopping) => true,
        };
        if app.ready().is_some() {
            app.auth().keep_sessions().await;
        }
        if ends {
            return;
        }
    }
}
