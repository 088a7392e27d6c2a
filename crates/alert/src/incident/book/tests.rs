//! Incidents that open, are taken, are asked by level, and end, in time that is made up.

use proptest::prelude::*;

use super::*;
use crate::{
    incident::{Then, statistics},
    routing::Cause,
};

const MINUTE: i64 = 60_000;
const START: i64 = 1_700_000_000_000;

fn alert(name: &str, starts_at: i64, ends_at: Option<i64>) -> Alert {
    Alert {
        labels: [("alertname", name), ("severity", "critical")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        annotations: LabelSet::new(),
        starts_at,
        ends_at,
        timeout: false,
        updated_at: starts_at,
        generator_url: String::new(),
        cause: None,
    }
}

/// One book, its policies and its clock.
struct World {
    book: Book,
    policies: BTreeMap<String, Policy>,
    now: i64,
}

impl World {
    fn new() -> Self {
        Self { book: Book::default(), policies: BTreeMap::new(), now: START }
    }

    fn flush_of(&mut self, key: &str, alerts: &[(&Alert, bool)]) -> (Option<Standing>, Option<Change>) {
        let labels = LabelSet::new();
        let fired =
            Fired { group_key: key, group_labels: &labels, receiver: "team", escalation: None, alerts };
        self.book.fired(fired, &self.policies, self.now)
    }

    fn flush(&mut self, alerts: &[&Alert]) -> (Option<Standing>, Option<Change>) {
        let alerts: Vec<_> = alerts.iter().map(|alert| (*alert, false)).collect();
        self.flush_of("{}:{}", &alerts)
    }

    fn after(&mut self, ms: i64) -> Vec<Page> {
        self.now += ms;
        self.book.tick(&self.policies, self.now).into_iter().flat_map(|change| change.pages).collect()
    }

    fn act(&mut self, act: Act, by: &str) -> Result<Change, Refused> {
        let id = self.only().id.clone();
        self.book.act(&id, act, by, "", &self.policies, self.now)
    }

    fn ack(&mut self, by: &str) -> Result<Change, Refused> {
        self.act(Act::Ack { alert: None, auto: false }, by)
    }

    fn only(&self) -> &Incident {
        self.book.all.values().last().unwrap()
    }

    /// Written and read again.
    fn restart(&mut self) {
        let incidents = self.book.iter().map(|incident| {
            let text = serde_json::to_string(incident).unwrap();
            serde_json::from_str(&text).unwrap()
        });
        let early =
            self.book.early.iter().map(|(fingerprint, early)| (*fingerprint, early.clone())).collect();
        self.book = Book::load(incidents.collect(), early);
    }
}

#[test]
fn looking_at_a_group_again_moves_no_deadline() {
    let mut world = World::new();
    let one = alert("A", START, None);
    world.flush(&[&one]);
    for _ in 0..2 {
        assert!(world.after(5 * MINUTE).is_empty());
        world.flush(&[&one]);
    }
    let pages = world.after(5 * MINUTE);
    assert_eq!(pages.iter().map(|page| page.escalation.level).collect::<Vec<_>>(), [2]);
}

#[test]
fn nobody_acknowledges_and_the_next_level_is_asked_once() {
    let mut world = World::new();
    let one = alert("A", START, None);
    let (standing, change) = world.flush(&[&one]);
    let standing = standing.unwrap();
    assert_eq!((standing.level, standing.quiet), (1, false));
    assert_eq!(change.unwrap().rows[0].kind, Kind::Opened);
    assert!(world.after(15 * MINUTE - 1).is_empty());
    world.restart();
    let pages = world.after(1);
    assert_eq!(pages.len(), 1);
    let escalation = &pages[0].escalation;
    assert_eq!((escalation.level, &*escalation.reason), (2, "No acknowledgment after 15 minutes"));
    assert_eq!(escalation.alert_id, format!("alert_{}", one.fingerprint()));
    world.restart();
    assert!(world.after(100 * MINUTE).is_empty(), "the last level was asked");
}

#[test]
fn an_outage_is_one_escalation() {
    let mut world = World::new();
    let levels = vec![Policy::built_in().levels[0].clone(); 5];
    world.policies.insert("default".to_owned(), Policy { levels, ..Policy::built_in() });
    world.flush(&[&alert("A", START, None)]);
    world.restart();
    assert_eq!(world.after(24 * 60 * MINUTE).len(), 1);
    assert_eq!(world.only().level, 2);
    assert_eq!(world.only().due.unwrap().at, world.now + 15 * MINUTE);
}

#[test]
fn an_acknowledgement_holds_until_it_is_over() {
    let mut world = World::new();
    let one = alert("A", START, None);
    world.flush(&[&one]);
    let change = world.ack("ann").unwrap();
    assert!(change.cancel);
    assert_eq!(change.acks.len(), 1);
    assert!(world.ack("ann").unwrap().rows.is_empty(), "twice is once");
    assert_eq!(world.ack("bo"), Err(Refused::Taken("ann".to_owned())));
    world.restart();
    assert!(world.after(100 * MINUTE).is_empty());
    assert!(world.flush(&[&one]).0.unwrap().quiet);
    // Over, and again: another incident, which nobody has.
    let over = alert("A", START, Some(world.now));
    let first = world.only().id.clone();
    world.flush(&[&over]);
    assert_eq!(world.book.get(&first).unwrap().state, State::Resolved);
    world.now += MINUTE;
    let again = world.flush(&[&alert("A", world.now, None)]).0.unwrap();
    assert_ne!(again.incident, first);
    assert!(!again.quiet);
    assert_ne!(again.dedup_key("g", "r"), Standing { opened_at: START, ..again.clone() }.dedup_key("g", "r"));
    let (all, by_rule) = statistics::of(world.book.iter(), 0);
    assert_eq!((all.incidents, all.open, all.resolved), (2, 1, 1));
    assert_eq!(all.time_to_acknowledge.mean_seconds, Some(0.0));
    assert_eq!(by_rule["A"].time_to_resolve.mean_seconds, Some(6_000.0));
}

#[test]
fn people_hand_it_on() {
    let mut world = World::new();
    world.flush(&[&alert("A", START, None)]);
    assert_eq!(world.act(Act::Unack, "ann"), Err(Refused::NotAcknowledged));
    world.act(Act::TakeOver, "ann").unwrap();
    world.act(Act::TakeOver, "bo").unwrap();
    assert_eq!(world.only().ack.as_ref().unwrap().by, "bo");
    world.act(Act::Assign(Some("cy".to_owned())), "bo").unwrap();
    assert_eq!(world.act(Act::Comment, "bo"), Err(Refused::Missing("a comment")));
    world.act(Act::Unack, "bo").unwrap();
    assert_eq!(world.after(15 * MINUTE).len(), 1);
    // Whoever has it asks for more.
    world.ack("cy").unwrap();
    let change = world.act(Act::Escalate, "cy").unwrap();
    assert_eq!(change.pages[0].escalation.reason, "Escalated by cy");
    assert_eq!((world.only().state, world.only().level), (State::Open, 2));
    world.act(Act::Resolve, "cy").unwrap();
    assert_eq!(world.ack("ann"), Err(Refused::Over));
    assert_eq!(world.only().assignee.as_deref(), Some("cy"));
}

#[test]
fn what_a_person_resolved_stays_so_until_something_new_fires() {
    let mut world = World::new();
    let (one, two) = (alert("A", START, None), alert("B", START + MINUTE, None));
    let first = world.flush(&[&one]).0.unwrap().incident;
    world.act(Act::Resolve, "ann").unwrap();
    world.restart();
    let (standing, change) = world.flush(&[&one]);
    let standing = standing.unwrap();
    assert_eq!((standing.incident, standing.quiet), (first.clone(), true));
    assert!(change.is_none());
    assert_ne!(world.flush(&[&one, &two]).0.unwrap().incident, first);
}

#[test]
fn the_last_that_a_person_resolved_counts_after_a_restart_whatever_the_ids_are() {
    for round in 0..20 {
        let mut world = World::new();
        world.now += round * MINUTE;
        let (one, two) = (alert("A", world.now, None), alert("B", world.now + MINUTE, None));
        let resolve = |world: &mut World, id: &str| {
            world.book.act(id, Act::Resolve, "ann", "", &world.policies, world.now).unwrap();
        };
        let first = world.flush(&[&one]).0.unwrap().incident;
        resolve(&mut world, &first);
        let second = world.flush(&[&one, &two]).0.unwrap().incident;
        // The clock was set back meanwhile.
        world.now -= 60 * MINUTE;
        resolve(&mut world, &second);
        world.restart();
        assert_eq!(world.flush(&[&one, &two]).0.unwrap().incident, second);
        // All of it ends; the same times later are another incident, over a restart, too.
        let ended = |alert: &Alert| Alert { ends_at: Some(world.now), ..alert.clone() };
        let (over, also) = (ended(&one), ended(&two));
        world.flush(&[&over, &also]);
        world.restart();
        assert!(!world.flush(&[&one]).0.unwrap().quiet);
    }
}

#[test]
fn what_is_told_late_is_about_the_incident_that_was() {
    let mut world = World::new();
    let one = alert("A", START, None);
    let first = world.flush(&[&one]).0.unwrap();
    let over = alert("A", START, Some(world.now));
    assert_eq!(world.flush(&[&over]).0.unwrap().incident, first.incident);
    world.restart();
    let late = world.flush(&[&over]).0.unwrap();
    assert_eq!(late.dedup_key("g", "r"), first.dedup_key("g", "r"));
    assert_eq!(world.flush(&[&alert("A", START - 1, Some(world.now))]), (None, None));
}

#[test]
fn what_was_to_open_and_could_not_be_stored_leaves_what_a_person_said() {
    let mut world = World::new();
    let (one, two) = (alert("A", START, None), alert("B", START + MINUTE, None));
    let first = world.flush(&[&one]).0.unwrap().incident;
    world.act(Act::Resolve, "ann").unwrap();
    let change = world.flush(&[&one, &two]).1.unwrap();
    world.book.undo(vec![change]);
    assert_eq!(world.flush(&[&one]).0.unwrap().incident, first);
}

#[test]
fn what_is_muted_asks_nobody() {
    let mut world = World::new();
    let one = alert("A", START, None);
    assert_eq!(world.flush_of("g", &[(&one, true)]), (None, None));
    world.flush_of("g", &[(&one, false)]);
    world.now += MINUTE;
    world.flush_of("g", &[(&one, true)]);
    assert!(world.after(100 * MINUTE).is_empty());
    world.flush_of("g", &[(&one, false)]);
    assert!(world.after(14 * MINUTE).is_empty());
    assert_eq!(world.after(MINUTE).len(), 1);
}

#[test]
fn an_early_acknowledgement_counts() {
    let mut world = World::new();
    let one = alert("A", START, None);
    let ack = Ack {
        alert_id: "alert_1".to_owned(),
        by: "ann".to_owned(),
        message: "mine".to_owned(),
        auto: false,
        at: START,
    };
    let early = Early { ack, starts_at: START };
    world.book.acknowledge_early(one.fingerprint(), early.clone()).unwrap();
    world.restart();
    assert!(world.flush(&[&one]).0.unwrap().quiet);
    assert_eq!(world.only().ack.as_ref().unwrap().message, "mine");
    // It was of that firing only.
    world.now += MINUTE;
    world.flush(&[&alert("A", START, Some(world.now))]);
    world.now += MINUTE;
    assert!(!world.flush(&[&alert("A", world.now, None)]).0.unwrap().quiet);
}

#[test]
fn a_rule_may_acknowledge_and_says_its_name() {
    let mut world = World::new();
    let mut one = alert("Backup", START, None);
    one.annotations.insert("auto_ack".to_owned(), "true".to_owned());
    // Whoever posts it is no rule.
    assert!(!world.flush_of("posted", &[(&one, false)]).0.unwrap().quiet);
    one.cause = Some(Cause { rule: "r".to_owned(), ..Cause::default() });
    let (standing, change) = world.flush_of("ruled", &[(&one, false)]);
    assert!(standing.unwrap().quiet);
    let acks = change.unwrap().acks;
    assert_eq!((&*acks[0].by, acks[0].auto), ("rule Backup", true));
    let (all, _) = statistics::of(world.book.iter(), 0);
    assert_eq!(all.time_to_acknowledge.count, 0);
}

#[test]
fn an_acknowledgement_may_lapse() {
    let mut world = World::new();
    let policy = Policy { ack_timeout_ms: Some(60 * MINUTE), ..Policy::built_in() };
    world.policies.insert("default".to_owned(), policy);
    world.flush(&[&alert("A", START, None)]);
    world.ack("ann").unwrap();
    assert!(world.after(59 * MINUTE).is_empty());
    let pages = world.after(MINUTE);
    assert_eq!(
        (pages[0].escalation.level, &*pages[0].escalation.reason),
        (1, "Acknowledgment lapsed after 1 hour")
    );
    assert_eq!(world.after(15 * MINUTE)[0].escalation.level, 2);
}

#[test]
fn what_cannot_be_stored_is_undone() {
    let mut world = World::new();
    let (_, change) = world.flush(&[&alert("A", START, None)]);
    world.book.undo(vec![change.unwrap()]);
    assert!(world.book.iter().next().is_none());
    world.flush(&[&alert("A", START, None)]);
    let before = world.only().clone();
    let change = world.ack("ann").unwrap();
    world.book.undo(vec![change]);
    assert_eq!(*world.only(), before);
    assert_eq!(world.after(15 * MINUTE).len(), 1);
}

#[test]
fn the_oldest_that_are_over_go() {
    let mut world = World::new();
    for index in 0..5 {
        world.now += MINUTE;
        let one = alert("A", world.now, None);
        world.flush(&[&one]);
        world.now += MINUTE;
        let over = alert("A", one.starts_at, (index < 4).then_some(world.now));
        world.flush(&[&over]);
    }
    assert_eq!(world.book.prune(1, 2).len(), 2);
    assert_eq!(world.book.prune(1, 2).len(), 1);
    assert_eq!(world.book.prune(1, 2).len(), 0, "what is not over is no more than it was");
    assert_eq!(world.book.iter().count(), 2);
    assert!(world.book.by_alert.values().all(|ids| ids.len() == 1));
}

/// What may happen, in any order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Fire(usize),
    Mute(usize),
    End(usize),
    Ack(usize),
    Unack(usize),
    TakeOver(usize),
    Escalate(usize),
    Resolve(usize),
    Pass(i64),
    Jump(i64),
    Restart,
    Deliver,
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let which = 0usize..3;
    let step = prop_oneof![
        3 => which.clone().prop_map(Step::Fire),
        1 => which.clone().prop_map(Step::Mute),
        2 => which.clone().prop_map(Step::End),
        4 => which.clone().prop_map(Step::Ack),
        1 => which.clone().prop_map(Step::Unack),
        1 => which.clone().prop_map(Step::TakeOver),
        1 => which.clone().prop_map(Step::Escalate),
        1 => which.prop_map(Step::Resolve),
        6 => (1i64..40).prop_map(|minutes| Step::Pass(minutes * MINUTE)),
        2 => (-3_000i64..3_000).prop_map(|minutes| Step::Jump(minutes * MINUTE)),
        2 => Just(Step::Restart),
        3 => Just(Step::Deliver),
        4 => Just(Step::Flush),
    ];
    prop::collection::vec(step, 1..80)
}

