//! Calls of functions: how often, how long, and how they ended.
//!
//! A [`Call`] is a guard for a function that runs to its end, [`Function::future`] wraps one that awaits and may
//! therefore be dropped on the way. Each call is counted once: `ok`, `error` (it gave an `Err`), `panicked`, or
//! `cancelled` (its future was dropped before it was done). All are in the distribution of durations.
//!
//! The attribute `#[barograph::instrument]` (feature `macros`) puts the right one of the two around a function.
//!
//! A call costs two readings of the clock and four recordings of some 30 ns together; the name is looked up once, when
//! the [`Function`] is made.

use std::{
    sync::{LazyLock, OnceLock},
    time::Instant,
};

use crate::{Counter, Error, Family, Histogram, Registry, Unit, UpDownCounter, clock, global::group};

/// The instruments of all functions. Cloning is cheap, and clones are the same.
///
/// | metric | |
/// |---|---|
/// | `function_calls_total{function,outcome}` | calls that ended: `ok`, `error`, `panicked` or `cancelled` |
/// | `function_calls_active{function}` | calls that run |
/// | `function_duration_seconds{function}` | how long they took, whatever their end |
#[derive(Clone, Debug)]
pub struct Calls {
    ended: Family<Counter, 2>,
    active: Family<UpDownCounter, 1>,
    duration: Family<Histogram, 1>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It came to its end, and not with an `Err`.
    Ok,
    /// It gave an `Err`.
    Error,
    /// It panicked.
    Panicked,
    /// Its future was dropped before it was done.
    Cancelled,
}

impl Ending {
    const ALL: [Self; 4] = [Self::Ok, Self::Error, Self::Panicked, Self::Cancelled];

    /// The value of the label `outcome`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Panicked => "panicked",
            Self::Cancelled => "cancelled",
        }
    }

    /// The ending of what gave `result`.
    pub const fn of<T, E>(result: &Result<T, E>) -> Self {
        if result.is_ok() { Self::Ok } else { Self::Error }
    }
}

impl Calls {
    /// Registers the instruments.
    ///
    /// # Errors
    /// A metric of the same name that is another.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        Ok(Self {
            ended: registry
                .counter("function_calls_total")
                .help("Calls of instrumented functions that ended, by outcome.")
                .family(["function", "outcome"])?,
            active: registry
                .up_down_counter("function_calls_active")
                .help("Calls of instrumented functions that run.")
                .family(["function"])?,
            duration: registry
                .histogram("function_duration")
                .unit(Unit::Seconds)
                .help("How long calls of instrumented functions took.")
                .family(["function"])?,
        })
    }

    /// Those of the global registry.
    pub fn global() -> &'static Self {
        static GLOBAL: LazyLock<Calls> = LazyLock::new(|| group(Calls::register));
        &GLOBAL
    }

    /// The instruments of one function. Looks them up; keep what it gives.
    pub fn function(&self, name: &str) -> Function {
        Function {
            ended: Ending::ALL.map(|ending| self.ended.with([name, ending.as_str()])),
            active: self.active.with([name]),
            duration: self.duration.with([name]),
        }
    }
}

/// The instruments of one function.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    ended: [Counter; 4],
    active: UpDownCounter,
    duration: Histogram,
}

impl Function {
    /// Begins a call. Dropped without being finished it ended well, unless the thread panics.
    #[must_use = "the call is over when the guard is dropped"]
    pub fn call(&self) -> Call {
        self.active.inc();
        let (begun, panicking) = (clock::monotonic(), std::thread::panicking());
        Call { function: *self, begun, panicking, dropped: Ending::Ok }
    }

    /// Makes a call of a future, which begins when it is first polled.
    pub async fn future<F: Future>(self, future: F) -> F::Output {
        let call = self.call().may_be_cancelled();
        let output = future.await;
        call.finish(Ending::Ok);
        output
    }

    /// Makes a call of a future that may fail, which begins when it is first polled.
    ///
    /// # Errors
    /// Those of the future.
    pub async fn try_future<T, E>(self, future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let call = self.call().may_be_cancelled();
        let result = future.await;
        call.finish(Ending::of(&result));
        result
    }
}

/// A call that runs while this lives.
#[derive(Debug)]
pub struct Call {
    function: Function,
    begun: Instant,
    /// Whether the thread was panicking already when the call began, as in a destructor.
    panicking: bool,
    /// How the call ended if it is dropped and nothing panics.
    dropped: Ending,
}

impl Call {
    /// Ends the call.
    pub fn finish(mut self, ending: Ending) {
        self.dropped = ending;
    }

    /// The same call, which is cancelled if it is dropped without being finished.
    #[must_use = "the call is over when the guard is dropped"]
    pub fn may_be_cancelled(mut self) -> Self {
        self.dropped = Ending::Cancelled;
        self
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let panicked = !self.panicking && std::thread::panicking();
        let ending = if panicked { Ending::Panicked } else { self.dropped };
        let Function { ended, active, duration } = self.function;
        duration.record_duration(clock::monotonic().saturating_duration_since(self.begun));
        active.dec();
        ended[ending as usize].inc();
    }
}

