//! The end of threads and of the process, in whatever order: what is recorded counts, and nothing panics.

use std::{
    cell::RefCell,
    env,
    process::{self, Command},
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use barograph::{Counter, Histogram, Registry, Static, StaticFamily, exposition::Format};

/// What a thread does when its thread-locals are destroyed.
#[derive(Default)]
struct AtEnd(RefCell<Option<Box<dyn Fn() + Send>>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(last) = self.0.take() {
            last();
        }
    }
}

thread_local! {
    static FIRST: AtEnd = AtEnd::default();
    static SECOND: AtEnd = AtEnd::default();
}

/// Destructors that are registered before a thread first records, and after, and that record first of all.
#[test]
fn destructors_of_a_thread_record() {
    let registry = Registry::new();
    let counter = registry.counter("late_total").register().unwrap();
    let family = registry.counter("late_by_kind_total").family(["kind"]).unwrap();
    let amount = registry.float_counter("late_amount").register().unwrap();
    let histogram = registry.histogram("late_size").bounds(&[1.5]).register().unwrap();
    let last = || {
        let (family, registry) = (family.clone(), registry.clone());
        Box::new(move || {
            counter.inc();
            amount.add(0.5);
            [1.25, 0.0, -1.0, 40.0].into_iter().for_each(|value| histogram.record(value));
            family.with(["known"]).inc();
            family.with_literals(["literal"]).inc();
            // One that nobody had before, and a reading.
            family.with([&format!("{:?}", thread::current().id())]).inc();
            assert!(registry.expose(Format::Text004).contains("late_total"));
        })
    };
    let each = 20;
    for order in 0..3 {
        for _ in 0..each {
            let (first, second) = (last(), last());
            let work = move || {
                if order == 0 {
                    counter.inc();
                }
                FIRST.with(|end| end.0.replace(Some(first)));
                if order == 1 {
                    counter.inc();
                }
                SECOND.with(|end| end.0.replace(Some(second)));
            };
            thread::spawn(work).join().unwrap();
        }
    }
    let ends = 3 * each * 2;
    assert_eq!(counter.value(), ends + 2 * each);
    assert_eq!(amount.value(), ends as f64 / 2.0);
    assert_eq!(
        (histogram.read().sketch.count(), histogram.read().classic),
        (4 * ends, vec![(1.5, 3 * ends)])
    );
    assert_eq!((family.with(["known"]).value(), family.with(["literal"]).value()), (ends, ends));
}

/// Handles are good for the life of the process, registry or not.
#[test]
fn a_registry_goes_before_those_who_record() {
    let registry = Registry::new();
    let counter = registry.counter("orphan_total").register().unwrap();
    let family = registry.histogram("orphan_size").family(["kind"]).unwrap();
    let gone = Arc::new(Barrier::new(2));
    let thread = {
        let (gone, family) = (Arc::clone(&gone), family.clone());
        thread::spawn(move || {
            counter.inc();
            gone.wait();
            counter.inc();
            family.with(["new"]).record(0.5);
        })
    };
    drop(registry);
    gone.wait();
    thread.join().unwrap();
    assert_eq!((counter.value(), family.with(["new"]).read().sketch.count()), (2, 1));
}

static EXITS: Static<Counter> = Static::counter("exits_total", "Recorded until the very end.");
static SIZES: Static<Histogram> = Static::histogram("exit_sizes", "The same, as sizes.");
static KINDS: StaticFamily<Counter, 1> =
    StaticFamily::counter("exit_kinds_total", "The same, by kind.", ["kind"]);

/// What tells a process that it is the one that ends.
const EXITS_NOW: &str = "BAROGRAPH_TEST_EXITS_NOW";

/// A process ends by `exit` while its threads record, and one of its thread-locals records after that.
#[test]
#[cfg_attr(miri, ignore = "Miri starts no processes")]
fn a_process_ends_while_it_records() {
    #[expect(clippy::disallowed_methods, reason = "a test that starts itself again says so to itself")]
    if env::var_os(EXITS_NOW).is_some() {
        end_now();
    }
    for _ in 0..10 {
        let this = ["--exact", "--nocapture", "a_process_ends_while_it_records"];
        let ended =
            Command::new(env::current_exe().unwrap()).args(this).env(EXITS_NOW, "1").output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(42), "{said}");
        assert_eq!(said, "");
    }
}

/// Ends this process with the code 42, or another if what was recorded last is not there.
fn end_now() -> ! {
    let threads = 4;
    let all = Arc::new(Barrier::new(threads + 1));
    for _ in 0..threads {
        let all = Arc::clone(&all);
        thread::spawn(move || {
            EXITS.inc();
            all.wait();
            loop {
                SIZES.record(0.25);
                KINDS.with(["running"]).inc();
            }
        });
    }
    all.wait();
    let last = || {
        EXITS.add(10);
        SIZES.record(0.5);
        KINDS.with(["ending"]).inc();
        let counted = (EXITS.value(), KINDS.with(["ending"]).value());
        if counted != (14, 1) || !Registry::global().expose(Format::Text004).contains("exits_total 14") {
            eprintln!("{counted:?}");
        }
    };
    FIRST.with(|end| end.0.replace(Some(Box::new(last))));
    process::exit(42)
}

/// Other processes are started while threads record, which they know nothing of.
#[test]
#[cfg_attr(miri, ignore = "Miri starts no processes")]
fn other_processes_come_and_go() {
    let registry = Registry::new();
    let counter = registry.counter("beside_total").register().unwrap();
    let histogram = registry.histogram("beside_size").register().unwrap();
    let over = AtomicBool::new(false);
    let recorded: u64 = thread::scope(|scope| {
        let record = || {
            let mut recorded = 0;
            while !over.load(Relaxed) {
                counter.inc();
                histogram.record(0.25);
                recorded += 1;
            }
            recorded
        };
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(record)).collect();
        for _ in 0..10 {
            let listed = Command::new(env::current_exe().unwrap()).arg("--list").output().unwrap();
            assert!(listed.status.success());
        }
        over.store(true, Relaxed);
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((counter.value(), histogram.read().sketch.count()), (recorded, recorded));
}
