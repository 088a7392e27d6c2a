//! Notices queued and tried at made-up times.

use super::*;
use crate::{channels::Verdict, notice::Reason, routing::LabelSet};

fn entry(id: u64, receiver: &str, key: &str, severity: &str) -> Entry {
    let labels: LabelSet = [("alertname", key), ("severity", severity), ("n", &id.to_string())]
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let alert = crate::routing::Alert {
        labels,
        annotations: LabelSet::new(),
        starts_at: 0,
        ends_at: None,
        timeout: false,
        updated_at: 0,
        generator_url: String::new(),
        cause: None,
    };
    let notice = Notice {
        receiver: receiver.to_owned(),
        integration: 0,
        reason: Reason::Group,
        group_key: key.to_owned(),
        group_labels: LabelSet::new(),
        alerts: vec![alert],
        truncated: 0,
        incident: None,
        reminder: false,
        level: 1,
        dedup_key: key.to_owned(),
        seq: id,
        at: 0,
        deadline: 300_000,
    };
    let (channel, attempts, taken) = ("webhook".to_owned(), Vec::new(), Vec::new());
    Entry { id, notice, channel, queued_at: 0, attempts, taken, absorbed: Vec::new() }
}

fn again() -> Verdict {
    Verdict::Again { why: "no".to_owned(), after_ms: None }
}

fn ids(jobs: &[Job]) -> Vec<u64> {
    jobs.iter().map(|job| job.entry.id).collect()
}

#[test]
fn what_fails_is_tried_again_ever_later() {
    let mut machine = Machine::default();
    machine.push(entry(1, "a", "k", "info"), 60_000, 0);
    let mut waits = Vec::new();
    let mut now = 0;
    for _ in 0..4 {
        assert_eq!(ids(&machine.due(now).0), [1]);
        assert!(machine.due(now).0.is_empty(), "one at a time");
        let Some((_, Outcome::Again(at))) = machine.done(1, &again(), now, 0.5) else { panic!() };
        assert!(machine.due(at - 1).0.is_empty());
        waits.push(at - now);
        now = at;
    }
    assert_eq!(waits, [500, 750, 1125, 1687]);
    assert_eq!(ids(&machine.due(now).0), [1]);
    assert!(matches!(machine.done(1, &Verdict::Sent, now, 0.5), Some((_, Outcome::Sent))));
    assert!(machine.is_empty() && machine.next().is_none());
}

#[test]
fn a_receiver_that_fails_delays_no_other_and_is_left_alone() {
    let mut machine = Machine::default();
    for id in 1..=20 {
        machine.push(entry(id, "dead", &format!("k{id}"), "info"), 60_000, 0);
        machine.push(entry(100 + id, "fine", &format!("k{id}"), "info"), 60_000, 0);
    }
    let (mut tries, mut sent) = (0, 0);
    for now in 0..29_000 {
        for job in machine.due(now).0 {
            let dead = job.entry.notice.receiver == "dead";
            (tries, sent) = if dead { (tries + 1, sent) } else { (tries, sent + 1) };
            let verdict = if dead { again() } else { Verdict::Sent };
            machine.done(job.entry.id, &verdict, now, 0.0);
        }
    }
    assert_eq!((tries, sent), (5, 20));
    assert_eq!(machine.queue("dead", 0).unwrap().breaker(1_000), Standing::Open);
    let probe = machine.next().unwrap();
    assert!((30_000..=32_000).contains(&probe), "{probe}");
    let jobs = machine.due(probe).0;
    assert_eq!(jobs.len(), 1);
    machine.done(jobs[0].entry.id, &Verdict::Sent, probe, 0.0);
    assert_eq!(machine.queue("dead", 0).unwrap().breaker(probe), Standing::Closed);
}

#[test]
fn notices_of_an_incident_keep_their_order_and_others_go_past() {
    let mut machine = Machine::default();
    let mut over = entry(2, "a", "x", "info");
    over.notice.reason = Reason::Resolved;
    machine.push(entry(1, "a", "x", "info"), 60_000, 0);
    assert_eq!(machine.push(over, 60_000, 0), Pushed::default());
    machine.push(entry(3, "a", "y", "info"), 60_000, 0);
    assert_eq!(ids(&machine.due(0).0), [1]);
    machine.done(1, &again(), 0, 0.5);
    assert_eq!(ids(&machine.due(0).0), [3]);
    machine.done(3, &Verdict::Sent, 0, 0.5);
    assert!(machine.due(100).0.is_empty());
    assert_eq!(ids(&machine.due(500).0), [1]);
    machine.done(1, &Verdict::Refused("400".to_owned()), 500, 0.5);
    assert_eq!(ids(&machine.due(500).0), [2]);
}

