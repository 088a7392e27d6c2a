//! What must hold, known from what people are told and from what the test itself did, never from how the code keeps it.

use std::collections::{BTreeMap, BTreeSet};

use barograph_alert::{
    config::Config,
    delivery::{AGE_MS_MAX, Entry},
    incident::{Book, Change, Kind, Row, State},
    notice::{Notice, Reason},
    routing::{Fingerprint, LogKey},
};

/// Where an incident stands, as its timeline tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Open,
    /// Somebody has it.
    Held,
    Over,
}

#[derive(Clone, Debug)]
struct Case {
    stand: Stand,
    /// When it came to stand so, or a level was asked last, by the time that went by.
    since: i64,
    level: u64,
    group: String,
}

/// What was told is not known for longer.
const LOG_KEPT_MS: i64 = 100 * 3_600_000;

type Sets = (BTreeSet<Fingerprint>, BTreeSet<Fingerprint>);

#[derive(Debug)]
pub(crate) struct Judge {
    delays: Vec<i64>,
    ack_timeout: Option<i64>,
    cases: BTreeMap<String, Case>,
    /// What each integration was told of a group last, as far as that was noted: firing, and over.
    told: BTreeMap<LogKey, Sets>,
    /// What fired of a group when a person said that it is over.
    rested: BTreeMap<String, BTreeSet<(Fingerprint, i64)>>,
    /// What each integration that hears of ends believes to fire, as far as it is known.
    believed: BTreeMap<LogKey, BTreeSet<Fingerprint>>,
    /// Those that something was lost for: who was given up, or whose alerts may have been muted when they ended.
    lost: BTreeSet<LogKey>,
    mutes: bool,
    /// When notices were queued.
    queued: BTreeMap<u64, i64>,
    /// How often it was looked at what must not happen.
    pub(crate) looked: usize,
}

impl Judge {
    pub(crate) fn new(config: &Config) -> Self {
        let policy = &config.policies["p"];
        Self {
            delays: policy.levels.iter().map(|level| level.delay_ms).collect(),
            ack_timeout: policy.ack_timeout_ms,
            cases: BTreeMap::new(),
            told: BTreeMap::new(),
            rested: BTreeMap::new(),
            believed: BTreeMap::new(),
            lost: BTreeSet::new(),
            mutes: !config.inhibit_rules.is_empty(),
            queued: BTreeMap::new(),
            looked: 0,
        }
    }

    /// Changes of the book are durable; `lived` is the time that went by so far.
    pub(crate) fn changed(&mut self, changes: &[Change], book: &Book, lived: i64) {
        for change in changes {
            assert!(change.pages.len() <= 1, "one look asks one level: {change:?}");
            for row in &change.rows {
                self.happened(row, &change.rows, book, lived);
            }
            if !change.pages.is_empty() {
                assert_eq!(self.cases[&change.incident].stand, Stand::Open, "asked in vain: {change:?}");
            }
            if matches!(self.cases[&change.incident].stand, Stand::Held | Stand::Over)
                && !change.rows.is_empty()
            {
                let came =
                    |row: &Row| matches!(row.kind, Kind::Acknowledged | Kind::TakenOver | Kind::Resolved);
                assert!(change.cancel || !change.rows.iter().any(came), "queued pages are off: {change:?}");
            }
        }
    }

    fn happened(&mut self, row: &Row, rows: &[Row], book: &Book, lived: i64) {
        let incident = book.get(&row.incident).unwrap();
        if row.kind == Kind::Opened {
            self.opened(row, book, lived);
            return;
        }
        let case = self.cases.get_mut(&row.incident).unwrap();
        let is_word = matches!(row.kind, Kind::Commented | Kind::Notified);
        assert!(case.stand != Stand::Over || is_word, "what is over stays so: {row:?}");
        let waited = lived - case.since;
        let stand = match row.kind {
            Kind::Acknowledged | Kind::TakenOver => Stand::Held,
            Kind::Unacknowledged => Stand::Open,
            Kind::AckLapsed => {
                assert_eq!(case.stand, Stand::Held);
                let timeout = self.ack_timeout.unwrap();
                assert!(waited >= timeout, "lapsed after {waited} of {timeout} ms: {row:?}");
                Stand::Open
            }
            Kind::Escalated => {
                let level = row.data["level"].as_u64().unwrap();
                let before = std::mem::replace(&mut case.level, level);
                let lapsed = rows.iter().any(|row| row.kind == Kind::AckLapsed);
                if row.actor == "barograph" && !lapsed {
                    let delay = self.delays[usize::try_from(before).unwrap() - 1];
                    assert!(waited >= delay, "asked after {waited} of {delay} ms: {row:?}");
                    assert_eq!(case.stand, Stand::Open);
                }
                Stand::Open
            }
            Kind::Resolved => {
                if row.data["by_hand"] == true {
                    let fires = incident.members.iter().filter(|(_, member)| member.ends_at.is_none());
                    let fires = fires.map(|(fingerprint, member)| (*fingerprint, member.starts_at));
                    self.rested.insert(case.group.clone(), fires.collect());
                }
                Stand::Over
            }
            _ => return,
        };
        (case.stand, case.since) = (stand, lived);
    }

