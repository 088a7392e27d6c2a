//! Services that registered: what they are, where they stand in their life, and what their figures should be.
//!
//! A baseline is an expression with the value that is expected of it and how far it may be off; every value of the answer is
//! held against it. A service with a figure beyond that is degraded, one that failed is unhealthy. What is registered is kept
//! in the state database, with each step of its life and the figures it had then.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use barograph_query::{Datum, Value as Answer, When, parse};
use barograph_state::{Batch, Error, Event, History, State, Table};
use serde::{Deserialize, Serialize};

use super::{Checking, Finding, Health, HealthCheck, Pending, Plan, lock};
use crate::{
    Engine,
    http::Caller,
    queries::{About, Queries, Question},
};

/// Services there may be, and baselines of one.
pub(crate) const SERVICES_MAX: usize = 500;
pub(crate) const BASELINES_MAX: usize = 32;
/// How often baselines are looked at, and how long all of one service may take.
const EVERY: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(5);
const SERVICES: Table<String, Service> = Table::new("services");
/// Steps in the lives of services, by id.
pub(super) const LIVES: History<Step> = History::new("lives");

/// Where a service stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// It is known, and does nothing yet.
    #[default]
    Registered,
    /// It begins.
    Starting,
    /// It works.
    Running,
    /// It finishes what it has, and takes nothing new.
    Draining,
    /// It ended as it should.
    Stopped,
    /// It ended otherwise.
    Failed,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    /// The value.
    pub(crate) expected: f64,
    /// How far it may be off, either way, in the unit of the value.
    pub(crate) tolerance: f64,
}

/// A service as it registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// Its name, which no other has.
    pub(crate) id: String,
    /// What kind of service it is.
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    /// Its version.
    #[serde(default)]
    pub(crate) version: String,
    /// Where it stands.
    #[serde(default)]
    pub(crate) lifecycle: Stage,
    /// What its figures should be, by expression.
    #[serde(default)]
    pub(crate) baselines: BTreeMap<String, Baseline>,
}

/// A step in the life of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// Where it stood from then on.
    pub(crate) lifecycle: Stage,
    /// Its version then.
    pub(crate) version: String,
    /// Its figures then, as far as they were known.
    pub(crate) metrics: BTreeMap<String, Option<f64>>,
}

/// Why a service is not registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ServiceRefused {
    #[error("an id has 1 to 256 bytes without slashes and control characters")]
    BadId,
    #[error("{0:?} is no expression: {1}")]
    BadExpression(String, String),
    #[error("a tolerance is a number, zero or more")]
    BadTolerance,
    #[error("a service has at most {BASELINES_MAX} baselines, and there are at most {SERVICES_MAX} services")]
    TooMany,
}

/// The services.
#[derive(Clone, Default)]
pub(crate) struct Services(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    by_id: BTreeMap<String, Held>,
    /// Ids of which something is not kept yet.
    changed: Vec<String>,
}

struct Held {
    service: Service,
    /// The figures as they were looked at last.
    metrics: BTreeMap<String, Option<f64>>,
}

pub(super) fn check_name(id: &str) -> String {
    format!("service:{id}")
}

impl Services {
    /// Reads what was kept. Blocks on the disk.
    pub(super) fn load(&self, state: &State) -> Result<(), Error> {
        let kept = state.read(|view| view.all(&SERVICES))?;
        let mut known = lock(&self.0);
        for (id, service) in kept {
            known.by_id.entry(id).or_insert(Held { service, metrics: BTreeMap::new() });
        }
        Ok(())
    }

    /// All services with their figures.
    pub(crate) fn all(&self) -> Vec<(Service, BTreeMap<String, Option<f64>>)> {
        lock(&self.0).by_id.values().map(|held| (held.service.clone(), held.metrics.clone())).collect()
    }

    /// What is to be kept: a service, or that there is none of that id any more.
    pub(super) fn take_changed(&self) -> Vec<(String, Option<Service>)> {
        let mut known = lock(&self.0);
        let changed = std::mem::take(&mut known.changed);
        let service = |id: &String| known.by_id.get(id).map(|held| held.service.clone());
        changed.into_iter().map(|id| (id.clone(), service(&id))).collect()
    }