#[test]
fn whoever_was_away_is_told_of_a_group_once() {
    let mut machine = Machine::default();
    machine.push(entry(1, "a", "x", "critical"), 60_000, 0);
    assert_eq!(ids(&machine.due(0).0), [1]);
    // What is just being sent stays as it is.
    assert_eq!(machine.push(entry(2, "a", "x", "critical"), 60_000, 0), Pushed::default());
    machine.entry_mut(1).unwrap().note(Attempt { at: 7, ..Attempt::default() });
    machine.done(1, &again(), 0, 0.5);
    let mut third = entry(3, "a", "x", "critical");
    third.notice.alerts[0].ends_at = Some(1);
    let pushed = machine.push(third, 60_000, 0);
    let into = pushed.into.unwrap();
    assert_eq!((pushed.merged, into.id, into.attempts[0].at), (vec![1, 2], 3, 7));
    machine.push(Entry { queued_at: 60_000, ..entry(4, "a", "x", "critical") }, 60_000, 60_000);
    let mut escalated = entry(5, "a", "x", "critical");
    escalated.notice.level = 2;
    assert_eq!(machine.push(escalated, 60_000, 0), Pushed::default());
    let (jobs, _) = machine.due(60_000);
    let told = &jobs[0].entry;
    assert_eq!((told.id, told.queued_at, told.notice.alerts.len()), (4, 0, 2), "{told:?}");
    machine.done(told.id, &Verdict::Sent, 60_000, 0.5);
    assert_eq!(ids(&machine.due(60_000).0), [5]);
    machine.done(5, &Verdict::Sent, 60_000, 0.5);
    assert!(machine.is_empty());
}

#[test]
fn whoever_was_away_is_told_once_that_a_group_is_over() {
    let mut machine = Machine::default();
    let over = |id| {
        let mut entry = entry(id, "a", "x", "critical");
        entry.notice.reason = Reason::Resolved;
        entry.notice.alerts[0].ends_at = Some(1);
        entry
    };
    machine.push(entry(1, "a", "x", "critical"), 60_000, 0);
    machine.push(over(2), 60_000, 0);
    assert_eq!(machine.push(over(3), 60_000, 0).merged, [2]);
    assert_eq!(ids(&machine.due(0).0), [1], "that it fires is told before");
}

#[test]
fn a_clock_that_is_set_makes_nothing_older_and_no_wait_longer() {
    const DAY: i64 = AGE_MS_MAX;
    for by in [5 * DAY, -5 * DAY] {
        let mut machine = Machine::default();
        let start = 10 * DAY;
        machine.push(Entry { queued_at: start, ..entry(1, "a", "x", "critical") }, 60_000, start);
        machine.due(start);
        let busy = Verdict::Again { why: "no".to_owned(), after_ms: Some(60_000) };
        machine.done(1, &busy, start, 0.5);
        let now = start + by;
        assert_eq!(machine.shift(by, now)[0].queued_at, now);
        let (jobs, old) = machine.due(now + 60_000);
        assert_eq!((ids(&jobs), old.len()), (vec![1], 0), "{by}");
    }
    // Nobody told of the jump: what was to come is within reach all the same.
    let mut machine = Machine::default();
    machine.push(entry(1, "a", "x", "critical"), 60_000, 10 * DAY);
    assert!(machine.due(DAY / 2).0.is_empty());
    assert_eq!(ids(&machine.due(DAY / 2 + 90_000).0), [1]);
}

#[test]
fn reminders_are_taken_back_with_escalations() {
    let mut machine = Machine::default();
    let of = |id, reason, reminder| {
        let mut entry = entry(id, "a", &format!("k{id}"), "critical");
        (entry.notice.reason, entry.notice.reminder) = (reason, reminder);
        entry.notice.incident = Some("i".to_owned());
        entry
    };
    for entry in [
        of(1, Reason::Group, false),
        of(2, Reason::Group, true),
        of(3, Reason::Escalation, false),
        of(4, Reason::Acknowledged, false),
    ] {
        machine.push(entry, 60_000, 0);
    }
    let picked = |incident: &str| -> Vec<u64> {
        let incidents = [incident.to_owned()];
        machine.pick(|entry| entry.notice.asks_again(&incidents)).iter().map(|entry| entry.id).collect()
    };
    assert_eq!((picked("i"), picked("j")), (vec![2, 3], vec![]));
}

#[test]
fn what_is_sent_can_be_picked_until_that_is_noted() {
    let mut machine = Machine::default();
    machine.push(entry(1, "a", "x", "info"), 60_000, 0);
    machine.due(0);
    machine.done(1, &Verdict::Sent, 0, 0.5);
    assert_eq!((machine.pick(|_| true).len(), machine.len()), (1, 0));
    machine.noted(1);
    assert!(machine.pick(|_| true).is_empty());
}

