//! What a JSON query says, field by field, and how it is read.

use std::collections::BTreeMap;

use barograph_model::{MatchOp, Matcher, PatternBudget, Tier, Timestamp};
use serde_json::Value;

use super::{
    expression::{Expression, Function},
    metric::{Names, Pattern as NamePattern},
    pattern::Pattern,
    read::{At, Fields, Invalid},
    time::{length, moment},
};

/// A longer document is refused.
pub const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// How many metrics, or patterns of names, one query lists; and how many metrics these may stand for.
pub const METRICS_MAX: usize = 64;
/// How many attributes one query groups by.
pub const GROUP_BY_MAX: usize = 16;
/// How many aggregations, and how many calculations, one query has.
pub const AGGREGATIONS_MAX: usize = 16;
/// How many attributes one query filters.
pub const DIMENSIONS_MAX: usize = 32;
/// How many values one list of values has.
pub const VALUES_MAX: usize = 1_000;
/// The greatest limit of groups, and of points a series is thinned out to.
pub const LIMIT_MAX: usize = 11_000;
/// How long a light document is.
const LIGHT_BYTES_MAX: usize = 4 << 10;
/// How many characters of a light document may belong to patterns of names.
const LIGHT_MARKS_MAX: usize = 4;
/// How far back a query looks that does not say, in milliseconds.
pub const SPAN_MS: i64 = 3_600_000;

/// A query as a document says it. Made by [`Query::parse`], or by hand from [`Query::new`].
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Which metrics: at least one, unless calculations or a pattern name theirs.
    pub metrics: Vec<Names>,
    /// The first time that counts; an hour before the end if none is said.
    pub start: Option<Moment>,
    /// The first time that counts no more; now if none is said.
    pub end: Option<Moment>,
    /// Whether the end counts after all, as it does where a query is no document but parameters.
    pub end_counts: bool,
    /// Conditions on attributes, all of which must hold.
    pub dimensions: Vec<(String, Condition)>,
    /// What makes a group.
    pub group_by: GroupBy,
    /// What is made of each group; the mean in windows as they are kept if nothing is said.
    pub aggregations: Vec<Aggregation>,
    /// What is computed across metrics.
    pub calculations: Vec<Calculation>,
    /// What is looked for in the course of time.
    pub pattern: Option<Pattern>,
    /// How groups are ordered; by their labels if nothing is said.
    pub sort: Option<Sort>,
    /// How many groups are answered, the first ones after sorting.
    pub limit: Option<usize>,
    /// The tier that answers; chosen by span, window and coverage if none is said.
    pub granularity: Option<Tier>,
    /// To how many points each series is thinned out at most, keeping its shape.
    pub target_points: Option<usize>,
}

/// A point in time, perhaps as seen from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// That very time.
    At(Timestamp),
    /// So many milliseconds from now.
    FromNow(i64),
}

impl Moment {
    /// The time it names when it is `now`.
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::FromNow(ms) => now.saturating_add(ms),
        }
    }
}

/// A condition on the value of an attribute; one that a series lacks has the empty value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is this.
    Equals(String),
    /// It is anything else.
    NotEquals(String),
    /// It is one of these.
    In(Vec<String>),
    /// It is none of these.
    NotIn(Vec<String>),
    /// The regular expression matches all of it.
    Regex(String),
    /// The regular expression does not match all of it.
    NotRegex(String),
    /// It begins so.
    Prefix(String),
    /// There is one, or there is none.
    Exists(bool),
}

impl Condition {
    /// The same on a label, within what other patterns of the query left.
    pub(super) fn matcher(&self, label: &str, budget: &mut PatternBudget) -> Result<Matcher, String> {
        let any = |values: &[String]| values.iter().map(|v| regex::escape(v)).collect::<Vec<_>>().join("|");
        let (op, value) = match self {
            Self::Equals(value) => (MatchOp::Equal, value.clone()),
            Self::NotEquals(value) => (MatchOp::NotEqual, value.clone()),
            Self::In(values) => (MatchOp::Regex, any(values)),
            Self::NotIn(values) => (MatchOp::NotRegex, any(values)),
            Self::Regex(pattern) => (MatchOp::Regex, pattern.clone()),
            Self::NotRegex(pattern) => (MatchOp::NotRegex, pattern.clone()),
            Self::Prefix(prefix) => (MatchOp::Regex, format!("{}.*", regex::escape(prefix))),
            Self::Exists(true) => (MatchOp::NotEqual, String::new()),
            Self::Exists(false) => (MatchOp::Equal, String::new()),
        };
        Matcher::within(label, op, &value, budget).map_err(|e| e.to_string())
    }
}

