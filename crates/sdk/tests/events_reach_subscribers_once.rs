//! An event of several pieces reaches each subscriber once, with the value it carries; what was dropped is marked where it is
//! missing; who comes and goes is told to whoever asked for that.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::sync::{Arc, Mutex};

use barograph::session::{Cause, Event, EventKind, Payload, Published, Sessions, Settings};

struct Note {
    number: u32,
    text: String,
}

impl Payload for Note {
    fn bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

fn note(number: u32) -> Event {
    Event::carrying(EventKind::PIECE, "room", Note { number, text: format!("note {number}") })
}

#[test]
fn events_reach_subscribers_once() {
    let mut settings = Settings::default();
    settings.announce = false;
    settings.queue_capacity = 4;
    let sessions = Sessions::new(settings);
    let [both, room, other] = ["both", "room", "other"].map(|id| sessions.connect(Some(id)));
    for (client, pieces) in [(&both, &["room", "house"][..]), (&room, &["room"]), (&other, &["elsewhere"])] {
        pieces.iter().for_each(|piece| assert!(client.subscribe(piece)));
    }
    assert_eq!((sessions.subscribers("room"), sessions.subscribers("nowhere")), (2, 0));
    let mut observer = both.observe().unwrap();
    let (mut second, mut third) = (room.observe().unwrap(), other.observe().unwrap());
    let published = sessions.publish_to(&note(1), &["room", "house", "nowhere"]);
    assert_eq!(published, Published { recipients: 2, overflowed: 0 });
    let delivery = observer.try_next().unwrap();
    assert_eq!(delivery.event().downcast::<Note>().unwrap().number, 1);
    assert!(delivery.event().downcast::<Box<[u8]>>().is_none());
    assert_eq!((delivery.event().payload(), delivery.missed()), (&b"note 1"[..], 0));
    delivery.delivered();
    assert!(observer.try_next().is_none() && third.try_next().is_none());

    // The second reads late: of seven four are left, and the first of them says how many are missing.
    (2..=7).for_each(|number| {
        sessions.publish_to(&note(number), &["room", "house"]);
    });
    let mut seen = Vec::new();
    while let Some(delivery) = second.try_next() {
        seen.push((delivery.event().downcast::<Note>().unwrap().number, delivery.missed()));
        delivery.delivered();
    }
    assert_eq!(seen, [(4, 3), (5, 0), (6, 0), (7, 0)]);
    assert_eq!(sessions.client_stat("room", "events-dropped"), 3);
    assert_eq!(sessions.client_stat("room", "bytes-sent"), 4 * 6);
}

#[test]
fn who_asks_is_told_who_comes_and_goes() {
    let sessions = Sessions::new(Settings::default());
    let told = Arc::new(Mutex::new(Vec::<(String, Option<Cause>)>::new()));
    let notes = told.clone();
    sessions.announce_to(move |client, cause| notes.lock().unwrap().push((client.to_owned(), cause)));
    let listener = sessions.connect(Some("a"));
    let mut observer = listener.observe().unwrap();
    drop(sessions.connect(Some("b")));
    let kept = sessions.connect(Some("c")).detach();
    assert!(kept.is_connected());
    kept.disconnect(Cause::Timeout);
    let expected =
        [("a", None), ("b", None), ("b", Some(Cause::Error)), ("c", None), ("c", Some(Cause::Timeout))];
    let expected = expected.map(|(client, cause)| (client.to_owned(), cause));
    assert_eq!(*told.lock().unwrap(), expected);
    assert!(observer.try_next().is_none(), "it is told in place of events");
    assert_eq!(sessions.server_stat("clients-connected-current"), 1);
}
