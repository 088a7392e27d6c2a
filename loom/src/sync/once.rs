//! A value that is made once, by whoever comes first.
//!
//! The value itself is kept by the standard library's type. Whether it can be seen is a flag of loom, so that who sees
//! it sees no more of its maker's work than acquiring the flag gives.

use loom::sync::{
    Mutex,
    atomic::{
        AtomicBool,
        Ordering::{Acquire, Release},
    },
};

pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    made: AtomicBool,
    making: Mutex<()>,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self { value: std::sync::OnceLock::new(), made: AtomicBool::new(false), making: Mutex::new(()) }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.made.load(Acquire).then(|| self.value.get()).flatten()
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _making = self.making.lock();
        self.value.get_or_init(|| {
            let value = make();
            self.made.store(true, Release);
            value
        })
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}
