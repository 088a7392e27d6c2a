//! The order of groups: by what a metric, a calculation or a finding is over the whole time range.

use std::collections::{BTreeMap, BTreeSet};

use barograph_model::{Labels, Sample};

use super::{
    answer::Finding,
    compile::{self, Metric},
    document::Window,
    expression::Function,
    plan::Plan,
    read::Invalid,
    run::{Error, Item, Matrix, Run},
};

impl Run<'_> {
    /// All groups of the answer, in order.
    pub(super) fn order(
        &self,
        items: &[Item],
        listed: &[(String, Metric, usize)],
    ) -> Result<Vec<Labels>, Error> {
        let all: BTreeSet<&Labels> = items.iter().flat_map(|item| item.groups.keys()).collect();
        let mut order: Vec<Labels> = all.into_iter().cloned().collect();
        let Some(sort) = &self.query.sort else { return Ok(order) };
        let figures = self.figures(&sort.field, items, listed)?;
        let figure = |labels: &Labels| figures.get(labels).copied().filter(|figure| !figure.is_nan());
        // Whoever has no figure comes last in either order; equal ones stay in the order of their labels.
        order.sort_by(|a, b| match (figure(a), figure(b)) {
            (Some(a), Some(b)) if sort.descending => b.total_cmp(&a),
            (Some(a), Some(b)) => a.total_cmp(&b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
        Ok(order)
    }

    /// What groups are ordered by: one figure each, over the whole range.
    fn figures(
        &self,
        field: &str,
        items: &[Item],
        listed: &[(String, Metric, usize)],
    ) -> Result<BTreeMap<Labels, f64>, Error> {
        let path = "query.sort.field";
        let found = items.iter().find(|item| item.name == field && !item.findings.is_empty());
        if let Some(item) = found {
            let figure = |finding: &Finding| match finding {
                Finding::Trend(trend) => trend.slope,
                Finding::Correlation(found) => found.r,
                Finding::Matches(matches) => matches.len() as f64,
            };
            return Ok(item
                .findings
                .iter()
                .map(|(labels, finding)| (labels.clone(), figure(finding)))
                .collect());
        }
        let span = self.span.end - self.span.start;
        let whole = items.iter().find(|item| item.name == field && item.window == Some(span));
        let groups = match whole {
            Some(item) => item.groups.clone(),
            None => {
                let plan = self.plan(Window::Whole, false, || path.into())?;
                let calculation =
                    self.query.calculations.iter().find(|calculation| calculation.name == field);
                match calculation {
                    Some(calculation) => {
                        self.expression(&calculation.expression.node, &plan, path)?.unwrap_or_default()
                    }
                    None => self.metric_figures(field, &plan, listed)?,
                }
            }
        };
        let last = |(labels, points): (Labels, Vec<Sample>)| Some((labels, points.last()?.value));
        Ok(groups.into_iter().filter_map(last).collect())
    }

    fn metric_figures(
        &self,
        field: &str,
        plan: &Plan,
        listed: &[(String, Metric, usize)],
    ) -> Result<Matrix, Error> {
        let alias =
            self.query.aggregations.iter().find(|aggregation| aggregation.alias.as_deref() == Some(field));
        let mut groups = Matrix::new();
        for (name, metric, _) in listed {
            let function = match alias {
                Some(alias) if alias.metric.as_ref().is_none_or(|metric| self.means(metric, name)) => {
                    alias.function
                }
                None if self.means(field, name) => match self.aggregations_of(name).first() {
                    Some((_, first)) => first.function,
                    None => Function::Avg,
                },
                _ => continue,
            };
            let build = |length: i64| {
                compile::aggregate(metric, function, length)
                    .map_err(|e| Invalid::new("query.sort.field", e).into())
            };
            for (labels, points) in self.evaluate(plan, build)? {
                groups.entry(labels).or_insert(points);
            }
        }
        Ok(groups)
    }
}
