//! Browsers that logged in.
//!
//! A session is known by 256 random bits that only the browser has, in a cookie that no script can read; what is kept here
//! is their digest. It is over when it was not used for a while, when its time is up whatever it was used for, when somebody
//! ends it, or when the password of its user changes. Logging in always makes a new one, so that one that somebody was given
//! is worth nothing.
//!
//! Sessions live in memory. What changed of them is handed out ([`Sessions::take_changes`]) to be stored by whoever can, and
//! what was stored is given back after a restart ([`Sessions::restore`]).

use std::{
    collections::{HashMap, HashSet},
    fmt,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{Scopes, secret};

/// How long sessions last, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Unused for so long, one is over; 30 minutes by default.
    pub idle: Duration,
    /// After so long one is over, used or not; 12 hours by default.
    pub absolute: Duration,
    /// Sessions of one user; 20 by default. The one that was not used for longest makes room.
    pub per_user: usize,
    /// Sessions of all; 10,000 by default.
    pub total: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(1_800),
            absolute: Duration::from_secs(12 * 3_600),
            per_user: 20,
            total: 10_000,
        }
    }
}

/// When a session was used is handed out to be stored this often.
const USED_EVERY_MS: i64 = 60_000;

/// What a session is kept by: the digest of what the browser has.
pub type Digest = [u8; secret::BYTES];

/// One browser that logged in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Who.
    pub user: String,
    /// What they may do, where that is not asked of the stored user each time: somebody else vouched for them.
    pub vouched: Option<(Scopes, Option<String>)>,
    /// What the pages show with each change, as only they can read it.
    pub csrf: String,
    /// From where.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
    /// When it began.
    pub began_ms: i64,
    /// When it was used last.
    pub used_ms: i64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A session as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// By which it is ended; tells nothing of the cookie.
    pub id: String,
    /// Who.
    pub user: String,
    /// From where.
    pub address: String,
    /// What the browser calls itself.
    pub agent: String,
    /// When it began.
    pub began_ms: i64,
    /// When it was used last.
    pub used_ms: i64,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Sessions {
    limits: SessionLimits,
    /// By the digest of what the browser has.
    open: HashMap<Digest, Session>,
    /// Those that are not stored as they are.
    changed: HashSet<Digest>,
}

impl Sessions {
    /// None yet.
    pub fn new(limits: SessionLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Begins one: what the cookie holds. Both are random. Who has too many loses the one that was not used for longest.
    pub fn begin(&mut self, session: Session, random: &[u8; secret::BYTES], now_ms: i64) -> String {
        self.sweep(now_ms);
        let own =
            |open: &HashMap<_, Session>| open.values().filter(|other| other.user == session.user).count();
        while own(&self.open) >= self.limits.per_user.max(1) {
            let user = session.user.clone();
            self.drop_oldest(|other| other.user == user);
        }
        while self.open.len() >= self.limits.total.max(1) {
            self.drop_oldest(|_| true);
        }
        let text = secret::text(random);
        let key = secret::sha256(text.as_bytes());
        self.open.insert(key, session);
        self.changed.insert(key);
        text
    }

    /// Takes one back that was stored, if it is not over and there is room.
    pub fn restore(&mut self, key: Digest, session: Session, now_ms: i64) {
        let own = self.open.values().filter(|other| other.user == session.user).count();
        let has_room = own < self.limits.per_user.max(1) && self.open.len() < self.limits.total.max(1);
        if has_room && !is_over(&session, &self.limits, now_ms) {
            self.open.entry(key).or_insert(session);
        } else {
            self.changed.insert(key);
        }
    }

    /// What is not stored as it is: sessions, and `None` for one that is no more. It counts as stored from now on.
    pub fn take_changes(&mut self) -> Vec<(Digest, Option<Session>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|key| (key, self.open.get(&key).cloned())).collect()
    }

    /// What was taken could not be stored: it is handed out again.
    pub fn give_back(&mut self, keys: impl IntoIterator<Item = Digest>) {
        self.changed.extend(keys);
    }

    /// The session of a cookie, used now.
    pub fn find(&mut self, cookie: &str, now_ms: i64) -> Option<Session> {
        let key = secret::sha256(cookie.as_bytes());
        let session = self.open.get_mut(&key)?;
        if is_over(session, &self.limits, now_ms) {
            self.open.remove(&key);
            self.changed.insert(key);
            return None;
        }
        if session.used_ms / USED_EVERY_MS < now_ms / USED_EVERY_MS {
            self.changed.insert(key);
        }
        session.used_ms = session.used_ms.max(now_ms);
        Some(session.clone())
    }