#[test]
fn whoever_wants_to_be_left_alone_is() {
    let mut machine = Machine::default();
    machine.push(entry(1, "a", "x", "info"), 60_000, 0);
    machine.push(entry(2, "a", "y", "info"), 60_000, 0);
    machine.due(0);
    machine.done(1, &Verdict::Again { why: "429".to_owned(), after_ms: Some(9_000) }, 0, 0.5);
    assert_eq!(machine.next(), Some(9_000));
    assert!(machine.due(8_999).0.is_empty());
    assert_eq!(ids(&machine.due(9_000).0), [1]);
}

#[test]
fn a_rate_is_kept() {
    let mut machine = Machine::default();
    for id in 0..40 {
        machine.push(entry(id, "a", &format!("k{id}"), "info"), 60, 0);
    }
    let mut sent = 0;
    for now in 0..10_000 {
        for job in machine.due(now).0 {
            sent += 1;
            machine.done(job.entry.id, &Verdict::Sent, now, 0.5);
        }
    }
    assert!((19..=20).contains(&sent), "{sent}");
}

#[test]
fn at_its_deadline_a_notice_goes_to_the_end_and_after_a_day_it_is_given_up() {
    let mut machine = Machine::default();
    machine.push(entry(1, "a", "x", "info"), 60_000, 0);
    let mut now = 0;
    let mut tries = 0;
    loop {
        let (jobs, old) = machine.due(now);
        if !old.is_empty() {
            assert_eq!(old[0].id, 1);
            break;
        }
        for job in jobs {
            tries += 1;
            machine.done(job.entry.id, &again(), now, 0.5);
        }
        now = machine.next().map_or(now + 1_000, |next| next.clamp(now + 1, AGE_MS_MAX.max(now + 1)));
    }
    assert!((now - AGE_MS_MAX).abs() < 60_001, "{now}");
    assert!(tries > 1_000, "{tries}");
}

#[test]
fn a_full_queue_merges_and_never_gives_up_what_is_critical() {
    let mut machine = Machine::default();
    let max = QUEUE_MAX as u64;
    for id in 0..max {
        let severity = if id == 5 { "info" } else { "critical" };
        assert_eq!(machine.push(entry(id, "a", &format!("k{id}"), severity), 60, 0), Pushed::default());
    }
    // Of a group that waits: into one.
    let pushed = machine.push(entry(max, "a", "k7", "critical"), 60, 0);
    assert_eq!((pushed.merged.as_slice(), pushed.dropped.len()), (&[7][..], 0));
    assert_eq!(pushed.into.unwrap().id, max);
    // Of another: what is not critical goes.
    let pushed = machine.push(entry(max + 1, "a", "new", "critical"), 60, 0);
    assert_eq!(pushed.dropped[0].id, 5);
    // All is critical: there is room.
    let pushed = machine.push(entry(max + 2, "a", "newer", "critical"), 60, 0);
    assert_eq!(pushed, Pushed::default());
    assert_eq!(machine.len(), QUEUE_MAX + 1);
    let pushed = machine.push(entry(max + 3, "a", "newest", "warning"), 60, 0);
    assert_eq!(pushed.dropped[0].id, max + 3);
}

#[test]
fn what_is_taken_back_is_not_sent_again() {
    let mut machine = Machine::default();
    machine.push(entry(1, "a", "k", "info"), 60_000, 0);
    machine.push(entry(2, "a", "l", "info"), 60_000, 0);
    assert_eq!(ids(&machine.due(0).0), [1]);
    [1, 2].into_iter().for_each(|id| machine.take_back(id));
    assert_eq!(machine.len(), 1, "the one that is being sent stays");
    assert_eq!(machine.done(1, &again(), 0, 0.5), None);
    assert!(machine.is_empty() && machine.due(i64::MAX / 2).0.is_empty());
    machine.push(entry(3, "a", "k", "info"), 60_000, 100_000);
    assert_eq!(ids(&machine.due(100_000).0), [3]);
    machine.take_back(3);
    assert!(matches!(machine.done(3, &Verdict::Sent, 100_000, 0.5), Some((_, Outcome::Sent))));
    assert!(machine.is_empty());
}

#[test]
fn a_notice_remembers_who_has_it() {
    let mut one = entry(1, "a", "k", "info");
    let attempt = |taken: &[&str]| Attempt {
        taken: taken.iter().map(|it| (*it).to_owned()).collect(),
        ..Attempt::default()
    };
    one.note(attempt(&["ann@x"]));
    (0..2 * ATTEMPTS_MAX).for_each(|_| one.note(attempt(&[])));
    one.note(attempt(&["bo@x"]));
    assert_eq!(one.taken, ["ann@x", "bo@x"]);
    assert_eq!(one.attempts.len(), ATTEMPTS_MAX);
}
