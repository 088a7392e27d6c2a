//! Events to many: subscribers spread over topics, or all of one; one thread publishes at a pace, another writes what is
//! queued to whoever is woken, as a runtime would. What is not read is counted to the last event.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    task::{Context, Poll, Wake, Waker},
    thread,
    time::{Duration, Instant},
};

use barograph::session::{Connection, Event, Observer, Sessions, Settings};

use crate::common::on_processor;

/// How long each runs.
const LONG: Duration = Duration::from_secs(5);
const PAYLOAD: usize = 100;

/// So many subscribers, spread over so many topics, of which one gets the next event, so many a second.
#[derive(Clone, Copy)]
pub struct Crowd {
    pub name: &'static str,
    pub subscribers: usize,
    pub topics: usize,
    pub events_per_second: u32,
}

/// Says who is to be looked at.
struct Ready(usize, mpsc::Sender<usize>);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        let _ = self.1.send(self.0);
    }
}

pub fn run(crowd: Crowd) {
    let mut settings = Settings::default();
    settings.announce = false;
    let sessions = Sessions::new(settings);
    let mut all = subscribe(&sessions, crowd);
    let (sender, ready) = mpsc::channel();
    let wakers: Vec<Waker> =
        (0..all.len()).map(|i| Waker::from(Arc::new(Ready(i, sender.clone())))).collect();
    drop(sender);
    let began = Instant::now();
    let over = AtomicBool::new(false);
    let written_in = AtomicU64::new(0);
    let (published_in, published) = thread::scope(|scope| {
        let (over_too, written_in) = (&over, &written_in);
        let all = &mut all;
        scope.spawn(move || {
            let before = on_processor();
            let mut lags = Vec::new();
            // Everybody is looked at once, and then whoever is woken.
            (0..all.len()).for_each(|i| drain(&mut all[i].1, &wakers[i], began, &mut lags));
            while let Some(i) = next(&ready, over_too) {
                drain(&mut all[i].1, &wakers[i], began, &mut lags);
            }
            written_in.store(u64::try_from((on_processor() - before).as_nanos()).unwrap_or(0), Relaxed);
            report_lags(crowd.name, lags);
        });
        let published = publish(&sessions, crowd, began);
        over.store(true, Relaxed);
        published
    });
    let stat = |name: &str| sessions.server_stat(name).to_string().parse::<u64>().unwrap_or(0);
    let (sent, dropped) = (stat("events-sent-total"), stat("events-dropped-total"));
    let took = published_in.as_nanos() as f64 + written_in.load(Relaxed) as f64;
    println!("{}, each\t2\tbarograph\t{:.1}\tns", crowd.name, took / sent as f64);
    println!(
        "# {}: {published} events, {sent} to queues, {dropped} dropped; {:.0} deliveries a second at {:.1} % of a processor",
        crowd.name,
        (sent - dropped) as f64 / LONG.as_secs_f64(),
        took / LONG.as_nanos() as f64 * 100.0
    );
    assert_eq!(dropped, 0, "queues keep up");
}

fn subscribe(sessions: &Sessions, crowd: Crowd) -> Vec<(Connection, Observer)> {
    let one = |i: usize| {
        let connection = sessions.connect(Some(&format!("subscriber-{i:05}")));
        assert!(connection.subscribe(&format!("topic-{}", i % crowd.topics)));
        let observer = connection.observe().expect("nobody else listens");
        (connection, observer)
    };
    (0..crowd.subscribers).map(one).collect()
}

/// Time on the processor, and how many events.
fn publish(sessions: &Sessions, crowd: Crowd, began: Instant) -> (Duration, u64) {
    let names: Vec<Arc<str>> = (0..crowd.topics).map(|i| format!("topic-{i}").into()).collect();
    let before = on_processor();
    let mut published = 0_u64;
    while began.elapsed() < LONG {
        let due = began.elapsed().as_nanos() * u128::from(crowd.events_per_second) / 1_000_000_000;
        while u128::from(published) < due {
            let mut payload = vec![0; PAYLOAD];
            payload[..16].copy_from_slice(&began.elapsed().as_nanos().to_le_bytes());
            let topic = names[usize::try_from(published).unwrap_or(0) % names.len()].clone();
            sessions.publish(&Event::of_piece(topic, payload));
            published += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    (on_processor() - before, published)
}

fn next(ready: &mpsc::Receiver<usize>, over: &AtomicBool) -> Option<usize> {
    loop {
        match ready.recv_timeout(Duration::from_millis(100)) {
            Ok(i) => return Some(i),
            Err(_) if over.load(Relaxed) => return None,
            Err(_) => {}
        }
    }
}

fn drain(observer: &mut Observer, waker: &Waker, began: Instant, lags: &mut Vec<u64>) {
    let mut context = Context::from_waker(waker);
    while let Poll::Ready(Some(delivery)) = observer.poll_next(&mut context) {
        let at = delivery.event().payload().first_chunk().map_or(0, |at| u128::from_le_bytes(*at));
        lags.push(u64::try_from(began.elapsed().as_nanos() - at).unwrap_or(u64::MAX));
        delivery.delivered();
    }
}

fn report_lags(name: &str, mut lags: Vec<u64>) {
    lags.sort_unstable();
    let at = |share: usize| lags[lags.len() * share / 100] as f64 / 1e6;
    println!("{name}, p99 from telling to delivery\t2\tbarograph\t{:.2}\tms", at(99));
    println!("# {name}: p50 {:.2} ms, longest {:.2} ms", at(50), lags[lags.len() - 1] as f64 / 1e6);
}

/// A hundred subscribers of one topic, of whom ten read nothing: they lose what does not fit, the others nothing.
pub fn some_stall() {
    const EVENTS: u64 = 5_000;
    let mut settings = Settings::default();
    settings.announce = false;
    let capacity = settings.queue_capacity as u64;
    let sessions = Sessions::new(settings);
    let crowd = Crowd { name: "", subscribers: 100, topics: 1, events_per_second: 0 };
    let mut all = subscribe(&sessions, crowd);
    for n in 0..EVENTS {
        sessions.publish(&Event::of_piece("topic-0", n.to_le_bytes()));
        for (_, observer) in &mut all[10..] {
            observer.try_next().expect("one waits").delivered();
        }
    }
    let mut dropped: BTreeMap<u64, usize> = BTreeMap::new();
    for (connection, observer) in &mut all {
        let count = connection.stat("events-dropped").to_string().parse().expect("a count");
        *dropped.entry(count).or_default() += 1;
        if count > 0 {
            let first = observer.try_next().expect("the newest wait");
            let number = first.event().payload().first_chunk().map(|number| u64::from_le_bytes(*number));
            assert_eq!((first.missed(), number), (count, Some(count)), "the mark is exact");
            first.delivered();
        }
    }
    assert_eq!(dropped, BTreeMap::from([(0, 90), (EVENTS - capacity, 10)]));
    println!(
        "# {EVENTS} events to 100, of whom 10 read nothing: each of them lost {}, the others 0",
        EVENTS - capacity
    );
}
