//! Whom a page tells, and by which notices.

use std::collections::BTreeMap;

use super::{Book, Change, Incident, Schedule, Standing, Surrounding, recipients};
use crate::{
    config::Config,
    notice::{Notice, Reason},
    routing::Alert,
};

/// A notice that nobody can be told of is tried for so long.
const DEADLINE_MS: i64 = 15 * 60_000;

/// Looks up who is told of each page, records that, and makes notices of it; and of each acknowledgement, for channels that
/// know of them.
pub fn notices(
    book: &mut Book,
    changes: &mut [Change],
    config: &Config,
    schedules: &BTreeMap<String, Schedule>,
    now: i64,
) -> Vec<Notice> {
    let mut notices = Vec::new();
    for change in changes {
        let Some(incident) = book.get(&change.incident).cloned() else { continue };
        for page in &mut change.pages {
            let around = around(config, &incident, schedules, now);
            let found = recipients(&page.level, around);
            page.escalation.to = found.told;
            book.told(&incident.id, &page.escalation);
            if let Some(row) = change.rows.iter_mut().find(|row| row.data["level"] == page.escalation.level) {
                row.data["escalated_to"] = page.escalation.to.clone().into();
                if !found.vacant.is_empty() {
                    row.data["nobody_on_call"] = found.vacant.into();
                }
                if !found.unreachable.is_empty() {
                    row.data["without_receiver"] = found.unreachable.into();
                }
            }
            for (receiver, kinds) in found.receivers {
                let of = |integration| {
                    notice(&incident, &receiver, integration, Reason::Escalation, page.escalation.level, now)
                };
                notices.extend(integrations(config, &receiver, &kinds).map(of));
            }
        }
        if incident.ack.is_some() && !change.acks.is_empty() {
            let of = |integration| {
                notice(&incident, &incident.receiver, integration, Reason::Acknowledged, incident.level, now)
            };
            notices.extend(integrations(config, &incident.receiver, &[]).map(of));
        }
    }
    notices
}

fn around<'a>(
    config: &'a Config,
    incident: &'a Incident,
    schedules: &'a BTreeMap<String, Schedule>,
    now: i64,
) -> Surrounding<'a> {
    let (route, root, receivers) = (&incident.receiver, &config.route.receiver, &config.receivers);
    Surrounding { route, root, schedules, receivers, now }
}

/// The integrations of a receiver that are of one of some kinds; all of them if none is named, or none is of these: a page is
/// never lost.
fn integrations(config: &Config, receiver: &str, kinds: &[String]) -> impl Iterator<Item = usize> {
    let channels = config.receivers.get(receiver).map_or(&[][..], |receiver| &receiver.channels);
    let all = 0..channels.len();
    let of_kind: Vec<usize> =
        all.clone().filter(|index| kinds.iter().any(|kind| kind == channels[*index].kind())).collect();
    if of_kind.is_empty() { all.collect::<Vec<_>>().into_iter() } else { of_kind.into_iter() }
}

fn notice(
    incident: &Incident,
    receiver: &str,
    integration: usize,
    reason: Reason,
    level: u32,
    now: i64,
) -> Notice {
    let firing = incident.members.values().filter(|member| member.ends_at.is_none());
    let alerts: Vec<Alert> = firing.clone().filter_map(|member| member.alert.as_deref().cloned()).collect();
    let standing =
        Standing { incident: incident.id.clone(), level, opened_at: incident.opened_at, quiet: false };
    Notice {
        receiver: receiver.to_owned(),
        integration,
        reason,
        group_key: incident.group_key.clone(),
        group_labels: incident.group_labels.clone(),
        truncated: firing.count() - alerts.len() + incident.more,
        alerts,
        incident: Some(incident.id.clone()),
        reminder: false,
        level,
        dedup_key: standing.dedup_key(&incident.group_key, receiver),
        // Whoever queues it counts.
        seq: 0,
        at: now,
        deadline: now.saturating_add(DEADLINE_MS),
    }
}