/// What makes a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Each combination of values of these attributes; all series together if there are none.
    Attributes(Vec<String>),
    /// Each series is a group of its own.
    Series,
}

/// One aggregate of each group in each window.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregation {
    /// What is made of the samples.
    pub function: Function,
    /// Of how much time at once.
    pub window: Window,
    /// Only of this one of the metrics, by its name in the list.
    pub metric: Option<String>,
    /// What the result is called instead of its metric.
    pub alias: Option<String>,
}

/// How long the buckets of time are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// All of the time range is one.
    Whole,
    /// So many milliseconds, aligned to the epoch, cut at the ends of the time range.
    Length(i64),
    /// As the tier that answers keeps them; samples as they came of raw data, where groups are single series.
    Auto,
    /// As long as it takes for at most so many, a multiple of what is kept.
    Points(usize),
}

/// A figure computed across metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Calculation {
    /// What the result is called.
    pub name: String,
    /// How it is computed.
    pub expression: Expression,
    /// In which windows; those of the first aggregation if nothing is said.
    pub window: Option<Window>,
}

/// The order of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// A metric, the alias of an aggregation, a calculation or the pattern; its value over the whole range counts.
    pub field: String,
    /// Whether the greatest is first.
    pub descending: bool,
}

const QUERY_KEYS: &[&str] = &[
    "metrics",
    "filter",
    "groupBy",
    "aggregations",
    "calculations",
    "pattern",
    "sort",
    "limit",
    "granularity",
    "targetPoints",
];

impl Query {
    /// All samples of some metrics in the last hour, all series of each together.
    pub fn new(metrics: Vec<Names>) -> Self {
        Self {
            metrics,
            start: None,
            end: None,
            end_counts: false,
            dimensions: Vec::new(),
            group_by: GroupBy::Attributes(Vec::new()),
            aggregations: Vec::new(),
            calculations: Vec::new(),
            pattern: None,
            sort: None,
            limit: None,
            granularity: None,
            target_points: None,
        }
    }

    /// Whether [`Query::parse`] needs well below a millisecond: the document is short, and has few patterns.
    pub fn is_light(text: &[u8]) -> bool {
        let marks = text.iter().filter(|c| matches!(c, b'*' | b'?' | b'/')).count();
        let patterns = text.windows(4).any(|part| part.eq_ignore_ascii_case(b"rege"));
        text.len() <= LIGHT_BYTES_MAX && marks <= LIGHT_MARKS_MAX && !patterns
    }

    /// Reads a document: `{"query": {...}}`.
    ///
    /// # Errors
    /// The first thing that is wrong, with the path to it.
    pub fn parse(text: &[u8]) -> Result<Self, Invalid> {
        if text.len() > DOCUMENT_BYTES_MAX {
            return Err(Invalid::new("", format!("the document is longer than {DOCUMENT_BYTES_MAX} bytes")));
        }
        let value = serde_json::from_slice(text).map_err(|e| Invalid::new("", format!("is no JSON: {e}")))?;
        Self::read(&value)
    }

    /// As [`Query::parse`], of a document that is a value already.
    ///
    /// # Errors
    /// As there.
    pub fn read(document: &Value) -> Result<Self, Invalid> {
        let fields = At::root(document).object(&["query"])?.need("query")?.object(QUERY_KEYS)?;
        let mut query = Self::new(Vec::new());
        let mut patterns = PatternBudget::default();
        if let Some(metrics) = fields.get("metrics") {
            let metrics = metrics.list(METRICS_MAX)?;
            query.metrics =
                metrics.into_iter().map(|at| names(at, &mut patterns)).collect::<Result<_, _>>()?;
        }
        if let Some(filter) = fields.get("filter") {
            filter_into(&mut query, filter, &mut patterns)?;
        }
        if let Some(group_by) = fields.get("groupBy") {
            query.group_by = grouping(group_by)?;
        }
        if let Some(aggregations) = fields.get("aggregations") {
            let aggregations = aggregations.list(AGGREGATIONS_MAX)?;
            query.aggregations = aggregations
                .into_iter()
                .map(|at| aggregation(at, &query.metrics))
                .collect::<Result<_, _>>()?;
        }
        let mut named = BTreeMap::new();
        if let Some(calculations) = fields.get("calculations") {
            for at in calculations.list(AGGREGATIONS_MAX)? {
                let path = format!("{}.name", at.path);
                let calculation = calculation(at)?;
                if named.insert(calculation.name.clone(), ()).is_some() {
                    return Err(Invalid::new(path, "another calculation has this name"));
                }
                query.calculations.push(calculation);
            }
        }
        if let Some(pattern) = fields.get("pattern") {
            query.pattern = Some(Pattern::read(pattern)?);
        }
        if query.metrics.is_empty() && query.calculations.is_empty() && query.pattern.is_none() {
            let text = "name at least one metric, or compute something across metrics";
            return Err(Invalid::new("query.metrics", text));
        }
        if let Some(sort) = fields.get("sort") {
            query.sort = Some(order(sort, &query)?);
        }
        query.limit = fields.get("limit").map(|at| at.count(LIMIT_MAX)).transpose()?;
        query.target_points = fields.get("targetPoints").map(|at| at.count(LIMIT_MAX)).transpose()?;
        query.granularity = fields.get("granularity").map(|at| tier(&at)).transpose()?.flatten();
        Ok(query)
    }
}

