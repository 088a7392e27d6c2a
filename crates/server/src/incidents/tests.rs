//! Incidents over restarts and failing disks, with a clock that stands.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Duration,
};

use barograph::{Registry, session::Sessions};
use barograph_alert::{
    incident::{Ack, BadLink, Kind, State as Standing, document},
    notice::Reason,
    routing::{Alert, Flush, LabelSet, Told},
};
use barograph_disk::MemoryDisk;
use barograph_model::Timestamp;

use super::*;

const START: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;

/// A clock that only the test moves, and what it shows more than time went by.
#[derive(Default)]
struct Paused {
    steady: AtomicI64,
    ahead: AtomicI64,
}

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp(START + self.steady.load(Relaxed) + self.ahead.load(Relaxed))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.steady.load(Relaxed).unsigned_abs())
    }
}

/// A server's incidents on a disk, at a time that only the test moves.
struct World {
    disk: Arc<MemoryDisk>,
    clock: Arc<Paused>,
    incidents: Incidents,
    queued: Arc<Mutex<Vec<Notice>>>,
    cancelled: Arc<Mutex<Vec<String>>>,
}

const FILE: &str = "
route: {receiver: team}
receivers:
- {name: team, webhook_configs: [{url: 'http://127.0.0.1:9/team'}]}
- {name: ann, webhook_configs: [{url: 'http://127.0.0.1:9/ann'}]}
- {name: di, webhook_configs: [{url: 'http://127.0.0.1:9/di'}]}
escalation_policies:
  default:
    levels: [{targets: [route]}, {targets: ['schedule:weeks']}]
schedules:
  weeks:
    layers: [{users: [ann], rotation: weekly, start: 2020-01-06T09:00}]
";

fn opened(disk: &Arc<MemoryDisk>, clock: &Arc<Paused>) -> Incidents {
    let state = Arc::new(State::open(disk.clone()).unwrap());
    let events = Events::new(&Sessions::new(Default::default()), clock.clone());
    let instruments = Instruments::register(&Registry::new()).unwrap();
    Incidents::load(state, clock.clone(), events, instruments, "node1".to_owned())
}

/// A queue that only notes what it is told.
struct Noted {
    queued: Arc<Mutex<Vec<Notice>>>,
    cancelled: Arc<Mutex<Vec<String>>>,
}

impl Queue for Noted {
    fn put(
        &self,
        _: &mut Batch<'_>,
        notices: &[Notice],
        cancelled: &[String],
        _: i64,
    ) -> Result<(), StateError> {
        self.queued.lock().unwrap().extend_from_slice(notices);
        self.cancelled.lock().unwrap().extend_from_slice(cancelled);
        Ok(())
    }

    fn settled(&self, _: bool) {}
}

impl World {
    fn new() -> Self {
        let (disk, clock) = (Arc::new(MemoryDisk::new()), Arc::new(Paused::default()));
        let incidents = opened(&disk, &clock);
        let (queued, cancelled) = Default::default();
        let world = Self { disk, clock, incidents, queued, cancelled };
        world.connect();
        world
    }

    fn connect(&self) {
        let config = barograph_alert::config::parse(FILE, "a.yml").unwrap();
        self.incidents.configure(Arc::new(config));
        let (queued, cancelled) = (self.queued.clone(), self.cancelled.clone());
        self.incidents.connect(Box::new(Noted { queued, cancelled }));
    }

    fn restart(&mut self) {
        self.incidents.0.state.close();
        self.incidents = opened(&self.disk, &self.clock);
        self.connect();
    }

    fn after(&self, ms: i64) {
        self.clock.steady.fetch_add(ms, Relaxed);
        self.incidents.tick();
    }

    /// The clock is set.
    fn jump(&self, ms: i64) {
        self.clock.ahead.fetch_add(ms, Relaxed);
        self.incidents.tick();
    }

