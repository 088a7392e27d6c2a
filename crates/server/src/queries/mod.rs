//! Queries under their limits: who runs, who waits, what each costs, how it is stopped, and which were slow.
//!
//! Whoever asks is given a turn ([`turns`]); the work runs on a thread that may block, charges a budget of its own, and
//! stops soon after nobody waits for it any more, its time is up, or someone stopped it by its number. What took long is
//! logged, and kept with its plan.

mod keeper;
mod quick;
mod slow;
mod turns;

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::http::StatusCode;
use barograph_model::{Budget, Limits, SourceError, Timestamp};
use barograph_query::{
    Options, When,
    ast::Expr,
    explain::{self, Part},
    json::Query,
};
use keeper::{Keeper, Turn};
use quick::{Key, Quick};
pub(crate) use slow::Slow;
use turns::TurnLimits;

use crate::{
    Engine, config, current,
    http::{ApiError, Caller},
    memory::Step,
    tenants::scope,
};

/// A longer expression is cut where it is shown.
const EXPRESSION_BYTES_MAX: usize = 4 << 10;

/// Someone asks something.
pub(crate) struct Question {
    pub(crate) caller: Caller,
    /// As it was asked.
    pub(crate) expression: String,
    pub(crate) about: About,
    /// How long it may take.
    pub(crate) timeout: Duration,
}

/// What is asked, as far as a plan of it can be made.
pub(crate) enum About {
    /// A PromQL expression.
    Expression(Arc<Expr>, When, Options),
    /// A document of the JSON language, as of a time.
    Document(Arc<Query>, Timestamp),
    /// A look-up in the index.
    Index,
    /// A look-up whose answer is handed on while it is made, always on a thread that may block.
    Stream,
}

/// All queries of a server.
#[derive(Debug)]
pub struct Queries {
    keeper: Arc<Keeper>,
    costs: Mutex<Costs>,
    running: Mutex<BTreeMap<u64, Arc<Entry>>>,
    last_id: AtomicU64,
    slow: Mutex<slow::Ring>,
    quick: Quick,
}

/// A query that was asked.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Its number.
    pub(crate) id: u64,
    pub(crate) caller: Caller,
    /// As it was asked, cut if it is long.
    pub(crate) expression: String,
    /// When it came, and the same on the clock that never goes back.
    pub(crate) at: Timestamp,
    pub(crate) began: Duration,
}

/// A query that waits or runs.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) asked: Arc<Asked>,
    budget: Budget,
    state: AtomicU8,
}

/// Where a query is. Whoever stops it first says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    Waiting,
    Running,
    /// Nobody waits for its answer any more.
    Gone,
    /// Its time is up.
    Late,
    /// It was stopped by its number.
    Stopped,
}

impl State {
    const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Gone, Self::Late, Self::Stopped];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Gone | Self::Late | Self::Stopped => "stopping",
        }
    }
}

impl State {
    /// What becomes of a query that is stopped.
    const fn outcome(self) -> Option<&'static str> {
        match self {
            Self::Waiting | Self::Running => None,
            Self::Gone => Some("gone"),
            Self::Late => Some("timeout"),
            Self::Stopped => Some("stopped"),
        }
    }
}

impl Entry {
    pub(crate) fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Relaxed))]
    }

    /// Samples that it was charged so far.
    pub(crate) fn samples(&self) -> u64 {
        self.budget.spent()
    }

    /// Stops it, unless it is stopped already; whether that is news.
    fn stop(&self, why: State) -> bool {
        let running = |state: u8| (state <= State::Running as u8).then_some(why as u8);
        let news = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, running).is_ok();
        self.budget.cancel();
        news
    }
}

/// What one query may cost.
#[derive(Clone, Copy, Debug)]
struct Costs {
    limits: Limits,
    slow_after: Duration,
}

impl Costs {
    fn of(config: &config::Query) -> Self {
        let limits =
            Limits { samples: config.max_samples, series: config.max_series, bytes: config.max_bytes };
        Self { limits, slow_after: config.slow }
    }
}

fn turns_of(config: &config::Query) -> TurnLimits {
    let count = |limit: u64| usize::try_from(limit).unwrap_or(usize::MAX);
    TurnLimits {
        running: count(config.max_concurrency),
        running_per_caller: count(config.max_concurrency_per_caller),
        waiting: count(config.max_queued),
    }
}

