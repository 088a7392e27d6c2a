//! Who may call: what is known of callers, and the gates before HTTP and gRPC.
//!
//! Without the section `auth` everybody who reaches the server may do everything, and only this machine reaches it
//! (`http/guard.rs`). With it, each request is judged by one table (`table`): what its route needs, and what its caller
//! showed: a password, a token, a certificate or the cookie of a session. What decides is in the crate `barograph-auth`;
//! here are the clock, the random numbers, the state database, and what carries it all.

mod accounts;
mod audit;
pub(crate) mod cookies;
pub(crate) mod gate;
pub(crate) mod grpc;
mod instruments;
pub(crate) mod kept;
pub mod offline;
pub(crate) mod oidc;
mod passwords;
pub(crate) mod table;

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use barograph_auth::{
    Credentials, Identity, Role, Session, SessionLimits, Sessions, Throttle, ThrottleLimits, User, Via,
    audit::{Outcome, Record},
    secret, token,
};
use barograph_disk::Disk;
use barograph_state::State;
use ring::rand::{SecureRandom, SystemRandom};

pub(crate) use accounts::{AccountError, Accounts};
use audit::Audit;
pub(crate) use audit::LISTED_MAX;
pub(crate) use instruments::Instruments;
use passwords::Passwords;

use crate::{
    clock::Clock,
    config::{AuthConfig, Config},
    connections::{ClientCertificate, Connections, shared_part},
    current,
    http::Rates,
};

/// Everything that is known of who may call.
pub(crate) struct Auth {
    config: Option<AuthConfig>,
    /// Whether cookies go over TLS only.
    secure: bool,
    clock: Arc<dyn Clock>,
    random: SystemRandom,
    pub(crate) accounts: Arc<Accounts>,
    sessions: Mutex<Sessions>,
    keeper: kept::Keeper,
    throttle: Mutex<Throttle>,
    passwords: Passwords,
    audit: Option<Arc<Audit>>,
    /// How often callers call, and addresses, by class.
    callers: [Rates<String>; 3],
    addresses: [Rates<IpAddr>; 3],
    pub(crate) oidc: oidc::Logins,
    /// Refusals of wrong credentials are noted once in a while for each address.
    noted: Rates<IpAddr>,
}

/// Why somebody is not let in.
#[derive(Debug)]
pub(crate) enum Denied {
    /// What they showed is nothing that is known.
    Unknown(String),
    /// They guessed too often, and wait so long.
    Throttled(Duration),
    /// It is not known yet who may.
    NotReady,
}

/// What a request showed of who sends it.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) authorization: Option<Vec<u8>>,
    pub(crate) cookie: Option<String>,
    /// The names of its certificate.
    pub(crate) certificate: Vec<String>,
    pub(crate) address: Option<IpAddr>,
}

impl Auth {
    pub(crate) fn new(
        config: &Config,
        connections: &Connections,
        state: Arc<State>,
        clock: Arc<dyn Clock>,
        disk: Arc<dyn Disk>,
    ) -> Self {
        let auth = configured(config, connections);
        let (sessions, throttle) =
            auth.as_ref().map_or((SessionLimits::default(), ThrottleLimits::default()), |auth| {
                (auth.sessions, auth.throttle)
            });
        let limits = config.call_limits;
        let classes = [limits.read, limits.write, limits.admin];
        let audit = auth.as_ref().map(|auth| Arc::new(Audit::new(disk, auth.audit)));
        let random = SystemRandom::new();
        let seldom = crate::config::RateLimit { per_second: 1.0 / 60.0, burst: 5.0 };
        Self {
            passwords: Passwords::new(random_of(&random)),
            oidc: oidc::Logins::default(),
            secure: connections.scheme() == "https" || auth.as_ref().is_some_and(|auth| auth.secure_cookies),
            config: auth,
            clock,
            random,
            keeper: kept::Keeper::new(state.clone()),
            accounts: Arc::new(Accounts::new(state)),
            sessions: Mutex::new(Sessions::new(sessions)),
            throttle: Mutex::new(Throttle::new(throttle)),
            audit,
            callers: classes.map(|class| Rates::new(class.per_caller)),
            addresses: classes.map(|class| Rates::new(class.per_address)),
            noted: Rates::new(seldom),
        }
    }

    /// Whether cookies go over TLS only: we speak it, or something in front of us does.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// What is configured; `None` if nobody is asked who they are.
    pub(crate) fn config(&self) -> Option<&AuthConfig> {
        self.config.as_ref()
    }

