//! Queries made by a program, and written as documents.

use barograph_model::{Tier, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    document::{Aggregation, Calculation, Condition, GroupBy, Moment, Query, Sort, Window},
    expression::{Expression, Function, Mistake},
    metric::Names,
    pattern::{Pattern, Step},
};
use crate::syntax::duration_text;

impl Query {
    /// A query of metrics by their names: all series of each together, in the last hour.
    ///
    /// ```
    /// use barograph_query::json::{Condition, Function, Query};
    ///
    /// let query = Query::of(["flow.execution.duration"])
    ///     .last(6 * 3_600_000)
    ///     .filter("serviceType", Condition::Equals("batch".into()))
    ///     .by(["versionId"])
    ///     .aggregate(Function::Percentile(95.0), Some(3_600_000))
    ///     .calculate("efficiency", "flow.execution.duration / flow.data.volume")?
    ///     .descending("efficiency")
    ///     .limit(100);
    /// assert_eq!(Query::read(&query.to_json()), Ok(query));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        Self::new(names.into_iter().map(|name| Names::One(name.to_owned())).collect())
    }

    /// Of the times in `[start, end)`.
    #[must_use]
    pub fn between(self, start: Timestamp, end: Timestamp) -> Self {
        Self { start: Some(Moment::At(start)), end: Some(Moment::At(end)), ..self }
    }

    /// Of the last so many milliseconds.
    #[must_use]
    pub fn last(self, ms: i64) -> Self {
        Self { start: Some(Moment::FromNow(-ms)), end: Some(Moment::FromNow(0)), ..self }
    }

    /// Only where an attribute is so.
    #[must_use]
    pub fn filter(mut self, attribute: &str, condition: Condition) -> Self {
        self.dimensions.push((attribute.to_owned(), condition));
        self
    }

    /// In groups by these attributes.
    #[must_use]
    pub fn by<'n>(self, attributes: impl IntoIterator<Item = &'n str>) -> Self {
        Self { group_by: GroupBy::Attributes(attributes.into_iter().map(str::to_owned).collect()), ..self }
    }

    /// Each series by itself.
    #[must_use]
    pub fn by_series(self) -> Self {
        Self { group_by: GroupBy::Series, ..self }
    }

    /// Makes this of the samples in each window of so many milliseconds, or in all of the time range.
    #[must_use]
    pub fn aggregate(mut self, function: Function, window_ms: Option<i64>) -> Self {
        let window = window_ms.map_or(Window::Whole, Window::Length);
        self.aggregations.push(Aggregation { function, window, metric: None, alias: None });
        self
    }

    /// Computes something across metrics, in the windows of the first aggregation.
    ///
    /// # Errors
    /// The expression is none.
    pub fn calculate(mut self, name: &str, expression: &str) -> Result<Self, Mistake> {
        let expression = Expression::parse(expression)?;
        self.calculations.push(Calculation { name: name.to_owned(), expression, window: None });
        Ok(self)
    }

    /// Looks for a pattern in the course of time.
    #[must_use]
    pub fn look_for(self, pattern: Pattern) -> Self {
        Self { pattern: Some(pattern), ..self }
    }

    /// The groups with the least of a metric or a calculation first.
    #[must_use]
    pub fn ascending(self, field: &str) -> Self {
        Self { sort: Some(Sort { field: field.to_owned(), descending: false }), ..self }
    }

    /// The groups with the most of a metric or a calculation first.
    #[must_use]
    pub fn descending(self, field: &str) -> Self {
        Self { sort: Some(Sort { field: field.to_owned(), descending: true }), ..self }
    }

    /// Only the first groups.
    #[must_use]
    pub fn limit(self, groups: usize) -> Self {
        Self { limit: Some(groups), ..self }
    }

    /// Answered by this tier.
    #[must_use]
    pub fn from_tier(self, tier: Tier) -> Self {
        Self { granularity: Some(tier), ..self }
    }

    /// The document that means this query.
    pub fn to_json(&self) -> Value {
        let mut query = Map::new();
        if !self.metrics.is_empty() {
            let names: Vec<&str> = self.metrics.iter().map(Names::text).collect();
            query.insert("metrics".into(), json!(names));
        }
        let mut filter = Map::new();
        let mut range = Map::new();
        range.extend(self.start.map(|start| ("start".to_owned(), moment(start))));
        range.extend(self.end.map(|end| ("end".to_owned(), moment(end))));
        filter.extend((!range.is_empty()).then(|| ("timeRange".to_owned(), Value::from(range))));
        let mut dimensions: Map<String, Value> = Map::new();
        for (attribute, condition) in &self.dimensions {
            let conditions = dimensions.entry(attribute.clone()).or_insert_with(|| json!({}));
            let (key, value) = condition_pair(condition);
            conditions[key] = value;
        }
        filter.extend((!dimensions.is_empty()).then(|| ("dimensions".to_owned(), Value::from(dimensions))));
        query.extend((!filter.is_empty()).then(|| ("filter".to_owned(), Value::from(filter))));
        let group_by = match &self.group_by {
            GroupBy::Series => Some(json!(["*"])),
            GroupBy::Attributes(names) => (!names.is_empty()).then(|| json!(names)),
        };
        query.extend(group_by.map(|names| ("groupBy".to_owned(), names)));
        if !self.aggregations.is_empty() {
            let aggregations: Vec<Value> = self.aggregations.iter().map(aggregation).collect();
            query.insert("aggregations".into(), aggregations.into());
        }
        if !self.calculations.is_empty() {
            let calculations: Vec<Value> = self.calculations.iter().map(calculation).collect();
            query.insert("calculations".into(), calculations.into());
        }
        query.extend(self.pattern.iter().map(|found| ("pattern".to_owned(), pattern(found))));
        if let Some(sort) = &self.sort {
            let order = if sort.descending { "DESC" } else { "ASC" };
            query.insert("sort".into(), json!({"field": sort.field, "order": order}));
        }
        query.extend(self.limit.map(|limit| ("limit".to_owned(), json!(limit))));
        query.extend(self.granularity.map(|tier| ("granularity".to_owned(), json!(tier.as_str()))));
        query.extend(self.target_points.map(|points| ("targetPoints".to_owned(), json!(points))));
        json!({"query": query})
    }
}

