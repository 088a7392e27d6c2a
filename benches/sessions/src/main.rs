//! What statistics of clients cost: a call, an event, documents of 10,000 clients, the bytes of one that is idle; and events
//! to many.
//!
//! `cargo xtask bench sessions` builds and runs this and makes the report; lines are as those of `bench record`. What is
//! measured is the time a thread was on a processor, with statistics (`barograph`) and the same without (`off`), by
//! turns; the median counts.

#[path = "../../record/src/allocations.rs"]
mod allocations;
#[path = "../../record/src/clock.rs"]
mod clock;
#[path = "../../record/src/common.rs"]
mod common;
mod fanout;
#[path = "../../record/src/rounds.rs"]
mod rounds;

use std::{
    cell::OnceCell,
    collections::VecDeque,
    hint::black_box,
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use common::{median, on_processor, option};
use fanout::Crowd;

use barograph::{
    Outcome, Timestamp,
    session::{
        Client, Clock, Connection, Event, EventKind, Lifetime, Listing, Method, Observer, Sessions, Settings,
        Spelling, Surroundings,
    },
};

const ROUNDS: usize = 15;
const CALLS: u32 = 50_000;
const CLIENTS: usize = 10_000;
const DOCUMENTS: usize = 9;

fn main() -> ExitCode {
    let only = option("--only", 1).unwrap_or_default();
    let wanted = |name: &str| name.contains(&only);
    for threads in [1, 2] {
        if wanted("call") {
            calls(threads);
        }
        if wanted("event") {
            events(threads);
        }
    }
    if wanted("clients") {
        many();
    }
    if wanted("fan-out") {
        let (spread, one) = ("fan-out to 10,000", "fan-out to 100 of one topic");
        fanout::run(Crowd { name: spread, subscribers: 10_000, topics: 1_000, events_per_second: 10_000 });
        fanout::run(Crowd { name: one, subscribers: 100, topics: 1, events_per_second: 1_000 });
        fanout::some_stall();
    }
    ExitCode::SUCCESS
}

/// Something that each thread has one of.
struct Each<T>(Vec<T>, AtomicUsize);

impl<T> Each<T> {
    fn new(all: impl IntoIterator<Item = T>) -> Self {
        Self(all.into_iter().collect(), AtomicUsize::new(0))
    }

    /// The one of this thread; threads of a round are new each time.
    fn mine(&self) -> &T {
        thread_local! {
            static MINE: OnceCell<usize> = const { OnceCell::new() };
        }
        &self.0[MINE.with(|mine| *mine.get_or_init(|| self.1.fetch_add(1, Relaxed))) % self.0.len()]
    }
}

/// A call with its look-up of the method, by a client of each thread.
fn calls(threads: usize) {
    let sessions = Sessions::new(Settings::default());
    let clients: Each<Client> = Each::new((0..8).map(|i| sessions.client(&i.to_string())));
    let names: Vec<String> = (0..16).map(|i| format!("shop.Cart/Method{i}")).collect();
    let on = |i: u32| {
        let method: Method = sessions.method(&names[i as usize % 16]);
        let mut call = clients.mine().call(&method);
        call.received(100);
        call.sent(1_000);
        call.finish(Outcome::Grpc(0));
    };
    // A duration in an octave that its method has not seen takes room for the octave's counts, once.
    let clock = Clock::stopped(Timestamp(0));
    let steady = Sessions::at(Settings::default(), Lifetime::default(), clock.clone());
    let client = steady.client("steady");
    let of_one_length = |i: u32| {
        let call = client.call(&steady.method(&names[i as usize % 16]));
        clock.advance(Duration::from_micros(100));
        call.finish(Outcome::Grpc(0));
    };
    (0..16).for_each(of_one_length);
    let before = allocations::count();
    (0..1_000).for_each(of_one_length);
    println!("# allocations in 1,000 calls of one length: {}", allocations::count() - before);
    (0..20_000).for_each(on);
    let off = |i: u32| {
        black_box(&names[i as usize % 16]);
    };
    pair("call", threads, &on, &off);
    let clock = |_: u32| {
        black_box(Instant::now().elapsed());
    };
    println!(
        "two readings of the clock\t{threads}\toff\t{:.1}\tns",
        rounds::run(threads, CALLS, &clock).nanoseconds
    );
}

/// An event from the offer to its delivery, to a client of each thread.
fn events(threads: usize) {
    let sessions = Sessions::new(Settings::default());
    let stream = |i: usize| {
        let client = sessions.client(&i.to_string());
        let observer = client.observe().expect("nobody else listens");
        (client, Mutex::new(observer))
    };
    let clients: Each<(Client, Mutex<Observer>)> = Each::new((0..8).map(stream));
    let event = Event::new(EventKind::SERVER, [7; 100]);
    let on = |_: u32| {
        let (client, observer) = clients.mine();
        client.send(&event);
        let mut observer = observer.lock().expect("nobody panics");
        observer.try_next().expect("one waits").delivered();
    };
    type Plain = Mutex<VecDeque<(Arc<[u8]>, Instant)>>;
    let queues: Each<(Plain, Mutex<()>)> = Each::new((0..8).map(|_| Default::default()));
    let payload: Arc<[u8]> = [7; 100].into();
    let off = |_: u32| {
        let (queue, guard) = queues.mine();
        queue.lock().expect("nobody panics").push_back((payload.clone(), Instant::now()));
        let _guard = guard.lock().expect("nobody panics");
        let (event, queued) = queue.lock().expect("nobody panics").pop_front().expect("one waits");
        black_box((event, queued.elapsed()));
    };
    pair("event", threads, &on, &off);
}

fn pair(name: &str, threads: usize, on: &(impl Fn(u32) + Sync), off: &(impl Fn(u32) + Sync)) {
    let mut found = [Vec::new(), Vec::new()];
    let mut undisturbed = 0;
    for _ in 0..ROUNDS {
        let rounds = [rounds::run(threads, CALLS, on), rounds::run(threads, CALLS, off)];
        for (found, round) in found.iter_mut().zip(rounds) {
            found.push(round.nanoseconds);
            undisturbed += usize::from(round.undisturbed);
        }
    }
    println!("# {name}, {threads} threads: {undisturbed} of {} rounds were undisturbed", 2 * ROUNDS);
    for (contender, found) in ["barograph", "off"].into_iter().zip(found) {
        println!("{name}\t{threads}\t{contender}\t{:.1}\tns", median(found));
    }
}

/// 10,000 clients: what one takes, what documents of all take, and what an event to all takes each.
fn many() {
    let sessions = Sessions::new(Settings::default());
    let method = sessions.method("shop.Cart/Add");
    let before = allocations::bytes();
    let mut connections: Vec<Connection> = Vec::with_capacity(CLIENTS);
    let vector = allocations::bytes() - before;
    for i in 0..CLIENTS {
        let connection = sessions.connect(Some(&format!("client-{i:05}")));
        connection.call(&method).finish(Outcome::Grpc(0));
        connections.push(connection);
    }
    let each = (allocations::bytes() - before - vector) as f64 / CLIENTS as f64;
    println!("idle client\t1\tbarograph\t{each:.0}\tbytes");

    let surroundings = Surroundings::default();
    let time = |name: &str, write: &dyn Fn() -> String| {
        let mut length = 0;
        let took = (0..DOCUMENTS).map(|_| {
            let began = on_processor();
            length = black_box(write()).len();
            (on_processor() - began).as_secs_f64() * 1e3
        });
        let took = took.collect();
        println!("{name}, 10,000 clients\t1\tbarograph\t{:.2}\tms", median(took));
        println!("# {name}: {length} bytes");
    };
    let report = || sessions.report(&surroundings, Spelling::default());
    time("/health/clients", &|| report().clients(Listing::default()));
    time("/health/server", &|| report().server());

    let mut streams: Vec<Observer> =
        connections.iter().map(|connection| connection.observe().expect("nobody else listens")).collect();
    let event = Event::new(EventKind::SERVER, [7; 100]);
    let mut told = Vec::new();
    for _ in 0..ROUNDS {
        let began = on_processor();
        sessions.publish(&event);
        for stream in &mut streams {
            stream.try_next().expect("one waits").delivered();
        }
        told.push((on_processor() - began).as_secs_f64() * 1e9 / CLIENTS as f64);
    }
    println!("event to each of 10,000 clients\t1\tbarograph\t{:.1}\tns", median(told));
}