    fn fire(&self, ends_at: Option<i64>) -> String {
        let labels = [("alertname", "Down"), ("severity", "critical")];
        let labels: LabelSet = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let alert = Alert {
            labels,
            annotations: LabelSet::new(),
            starts_at: START,
            ends_at,
            timeout: false,
            updated_at: START,
            generator_url: String::new(),
            cause: None,
        };
        let now = self.clock.now().0;
        let flush = Flush {
            group_key: "{}:{}".to_owned(),
            route_path: "{}".to_owned(),
            receiver: "team".to_owned(),
            group_labels: LabelSet::new(),
            alerts: vec![Told { alert, muted_by: Vec::new() }],
            send: true,
            integrations: vec![0],
            deadline: now + 5 * MINUTE,
            escalation: None,
            at: now,
        };
        let (pending, standings) = Pending::flushed(&self.incidents, &[flush], now);
        self.incidents.0.state.write(|batch| pending.store(batch)).unwrap();
        let _ = pending.committed();
        standings.into_iter().next().flatten().unwrap().incident
    }

    fn pages(&self) -> Vec<(Reason, String, u32)> {
        let queued = std::mem::take(&mut *self.queued.lock().unwrap());
        queued.into_iter().map(|notice| (notice.reason, notice.receiver, notice.level)).collect()
    }

    fn ack(&self, id: &str, by: &str) -> Result<Change, NotDone> {
        self.incidents.act(id, Act::Ack { alert: None, auto: false }, by, "")
    }
}

#[test]
fn after_15_minutes_who_is_on_call_is_asked_once_over_restarts() {
    let mut world = World::new();
    let id = world.fire(None);
    world.after(15 * MINUTE - 1);
    assert!(world.pages().is_empty());
    world.restart();
    world.after(1);
    assert_eq!(world.pages(), [(Reason::Escalation, "ann".to_owned(), 2)]);
    world.restart();
    world.after(1);
    world.after(24 * 60 * MINUTE);
    assert!(world.pages().is_empty(), "a restart pages nobody again");
    let found = world.incidents.look_here(|book| document::incident(book.get(&id).unwrap()));
    let escalation = &found["escalations"][0];
    assert_eq!(escalation["escalation_level"], 2);
    assert_eq!(escalation["escalated_to"], serde_json::json!(["user:ann"]));
    assert_eq!(escalation["escalation_reason"], "No acknowledgment after 15 minutes");
    let kinds: Vec<Kind> =
        world.incidents.timeline(&id, 99).unwrap().into_iter().map(|row| row.kind).collect();
    assert_eq!(kinds, [Kind::Opened, Kind::Escalated, Kind::Exhausted]);
}

#[test]
fn a_clock_that_is_set_asks_nobody_earlier_or_later_over_a_restart() {
    for by in [3 * 24 * 60 * MINUTE, -3 * 24 * 60 * MINUTE, 10 * MINUTE, -10 * MINUTE] {
        let mut world = World::new();
        world.fire(None);
        world.after(14 * MINUTE);
        world.jump(by);
        assert!(world.pages().is_empty(), "{by}");
        world.restart();
        world.after(MINUTE - 1);
        assert!(world.pages().is_empty(), "{by}");
        world.after(1);
        assert_eq!(world.pages(), [(Reason::Escalation, "ann".to_owned(), 2)], "{by}");
    }
}