/// A [`Function`] of [`Calls::global`], kept in a static.
///
/// ```
/// use barograph::calls::{Ending, StaticFunction};
///
/// static PARSE: StaticFunction = StaticFunction::new("parse");
///
/// let call = PARSE.get().call();
/// let number = "12".parse::<u32>();
/// call.finish(Ending::of(&number));
/// ```
#[derive(Debug)]
pub struct StaticFunction {
    name: &'static str,
    function: OnceLock<Function>,
}

impl StaticFunction {
    /// The function of this name.
    pub const fn new(name: &'static str) -> Self {
        Self { name, function: OnceLock::new() }
    }

    /// Its instruments, looked up the first time.
    pub fn get(&self) -> Function {
        *self.function.get_or_init(|| Calls::global().function(self.name))
    }
}

/// What the attribute macros expand to. Not for other use.
#[doc(hidden)]
pub mod expanded {
    use super::Ending;

    /// What a function gave. A method call on a reference to this finds [`EndingOfResult`] if that is a `Result`,
    /// else, with one more reference, [`EndingOfAny`].
    #[derive(Debug)]
    pub struct Returned<'a, T>(pub &'a T);

    /// A `Result` tells how the call ended.
    pub trait EndingOfResult {
        /// How it ended.
        fn ending(&self) -> Ending;
    }

    impl<T, E> EndingOfResult for Returned<'_, Result<T, E>> {
        fn ending(&self) -> Ending {
            Ending::of(self.0)
        }
    }

    /// Anything else that is returned is a good end.
    pub trait EndingOfAny {
        /// How it ended.
        fn ending(&self) -> Ending;
    }

    impl<T> EndingOfAny for &Returned<'_, T> {
        fn ending(&self) -> Ending {
            Ending::Ok
        }
    }

    /// What `body` gives, which runs once and so may give away what it captured.
    pub fn run<T>(body: impl FnOnce() -> T) -> T {
        body()
    }

    /// A value that is never made, which tells a block the type it returns.
    pub fn typed<T>() -> T {
        unreachable!("stands behind a condition that is never true")
    }
}

#[cfg(test)]
mod tests {
    use std::{
        panic::{AssertUnwindSafe, catch_unwind},
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    struct Seen {
        ended: [u64; 4],
        active: i64,
        durations: u64,
    }

    /// What is counted of one function after `act`.
    fn check(expected: [u64; 4], act: impl FnOnce(Function)) {
        let function = Calls::register(&Registry::new()).unwrap().function("f");
        let _ = catch_unwind(AssertUnwindSafe(|| act(function)));
        let seen = Seen {
            ended: function.ended.map(Counter::value),
            active: function.active.value(),
            durations: function.duration.read().sketch.count(),
        };
        assert_eq!(seen.ended, expected);
        assert_eq!((seen.active, seen.durations), (0, expected.iter().sum()));
    }

    fn poll<F: Future>(future: F) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_guard_tells_how_the_call_ended() {
        check([1, 0, 0, 0], |function| drop(function.call()));
        check([1, 0, 0, 0], |function| function.call().finish(Ending::of(&Ok::<_, ()>(1))));
        check([0, 1, 0, 0], |function| function.call().finish(Ending::of(&Err::<(), _>("no"))));
        check([0, 0, 1, 0], |function| {
            let _call = function.call();
            panic!("as a function would");
        });
    }

    #[test]
    fn a_future_is_cancelled_when_it_is_dropped_on_the_way() {
        check([1, 0, 0, 0], |function| assert!(poll(function.future(async { 1 }))));
        check([0, 1, 0, 0], |function| assert!(poll(function.try_future(async { Err::<(), _>("no") }))));
        check([0, 0, 0, 1], |function| assert!(!poll(function.future(std::future::pending::<()>()))));
        check([0, 0, 0, 0], |function| drop(function.future(std::future::pending::<()>())));
        check([0, 0, 1, 0], |function| {
            poll(function.future(async { panic!("as a future would") }));
        });
    }

    #[test]
    fn a_call_while_the_thread_unwinds_is_judged_by_itself() {
        struct Cleaning(Function);
        impl Drop for Cleaning {
            fn drop(&mut self) {
                drop(self.0.call());
            }
        }
        check([1, 0, 0, 0], |function| {
            let _cleaning = Cleaning(function);
            panic!("as a function would");
        });
    }

    #[test]
    fn results_are_told_from_other_values() {
        use expanded::{EndingOfAny as _, EndingOfResult as _, Returned};
        assert_eq!(Returned(&Ok::<u8, ()>(1)).ending(), Ending::Ok);
        assert_eq!(Returned(&Err::<u8, ()>(())).ending(), Ending::Error);
        assert_eq!((&Returned(&"text")).ending(), Ending::Ok);
    }
}