/// A queue of pages that are sent some time later, as an outbox does it.
#[derive(Default)]
struct Outbox(Vec<(String, u32)>);

impl Outbox {
    fn take(&mut self, change: &Change) {
        // What is off goes before what is new comes.
        if change.cancel {
            self.0.retain(|(incident, _)| *incident != change.incident);
        }
        for page in &change.pages {
            self.0.push((change.incident.clone(), page.escalation.level));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order, over restarts and jumps of the clock: nothing is sent for an incident that
    /// somebody has or that is over, and one look asks at most one level of each.
    #[test]
    fn acknowledging_cancels_what_is_queued(
        steps in steps(),
        repeat in 0u32..3,
        last in any::<bool>(),
        timeout in prop::option::of(10i64..200),
    ) {
        let mut world = World::new();
        let then = if last { Then::Last } else { Then::Stop };
        let policy = Policy { repeat, then, ack_timeout_ms: timeout.map(|m| m * MINUTE), ..Policy::built_in() };
        world.policies.insert("default".to_owned(), policy);
        let mut outbox = Outbox::default();
        let mut alerts: [Option<(Alert, bool)>; 3] = [None, None, None];
        let keys = ["g0", "g1", "g2"];
        for step in steps {
            let mut changes = Vec::new();
            let live = |world: &World, which: usize| {
                world.book.by_group.get(keys[which]).cloned().unwrap_or_default()
            };
            let act = |world: &mut World, which: usize, act: Act| {
                let id = live(world, which);
                world.book.act(&id, act, "ann", "", &world.policies, world.now).ok()
            };
            match step {
                Step::Fire(which) => alerts[which] = Some((alert("A", world.now, None), false)),
                Step::Mute(which) => if let Some((_, muted)) = &mut alerts[which] { *muted = !*muted },
                Step::End(which) => if let Some((alert, _)) = &mut alerts[which] { alert.ends_at = Some(world.now) },
                Step::Ack(which) => changes.extend(act(&mut world, which, Act::Ack { alert: None, auto: false })),
                Step::Unack(which) => changes.extend(act(&mut world, which, Act::Unack)),
                Step::TakeOver(which) => changes.extend(act(&mut world, which, Act::TakeOver)),
                Step::Escalate(which) => changes.extend(act(&mut world, which, Act::Escalate)),
                Step::Resolve(which) => changes.extend(act(&mut world, which, Act::Resolve)),
                Step::Pass(ms) | Step::Jump(ms) => {
                    world.now += ms;
                    changes = world.book.tick(&world.policies, world.now);
                }
                Step::Restart => world.restart(),
                Step::Deliver => {
                    for (incident, _) in outbox.0.drain(..) {
                        let state = world.book.get(&incident).map(|incident| incident.state);
                        prop_assert_eq!(state, Some(State::Open));
                    }
                }
                Step::Flush => {
                    for which in 0..3 {
                        let Some((alert, muted)) = alerts[which].clone() else { continue };
                        changes.extend(world.flush_of(keys[which], &[(&alert, muted)]).1);
                        if alert.resolved(Timestamp(world.now)) {
                            alerts[which] = None;
                        }
                    }
                }
            }
            for change in &changes {
                prop_assert!(change.pages.len() <= 1);
                outbox.take(change);
            }
            let again = world.book.tick(&world.policies, world.now);
            let moved: Vec<_> = again.iter().filter(|change| !change.pages.is_empty()).collect();
            if matches!(step, Step::Pass(_) | Step::Jump(_)) {
                prop_assert!(moved.is_empty(), "a second look at the same time asks nobody");
            }
            again.iter().for_each(|change| outbox.take(change));
            for incident in world.book.iter() {
                prop_assert!(incident.state == State::Open || incident.due.is_none());
                prop_assert!(incident.state == State::Acknowledged || incident.lapse.is_none());
                prop_assert_eq!(incident.state == State::Acknowledged, incident.ack.is_some() && incident.is_live());
            }
            for (incident, _) in &outbox.0 {
                prop_assert_eq!(world.book.get(incident).unwrap().state, State::Open);
            }
            let before = world.book.clone();
            world.restart();
            prop_assert_eq!(&world.book.all, &before.all);
            prop_assert_eq!(&world.book.by_alert, &before.by_alert);
        }
    }
}
