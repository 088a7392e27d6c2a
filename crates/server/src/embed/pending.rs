//! An answer that is on its way, for programs with and without an async runtime.

use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

/// An answer that is on its way: awaited in async code, waited for with [`Pending::wait`] elsewhere. It needs no
/// particular runtime.
#[must_use = "what is pending happens when it is awaited or waited for"]
pub struct Pending<T>(Pin<Box<dyn Future<Output = T> + Send>>);

impl<T> Pending<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }

    /// Blocks this thread until the answer is there.
    pub fn wait(self) -> T {
        let mut future = pin!(self);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            match future.as_mut().poll(&mut context) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => thread::park(),
            }
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        self.0.as_mut().poll(context)
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_waited_for_across_threads() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let teller = thread::spawn(move || tell.send(7));
        assert_eq!(Pending::new(told).wait(), Ok(7));
        assert_eq!(teller.join().unwrap(), Ok(()));
    }
}