    /// It was not kept.
    pub(super) fn changed(&self, ids: impl Iterator<Item = String>) {
        lock(&self.0).changed.extend(ids);
    }
}

pub(super) fn write(batch: &mut Batch<'_>, changed: &[(String, Option<Service>)]) -> Result<(), Error> {
    changed.iter().try_for_each(|(id, service)| match service {
        Some(service) => batch.put(&SERVICES, id, service),
        None => batch.remove(&SERVICES, id).map(drop),
    })
}

impl Health {
    /// Registers a service, or takes its new version, stage and baselines.
    pub(crate) fn register(&self, service: Service, engine: &Arc<Engine>) -> Result<(), ServiceRefused> {
        check(&service)?;
        let id = service.id.clone();
        let (metrics, step) = {
            let mut known = lock(&self.0.services.0);
            let before = known.by_id.get(&id);
            if before.is_none() && known.by_id.len() >= SERVICES_MAX {
                return Err(ServiceRefused::TooMany);
            }
            let step = |held: &Held| {
                (held.service.lifecycle, &held.service.version) != (service.lifecycle, &service.version)
            };
            let (metrics, step) =
                (before.map(|held| held.metrics.clone()).unwrap_or_default(), before.is_none_or(step));
            known.by_id.insert(id.clone(), Held { service: service.clone(), metrics: metrics.clone() });
            known.changed.push(id.clone());
            (metrics, step)
        };
        if step {
            let value = Step { lifecycle: service.lifecycle, version: service.version, metrics };
            self.keep(Pending::Step(Event { subject: id.clone(), at: self.0.clock.now().0, value }));
        }
        self.look_after(&id, engine);
        self.wake(&check_name(&id));
        Ok(())
    }

    /// Forgets a service; whether there was one.
    pub(crate) fn unregister(&self, id: &str) -> bool {
        let removed = {
            let mut known = lock(&self.0.services.0);
            let removed = known.by_id.remove(id).is_some();
            if removed {
                known.changed.push(id.to_owned());
            }
            removed
        };
        self.remove(&check_name(id));
        removed
    }

    /// The services.
    pub(crate) fn services(&self) -> &Services {
        &self.0.services
    }

    /// The life of a service, oldest first. May block on the disk.
    ///
    /// # Errors
    /// The state database cannot be read.
    pub(crate) fn life(&self, id: &str) -> Result<Vec<Event<Step>>, Error> {
        self.flush();
        self.0.state.read(|view| LIVES.of(view, id, i64::MIN..i64::MAX, 1_000))
    }

    /// Has a service looked at, if it is not already.
    pub(super) fn look_after(&self, id: &str, engine: &Arc<Engine>) {
        let (services, engine) = (self.0.services.clone(), Arc::downgrade(engine));
        let check = ServiceCheck { name: check_name(id), id: id.to_owned(), services, engine };
        // There is one already if it registered before.
        let _ = self.add_of(None, Arc::new(check));
    }
}

fn check(service: &Service) -> Result<(), ServiceRefused> {
    let id = &service.id;
    if id.is_empty() || id.len() > 256 || id.chars().any(|c| c == '/' || c.is_control()) {
        return Err(ServiceRefused::BadId);
    }
    if service.baselines.len() > BASELINES_MAX {
        return Err(ServiceRefused::TooMany);
    }
    for (expression, baseline) in &service.baselines {
        if let Err(error) = parse(expression) {
            return Err(ServiceRefused::BadExpression(expression.clone(), error.to_string()));
        }
        // Neither is a number that is none.
        if !(baseline.tolerance >= 0.0 && baseline.expected.is_finite()) {
            return Err(ServiceRefused::BadTolerance);
        }
    }
    Ok(())
}

/// Looks at one service.
struct ServiceCheck {
    name: String,
    id: String,
    services: Services,
    engine: Weak<Engine>,
}

impl HealthCheck for ServiceCheck {
    fn name(&self) -> &str {
        &self.name
    }

    fn plan(&self) -> Plan {
        Plan { timeout: TIMEOUT, ..Plan::every(EVERY).at_once() }
    }