/// What came of the wish to stop a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It stops.
    Stopping,
    /// It was about to stop already.
    Already,
    /// There is none of that number.
    Unknown,
}

impl Queries {
    pub(crate) fn new(config: &config::Query) -> Self {
        Self {
            keeper: Arc::new(Keeper::new(turns_of(config))),
            costs: Mutex::new(Costs::of(config)),
            running: Mutex::default(),
            last_id: AtomicU64::new(0),
            slow: Mutex::default(),
            quick: Quick::default(),
        }
    }

    /// Does as another configuration says with the queries that come from now on.
    pub(crate) fn configure(&self, config: &config::Query) {
        self.keeper.configure(turns_of(config));
        *self.costs.lock().unwrap_or_else(PoisonError::into_inner) = Costs::of(config);
    }

    fn costs(&self) -> Costs {
        *self.costs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queries that wait or run, the oldest first.
    pub(crate) fn running(&self) -> Vec<Arc<Entry>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// How many wait for a turn.
    pub(crate) fn waiting(&self) -> usize {
        self.keeper.waiting()
    }

    /// The last queries that were slow, the newest first.
    pub(crate) fn slow(&self) -> Vec<Arc<Slow>> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner).newest_first()
    }

    /// Stops a query.
    pub(crate) fn stop(&self, id: u64) -> Stop {
        let entry = self.running.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        match entry {
            None => Stop::Unknown,
            Some(entry) if entry.stop(State::Stopped) => Stop::Stopping,
            Some(_) => Stop::Already,
        }
    }

    /// Does the work of a query when it is its turn.
    ///
    /// # Errors
    /// That of the work, or what kept it from being done.
    pub(crate) async fn run<T: Send + 'static>(
        engine: &Arc<Engine>,
        question: Question,
        work: impl FnOnce(&Budget) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        if engine.memory.sheds(Step::Queries) {
            engine.telemetry.query_refused("memory");
            return Err(ApiError::unavailable("memory is short; ask again in a moment"));
        }
        let working = question.caller.working.clone();
        let asking = working.as_ref().map(|working| working.0.ask());
        if let (Some(None), Some(working)) = (&asking, &working) {
            engine.telemetry.query_refused("tenant");
            return Err(ApiError::busy(StatusCode::TOO_MANY_REQUESTS, working.0.too_many_queries()));
        }
        let work = move |budget: &Budget| {
            let _asking = asking;
            scope::sync_within(working, || work(budget))
        };
        let timeout = question.timeout;
        let mut course = Course::begin(engine, question);
        let entry = course.entry.clone();
        let _gone = GoneOnDrop(entry.clone());
        let mut up = std::pin::pin!(tokio::time::sleep(timeout));
        let late = || {
            entry.stop(State::Late);
            engine.telemetry.query_refused("time");
            Err(ApiError::late(timeout))
        };
        let turn = tokio::select! {
            biased;
            turn = current::staged("turn", engine.queries.keeper.turn(entry.asked.caller.turns())) => turn,
            () = &mut up => return late(),
        };
        let Ok(turn) = turn else {
            course.outcome = Some("refused");
            engine.telemetry.query_refused("queue");
            return Err(ApiError::crowded(engine.limits().max_queued));
        };
        let failed = || Err(ApiError::internal("the query failed; the log says why"));
        if !matches!(course.about, About::Stream) && engine.queries.quick.was(course.key) {
            let work = AssertUnwindSafe(|| current::stage("evaluate", || course.run(turn, work)));
            return catch_unwind(work).unwrap_or_else(|_| failed());
        }
        // The turn ends with the work, which may go on for a moment after the time is up.
        let worked = current::staged("evaluate", current::blocking(move || course.run(turn, work)));
        tokio::select! {
            biased;
            worked = worked => worked.unwrap_or_else(|_| failed()),
            () = &mut up => late(),
        }
    }
}

/// Stops the work behind a query that nobody waits for any more.
struct GoneOnDrop(Arc<Entry>);

impl Drop for GoneOnDrop {
    fn drop(&mut self) {
        self.0.stop(State::Gone);
    }
}