fn names(at: At<'_>, budget: &mut PatternBudget) -> Result<Names, Invalid> {
    if at.value.is_object() {
        let pattern = at.object(&["regex"])?.need("regex")?;
        let read = NamePattern::regex(pattern.text()?, budget);
        return read.map(Names::Pattern).map_err(|e| pattern.wrong(e));
    }
    Names::within(at.text()?, budget).map_err(|e| at.wrong(e))
}

fn filter_into(query: &mut Query, filter: At<'_>, budget: &mut PatternBudget) -> Result<(), Invalid> {
    let fields = filter.object(&["timeRange", "dimensions"])?;
    if let Some(range) = fields.get("timeRange") {
        let range = range.object(&["start", "end"])?;
        query.start = range.get("start").map(|at| moment(&at)).transpose()?;
        query.end = range.get("end").map(|at| moment(&at)).transpose()?;
        if let (Some(Moment::At(start)), Some(Moment::At(end))) = (query.start, query.end)
            && start >= end
        {
            return Err(range.wrong("the end is not after the start"));
        }
    }
    if let Some(dimensions) = fields.get("dimensions") {
        let dimensions = dimensions.any_object()?;
        if dimensions.len() > DIMENSIONS_MAX {
            return Err(dimensions.wrong(format!("more than {DIMENSIONS_MAX} attributes")));
        }
        for (name, at) in dimensions.all() {
            conditions(&mut query.dimensions, name, at, budget)?;
        }
    }
    Ok(())
}

const CONDITION_KEYS: &[&str] =
    &["equals", "notEquals", "in", "notIn", "regex", "notRegex", "prefix", "exists"];

/// `"x": "value"`, `"x": ["one", "of"]`, `"x": {"prefix": "v"}`; several keys must all hold.
fn conditions(
    into: &mut Vec<(String, Condition)>,
    name: &str,
    at: At<'_>,
    budget: &mut PatternBudget,
) -> Result<(), Invalid> {
    if name.is_empty() {
        return Err(at.wrong("the name of an attribute is empty"));
    }
    let mut add = |condition: Condition, path: &str| match condition.matcher("x", budget) {
        Ok(_) => {
            into.push((name.to_owned(), condition));
            Ok(())
        }
        Err(error) => Err(Invalid::new(path, error)),
    };
    match at.value {
        Value::Object(_) => {
            let path = at.path.clone();
            let fields = at.object(CONDITION_KEYS)?;
            if fields.len() == 0 {
                return Err(Invalid::new(
                    path,
                    format!("is empty; give one of {}", CONDITION_KEYS.join(", ")),
                ));
            }
            for (key, at) in fields.all() {
                let path = at.path.clone();
                let condition = match key {
                    "equals" => Condition::Equals(value(&at)?),
                    "notEquals" => Condition::NotEquals(value(&at)?),
                    "in" => Condition::In(values(at)?),
                    "notIn" => Condition::NotIn(values(at)?),
                    "regex" => Condition::Regex(at.text()?.to_owned()),
                    "notRegex" => Condition::NotRegex(at.text()?.to_owned()),
                    "prefix" => Condition::Prefix(at.text()?.to_owned()),
                    _ => Condition::Exists(at.flag()?),
                };
                add(condition, &path)?;
            }
            Ok(())
        }
        Value::Array(_) => {
            let path = at.path.clone();
            add(Condition::In(values(at)?), &path)
        }
        _ => add(Condition::Equals(value(&at)?), &at.path),
    }
}

fn values(at: At<'_>) -> Result<Vec<String>, Invalid> {
    let path = at.path.clone();
    let values = at.list(VALUES_MAX)?;
    if values.is_empty() {
        return Err(Invalid::new(path, "is empty; name at least one value"));
    }
    values.iter().map(value).collect()
}

/// Values of attributes are texts; a number or a truth value stands for its text.
fn value(at: &At<'_>) -> Result<String, Invalid> {
    match at.value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(at.wrong("expected a text, a number, true or false")),
    }
}

