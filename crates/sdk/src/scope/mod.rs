//! Scopes: attributes that everything recorded inside inherits.
//!
//! A scope has a name and attributes, and lies in the scope that was open when it began. [`enter`] opens one on
//! this thread until its guard is dropped; [`begin`] and [`end`] do the same without a guard. What is open is a
//! [`Context`], which goes where the work goes: a future carries its own by [`InScope`], wherever it is polled; a
//! thread takes one by [`Context::run`].
//!
//! A scope that ends records its duration in seconds as `scope_duration_seconds{scope}` in the global registry, and
//! tells [`on_end`] its attributes and results. An end without a beginning, or one that leaves inner scopes
//! open, is counted in `scope_unbalanced_total` and never a panic. With [`trace`] each scope is a span, too.
//!
//! ```
//! use barograph::scope::{self, Attributes, Context};
//!
//! let flow = scope::enter("import", Attributes::from([("flowId", "FLOW-001")]));
//! {
//!     let _step = scope::enter("parse", Attributes::from([("stepId", "parse")]));
//!     assert_eq!(scope::current().get("flowId"), Some("FLOW-001"));
//!     let context = Context::current();
//!     std::thread::spawn(move || context.run(|| assert_eq!(scope::current().get("stepId"), Some("parse"))));
//! }
//! flow.end([("rows", 12.0)]);
//! assert!(scope::current().is_empty());
//! ```

mod attributes;
mod future;
mod spans;

use std::{
    cell::RefCell,
    fmt,
    marker::PhantomData,
    mem,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use crate::{Counter, Histogram, Static, StaticFamily, Unit, clock, flow, span::SpanContext};

pub use attributes::{ATTRIBUTES_MAX, Attributes};
pub use future::{InContext, InScope};
use spans::Traced;
pub use spans::trace;

static DURATION: StaticFamily<Histogram, 1> =
    StaticFamily::histogram("scope.duration", "Time from the beginning of a scope to its end.", ["scope"])
        .unit(Unit::Seconds);
static UNBALANCED: Static<Counter> = Static::counter(
    "scope_unbalanced_total",
    "Ends of scopes that had not begun, or that left inner ones open.",
);

/// How deep scopes can be nested. One more takes the place of the innermost.
pub const DEPTH_MAX: usize = 128;

/// Who is told of scopes that end.
static LISTENER: OnceLock<Box<Listener>> = OnceLock::new();

type Listener = dyn Fn(&Ended) + Send + Sync;

thread_local! {
    static CURRENT: RefCell<Context> = const { RefCell::new(Context(None)) };
}

/// What is open: the innermost scope with those it lies in. Clones are cheap and may go to other threads.
#[derive(Clone, Default)]
pub struct Context(Option<Arc<Open>>);

/// A scope that has begun.
struct Open {
    name: Box<str>,
    /// Its own attributes and the inherited ones.
    attributes: Attributes,
    started: Instant,
    outer: Context,
    depth: usize,
    /// Where in a flow this is.
    flow: Option<flow::Held>,
    /// Its span, where scopes are spans; what is a place in a flow has one there.
    span: Option<Traced>,
}

/// A scope that is over.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its name.
    pub name: String,
    /// Its attributes with the inherited ones.
    pub attributes: Attributes,
    /// How long it was open.
    pub duration: Duration,
    /// What it came to, as told by whoever ended it.
    pub results: Results,
}

/// What a scope came to: names and values.
pub type Results = Vec<(String, Outcome)>;

/// One value that a scope came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A number, in the unit that its name says.
    Number(f64),
    /// Anything else, as text.
    Text(String),
}

