//! Events and the queue of each client, in which they wait for it.
//!
//! A queue is bounded and never makes whoever publishes wait: what is over it follows the [`Policy`], counted. It
//! takes memory for what waits in it, and gives it back when it was emptied. Figures of a queue are written under
//! its lock and read without.

use std::{
    any::Any,
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

use super::{
    cells::{EVENT_CLASSES, Lane, QueueCells},
    settings::Policy,
    time::Moment,
};

/// An empty queue keeps room for so many events.
const KEPT: usize = 32;

/// What kind of event an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventKind(pub(super) u16);

impl EventKind {
    /// What concerns the whole server.
    pub const SERVER: Self = Self(0);
    /// What happened to a piece that one can subscribe to.
    #[doc(alias = "resource-event")]
    pub const PIECE: Self = Self(1);
    /// A client connected.
    pub const CONNECT: Self = Self(2);
    /// A client disconnected.
    pub const DISCONNECT: Self = Self(3);

    /// The names of these four.
    pub(super) const NAMES: [&str; EVENT_CLASSES - 1] =
        ["server-event", "piece-event", "connect", "disconnect"];

    /// The place among the four, or behind them.
    pub(super) fn class(self) -> usize {
        usize::from(self.0).min(EVENT_CLASSES - 1)
    }
}

/// Something that clients are told. Cloning is cheap, and clones share one payload.
#[derive(Clone)]
pub struct Event(Arc<Body>);

struct Body {
    kind: EventKind,
    piece: Option<Arc<str>>,
    payload: Box<dyn Payload>,
}

/// What an event carries: bytes, or a value of the program that has them, which whoever writes the event gets back by
/// [`Event::downcast`].
pub trait Payload: Any + Send + Sync {
    /// What goes over the wire, as far as it is counted.
    fn bytes(&self) -> &[u8];
}

impl Payload for Box<[u8]> {
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Event {
    /// An event with its payload as it goes over the wire: encoded once, for all clients.
    pub fn new(kind: EventKind, payload: impl Into<Box<[u8]>>) -> Self {
        Self(Arc::new(Body { kind, piece: None, payload: Box::new(payload.into()) }))
    }

    /// One about a piece.
    pub fn of_piece(piece: impl Into<Arc<str>>, payload: impl Into<Box<[u8]>>) -> Self {
        Self::carrying(EventKind::PIECE, piece, payload.into())
    }

    /// One of any kind about a piece, with a value of the program.
    pub fn carrying(kind: EventKind, piece: impl Into<Arc<str>>, payload: impl Payload) -> Self {
        Self(Arc::new(Body { kind, piece: Some(piece.into()), payload: Box::new(payload) }))
    }

    /// What kind of event it is.
    pub fn kind(&self) -> EventKind {
        self.0.kind
    }

    /// The piece it is about, if it is about one.
    pub fn piece(&self) -> Option<&str> {
        self.0.piece.as_deref()
    }

    /// What goes over the wire.
    pub fn payload(&self) -> &[u8] {
        self.0.payload.bytes()
    }

    /// The value that it carries, if it is of this type.
    pub fn downcast<T: Payload>(&self) -> Option<&T> {
        let payload: &dyn Any = &*self.0.payload;
        payload.downcast_ref()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.payload().len() as u64
    }
}

impl AsRef<[u8]> for Event {
    fn as_ref(&self) -> &[u8] {
        self.payload()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Body { kind, piece, payload } = &*self.0;
        f.debug_struct("Event")
            .field("kind", kind)
            .field("piece", piece)
            .field("bytes", &payload.bytes().len())
            .finish()
    }
}

/// What became of an event that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offered {
    /// Nobody listens.
    Closed,
    Queued,
    /// It, or another, was dropped.
    Overflowed,
    /// It was dropped, and the client is to go.
    Disconnect,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    open: AtomicBool,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<(Event, Moment)>,
    waker: Option<Waker>,
    /// Events that were dropped since one was taken out.
    missed: u64,
    /// The client is gone.
    over: bool,
}

impl Queue {
    /// Whether somebody takes events out.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.open.load(Relaxed)
    }

    /// Says that somebody does; whether nobody did before.
    pub(super) fn open(&self) -> bool {
        let waiting = self.lock();
        !waiting.over && !self.open.swap(true, Relaxed)
    }

    /// Says that nobody does any more; whether somebody did.
    pub(super) fn close(&self) -> bool {
        self.lock().waker = None;
        self.open.swap(false, Relaxed)
    }

    /// The client is gone: what waits is lost, though it still counts as waiting. Whether the queue was open.
    pub(super) fn end(&self) -> bool {
        let (waker, events) = {
            let mut waiting = self.lock();
            waiting.over = true;
            (waiting.waker.take(), std::mem::take(&mut waiting.events))
        };
        drop(events);
        if let Some(waker) = waker {
            waker.wake();
        }
        self.open.swap(false, Relaxed)
    }

    /// Puts an event in, and counts it for the client and the server.
    pub(super) fn offer(
        &self,
        event: &Event,
        now: Moment,
        (cells, lane): (&QueueCells, &Lane),
        (capacity, policy): (usize, Policy),
    ) -> Offered {
        let (offered, waker, dropped) = {
            let mut waiting = self.lock();
            if waiting.over || !self.is_open() {
                return Offered::Closed;
            }
            let bytes = event.bytes();
            cells.sent.set(cells.sent.get() + 1);
            lane.events_sent[event.kind().class()].add(1);
            cells.largest.see(bytes);
            lane.largest_event.see(bytes);
            let mut dropped = None;
            let full = waiting.events.len() >= capacity;
            if full {
                if policy == Policy::DropOldest {
                    dropped = waiting.events.pop_front().map(|(event, _)| event);
                }
                waiting.missed += 1;
                cells.last_overflow.set(now);
                cells.overflows.add_after(1);
                lane.overflows.add_after(1);
                cells.dropped.add_after(1);
                lane.events_dropped.add_after(1);
            }
            if full && policy != Policy::DropOldest {
                let disconnect = policy == Policy::Disconnect;
                return if disconnect { Offered::Disconnect } else { Offered::Overflowed };
            }
            waiting.events.push_back((event.clone(), now));
            let size = waiting.events.len() as u64;
            cells.size.set(size);
            cells.peak.see(size);
            cells.bytes_queued.set(cells.bytes_queued.get() + bytes);
            let gone = dropped.as_ref().map_or(0, Event::bytes);
            cells.bytes_waiting.set(cells.bytes_waiting.get() + bytes - gone);
            let offered = if full { Offered::Overflowed } else { Offered::Queued };
            (offered, waiting.waker.take(), dropped)
        };
        drop(dropped);
        if let Some(waker) = waker {
            waker.wake();
        }
        offered
    }

    /// Takes the oldest event out, or says who waits for one. `None` once the client is gone.
    pub(super) fn poll(&self, cells: &QueueCells, context: &mut Context<'_>) -> Poll<Option<Taken>> {
        let mut waiting = self.lock();
        if waiting.over {
            return Poll::Ready(None);
        }
        if let Some(taken) = waiting.take(cells) {
            return Poll::Ready(Some(taken));
        }
        match &mut waiting.waker {
            Some(waker) => waker.clone_from(context.waker()),
            waker => *waker = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Takes the oldest event out, if there is any.
    pub(super) fn take(&self, cells: &QueueCells) -> Option<Taken> {
        self.lock().take(cells)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event that was taken out.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) event: Event,
    pub(super) queued: Moment,
    /// Events that were dropped since the one that was taken before.
    pub(super) missed: u64,
}

impl Waiting {
    fn take(&mut self, cells: &QueueCells) -> Option<Taken> {
        let (event, queued) = self.events.pop_front()?;
        if self.events.is_empty() && self.events.capacity() > KEPT {
            self.events = VecDeque::with_capacity(KEPT);
        }
        cells.size.set(self.events.len() as u64);
        cells.bytes_waiting.set(cells.bytes_waiting.get() - event.bytes());
        Some(Taken { event, queued, missed: std::mem::take(&mut self.missed) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six events are offered to a queue of four: which are taken, and what is counted as sent, dropped, overflowed.
    fn check(policy: Policy, last: Offered, taken: &[u8], counted: [u64; 4]) {
        let (queue, cells, lane) = (Queue::default(), QueueCells::default(), Lane::default());
        let offer = |i: u8| {
            queue.offer(&Event::new(EventKind::SERVER, vec![i]), Moment(9), (&cells, &lane), (4, policy))
        };
        assert_eq!(offer(0), Offered::Closed);
        assert!(queue.open() && !queue.open());
        let offered = (1..=6).map(offer).last();
        assert_eq!(offered, Some(last));
        assert_eq!(cells.bytes_waiting.get(), 4);
        let found: Vec<_> = std::iter::from_fn(|| queue.take(&cells)).collect();
        assert_eq!(found.iter().map(|found| found.event.payload()[0]).collect::<Vec<_>>(), taken);
        assert_eq!(found.iter().map(|found| found.missed).collect::<Vec<_>>(), [counted[1], 0, 0, 0]);
        let counts =
            [&cells.sent, &cells.dropped, &cells.overflows, &cells.bytes_queued].map(|count| count.get());
        assert_eq!((counts, cells.size.get(), cells.peak.get()), (counted, 0, 4));
        assert_eq!((lane.events_sent[0].get(), lane.events_dropped.get()), (counted[0], counted[1]));
        assert_eq!(cells.bytes_waiting.get(), 0);
    }

    #[test]
    fn a_full_queue_follows_its_policy() {
        check(Policy::DropOldest, Offered::Overflowed, &[3, 4, 5, 6], [6, 2, 2, 6]);
        check(Policy::DropNewest, Offered::Overflowed, &[1, 2, 3, 4], [6, 2, 2, 4]);
        check(Policy::Disconnect, Offered::Disconnect, &[1, 2, 3, 4], [6, 2, 2, 4]);
    }

    #[test]
    fn who_waits_is_woken() {
        let (queue, cells, lane) = (Queue::default(), QueueCells::default(), Lane::default());
        queue.open();
        let mut context = Context::from_waker(Waker::noop());
        assert!(queue.poll(&cells, &mut context).is_pending());
        let event = Event::of_piece("p", *b"text");
        assert_eq!(queue.offer(&event, Moment(1), (&cells, &lane), (1, Policy::DropOldest)), Offered::Queued);
        assert!(
            matches!(queue.poll(&cells, &mut context), Poll::Ready(Some(taken)) if taken.event.piece() == Some("p"))
        );
        assert!(queue.end());
        assert!(matches!(queue.poll(&cells, &mut context), Poll::Ready(None)));
    }

    #[test]
    fn an_emptied_queue_is_small() {
        let (queue, cells, lane) = (Queue::default(), QueueCells::default(), Lane::default());
        queue.open();
        for _ in 0..1_000 {
            queue.offer(
                &Event::new(EventKind(7), []),
                Moment(1),
                (&cells, &lane),
                (1_024, Policy::DropOldest),
            );
        }
        while queue.take(&cells).is_some() {}
        assert!(queue.lock().events.capacity() <= 2 * KEPT);
    }
}