fn grouping(at: At<'_>) -> Result<GroupBy, Invalid> {
    let attributes = at.list(GROUP_BY_MAX)?;
    let names = attributes.iter().map(|at| at.text()).collect::<Result<Vec<_>, _>>()?;
    if let Some(i) = names.iter().position(|name| *name == "*") {
        return match names.len() {
            1 => Ok(GroupBy::Series),
            _ => Err(attributes[i].wrong("\"*\" groups by every label already; it stands alone")),
        };
    }
    if let Some(i) = (1..names.len()).find(|&i| names[..i].contains(&names[i])) {
        return Err(attributes[i].wrong("is there twice"));
    }
    Ok(GroupBy::Attributes(names.into_iter().map(str::to_owned).collect()))
}

fn aggregation(at: At<'_>, metrics: &[Names]) -> Result<Aggregation, Invalid> {
    let fields = at.object(&["type", "window", "percentile", "metric", "alias"])?;
    let kind = fields.need("type")?;
    let name = kind.text()?;
    let percentile = fields.get("percentile");
    let function = match (Function::named(name), &percentile) {
        (Some(Function::Percentile(_)), None) if name.eq_ignore_ascii_case("percentile") => {
            return Err(fields.need("percentile").err().unwrap_or_else(|| kind.wrong("needs a percentile")));
        }
        (Some(Function::Percentile(_)), Some(at)) if name.eq_ignore_ascii_case("percentile") => {
            let percent = at.number()?;
            if !(0.0..=100.0).contains(&percent) {
                return Err(at.wrong("expected a number from 0 to 100"));
            }
            Function::Percentile(percent)
        }
        (Some(_), Some(at)) => return Err(at.wrong("only PERCENTILE takes one")),
        (Some(function), None) => function,
        (None, _) => return Err(kind.wrong(format!("{name:?} is none of {}", Function::NAMES.join(", ")))),
    };
    let metric = fields.get("metric").map(|at| one_of(&at, metrics)).transpose()?;
    let alias = fields.get("alias").map(|at| at.text()).transpose()?.map(str::to_owned);
    let window = fields.get("window").map(|at| window(&at)).transpose()?.unwrap_or(Window::Whole);
    Ok(Aggregation { function, window, metric, alias })
}

fn one_of(at: &At<'_>, metrics: &[Names]) -> Result<String, Invalid> {
    let name = at.text()?;
    match metrics.iter().any(|names| names.stands_for(name)) {
        true => Ok(name.to_owned()),
        false => Err(at.wrong(format!("{name:?} is not among the metrics of the query"))),
    }
}

/// `"5m"`, milliseconds, or `"auto"`.
fn window(at: &At<'_>) -> Result<Window, Invalid> {
    match at.value.as_str() {
        Some("auto") => Ok(Window::Auto),
        _ => length(at).map(Window::Length),
    }
}

fn calculation(at: At<'_>) -> Result<Calculation, Invalid> {
    let fields = at.object(&["name", "expression", "window"])?;
    let text = fields.need("expression")?;
    let expression = Expression::parse(text.text()?).map_err(|e| text.wrong(e.to_string()))?;
    let name = match fields.get("name") {
        Some(name) => name.text()?.to_owned(),
        None => text.text()?.to_owned(),
    };
    Ok(Calculation { name, expression, window: fields.get("window").map(|at| window(&at)).transpose()? })
}

fn order(at: At<'_>, query: &Query) -> Result<Sort, Invalid> {
    let fields = at.object(&["field", "order"])?;
    let at = fields.need("field")?;
    let field = at.text()?;
    let known = query.metrics.iter().any(|names| names.stands_for(field))
        || query.aggregations.iter().any(|aggregation| aggregation.alias.as_deref() == Some(field))
        || query.calculations.iter().any(|calculation| calculation.name == field)
        || query.pattern.iter().any(|pattern| pattern.name == field);
    if !known {
        let text =
            format!("{field:?} is no metric of the query, no alias, no calculation and not the pattern");
        return Err(at.wrong(text));
    }
    let words = [("ASC", false), ("DESC", true)];
    let descending = fields.get("order").map(|at| at.word(&words)).transpose()?.unwrap_or(false);
    Ok(Sort { field: field.to_owned(), descending })
}

fn tier(at: &At<'_>) -> Result<Option<Tier>, Invalid> {
    at.word(&[
        ("auto", None),
        ("raw", Some(Tier::Raw)),
        ("1m", Some(Tier::Minute)),
        ("5m", Some(Tier::FiveMinutes)),
        ("1h", Some(Tier::Hour)),
    ])
}

pub(super) fn text_of<'a>(fields: &Fields<'a>, key: &str) -> Result<Option<&'a str>, Invalid> {
    fields.get(key).map(|at| at.text()).transpose()
}