    fn opened(&mut self, row: &Row, book: &Book, lived: i64) {
        let incident = book.get(&row.incident).unwrap();
        let group = incident.group_key.clone();
        if let Some(rested) = self.rested.remove(&group) {
            let fires = incident.members.iter().filter(|(_, member)| member.ends_at.is_none());
            let new =
                fires.filter(|(fingerprint, member)| !rested.contains(&(**fingerprint, member.starts_at)));
            assert!(new.count() > 0, "nothing new fires since a person said that it is over: {incident:?}");
        }
        let others = self.cases.values().filter(|case| case.group == group && case.stand != Stand::Over);
        assert_eq!(others.count(), 0, "a group is in one incident: {incident:?}");
        self.cases.insert(row.incident.clone(), Case { stand: Stand::Open, since: lived, level: 1, group });
    }

    /// What was decided to be told by looks at groups, and is durable.
    pub(crate) fn decided(&mut self, notices: &[Notice]) {
        for notice in notices.iter().filter(|notice| notice.reason == Reason::Group) {
            let quiet = notice.incident.as_ref().is_some_and(|id| self.is_quiet(id));
            assert!(!quiet || self.is_news(notice), "whoever has it is reminded: {notice:?}");
        }
    }

    fn is_quiet(&self, incident: &str) -> bool {
        self.cases.get(incident).is_some_and(|case| case.stand != Stand::Open)
    }

    /// Whether a notice says what its place was not told yet.
    fn is_news(&self, notice: &Notice) -> bool {
        let (firing, over) = sets(notice);
        let told = self.told.get(&key(notice));
        told.is_none_or(|told| !firing.is_subset(&told.0) || !over.is_subset(&told.1))
    }

    /// An alert is over: if it fires anew, that is news.
    pub(crate) fn ended(&mut self, alert: Fingerprint) {
        for (firing, _) in self.told.values_mut() {
            firing.remove(&alert);
        }
    }

    pub(crate) fn queued(&mut self, entry: &Entry, lived: i64) {
        self.queued.insert(entry.id, lived);
    }

    pub(crate) fn merged(&mut self, gone: u64, into: u64) {
        let at = self.queued[&gone].min(self.queued[&into]);
        self.queued.insert(into, at);
    }

    /// A try begins.
    pub(crate) fn begun(&mut self, entry: &Entry) {
        self.looked += 1;
        let notice = &entry.notice;
        let quiet = notice.incident.as_ref().is_some_and(|id| self.is_quiet(id));
        let asks = notice.reason == Reason::Escalation || notice.reminder;
        assert!(!(quiet && asks), "somebody is paged in vain: {notice:?} {:?}", self.cases);
    }

    /// One was given up for its age.
    pub(crate) fn too_old(&self, entry: &Entry, lived: i64) {
        let age = lived - self.queued[&entry.id];
        assert!(age >= AGE_MS_MAX, "given up after {age} ms: {entry:?}");
    }

    /// It is noted that one was sent.
    pub(crate) fn sent(&mut self, notice: &Notice) {
        if matches!(notice.reason, Reason::Group | Reason::Resolved) {
            self.told.insert(key(notice), sets(notice));
            self.believed.insert(key(notice), sets(notice).0);
        }
    }

    /// It is noted that one was given up.
    pub(crate) fn dead(&mut self, notice: &Notice) {
        self.lost.insert(key(notice));
    }

    /// From now on alerts may be muted when they end.
    pub(crate) fn mutes(&mut self) {
        self.mutes = true;
    }

    /// What holds once nothing fires, and all who were told anything answer.
    pub(crate) fn rest(&self, lived: i64) {
        if self.mutes || lived > LOG_KEPT_MS {
            return;
        }
        for (key, firing) in self.believed.iter().filter(|(key, _)| !self.lost.contains(key)) {
            assert!(firing.is_empty(), "{key:?} was not told that {firing:?} are over");
        }
    }

    /// What holds at any time.
    pub(crate) fn look(&self, book: &Book) {
        for incident in book.iter() {
            let stand = match incident.state {
                State::Open => Stand::Open,
                State::Acknowledged => Stand::Held,
                State::Resolved => Stand::Over,
            };
            assert_eq!(self.cases[&incident.id].stand, stand, "{incident:?}");
        }
    }

    /// What holds once it was looked at what is due.
    pub(crate) fn reach(&self, book: &Book, now: i64) {
        let most = self.delays.iter().chain(&self.ack_timeout).max().unwrap();
        for incident in book.iter() {
            let next = incident.next();
            assert!(next.is_none_or(|next| next <= now + most), "a deadline is out of reach: {incident:?}");
        }
    }
}

fn key(notice: &Notice) -> LogKey {
    (notice.group_key.clone(), notice.receiver.clone(), notice.integration as u64)
}

fn sets(notice: &Notice) -> Sets {
    let (over, firing): (Vec<_>, Vec<_>) =
        notice.alerts.iter().partition(|alert| alert.ends_at.is_some_and(|end| end <= notice.at));
    let of = |alerts: Vec<&barograph_alert::routing::Alert>| {
        alerts.into_iter().map(|alert| alert.fingerprint()).collect()
    };
    (of(firing), of(over))
}
