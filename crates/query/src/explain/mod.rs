//! What a query comes down to, before it is run or after: its parts as a tree, and of each what it reads, why from there,
//! and about how much; if it is analyzed, also what it did and how long that took.
//!
//! [`expression`] explains PromQL, [`document`] a JSON query, which is as many expressions as it takes. Explaining reads
//! indexes and no samples; analyzing runs the query and throws its result away. The plan of a query in one language tells
//! how the other would put it, where it can.

mod as_document;
mod build;
mod trace;
mod words;
mod write;

use std::time::Duration;

use barograph_model::{Budget, Source, Tier, TimeRange, Timestamp};
use serde_json::Value;

pub use crate::eval::{Actual, Clock};
use crate::{
    eval::{Error, Options, When},
    json,
    syntax::ast::Expr,
};
pub use build::{DEPTH_MAX, PARTS_MAX, TEXT_BYTES_MAX};
use trace::Compiled;
pub(crate) use trace::Tracer;

/// A query explained.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The language it is in: `promql` or `json`.
    pub language: &'static str,
    /// As PromQL; of a document, all that it comes down to, a line each.
    pub expression: String,
    /// The first time it is about.
    pub start: Timestamp,
    /// The last one; of a document, the first that counts no more.
    pub end: Timestamp,
    /// Milliseconds between steps; zero for one point in time.
    pub step_ms: i64,
    /// How many steps there are.
    pub steps: usize,
    /// Whether it was run.
    pub analyzed: bool,
    /// The whole of it.
    pub root: Part,
    /// What it all comes to.
    pub total: Total,
    /// The one PromQL expression that a document comes down to, if it does.
    pub promql: Option<String>,
    /// The document that asks what a PromQL expression asks, if there is one.
    pub json: Option<Value>,
    /// What is probably wrong with it.
    pub warnings: Vec<String>,
    /// What may be unexpected.
    pub infos: Vec<String>,
}

/// A part of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What kind it is of: `selector`, `matrix`, `subquery`, `call`, `aggregate`, `binary`, `unary`, `literal`; `document`
    /// for the expressions of a document together.
    pub operation: &'static str,
    /// As PromQL, cut at [`TEXT_BYTES_MAX`].
    pub text: String,
    /// Where it stands, in bytes: in the text that was asked, or in the expression of the document that it belongs to.
    pub span: (u32, u32),
    /// What it does, in words.
    pub detail: String,
    /// What answers it, of a selector: the tier, or `mixed`.
    pub tier: Option<&'static str>,
    /// Why that.
    pub reason: Option<String>,
    /// The times that it looks at.
    pub range: Option<TimeRange>,
    /// About how much it reads.
    pub estimate: Option<barograph_model::Estimate>,
    /// What it did.
    pub actual: Option<Actual>,
    /// What it is made of.
    pub children: Vec<Part>,
}

/// What a query comes to: what it did if it was run, else what it is about to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Series: of its result, or of what it reads.
    pub series: u64,
    /// Samples, as the limit counts them.
    pub samples: u64,
    /// Bytes of memory that it took, or that so many samples take.
    pub bytes: u64,
    /// How long it took.
    pub took: Option<Duration>,
}

/// Explains an expression; runs it if there is a clock.
///
/// # Errors
/// Those of its evaluation.
pub fn expression(
    source: &dyn Source,
    expr: &Expr,
    when: When,
    options: &Options,
    budget: &Budget,
    clock: Option<&Clock<'_>>,
) -> Result<Plan, Error> {
    let done = trace::run(source, expr, when, options, budget, clock)?;
    let (json, difference) = as_document::of(expr, when);
    let (start, end, step_ms, steps) = span_of(when);
    let mut infos = done.infos;
    infos.extend(difference);
    Ok(Plan {
        language: "promql",
        expression: expr.to_string(),
        start,
        end,
        step_ms,
        steps,
        analyzed: clock.is_some(),
        total: done.total.unwrap_or_else(|| done.part.estimated()),
        root: done.part,
        promql: None,
        json: json.map(|query| query.to_json()),
        warnings: done.warnings,
        infos,
    })
}