/// One query from when it is asked until nothing is left of it.
struct Course {
    engine: Arc<Engine>,
    entry: Arc<Entry>,
    about: About,
    key: Key,
    outcome: Option<&'static str>,
}

impl Course {
    fn begin(engine: &Arc<Engine>, question: Question) -> Self {
        let queries = &engine.queries;
        let Question { caller, mut expression, about, .. } = question;
        let key = Key::of(&expression, &about);
        if expression.len() > EXPRESSION_BYTES_MAX {
            expression.truncate(expression.floor_char_boundary(EXPRESSION_BYTES_MAX));
            expression.push('…');
        }
        let asked = Asked {
            id: queries.last_id.fetch_add(1, Ordering::Relaxed) + 1,
            caller,
            expression,
            at: engine.clock.now(),
            began: engine.clock.monotonic(),
        };
        let entry = Arc::new(Entry {
            asked: Arc::new(asked),
            budget: Budget::of(queries.costs().limits, Some(engine.memory.queries.clone())),
            state: AtomicU8::new(State::Waiting as u8),
        });
        let mut running = queries.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.insert(entry.asked.id, entry.clone());
        drop(running);
        Self { engine: engine.clone(), entry, about, key, outcome: None }
    }

    /// Does the work, and gives the turn back.
    fn run<T>(
        mut self,
        turn: Turn,
        work: impl FnOnce(&Budget) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (waiting, running) = (State::Waiting as u8, State::Running as u8);
        let _ = self.entry.state.compare_exchange(waiting, running, Ordering::Relaxed, Ordering::Relaxed);
        let began = self.engine.clock.monotonic();
        let worked = match self.entry.budget.check() {
            Ok(()) => work(&self.entry.budget),
            Err(error) => Err(SourceError::from(error).into()),
        };
        self.engine.queries.quick.note(self.key, self.engine.clock.monotonic().saturating_sub(began));
        drop(turn);
        let state = self.entry.state();
        let limit = worked.as_ref().err().and_then(ApiError::limit);
        limit.into_iter().for_each(|limit| self.engine.telemetry.query_refused(limit));
        self.outcome = Some(match (&worked, state.outcome()) {
            (Ok(_), _) => "ok",
            (Err(_), Some(outcome)) => outcome,
            (Err(_), None) if limit.is_some() => "limit",
            (Err(_), None) => "error",
        });
        self.look_back();
        worked.map_err(|error| if state == State::Stopped { ApiError::stopped() } else { error })
    }

    fn took(&self) -> Duration {
        self.engine.clock.monotonic().saturating_sub(self.entry.asked.began)
    }

    /// Keeps and logs a query that was slow.
    fn look_back(&self) {
        let took = self.took();
        if took < self.engine.queries.costs().slow_after {
            return;
        }
        let slow = Slow {
            took,
            samples: self.entry.samples(),
            outcome: self.outcome.unwrap_or("error"),
            when: self.when(),
            plan: self.plan(),
            asked: self.entry.asked.clone(),
        };
        slow.log();
        self.engine.telemetry.query_slow.inc();
        let queries = &self.engine.queries;
        queries.slow.lock().unwrap_or_else(PoisonError::into_inner).push(slow);
    }

    fn when(&self) -> Option<When> {
        match &self.about {
            About::Expression(_, when, _) => Some(*when),
            About::Document(_, at) => Some(When::Instant(*at)),
            About::Index | About::Stream => None,
        }
    }

    /// Made after the fact, of indexes alone; without, if that fails.
    fn plan(&self) -> Option<Part> {
        let budget = Budget::of(self.engine.queries.costs().limits, Some(self.engine.memory.queries.clone()));
        let source = &*self.engine.store;
        let plan = match &self.about {
            About::Expression(expr, when, options) => {
                explain::expression(source, expr, *when, options, &budget, None).ok()
            }
            About::Document(query, at) => explain::document(source, query, *at, &budget, None).ok(),
            About::Index | About::Stream => None,
        };
        plan.map(|plan| plan.root)
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        let outcome = self.outcome.or(self.entry.state().outcome()).unwrap_or("error");
        self.engine.telemetry.queried(self.took(), self.entry.samples(), outcome);
        let queries = &self.engine.queries;
        queries.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.entry.asked.id);
    }
}