impl From<f64> for Outcome {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Outcome {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Outcome {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Opens a scope on this thread, until the guard is dropped or ended. Costs two allocations.
pub fn enter(name: &str, attributes: Attributes) -> Scope {
    Scope { begun: begin(name, attributes), on_this_thread: PhantomData }
}

/// Opens a scope on this thread or, inside a future [in a scope](InScope), in that future, until [`end`].
#[doc(alias = "BeginScope")]
pub fn begin(name: &str, attributes: Attributes) -> Context {
    let context = Context::current().child(name, attributes);
    replace(context.clone());
    context
}

/// Ends the innermost scope. Where none is open, that is counted.
#[doc(alias = "EndScope")]
pub fn end<N: Into<String>, V: Into<Outcome>>(results: impl IntoIterator<Item = (N, V)>) {
    if let Some(ended) = close(&Context::current(), gather(results)) {
        ended.record();
    }
}

/// The attributes of everything that is open. Costs a clone, which is one count.
pub fn current() -> Attributes {
    with_current(Attributes::clone)
}

/// Tells `listener` of each scope that ends, on the thread that ends it. There can be one; `false` says that there
/// was one already.
pub fn on_end(listener: impl Fn(&Ended) + Send + Sync + 'static) -> bool {
    LISTENER.set(Box::new(listener)).is_ok()
}

/// Calls `f` with the attributes of everything that is open, without cloning them.
pub(crate) fn with_current<R>(f: impl FnOnce(&Attributes) -> R) -> R {
    let empty = Attributes::new();
    let (mut f, mut result) = (Some(f), None);
    let mut call = |attributes: &Attributes| result = f.take().map(|f| f(attributes));
    let known = CURRENT.try_with(|current| match &current.borrow().0 {
        Some(open) => call(&open.attributes),
        None => call(&empty),
    });
    if known.is_err() {
        call(&empty);
    }
    result.expect("it is called on either way")
}

/// Ends the scope that `context` stands for, and those inside. `None` if it is not open here; whatever is not as it
/// should be is counted.
pub(crate) fn close(context: &Context, results: Results) -> Option<Ended> {
    let (mut innermost, mut left_open) = (Context::current(), false);
    while !innermost.is(context) {
        let Some(open) = innermost.0 else {
            UNBALANCED.inc();
            return None;
        };
        left_open = true;
        innermost = open.outer.clone();
    }
    let Some(open) = &innermost.0 else {
        UNBALANCED.inc();
        return None;
    };
    if left_open {
        UNBALANCED.inc();
    }
    replace(open.outer.clone());
    if let Some(span) = &open.span {
        span.end(&open.attributes, &results);
    }
    Some(Ended {
        name: open.name.clone().into(),
        attributes: open.attributes.clone(),
        duration: open.started.elapsed(),
        results,
    })
}

pub(crate) fn gather<N: Into<String>, V: Into<Outcome>>(
    results: impl IntoIterator<Item = (N, V)>,
) -> Results {
    results.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Makes `context` the open one, and gives the one before.
fn replace(context: Context) -> Context {
    CURRENT.try_with(|current| mem::replace(&mut *current.borrow_mut(), context)).unwrap_or_default()
}

impl Context {
    /// What is open on this thread, or in the future that runs.
    pub fn current() -> Self {
        CURRENT.try_with(|current| current.borrow().clone()).unwrap_or_default()
    }

    /// A scope inside this one, begun now and open nowhere yet.
    #[must_use = "the context is returned"]
    pub fn child(&self, name: &str, attributes: Attributes) -> Self {
        self.inner(name, attributes, self.carried().cloned(), Traced::begin(self, name))
    }

    /// A scope inside this one that is a place in a flow.
    pub(crate) fn carrying(&self, name: &str, attributes: Attributes, flow: flow::Held) -> Self {
        self.inner(name, attributes, Some(flow), None)
    }

    /// Where in a flow this is.
    pub(crate) fn carried(&self) -> Option<&flow::Held> {
        self.0.as_ref()?.flow.as_ref()
    }

    /// The span this is in, of a scope or of a place in a flow.
    fn span(&self) -> Option<&SpanContext> {
        let open = self.0.as_ref()?;
        let of_flow = || open.flow.as_ref()?.span();
        open.span.as_ref().map(Traced::context).or_else(of_flow)
    }

    fn inner(
        &self,
        name: &str,
        attributes: Attributes,
        flow: Option<flow::Held>,
        span: Option<Traced>,
    ) -> Self {
        let attributes = self.attributes().under(&attributes);
        let full = self.0.as_ref().filter(|open| open.depth >= DEPTH_MAX);
        let outer = full.map_or(self, |open| &open.outer).clone();
        let depth = outer.0.as_ref().map_or(0, |open| open.depth) + 1;
        let started = clock::monotonic();
        Self(Some(Arc::new(Open { name: name.into(), attributes, started, outer, depth, flow, span })))
    }

    /// The name of the innermost scope.
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(|open| &*open.name)
    }

    /// The attributes of all its scopes.
    pub fn attributes(&self) -> Attributes {
        self.0.as_ref().map(|open| open.attributes.clone()).unwrap_or_default()
    }

    /// Runs `f` with these scopes open, on whichever thread this is.
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _back = Back(Some(replace(self.clone())));
        f()
    }

    fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({}, {:?})", self.name().unwrap_or_default(), self.attributes())
    }
}

impl Ended {
    /// Records the duration in the global registry, and tells the listener.
    pub(crate) fn record(&self) {
        DURATION.with([&self.name]).record_duration(self.duration);
        self.tell();
    }

    /// Tells the listener.
    pub(crate) fn tell(&self) {
        if let Some(listener) = LISTENER.get() {
            listener(self);
        }
    }
}

/// A scope that is open on this thread until the guard is dropped.
#[must_use = "the scope ends when the guard is dropped"]
pub struct Scope {
    begun: Context,
    /// What is open belongs to a thread.
    on_this_thread: PhantomData<*const ()>,
}

impl Scope {
    /// Ends the scope and says what it came to.
    pub fn end<N: Into<String>, V: Into<Outcome>>(mut self, results: impl IntoIterator<Item = (N, V)>) {
        self.finish(gather(results));
    }

    /// What is open inside, to be carried to futures and threads.
    pub fn context(&self) -> Context {
        self.begun.clone()
    }

    fn finish(&mut self, results: Results) {
        let begun = mem::take(&mut self.begun);
        if begun.0.is_some()
            && let Some(ended) = close(&begun, results)
        {
            ended.record();
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.finish(Results::new());
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:?})", self.begun)
    }
}

/// Puts back what was open before, also if a panic passes by.
struct Back(Option<Context>);

impl Drop for Back {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            replace(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [(&str, f64); 0] = [];

    #[test]
    fn nested_scopes_inherit() {
        let outer = enter("nested.outer", Attributes::from([("a", "1"), ("b", "1")]));
        let before = DURATION.with(["nested.outer"]).read().sketch.count();
        {
            let _inner = enter("nested.inner", Attributes::from([("b", "2")]));
            assert_eq!(current(), Attributes::from([("a", "1"), ("b", "2")]));
        }
        assert_eq!(current(), Attributes::from([("a", "1"), ("b", "1")]));
        outer.end([("rows", 1.0)]);
        assert!(current().is_empty());
        assert_eq!(DURATION.with(["nested.outer"]).read().sketch.count(), before + 1);
    }

    #[test]
    fn an_end_too_many_is_counted() {
        let before = UNBALANCED.value();
        end(NONE);
        assert!(UNBALANCED.value() > before);
    }

    #[test]
    fn an_outer_end_ends_the_inner_ones() {
        let before = UNBALANCED.value();
        let outer = enter("unbalanced.outer", Attributes::new());
        let inner = enter("unbalanced.inner", Attributes::from([("a", "1")]));
        drop(outer);
        assert!(current().is_empty());
        drop(inner);
        assert!(current().is_empty());
        assert!(UNBALANCED.value() >= before + 2);
    }

    #[test]
    fn a_thread_takes_a_context_and_gives_it_back() {
        let _scope = enter("thread", Attributes::from([("a", "1")]));
        let context = Context::current();
        let seen = std::thread::spawn(move || {
            let inside = context.run(|| {
                begin("thread.inner", Attributes::from([("b", "2")]));
                current()
            });
            (inside, current())
        });
        let (inside, after) = seen.join().unwrap();
        assert_eq!((inside.len(), after.len()), (2, 0));
    }

    #[test]
    fn depth_is_bounded() {
        let all = Context::current();
        all.run(|| (0..10_000).for_each(|_| _ = begin("deep", Attributes::new())));
        all.run(|| {
            (0..10_000).for_each(|_| _ = begin("deep", Attributes::new()));
            (0..DEPTH_MAX).for_each(|_| end(NONE));
            assert_eq!(Context::current().name(), None);
        });
    }

    #[test]
    fn a_panic_closes_what_it_passes() {
        let result = std::panic::catch_unwind(|| {
            let _scope = enter("panics", Attributes::from([("a", "1")]));
            panic!("as the test asks");
        });
        assert!(result.is_err() && current().is_empty());
    }
}