/// Explains a document as of `now`; runs it if there is a clock.
///
/// # Errors
/// Those of its answer.
pub fn document(
    source: &dyn Source,
    query: &json::Query,
    now: Timestamp,
    budget: &Budget,
    clock: Option<&Clock<'_>>,
) -> Result<Plan, json::Error> {
    let began = clock.map(|clock| clock());
    let tracer = Tracer::new(clock);
    let reply = json::answer_traced(source, query, now, budget, &tracer)?;
    let mut found = tracer.found();
    let texts: Vec<&str> = found.iter().map(|one| one.expression.as_str()).collect();
    let expression = texts.join("\n");
    let (promql, cut) = in_promql(&found);
    // Buckets at the ends may be asked for apart.
    let longest = found.iter().map(|one| span_of(one.when)).max_by_key(|span| span.3);
    let (_, _, step_ms, steps) = longest.unwrap_or((Timestamp(0), Timestamp(0), 0, 0));
    if query.granularity.is_none() {
        found.iter_mut().for_each(|one| one.part.explain_tier(&reply.meta.reason));
    }
    let left_out = found.len().saturating_sub(PARTS_MAX);
    found.truncate(PARTS_MAX);
    let mut detail = format!("{} of PromQL", words::count(found.len() + left_out, "expression"));
    if left_out > 0 {
        detail.push_str(&format!(", of which the first {PARTS_MAX} are shown"));
    }
    let root = Part {
        operation: "document",
        detail,
        children: found.into_iter().map(|one| one.part).collect(),
        ..Part::of_kind("document")
    };
    let total = match (began, clock) {
        (Some(began), Some(clock)) => Total {
            series: reply.results.len() as u64,
            samples: budget.spent(),
            bytes: budget.held_bytes(),
            took: Some(clock().saturating_sub(began)),
        },
        _ => root.estimated(),
    };
    Ok(Plan {
        language: "json",
        expression,
        start: reply.meta.start,
        end: reply.meta.end,
        step_ms,
        steps,
        analyzed: clock.is_some(),
        root,
        total,
        promql,
        json: None,
        warnings: reply.meta.warnings,
        infos: if cut { vec![CUT.to_owned()] } else { Vec::new() },
    })
}

/// What PromQL leaves out of a document whose time range does not begin and end with its buckets.
const CUT: &str =
    "the buckets at the ends are cut by the time range; in PromQL they are as long as the others";

/// The one expression that a document is, if PromQL has words for it; and whether it left out buckets at the ends, which
/// are asked for apart where the time range cuts them.
fn in_promql(found: &[Compiled]) -> (Option<String>, bool) {
    if let [one] = found {
        return (one.is_promql.then(|| one.expression.clone()), false);
    }
    let mut whole = found.iter().filter(|one| span_of(one.when).3 > 1);
    match (whole.next(), whole.next()) {
        (Some(one), None) if found.len() <= 3 && found.iter().all(|one| one.is_promql) => {
            (Some(one.expression.clone()), true)
        }
        _ => (None, false),
    }
}

/// First and last time, the step, and how many steps there are.
fn span_of(when: When) -> (Timestamp, Timestamp, i64, usize) {
    match when {
        When::Instant(at) => (at, at, 0, 1),
        When::Range(steps) => {
            (steps.start, steps.end, steps.step_ms, usize::try_from(steps.count()).unwrap_or(usize::MAX))
        }
    }
}

/// Bytes of a sample that a query holds.
const SAMPLE_BYTES: u64 = 16;

impl Part {
    fn of_kind(operation: &'static str) -> Self {
        Self {
            operation,
            text: String::new(),
            span: (0, 0),
            detail: String::new(),
            tier: None,
            reason: None,
            range: None,
            estimate: None,
            actual: None,
            children: Vec::new(),
        }
    }

    /// Says why the selectors in it are answered from where they are.
    fn explain_tier(&mut self, reason: &str) {
        if self.tier.is_some() {
            self.reason = Some(reason.to_owned());
        }
        self.children.iter_mut().for_each(|child| child.explain_tier(reason));
    }

    /// What all that it reads comes to.
    fn estimated(&self) -> Total {
        let own = self.estimate.unwrap_or_default();
        let mut total = Total { series: own.series, samples: own.samples, bytes: 0, took: None };
        for child in &self.children {
            let child = child.estimated();
            total.series += child.series;
            total.samples += child.samples;
        }
        Total { bytes: total.samples.saturating_mul(SAMPLE_BYTES), ..total }
    }

    /// How many parts there are, with this one.
    pub fn size(&self) -> usize {
        1 + self.children.iter().map(Self::size).sum::<usize>()
    }

    /// Every tier that answers a part of it.
    pub fn tiers(&self) -> Vec<&'static str> {
        let mut found: Vec<&'static str> = self.tier.into_iter().collect();
        found.extend(self.children.iter().flat_map(Self::tiers));
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// What reads from these tiers is said to be answered from.
fn tier_of(tiers: impl Iterator<Item = Tier>) -> Option<&'static str> {
    tiers.map(Tier::as_str).reduce(|one, other| if one == other { one } else { "mixed" })
}