#[test]
fn an_acknowledgement_survives_a_restart_and_cancels() {
    let mut world = World::new();
    let id = world.fire(None);
    world.ack(&id, "bo").unwrap();
    assert_eq!(*world.cancelled.lock().unwrap(), std::slice::from_ref(&id));
    assert_eq!(world.pages(), [(Reason::Acknowledged, "team".to_owned(), 1)]);
    world.restart();
    world.after(24 * 60 * MINUTE);
    assert!(world.pages().is_empty());
    let refused = world.ack(&id, "cy").unwrap_err();
    assert!(matches!(refused, NotDone::Refused(Refused::Taken(by)) if by == "bo"));
    world.fire(Some(world.clock.now().0));
    world.restart();
    let state = world.incidents.look_here(|book| book.get(&id).unwrap().state);
    assert_eq!(state, Standing::Resolved);
    let rows = world.incidents.timeline(&id, 99).unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn what_was_not_stored_did_not_happen() {
    let world = World::new();
    let id = world.fire(None);
    world.incidents.0.state.close();
    assert!(matches!(world.ack(&id, "bo"), Err(NotDone::NotStored(_))));
    assert_eq!(world.incidents.look_here(|book| book.get(&id).unwrap().state), Standing::Open);
    world.after(15 * MINUTE);
    assert_eq!(world.incidents.look_here(|book| book.get(&id).unwrap().level), 1, "it is tried again");
}

#[test]
fn an_early_acknowledgement_goes_when_its_alert_is_over() {
    let mut world = World::new();
    let (fires, over) = (Fingerprint(1), Fingerprint(2));
    for alert in [fires, over] {
        let ack = Ack {
            alert_id: format!("alert_{alert}"),
            by: "bo".to_owned(),
            message: String::new(),
            auto: false,
            at: START,
        };
        world.incidents.acknowledge_early(alert, Early { ack, starts_at: START }).unwrap();
    }
    world.incidents.prune(|alert, starts_at| alert == fires && starts_at == START);
    for _ in 0..2 {
        let known = [fires, over].map(|alert| world.incidents.look_here(|book| book.early(alert).is_some()));
        assert_eq!(known, [true, false]);
        world.restart();
    }
}

#[test]
fn who_looks_while_something_is_stored_keeps_no_thread_from_other_work() {
    let world = World::new();
    let id = world.fire(None);
    // One thread: if a look waited on it, nothing else would go on there.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stored = world.incidents.as_it_is();
    let incidents = world.incidents.clone();
    let looks = runtime.spawn(async move { incidents.look(move |book| book.get(&id).is_some()).await });
    for _ in 0..3 {
        runtime.block_on(tokio::task::yield_now());
    }
    assert!(!looks.is_finished());
    drop(stored);
    assert!(runtime.block_on(looks).unwrap());
}

#[test]
fn links_stay_good_over_a_restart() {
    let mut world = World::new();
    let id = world.fire(None);
    let path = world.incidents.link_from_now(&id, "ann").unwrap().unwrap();
    let link = path.strip_prefix(links::PATH).unwrap();
    world.restart();
    assert_eq!(world.incidents.read_link(link).unwrap().incident(), id);
    world.clock.steady.fetch_add(links::LIFETIME_MS + MINUTE, Relaxed);
    assert_eq!(world.incidents.read_link(link), Err(BadLink::Expired));
    assert_eq!(World::new().incidents.read_link(link), Err(BadLink::Forged));
    assert_eq!(world.incidents.link_from_now("incident_1", "ann"), Ok(None));
}

#[test]
fn overrides_are_kept() {
    let mut world = World::new();
    let on_call = |world: &World| world.incidents.schedules()["weeks"].on_call(START).unwrap().user;
    let set = world.incidents.set_override("weeks", "di", (START - 1, START + 1), "bo").unwrap();
    assert_eq!(on_call(&world), "di");
    world.restart();
    assert_eq!(on_call(&world), "di");
    world.incidents.remove_override("weeks", &set.id).unwrap();
    assert_eq!(on_call(&world), "ann");
    assert!(world.incidents.set_override("none", "di", (0, 1), "bo").is_err());
    assert!(world.incidents.set_override("weeks", "di", (1, 1), "bo").is_err());
    let nobody = world.incidents.set_override("weeks", "nobody", (0, 1), "bo").unwrap_err();
    assert!(nobody.to_string().contains("there is no receiver `nobody`"), "{nobody}");
}
