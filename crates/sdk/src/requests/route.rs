//! The instruments of one method and route, found once and remembered.
//!
//! A request is recorded into counters of its own method and route, and one more of these for each way it may end. All
//! of them are kept together, so that recording looks nothing up. Each thread remembers which it has seen, in a table of
//! few places: whoever finds a place taken by another takes it over, so nothing grows, and a look-up that fails costs
//! what it costs without the table.

use std::{
    cell::Cell,
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::{Instruments, Outcome, Requests};
use crate::{
    Counter, Histogram, OVERFLOW,
    family::{Ends, Key},
    handle::SINK,
    slab::Slab,
};

/// How many routes a thread remembers.
const PLACES: usize = 256;

/// How many ways to end are remembered of a route; others are looked up.
const ENDS_MAX: usize = 8;

/// The instruments of a method and a route.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) requests: Requests,
    pub(super) method: Box<str>,
    pub(super) route: Box<str>,
    /// What tells the two from most others.
    key: [Ends; 2],
    pub(super) duration: Histogram,
    pub(super) received: Counter,
    pub(super) sent: Counter,
    /// For each way to end that was seen [`Outcome::code`] above, and the counter below. Zero is none.
    ends: [AtomicU64; ENDS_MAX],
}

thread_local! {
    // Without a destructor, so that reading it is a plain load at any time of a thread's life.
    static KNOWN: [Cell<Option<&'static Route>>; PLACES] = const { [const { Cell::new(None) }; PLACES] };
}

impl Route {
    /// That of these labels, if the thread has seen it.
    #[cfg(feature = "tower")]
    #[inline]
    pub(super) fn known(requests: &Requests, method: &str, route: &str) -> Option<&'static Self> {
        Self::remembered(requests, &Key::new([method, route])).ok()
    }

    /// That of these labels.
    #[inline]
    pub(super) fn find(requests: &Requests, method: &str, route: &str) -> &'static Self {
        let key = Key::new([method, route]);
        Self::remembered(requests, &key).unwrap_or_else(|place| Self::look_up(requests, &key, place))
    }

    /// What the thread remembers, or the place for it.
    #[inline]
    fn remembered(requests: &Requests, key: &Key<'_, 2>) -> Result<&'static Self, usize> {
        #[expect(clippy::cast_possible_truncation, reason = "some bits of it are wanted")]
        let place = key.hash(ptr::from_ref(requests.0).addr() as u64) as usize % PLACES;
        let known = KNOWN.with(|known| known[place].get());
        known.filter(|known| known.is(requests, key)).ok_or(place)
    }

    #[cold]
    #[inline(never)]
    fn look_up(requests: &Requests, key: &Key<'_, 2>, place: usize) -> &'static Self {
        static ROUTES: Slab<OnceLock<Route>, 256, 256> = Slab::new();
        let instruments: &'static Instruments = requests.0;
        let (duration, settled) = instruments.durations.settled(key.values);
        // The sink is that of all registries.
        let one = if duration.0 == SINK { &instruments.lost } else { ROUTES.cell(duration.0) };
        let overflow = Key::new([OVERFLOW; 2]);
        let found = one.get_or_init(|| Self::new(requests, duration, if settled { key } else { &overflow }));
        if found.is(requests, key) {
            KNOWN.with(|known| known[place].set(Some(found)));
        }
        found
    }

    fn new(requests: &Requests, duration: Histogram, key: &Key<'_, 2>) -> Self {
        let [method, route] = key.values;
        Self {
            requests: requests.clone(),
            method: method.into(),
            route: route.into(),
            key: key.ends,
            duration,
            received: requests.0.received.with(key.values),
            sent: requests.0.sent.with(key.values),
            ends: Default::default(),
        }
    }

    #[inline]
    fn is(&self, requests: &Requests, key: &Key<'_, 2>) -> bool {
        let labels = || [&*self.method, &*self.route].into_iter();
        ptr::eq(self.requests.0, requests.0) && self.key == key.ends && key.has(labels())
    }

    /// Counts a request that ended so.
    #[inline]
    pub(super) fn count(&self, outcome: Outcome) {
        let code = outcome.code();
        let mut ends = self.ends.iter().map(|end| end.load(Relaxed));
        let known = ends.find(|end| code.is_some_and(|code| code == end >> 32));
        #[expect(clippy::cast_possible_truncation, reason = "the counter is below, the code above")]
        known.map_or_else(|| self.look_up_end(outcome), |end| Counter(end as u32)).inc();
    }

    #[cold]
    #[inline(never)]
    fn look_up_end(&self, outcome: Outcome) -> Counter {
        outcome.with_label(|status| {
            let (counter, settled) = self.requests.0.total.settled([&self.method, &self.route, status]);
            if let Some(code) = outcome.code().filter(|_| settled) {
                let end = code << 32 | u64::from(counter.0);
                // Another thread may be at the same; then one of the two finds it remembered twice.
                let free = |at: &&AtomicU64| at.compare_exchange(0, end, Relaxed, Relaxed).is_ok();
                let _ = self.ends.iter().find(free);
            }
            counter
        })
    }
}
