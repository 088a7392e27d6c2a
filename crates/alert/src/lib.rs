//! Rules and their alerts: what is recorded, what is worth an alert, and who is told of it when, decided from plain data.
//!
//! Text and answers of queries come in, samples, states and notices go out. Nothing here reads a file, a clock or a store by itself.
//! In the order one needs them:
//!
//! 1. [`file`](mod@file): rule files of Prometheus, read strictly; [`RuleFile`], [`GroupSpec`], [`RuleSpec`].
//! 2. [`Group`] and [`Rule`]: a group being evaluated again and again. An evaluation has two halves: [`RuleSpec::ask`] asks its
//!    expression and needs no state; [`Rule::take`] takes what was answered and says which samples to store. Between
//!    them an edge may do what it likes with threads and locks.
//! 3. [`Alert`]: one label set for which an alerting rule holds, and how it comes to be pending, firing and over.
//! 4. [`template`]: texts of alerts with what they are about filled in.
//! 5. [`preview`]: a rule tried on what is stored, before it is used.
//! 6. [`ready`]: rules that are there without being written.
//! 7. [`test`](mod@test): unit tests of rules, in the form of `promtool test rules`.
//!
//! The semantics are those of Prometheus 3. What becomes of alerts is told by [`routing`], in the semantics of Alertmanager, and
//! comes out as a [`notice`](mod@notice). Whom it reaches and in which words is told by [`channels`], when it is sent and tried
//! again by [`delivery`].
//!
//! ```
//! use barograph_alert::{Defaults, Group, Moment, Reader, Surroundings, file};
//! use barograph_model::{Budget, Labels, Timestamp};
//! use barograph_query::{Options, script::Memory};
//!
//! let file = file::parse("groups: [{name: g, rules: [{record: job:up:sum, expr: sum by (job) (up)}]}]", "rules.yml").unwrap();
//! let mut group = Group::new("rules.yml", file.groups[0].clone(), &Defaults::default());
//!
//! let mut store = Memory::new();
//! store.load(Labels::from_pairs([("__name__", "up"), ("job", "api")]).unwrap(), [(0, 1.0)]);
//! let (budget, options) = (Budget::unlimited(), Options::default());
//! let reader = Reader { source: &store, options: &options, budget: &budget };
//!
//! let moment = Moment { at: Timestamp(0), offset_ms: 0, limit: 0, interval_ms: 60_000, first: true };
//! let answered = group.rules[0].spec.ask(moment, reader, &Surroundings::default()).unwrap();
//! let outcome = group.rules[0].take(answered, moment).unwrap();
//! assert_eq!(outcome.samples[0].0.to_string(), r#"job:up:sum{job="api"}"#);
//! ```

pub mod channels;
pub mod config;
pub mod delivery;
pub mod file;
pub mod incident;
pub mod kinds;
pub mod notice;
pub mod preview;
pub mod ready;
pub mod routing;
mod rule;
pub mod template;
pub mod test;

pub use file::{GroupSpec, RuleFile, RuleKind, RuleSpec};
pub use rule::{
    ACTIVE_MAX, Alert, Answered, BELIEVED, Defaults, Group, Health, Kept, Moment, Outcome, Reader, Restoring,
    Rule, RuleError, State, Status, Surroundings,
};
