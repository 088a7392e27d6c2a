//! Alerts that wait for one Alertmanager.
//!
//! Putting some in never waits. When there are too many the oldest go, as what is newer says more.

use std::{collections::VecDeque, sync::Mutex};

use bytes::Bytes;
use tokio::sync::Notify;

use super::lock;

/// Alerts that wait for one Alertmanager at most.
pub(crate) const QUEUE_MAX: usize = 10_000;
/// Alerts of one request at most.
pub(super) const BATCH_MAX: usize = 256;

/// A queue, with one who puts in and one who takes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    alerts: VecDeque<Bytes>,
    closed: bool,
}

impl Queue {
    /// Puts alerts in; how many are gone for that. One that is closed takes none.
    pub(super) fn put(&self, alerts: &[Bytes]) -> usize {
        let mut waiting = lock(&self.waiting);
        if waiting.closed {
            return 0;
        }
        waiting.alerts.extend(alerts.iter().cloned());
        let over = waiting.alerts.len().saturating_sub(QUEUE_MAX);
        waiting.alerts.drain(..over);
        self.more.notify_one();
        over
    }

    /// The oldest, once there are any; `None` once it is closed and empty.
    pub(super) async fn take(&self) -> Option<Vec<Bytes>> {
        loop {
            {
                let mut waiting = lock(&self.waiting);
                let count = waiting.alerts.len().min(BATCH_MAX);
                if count > 0 {
                    return Some(waiting.alerts.drain(..count).collect());
                }
                if waiting.closed {
                    return None;
                }
            }
            self.more.notified().await;
        }
    }

    /// Takes no more; what is in it can still be taken.
    pub(super) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.more.notify_one();
    }

    /// Whether it takes no more.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.waiting).closed
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        lock(&self.waiting).alerts.len()
    }

    /// Empties it; how many waited.
    pub(super) fn clear(&self) -> usize {
        std::mem::take(&mut lock(&self.waiting).alerts).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(range: std::ops::Range<usize>) -> Vec<Bytes> {
        range.map(|number| Bytes::from(number.to_string())).collect()
    }

    #[tokio::test]
    async fn alerts_leave_in_batches_in_their_order() {
        let queue = Queue::default();
        assert_eq!(queue.put(&numbers(0..BATCH_MAX + 2)), 0);
        assert_eq!(queue.take().await.unwrap(), numbers(0..BATCH_MAX));
        assert_eq!(queue.put(&numbers(0..1)), 0);
        assert_eq!(queue.take().await.unwrap(), [numbers(BATCH_MAX..BATCH_MAX + 2), numbers(0..1)].concat());
        assert_eq!(queue.len(), 0);
    }

    #[tokio::test]
    async fn the_oldest_go_when_there_are_too_many() {
        let queue = Queue::default();
        assert_eq!(queue.put(&numbers(0..QUEUE_MAX - 1)), 0);
        assert_eq!(queue.put(&numbers(0..3)), 2);
        assert_eq!(queue.take().await.unwrap()[0], "2");
        assert_eq!(queue.put(&numbers(0..2 * QUEUE_MAX)), QUEUE_MAX - BATCH_MAX + QUEUE_MAX);
        assert_eq!((queue.len(), queue.clear(), queue.len()), (QUEUE_MAX, QUEUE_MAX, 0));
    }

    #[tokio::test]
    async fn one_that_is_closed_gives_what_it_has() {
        let queue = Queue::default();
        queue.put(&numbers(0..1));
        queue.close();
        assert_eq!((queue.put(&numbers(0..9)), queue.is_closed()), (0, true));
        assert_eq!(queue.take().await, Some(numbers(0..1)));
        assert_eq!(queue.take().await, None);
    }

    #[tokio::test]
    async fn who_takes_waits_for_who_puts_in() {
        let queue = Queue::default();
        let (taken, _) = tokio::join!(queue.take(), async { queue.put(&numbers(7..8)) });
        assert_eq!(taken, Some(numbers(7..8)));
    }
}
