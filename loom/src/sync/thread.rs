//! Threads, and what is local to them.
//!
//! Thread-locals behave as those of the standard library: one without a destructor can be used until the thread is no
//! more, others are destroyed when its work is done, one after the other, and are not there from then on. (Those of loom
//! are all gone before the first destructor runs.)

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    mem::needs_drop,
    rc::Rc,
};

use loom::thread::{JoinHandle, LocalKey as LoomKey};

/// A thread, which destroys its thread-locals at its end.
pub(crate) struct Thread<T>(JoinHandle<T>);

/// Starts a thread.
pub(crate) fn spawn<T: 'static>(work: impl FnOnce() -> T + 'static) -> Thread<T> {
    Thread(loom::thread::spawn(move || {
        let result = work();
        end();
        result
    }))
}

impl<T> Thread<T> {
    /// Waits for its end.
    pub(crate) fn join(self) -> T {
        self.0.join().expect("what panics in a model ends the model")
    }
}

/// Waits for the end of all.
pub(crate) fn join_all<const N: usize>(threads: [Thread<()>; N]) {
    threads.into_iter().for_each(Thread::join);
}

/// Destroys the thread-locals of the calling thread, those first that were made last.
pub(crate) fn end() {
    while let Some(destroy) = DESTRUCTORS.with(|all| all.borrow_mut().pop()) {
        destroy();
    }
}

loom::thread_local! {
    static DESTRUCTORS: RefCell<Vec<Box<dyn FnOnce()>>> = RefCell::default();
}

/// Declares thread-locals.
macro_rules! locals {
    ($($(#[$about:meta])* $vis:vis static $name:ident: $type:ty = const { $value:expr };)+) => {$(
        $(#[$about])*
        $vis static $name: $crate::sync::thread::LocalKey<$type> =
            $crate::sync::thread::LocalKey::new(|| $crate::sync::thread::Slot::new($value));
    )+};
}

pub(crate) use locals;

/// A thread-local.
pub(crate) struct LocalKey<T: 'static>(LoomKey<Slot<T>>);

/// Its value in one thread, unless it was destroyed.
pub(crate) struct Slot<T> {
    value: RefCell<Option<Rc<T>>>,
    noted: Cell<bool>,
}

/// It was destroyed.
#[derive(Debug)]
pub(crate) struct Destroyed;

impl<T> Slot<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: RefCell::new(Some(Rc::new(value))), noted: Cell::new(false) }
    }
}

impl<T> Drop for Slot<T> {
    /// What still has a value is part of a run that failed: its destructor would only hide why.
    fn drop(&mut self) {
        std::mem::forget(self.value.take());
    }
}

impl<T: 'static> LocalKey<T> {
    pub(crate) const fn new(init: fn() -> Slot<T>) -> Self {
        Self(LoomKey { init, _p: PhantomData })
    }

    pub(crate) fn try_with<R>(&'static self, work: impl FnOnce(&T) -> R) -> Result<R, Destroyed> {
        let value = self.0.with(|slot| {
            if needs_drop::<T>() && !slot.noted.replace(true) {
                let destroy = || drop(self.0.with(|slot| slot.value.take()));
                DESTRUCTORS.with(|all| all.borrow_mut().push(Box::new(destroy)));
            }
            slot.value.borrow().clone()
        });
        value.map(|value| work(&value)).ok_or(Destroyed)
    }

    pub(crate) fn with<R>(&'static self, work: impl FnOnce(&T) -> R) -> R {
        self.try_with(work).expect("it was not destroyed")
    }
}

impl<T: Copy> LocalKey<Cell<T>> {
    pub(crate) fn get(&'static self) -> T {
        self.with(Cell::get)
    }

    pub(crate) fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }
}