    fn check(self: Arc<Self>) -> Checking {
        Box::pin(async move {
            let service = lock(&self.services.0).by_id.get(&self.id).map(|held| held.service.clone());
            let (Some(service), Some(engine)) = (service, self.engine.upgrade()) else {
                return Finding::unknown("the service is not registered any more");
            };
            let mut metrics = BTreeMap::new();
            for (expression, baseline) in &service.baselines {
                let values = ask(&engine, expression).await.unwrap_or_default();
                metrics.insert(expression.clone(), furthest(&values, baseline.expected));
            }
            if let Some(held) = lock(&self.services.0).by_id.get_mut(&self.id) {
                held.metrics.clone_from(&metrics);
            }
            judge(&service, &metrics)
        })
    }
}

/// What an expression is now, once for each series.
async fn ask(engine: &Arc<Engine>, expression: &str) -> Option<Vec<f64>> {
    let expr = Arc::new(parse(expression).ok()?);
    let when = When::Instant(engine.clock.now());
    let about = About::Expression(expr.clone(), when, engine.query_options());
    let question = Question {
        caller: Caller::own("health"),
        expression: expression.to_owned(),
        about,
        timeout: TIMEOUT,
    };
    let (reading, at) = (engine.clone(), engine.clock.now());
    let read = Queries::run(engine, question, move |budget| {
        let store = &*reading.store;
        let answer = barograph_query::evaluate_instant(store, &expr, at, &reading.query_options(), budget)?;
        Ok(match answer.value {
            Answer::Scalar(sample) => vec![sample.value],
            Answer::Vector(series) => {
                let value =
                    |(_, datum)| if let Datum::Float(sample) = datum { Some(sample.value) } else { None };
                series.into_iter().filter_map(value).collect()
            }
            _ => Vec::new(),
        })
    });
    read.await.ok()
}

/// The value that is furthest off.
fn furthest(values: &[f64], expected: f64) -> Option<f64> {
    let off = |value: &f64| (value - expected).abs();
    values.iter().copied().max_by(|a, b| off(a).total_cmp(&off(b)))
}

fn judge(service: &Service, metrics: &BTreeMap<String, Option<f64>>) -> Finding {
    let off = service.baselines.iter().find_map(|(expression, baseline)| {
        let value = metrics.get(expression).copied().flatten()?;
        let within = (value - baseline.expected).abs() <= baseline.tolerance;
        (!within).then(|| {
            format!("{expression} is {value}, expected {} ± {}", baseline.expected, baseline.tolerance)
        })
    });
    let finding = match (service.lifecycle, off) {
        (Stage::Failed, _) => Finding::fail("the service said that it failed"),
        (Stage::Running | Stage::Draining, Some(off)) => Finding::warn(off),
        _ => Finding::pass(),
    };
    let lifecycle = serde_json::to_value(service.lifecycle).unwrap_or_default();
    finding
        .with("lifecycle", lifecycle)
        .with("version", service.version.as_str())
        .with("metrics", serde_json::to_value(metrics).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::Status;

    #[test]
    fn a_figure_beyond_its_baseline_degrades() {
        let baselines = BTreeMap::from([("rate".to_owned(), Baseline { expected: 100.0, tolerance: 10.0 })]);
        let service = |lifecycle| Service {
            id: "shop".into(),
            kind: "web".into(),
            version: "1".into(),
            lifecycle,
            baselines: baselines.clone(),
        };
        let check = |stage, value: Option<f64>, expected| {
            let metrics = BTreeMap::from([("rate".to_owned(), value)]);
            assert_eq!(judge(&service(stage), &metrics).status, expected, "{stage:?} {value:?}");
        };
        check(Stage::Running, Some(110.0), Status::Healthy);
        check(Stage::Running, Some(90.0), Status::Healthy);
        check(Stage::Running, Some(89.0), Status::Degraded);
        check(Stage::Running, Some(f64::NAN), Status::Degraded);
        check(Stage::Running, None, Status::Healthy);
        check(Stage::Starting, Some(0.0), Status::Healthy);
        check(Stage::Failed, Some(100.0), Status::Unhealthy);
        assert_eq!(furthest(&[99.0, 70.0, 120.0], 100.0), Some(70.0));
        assert_eq!(furthest(&[], 100.0), None);
    }
}