    /// 32 bytes that nobody can guess.
    pub(crate) fn secret(&self) -> [u8; secret::BYTES] {
        random_of(&self.random)
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.clock.now().0
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads who is stored. Until then nobody is known. Blocks.
    pub(crate) fn load(&self) {
        // Sessions first: whoever shows one is unknown, not refused, until accounts are there.
        let restored = self.restore_sessions();
        if let Err(error) = restored.and_then(|()| self.accounts.load()) {
            tracing::warn!(
                error = crate::errors::chain(&error),
                "it cannot be read who is stored; nobody of them is known"
            );
        }
    }

    /// The user of a name: of the file, else stored.
    pub(crate) fn user(&self, name: &str) -> Result<Option<User>, AccountError> {
        let own = self.config.iter().flat_map(|config| &config.users).find(|user| user.name == name);
        own.map_or_else(|| self.accounts.user(name), |user| Ok(Some(user.clone())))
    }

    /// Whether a user is of the file, which is where they are changed.
    pub(crate) fn is_of_file(&self, name: &str) -> bool {
        self.config.iter().flat_map(|config| &config.users).any(|user| user.name == name)
    }

    /// Who asks. Without anything shown, what everybody may.
    pub(crate) async fn identify(&self, asked: &Asked) -> Result<Identity, Denied> {
        let Some(config) = &self.config else { return Ok(Identity::local()) };
        if let Some(header) = &asked.authorization {
            let unknown = |error: barograph_auth::Malformed| Denied::Unknown(error.to_string());
            return match Credentials::parse(header).map_err(unknown)? {
                Credentials::Basic { user, password } => {
                    let user = self.by_password(&user, &password, asked.address).await?;
                    Ok(identity_of(&user, Via::Password))
                }
                Credentials::Bearer(text) => self.by_token(&text),
            };
        }
        if let Some(identity) = Identity::of_certificate(&asked.certificate, &config.certificates) {
            return Ok(identity);
        }
        match asked.cookie.as_deref().and_then(|cookie| self.by_cookie(cookie).transpose()) {
            Some(found) => found,
            None => Ok(Identity::anonymous(config.anonymous)),
        }
    }

    /// The user of a name and a password, unless somebody guesses.
    pub(crate) async fn by_password(
        &self,
        name: &str,
        password: &str,
        address: Option<IpAddr>,
    ) -> Result<User, Denied> {
        let (now, address) = (self.clock.monotonic(), text_of(address.map(shared_part)));
        let user = self.user(name).map_err(|_| Denied::NotReady)?;
        let hash = user.as_ref().map(|user| user.password.as_str());
        if let (Some(user), Some(hash)) = (&user, hash)
            && self.passwords.is_known(password, hash, now)
        {
            return Ok(user.clone());
        }
        self.throttle().may(name, &address, now).map_err(Denied::Throttled)?;
        let _turn = self.passwords.turn().await;
        // Somebody who sends many requests at a time is checked once.
        if let (Some(user), Some(hash)) = (&user, hash)
            && self.passwords.is_known(password, hash, now)
        {
            return Ok(user.clone());
        }
        self.throttle().may(name, &address, now).map_err(Denied::Throttled)?;
        // Counted before it is looked at, so that many guesses at a time are as many guesses.
        self.throttle().failed(name, &address, now);
        if !self.passwords.check(password, hash, now).await {
            return Err(Denied::Unknown("the name or the password is wrong".to_owned()));
        }
        self.throttle().succeeded(name, &address);
        user.ok_or_else(|| Denied::Unknown("the name or the password is wrong".to_owned()))
    }

    fn by_token(&self, text: &str) -> Result<Identity, Denied> {
        let unknown =
            || Denied::Unknown("the token is not known, is past its time or was revoked".to_owned());
        let digest = token::digest(text);
        let now = self.now_ms();
        let found = self.accounts.use_token(&digest, now).map_err(|_| Denied::NotReady)?;
        let (token, store) = found.ok_or_else(unknown)?;
        if token.is_expired(now) {
            return Err(unknown());
        }
        let mut identity = match &token.owner {
            None => Identity::new(token.name.clone(), token.scopes, Via::Token),
            Some(owner) => {
                let owner = self.user(owner).map_err(|_| Denied::NotReady)?.ok_or_else(unknown)?;
                let scopes = token.scopes.and(Role::scopes_of(&owner.roles));
                Identity { tenant: owner.tenant, ..Identity::new(owner.name, scopes, Via::Token) }
            }
        };
        identity.tenant = token.tenant.or(identity.tenant);
        identity.token = Some(token.id);
        if store {
            self.wants_storing(digest);
        }
        Ok(identity)
    }

    /// Stores when a token was used, later and elsewhere; that nobody waits for.
    fn wants_storing(&self, digest: String) {
        let accounts = self.accounts.clone();
        drop(current::blocking(move || {
            if let Err(error) = accounts.store_used(&digest) {
                tracing::debug!(%error, "it was not stored when a token was used");
            }
        }));
    }

    fn by_cookie(&self, cookie: &str) -> Result<Option<Identity>, Denied> {
        let Some(session) = self.sessions().find(cookie, self.now_ms()) else {
            // Until it is read who is stored, it may be one of them.
            return self.accounts.users().map(|_| None).map_err(|_| Denied::NotReady);
        };
        if let Some((scopes, tenant)) = session.vouched {
            return Ok(Some(Identity { tenant, ..Identity::new(session.user, scopes, Via::Session) }));
        }
        // What they are is asked each time: one who is no user any more has no session.
        let user = self.user(&session.user).map_err(|_| Denied::NotReady)?;
        match user.filter(|user| user.password_ms <= session.began_ms) {
            Some(user) => Ok(Some(identity_of(&user, Via::Session))),
            None => {
                self.sessions().end(cookie);
                Ok(None)
            }
        }
    }

    /// Begins a session: what the cookie holds, and what the pages show with each change. One that the browser had is over.
    pub(crate) fn begin(
        &self,
        user: &str,
        vouched: Option<(barograph_auth::Scopes, Option<String>)>,
        asked: &Asked,
        agent: &str,
    ) -> (String, String) {
        let now = self.now_ms();
        let csrf = secret::text(&self.secret());
        let session = Session {
            user: user.to_owned(),
            vouched,
            csrf: csrf.clone(),
            address: text_of(asked.address),
            agent: agent[..agent.floor_char_boundary(200)].to_owned(),
            began_ms: now,
            used_ms: now,
        };
        let mut sessions = self.sessions();
        if let Some(old) = &asked.cookie {
            sessions.end(old);
        }
        let cookie = sessions.begin(session, &self.secret(), now);
        (cookie, csrf)
    }

    /// The hash of a new password.
    pub(crate) async fn hash(&self, password: &str) -> Option<String> {
        let mut salt = [0; 16];
        salt.copy_from_slice(&self.secret()[..16]);
        self.passwords.hash(password, salt).await
    }

    /// Takes a turn of a caller in a class; else how long until there is one.
    fn take_caller(&self, class: usize, identity: &Identity) -> Result<(), Duration> {
        match identity.via {
            Via::Anonymous | Via::Local => Ok(()),
            _ => self.callers[class].take(Some(identity.key()), self.clock.monotonic()),
        }
    }

    fn take_address(&self, class: usize, address: Option<IpAddr>) -> Result<(), Duration> {
        self.addresses[class].take(address.map(shared_part), self.clock.monotonic())
    }

    /// Notes what was done or tried. It is durable when this returns, if the disk takes it; whether it did.
    pub(crate) async fn note(
        &self,
        identity: &Identity,
        address: Option<IpAddr>,
        (action, object): (&str, &str),
        outcome: Outcome,
        detail: &str,
    ) -> bool {
        let Some(audit) = self.audit.clone() else { return true };
        let record = Record::new(identity, &text_of(address), action, object, outcome, self.now_ms());
        let record = record.with_detail(detail);
        current::blocking(move || audit.note(&record)).await.unwrap_or(false)
    }

    /// Whether one more refusal of wrong credentials from an address is noted.
    fn may_note_refusal(&self, address: Option<IpAddr>) -> bool {
        self.noted.take(address.map(shared_part), self.clock.monotonic()).is_ok()
    }

    /// The newest records of the audit log that are wanted.
    pub(crate) async fn audited(
        &self,
        limit: usize,
        wanted: impl Fn(&Record) -> bool + Send + 'static,
    ) -> Result<Vec<Record>, String> {
        let Some(audit) = self.audit.clone() else { return Ok(Vec::new()) };
        let read = current::blocking(move || audit.read(limit, wanted)).await;
        read.map_err(|error| error.to_string())?.map_err(|error| crate::errors::chain(&error))
    }
}

/// Who may call, by the configuration and by the users of the web configuration, which ask for it alone, too. Users that it
/// gains later count from the next start on.
pub(crate) fn configured(config: &Config, connections: &Connections) -> Option<AuthConfig> {
    let web = connections.web();
    let users = web.config.users.iter().map(|(name, hash)| (name.clone(), hash.0.clone()));
    match &config.auth {
        None if web.config.users.is_empty() => None,
        auth => Some(auth.clone().unwrap_or_default().with_web_users(users)),
    }
}

fn random_of(random: &SystemRandom) -> [u8; secret::BYTES] {
    let mut bytes = [0; secret::BYTES];
    // A system that has no random numbers can keep nobody out.
    random.fill(&mut bytes).expect("the system gives random numbers");
    bytes
}

fn identity_of(user: &User, via: Via) -> Identity {
    Identity {
        tenant: user.tenant.clone(),
        ..Identity::new(user.name.clone(), Role::scopes_of(&user.roles), via)
    }
}

fn text_of(address: Option<IpAddr>) -> String {
    address.map_or_else(|| "unknown".to_owned(), |address| address.to_string())
}

/// The names of the certificate that a client showed, if it showed one that was checked.
fn names_of_certificate(extensions: &http::Extensions) -> Vec<String> {
    let certificate = extensions.get::<ClientCertificate>();
    certificate
        .map(|shown| [&shown.sans[..], std::slice::from_ref(&shown.subject)].concat())
        .unwrap_or_default()
}