fn moment(moment: Moment) -> Value {
    match moment {
        Moment::At(at) => json!(at.0),
        Moment::FromNow(0) => json!("now"),
        Moment::FromNow(ms) if ms > 0 => json!(format!("now+{}", duration_text(ms))),
        Moment::FromNow(ms) => json!(format!("now{}", duration_text(ms))),
    }
}

fn condition_pair(condition: &Condition) -> (&'static str, Value) {
    match condition {
        Condition::Equals(value) => ("equals", json!(value)),
        Condition::NotEquals(value) => ("notEquals", json!(value)),
        Condition::In(values) => ("in", json!(values)),
        Condition::NotIn(values) => ("notIn", json!(values)),
        Condition::Regex(pattern) => ("regex", json!(pattern)),
        Condition::NotRegex(pattern) => ("notRegex", json!(pattern)),
        Condition::Prefix(prefix) => ("prefix", json!(prefix)),
        Condition::Exists(flag) => ("exists", json!(flag)),
    }
}

fn window(window: Window) -> Option<Value> {
    match window {
        Window::Whole => None,
        Window::Length(ms) => Some(json!(duration_text(ms))),
        // So many points are the wish of the other form; a document leaves it to the tier.
        Window::Auto | Window::Points(_) => Some(json!("auto")),
    }
}

fn aggregation(aggregation: &Aggregation) -> Value {
    let mut document = Map::new();
    match aggregation.function {
        Function::Percentile(percent) => {
            document.insert("type".into(), json!("PERCENTILE"));
            document.insert("percentile".into(), json!(percent));
        }
        function => drop(document.insert("type".into(), json!(function.name().to_uppercase()))),
    }
    document.extend(window(aggregation.window).map(|window| ("window".to_owned(), window)));
    document.extend(aggregation.metric.iter().map(|metric| ("metric".to_owned(), json!(metric))));
    document.extend(aggregation.alias.iter().map(|alias| ("alias".to_owned(), json!(alias))));
    document.into()
}

fn calculation(calculation: &Calculation) -> Value {
    let mut document = Map::new();
    document.insert("name".into(), json!(calculation.name));
    document.insert("expression".into(), json!(calculation.expression.to_string()));
    document.extend(calculation.window.and_then(window).map(|window| ("window".to_owned(), window)));
    document.into()
}

fn pattern(pattern: &Pattern) -> Value {
    let label = |i: &usize| pattern.conditions[*i].0.as_str();
    let labels = |places: &[usize]| json!(places.iter().map(label).collect::<Vec<_>>());
    let step = |(i, step): (usize, &Step)| {
        let mut document = Map::new();
        if !step.holds.is_empty() {
            document.insert(if i == 0 { "when" } else { "then" }.into(), labels(&step.holds));
        }
        if !step.not.is_empty() {
            document.insert("not".into(), labels(&step.not));
        }
        document.extend(step.within.map(|within| ("within".to_owned(), json!(duration_text(within)))));
        Value::from(document)
    };
    let conditions: Map<String, Value> = pattern
        .conditions
        .iter()
        .map(|(label, condition)| (label.clone(), json!(condition.to_string())))
        .collect();
    let mut document = Map::new();
    document.insert("name".into(), json!(pattern.name));
    document.insert("conditions".into(), conditions.into());
    document.insert("sequence".into(), pattern.sequence.iter().enumerate().map(step).collect());
    document.extend(pattern.within.map(|within| ("within".to_owned(), json!(duration_text(within)))));
    document.extend(pattern.window.map(|window| ("window".to_owned(), json!(duration_text(window)))));
    document.into()
}
