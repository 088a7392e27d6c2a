//! Futures that carry what is open, wherever they are polled.

use std::{
    pin::Pin,
    task::{self, Poll},
};

use super::{Attributes, Back, Context, Results, close, replace};

/// Lets a future carry its scopes.
pub trait InScope: Future + Sized {
    /// The future with `context` open whenever it is polled. What it opens inside stays open across its awaits and is
    /// its own. Costs an allocation, and a swap for each poll.
    fn in_scope(self, context: Context) -> InContext<Self> {
        InContext { future: Box::pin(self), context, own: None }
    }

    /// The future in what is open now: for a task that is to be spawned.
    fn in_current_scope(self) -> InContext<Self> {
        self.in_scope(Context::current())
    }

    /// The future in a scope of its own, begun now and ended when it is done or dropped.
    fn scoped(self, name: &str, attributes: Attributes) -> InContext<Self> {
        let own = Context::current().child(name, attributes);
        InContext { future: Box::pin(self), context: own.clone(), own: Some(own) }
    }
}

impl<F: Future> InScope for F {}

/// A future with what is open in it.
#[must_use = "a future does nothing unless it is polled"]
pub struct InContext<F: Future> {
    future: Pin<Box<F>>,
    context: Context,
    /// The scope that ends with the future.
    own: Option<Context>,
}

impl<F: Future> InContext<F> {
    fn end(&mut self) {
        if let Some(own) = self.own.take() {
            let ended = self.context.run(|| close(&own, Results::new()));
            if let Some(ended) = ended {
                ended.record();
            }
        }
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, waker: &mut task::Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let mut back = Back(Some(replace(std::mem::take(&mut this.context))));
        let polled = this.future.as_mut().poll(waker);
        this.context = back.0.take().map(replace).unwrap_or_default();
        if polled.is_ready() {
            this.end();
        }
        polled
    }
}

impl<F: Future> Drop for InContext<F> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<F: Future> std::fmt::Debug for InContext<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InContext({:?})", self.context)
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, pin::pin, task::Waker};

    use super::*;
    use crate::scope::{begin, current, end, enter};

    /// Once pending, then ready.
    async fn yielded() {
        let mut first = true;
        std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) })
            .await;
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut task::Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_future_keeps_its_scopes_across_awaits_and_threads() {
        let task = async {
            begin("task", Attributes::from([("b", "2")]));
            yielded().await;
            let inside = current();
            end([("done", 1.0)]);
            (inside, current())
        };
        let task = {
            let _scope = enter("spawner", Attributes::from([("a", "1")]));
            task.in_current_scope()
        };
        let mut task = Box::pin(task);
        assert!(poll(task.as_mut()).is_pending());
        assert!(current().is_empty());
        let other = std::thread::spawn(move || poll(task.as_mut()));
        let Poll::Ready((inside, after)) = other.join().unwrap() else { panic!("it was ready") };
        assert_eq!(inside, Attributes::from([("a", "1"), ("b", "2")]));
        assert_eq!(after, Attributes::from([("a", "1")]));
    }

    #[test]
    fn a_scope_of_its_own_ends_with_the_future() {
        let count = || crate::scope::DURATION.with(["future.own"]).read().sketch.count();
        let before = count();
        let attributes = || Attributes::from([("a", "1")]);
        let mut done = pin!(async { current() }.scoped("future.own", attributes()));
        assert_eq!(poll(done.as_mut()), Poll::Ready(attributes()));
        assert_eq!(count(), before + 1);
        let mut dropped = Box::pin(pending::<()>().scoped("future.own", attributes()));
        assert!(poll(dropped.as_mut()).is_pending());
        drop(dropped);
        assert_eq!(count(), before + 2);
        assert!(current().is_empty());
    }
}