    /// Ends the session of a cookie; whose it was.
    pub fn end(&mut self, cookie: &str) -> Option<Session> {
        self.remove(secret::sha256(cookie.as_bytes()))
    }

    fn remove(&mut self, key: Digest) -> Option<Session> {
        let ended = self.open.remove(&key)?;
        self.changed.insert(key);
        Some(ended)
    }

    /// Ends one that is listed, of a user or of whomever; whose it was.
    pub fn end_listed(&mut self, id: &str, of: Option<&str>) -> Option<Session> {
        let key = self
            .open
            .iter()
            .find(|(key, session)| id_of(key) == id && of.is_none_or(|user| session.user == user));
        let key = *key?.0;
        self.remove(key)
    }

    /// Ends all of a user that began before a moment; how many.
    pub fn end_all(&mut self, user: &str, before_ms: i64) -> usize {
        self.retain(|session| session.user != user || session.began_ms >= before_ms)
    }

    /// Those of a user, or of all, the one used last first. `cookie` is that of who asks.
    pub fn list(&self, of: Option<&str>, cookie: Option<&str>, now_ms: i64) -> Vec<Shown> {
        let current = cookie.map(|cookie| secret::sha256(cookie.as_bytes()));
        let wanted = self.open.iter().filter(|(_, session)| {
            !is_over(session, &self.limits, now_ms) && of.is_none_or(|user| session.user == user)
        });
        let mut shown: Vec<_> = wanted
            .map(|(key, session)| Shown {
                id: id_of(key),
                user: session.user.clone(),
                address: session.address.clone(),
                agent: session.agent.clone(),
                began_ms: session.began_ms,
                used_ms: session.used_ms,
                current: current == Some(*key),
            })
            .collect();
        shown.sort_by(|a, b| b.used_ms.cmp(&a.used_ms).then_with(|| a.id.cmp(&b.id)));
        shown
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Forgets those that are over.
    pub fn sweep(&mut self, now_ms: i64) {
        let limits = self.limits;
        self.retain(|session| !is_over(session, &limits, now_ms));
    }

    /// Forgets those that are not to be kept; how many.
    fn retain(&mut self, keep: impl Fn(&Session) -> bool) -> usize {
        let count = self.open.len();
        let changed = &mut self.changed;
        self.open.retain(|key, session| {
            let kept = keep(session);
            if !kept {
                changed.insert(*key);
            }
            kept
        });
        count - self.open.len()
    }

    fn drop_oldest(&mut self, which: impl Fn(&Session) -> bool) {
        let oldest = self.open.iter().filter(|(_, session)| which(session));
        let oldest = oldest.min_by_key(|(key, session)| (session.used_ms, **key)).map(|(key, _)| *key);
        if let Some(key) = oldest {
            self.remove(key);
        }
    }
}

fn is_over(session: &Session, limits: &SessionLimits, now_ms: i64) -> bool {
    let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    now_ms.saturating_sub(session.used_ms) >= ms(limits.idle)
        || now_ms.saturating_sub(session.began_ms) >= ms(limits.absolute)
}

fn id_of(key: &[u8; secret::BYTES]) -> String {
    secret::hex(&secret::sha256(key)[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn session(user: &str, at: i64) -> Session {
        Session {
            user: user.to_owned(),
            vouched: None,
            csrf: "c".to_owned(),
            address: "a".to_owned(),
            agent: String::new(),
            began_ms: at,
            used_ms: at,
        }
    }

    #[test]
    fn it_is_over_when_unused_and_when_its_time_is_up() {
        let mut sessions = Sessions::default();
        let cookie = sessions.begin(session("ann", 0), &[1; 32], 0);
        assert_eq!(sessions.find(&cookie, 29 * MINUTE).unwrap().user, "ann");
        assert!(sessions.find(&cookie, 58 * MINUTE).is_some());
        assert!(sessions.find(&cookie, 88 * MINUTE).is_none());
        let cookie = sessions.begin(session("ann", 0), &[2; 32], 0);
        for minute in (0..720).step_by(20) {
            assert!(sessions.find(&cookie, minute * MINUTE).is_some(), "{minute}");
        }
        assert!(sessions.find(&cookie, 720 * MINUTE).is_none());
        assert!(sessions.is_empty());
    }

    #[test]
    fn only_the_browser_has_what_opens_it() {
        let mut sessions = Sessions::default();
        let cookie = sessions.begin(session("ann", 0), &[1; 32], 0);
        let other = sessions.begin(session("bob", 1), &[2; 32], 1);
        let listed = sessions.list(None, Some(&cookie), 1);
        assert_eq!(
            listed.iter().map(|shown| (&*shown.user, shown.current)).collect::<Vec<_>>(),
            [("bob", false), ("ann", true)]
        );
        assert!(!format!("{sessions:?} {listed:?}").contains(&cookie));
        assert!(sessions.find("", 1).is_none() && sessions.find(&listed[0].id, 1).is_none());
        // Only one's own can be ended, unless one may end all.
        assert!(sessions.end_listed(&listed[0].id, Some("ann")).is_none());
        assert_eq!(sessions.end_listed(&listed[0].id, None).unwrap().user, "bob");
        assert!(sessions.find(&other, 1).is_none());
        assert_eq!(sessions.end(&cookie).unwrap().user, "ann");
        assert!(sessions.find(&cookie, 1).is_none());
    }

    #[test]
    fn a_new_password_ends_those_before_it() {
        let mut sessions = Sessions::default();
        let old = sessions.begin(session("ann", 5), &[1; 32], 5);
        let new = sessions.begin(session("ann", 9), &[2; 32], 9);
        let bob = sessions.begin(session("bob", 5), &[3; 32], 5);
        assert_eq!(sessions.end_all("ann", 9), 1);
        assert!(sessions.find(&old, 9).is_none());
        assert!(sessions.find(&new, 9).is_some() && sessions.find(&bob, 9).is_some());
    }

    #[test]
    fn what_changed_is_handed_out_once_and_comes_back() {
        let mut sessions = Sessions::default();
        let cookie = sessions.begin(session("ann", 0), &[1; 32], 0);
        let gone = sessions.begin(session("bob", 0), &[2; 32], 0);
        let stored = sessions.take_changes();
        assert_eq!(stored.len(), 2);
        assert!(sessions.take_changes().is_empty());
        sessions.find(&cookie, 1);
        assert!(sessions.take_changes().is_empty(), "within a minute nothing is worth storing");
        sessions.find(&cookie, MINUTE);
        sessions.end(&gone);
        let changes = sessions.take_changes();
        assert_eq!(changes.iter().filter(|(_, session)| session.is_none()).count(), 1);
        assert!(changes.iter().any(|(_, session)| session.as_ref().is_some_and(|it| it.used_ms == MINUTE)));
        sessions.give_back(changes.iter().map(|(key, _)| *key));
        assert_eq!(sessions.take_changes().len(), 2);

        let mut again = Sessions::default();
        for (key, session) in &stored {
            again.restore(*key, session.clone().unwrap(), 29 * MINUTE);
        }
        assert_eq!(again.find(&cookie, 29 * MINUTE).unwrap().user, "ann");
        // One that is over meanwhile is not taken, and goes from where it was stored.
        let mut late = Sessions::new(SessionLimits { total: 1, ..SessionLimits::default() });
        let (key, kept) = (stored[0].0, stored[0].1.clone().unwrap());
        late.restore(key, kept.clone(), 30 * MINUTE);
        assert_eq!((late.len(), late.take_changes()), (0, vec![(key, None)]));
        late.restore([7; 32], kept.clone(), 1);
        late.restore([8; 32], kept, 1);
        assert_eq!((late.len(), late.take_changes()), (1, vec![([8; 32], None)]));
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let limits = SessionLimits { per_user: 2, total: 3, ..SessionLimits::default() };
        let mut sessions = Sessions::new(limits);
        let begin = |sessions: &mut Sessions, user: &str, at: u8| {
            sessions.begin(session(user, i64::from(at)), &[at; 32], i64::from(at))
        };
        let first = begin(&mut sessions, "ann", 1);
        begin(&mut sessions, "ann", 2);
        begin(&mut sessions, "ann", 3);
        assert!(sessions.find(&first, 4).is_none());
        begin(&mut sessions, "bob", 4);
        begin(&mut sessions, "cy", 5);
        assert_eq!(sessions.len(), 3);
    }
}
