//! Time that passes between evaluations: groups that wait, notices, and levels that are asked, as the server would have it if
//! every notice was sent at once and nobody acknowledged.

use std::{collections::BTreeMap, sync::Arc};

use barograph_model::Labels;

use super::expected::{ExpectedEscalation, Noticed};
use crate::{
    config::Config,
    incident::{Book, Change, Surrounding, recipients},
    routing::{Alert, Alerts, Dispatcher, Inhibitor, LabelSet, Log, Mutes},
};

/// Looks at groups and incidents in one test at most.
const LOOKS_MAX: usize = 1_000_000;

/// All parts of routing, with what came of them so far.
#[derive(Debug)]
pub(super) struct Travel {
    config: Arc<Config>,
    alerts: Alerts,
    mutes: Mutes,
    dispatcher: Dispatcher,
    book: Book,
    looks: usize,
    start: i64,
    /// What was sent, by time.
    pub(super) notices: Vec<Noticed>,
    /// Levels that were asked, with how many milliseconds after the start.
    pub(super) escalations: Vec<(i64, ExpectedEscalation)>,
}

impl Travel {
    pub(super) fn new(config: Arc<Config>, start: i64) -> Self {
        Self {
            alerts: Alerts::default(),
            mutes: Mutes { inhibitor: Inhibitor::new(&config.inhibit_rules), ..Mutes::default() },
            dispatcher: Dispatcher::new(config.clone(), Log::default()),
            book: Book::default(),
            looks: 0,
            start,
            config,
            notices: Vec::new(),
            escalations: Vec::new(),
        }
    }

    /// Takes the alerts of rules after an evaluation.
    pub(super) fn post(&mut self, alerts: impl IntoIterator<Item = Alert>, now: i64) -> Result<(), String> {
        for alert in alerts {
            let taken = self.alerts.take(alert, now).map_err(|error| error.to_string())?;
            self.mutes.inhibitor.note(&taken.alert);
            self.dispatcher.insert([taken.alert], now);
        }
        Ok(())
    }

    /// Lets time pass from one moment to before another.
    pub(super) fn pass(&mut self, from: i64, until: i64) -> Result<(), String> {
        let mut now = from;
        loop {
            let next = [self.dispatcher.next(), self.book.next()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next < until) else { return Ok(()) };
            self.looks += 1;
            if self.looks > LOOKS_MAX {
                return Err(format!("groups are looked at more than {LOOKS_MAX} times"));
            }
            now = now.max(next);
            self.look(now);
        }
    }

    fn look(&mut self, now: i64) {
        let config = self.config.clone();
        let flushes = self.dispatcher.flush(now, &self.mutes.with(&config.time_intervals));
        let (mut standings, mut changes) = (Vec::with_capacity(flushes.len()), Vec::new());
        for flush in &flushes {
            let (standing, change) = self.book.flushed(flush, &config.policies, now);
            standings.push(standing);
            changes.extend(change);
        }
        // Integrations of a receiver are told the same, but for what some of them do not hear of.
        let mut told: BTreeMap<(String, String), Noticed> = BTreeMap::new();
        for notice in self.dispatcher.notices(&flushes, &standings, now) {
            self.dispatcher.sent_notice(&notice, now);
            let over = |alert: &Alert| alert.ends_at.is_some_and(|end| end <= now);
            let mut alerts: Vec<Labels> = notice.alerts.iter().map(|alert| labels(&alert.labels)).collect();
            alerts.sort();
            let noticed = Noticed {
                at: now.saturating_sub(self.start),
                receiver: notice.receiver.clone(),
                resolved: notice.alerts.iter().all(over),
                group: labels(&notice.group_labels),
                alerts,
            };
            let known = told.entry((notice.group_key, notice.receiver)).or_insert_with(|| noticed.clone());
            if noticed.alerts.len() > known.alerts.len() {
                *known = noticed;
            }
        }
        self.notices.extend(told.into_values());
        changes.extend(self.book.tick(&config.policies, now));
        self.ask(&config, changes, now);
    }

    /// Notes who is asked.
    fn ask(&mut self, config: &Config, changes: Vec<Change>, now: i64) {
        for change in changes {
            let Some(incident) = self.book.get(&change.incident) else { continue };
            let around = Surrounding {
                route: &incident.receiver,
                root: &config.route.receiver,
                schedules: &config.schedules,
                receivers: &config.receivers,
                now,
            };
            let at = now.saturating_sub(self.start);
            self.escalations.extend(change.pages.iter().map(|page| {
                let to = recipients(&page.level, around).told;
                (at, ExpectedEscalation { level: page.escalation.level, to })
            }));
        }
    }
}

fn labels(set: &LabelSet) -> Labels {
    Labels::from_pairs(set.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap_or_default()
}
