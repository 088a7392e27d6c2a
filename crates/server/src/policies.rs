//! What is kept of one metric, other than of the rest: checked and set, whoever asks for it.
//!
//! What was set is durable when it is answered, and holds from the next upkeep on.

use std::time::Duration;

use barograph_model::Tier;
use barograph_tsdb::{Importance, POLICIES_MAX, Policy};

use crate::{Engine, errors::chain};

/// The name of a metric has so many bytes at most.
const NAME_BYTES_MAX: usize = 4 << 10;
/// A policy names so many functions at most.
const FUNCTIONS_MAX: usize = 64;
/// Functions that windows answer without a sketch.
const SIMPLE: [&str; 10] =
    ["avg", "sum", "min", "max", "count", "first", "last", "stddev", "rate", "increase"];

/// Why a policy was not set.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It makes no sense.
    #[error("{0}")]
    Wrong(String),
    /// There are as many as there can be.
    #[error("{POLICIES_MAX} metrics have a policy already; take one of them back first")]
    TooMany,
    /// The disk failed.
    #[error("cannot keep the policy: {reason}")]
    Store {
        /// There is no space.
        full: bool,
        /// What the store said.
        reason: String,
    },
}

/// Sets how long each tier, in the order of [`Tier::ALL`], keeps a metric: `None` as usual, zero for ever.
///
/// # Errors
/// See [`Refused`].
pub(crate) fn set_retention(
    engine: &Engine,
    metric: &str,
    tiers: [Option<Duration>; 4],
    importance: Importance,
) -> Result<Policy, Refused> {
    let forever = |age: Duration| if age.is_zero() { Duration::MAX } else { age };
    let retention = tiers.map(|age| age.map(forever));
    change(engine, metric, move |policy| Policy { retention, importance, ..policy })
}

/// Sets which windows are made of a metric and what they are to answer: `None` for all.
///
/// # Errors
/// See [`Refused`].
pub(crate) fn set_aggregation(
    engine: &Engine,
    metric: &str,
    windows: Option<&[String]>,
    functions: Option<Vec<String>>,
) -> Result<Policy, Refused> {
    let windows = windows.map(tiers).transpose()?.filter(|tiers| tiers.len() < Tier::ROLLED.len());
    let functions = known(functions.unwrap_or_default())?;
    change(engine, metric, move |policy| Policy { windows, functions, ..policy })
}

/// Changes the policy of a metric; the new one, when it is durable. Waits for the disk.
///
/// # Errors
/// See [`Refused`].
pub(crate) fn change(
    engine: &Engine,
    metric: &str,
    change: impl FnOnce(Policy) -> Policy,
) -> Result<Policy, Refused> {
    if metric.is_empty() || metric.len() > NAME_BYTES_MAX {
        return Err(Refused::Wrong("the name of the metric is empty or too long".to_owned()));
    }
    match engine.store.change_policy(metric, change) {
        Ok(Some(policy)) => Ok(policy),
        Ok(None) => Err(Refused::TooMany),
        Err(error) => Err(Refused::Store { full: error.is_full(), reason: chain(&error) }),
    }
}

/// The tiers of windows, in order.
fn tiers(words: &[String]) -> Result<Vec<Tier>, Refused> {
    if words.is_empty() {
        return Err(Refused::Wrong("windows: give at least one of 1m, 5m and 1h".to_owned()));
    }
    let tier = |word: &String| match word.parse::<Tier>() {
        Ok(tier) if tier != Tier::Raw => Ok(tier),
        _ => Err(Refused::Wrong(format!("windows: expected some of 1m, 5m and 1h, found `{word}`"))),
    };
    let mut tiers = words.iter().map(tier).collect::<Result<Vec<_>, _>>()?;
    tiers.sort_unstable();
    tiers.dedup();
    Ok(tiers)
}

/// Names of functions as the query API takes them, in any case.
fn known(names: Vec<String>) -> Result<Vec<String>, Refused> {
    if names.len() > FUNCTIONS_MAX {
        return Err(Refused::Wrong(format!("functions: more than {FUNCTIONS_MAX}")));
    }
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_lowercase()).collect();
    names.sort_unstable();
    names.dedup();
    match names.iter().find(|name| !SIMPLE.contains(&name.as_str()) && !Policy::needs_sketch(name)) {
        None => Ok(names),
        Some(name) => {
            let known = SIMPLE.join(", ");
            let why =
                format!("functions: expected some of {known}, p50 and the like, quantile, found `{name}`");
            Err(Refused::Wrong(why))
        }
    }
}
