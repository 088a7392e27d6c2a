//! The walk over the tree.

use std::sync::Arc;

use barograph_model::{Labels, Sample, Timestamp};

use super::{
    Datum, Error, Track, Value, aggregate, binary,
    column::{Cell, Series, Vector, is_present},
    context::Context,
    grid::Grid,
    kernels::Kernel,
    label_functions, matching, over, select, sets, special,
};
use crate::{
    native::FloatHistogram,
    syntax::{Span, ast::*},
};

/// What an expression gives at the points of a grid.
#[derive(Clone, Debug)]
pub(super) enum Columns {
    /// One number a step, or one for all.
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vector),
}

impl Columns {
    fn series(&self) -> usize {
        match self {
            Self::Scalar(_) | Self::Text(_) => 0,
            Self::Vector(vector) => vector.series.len(),
        }
    }
}

/// Evaluates an expression at the points of a grid. Range vectors are evaluated by the functions that take them.
pub(super) fn evaluate(context: &Context<'_>, grid: Grid, expr: &Expr) -> Result<Columns, Error> {
    context.watch(expr, || evaluate_part(context, grid, expr), Columns::series)
}

fn evaluate_part(context: &Context<'_>, grid: Grid, expr: &Expr) -> Result<Columns, Error> {
    context.check()?;
    Ok(match &expr.node {
        Node::Number(number) => Columns::Scalar(vec![number.value]),
        Node::Text(text) => Columns::Text(text.value.clone()),
        Node::Paren(inner) => evaluate(context, grid, inner)?,
        Node::Selector(selector) => {
            Columns::Vector(select::instant(context, grid, (selector, expr.span), select::Give::Value)?)
        }
        Node::Unary(unary) => negate(context, grid, unary)?,
        Node::Binary(node) => operate(context, grid, node, expr.span)?,
        Node::Aggregate(node) => Columns::Vector(aggregate::evaluate(context, grid, node, expr.span)?),
        Node::Call(node) => call(context, grid, node, expr.span)?,
        Node::Range(_) | Node::Subquery(_) => {
            return Err(Error::Execution("a range vector stands where it has no meaning".into()));
        }
    })
}

/// As [`evaluate`], for what is known to be a vector.
pub(super) fn vector(context: &Context<'_>, grid: Grid, expr: &Expr) -> Result<Vector, Error> {
    match evaluate(context, grid, expr)? {
        Columns::Vector(vector) => Ok(vector),
        _ => Err(wrong_type("instant vector")),
    }
}

/// As [`evaluate`], for what is known to be a scalar.
pub(super) fn scalar(context: &Context<'_>, grid: Grid, expr: &Expr) -> Result<Vec<f64>, Error> {
    match evaluate(context, grid, expr)? {
        Columns::Scalar(values) => Ok(values),
        _ => Err(wrong_type("scalar")),
    }
}

/// The text an argument is, which can only be written out.
pub(super) fn text(expr: &Expr) -> Result<&Text, Error> {
    match &expr.bare().node {
        Node::Text(text) => Ok(text),
        _ => Err(wrong_type("string")),
    }
}

/// Trees made by the parser are well typed, others may not be.
fn wrong_type(wanted: &str) -> Error {
    Error::Execution(format!("expected type {wanted}"))
}

fn negate(context: &Context<'_>, grid: Grid, unary: &Unary) -> Result<Columns, Error> {
    let value = evaluate(context, grid, &unary.expr)?;
    if unary.sign == Sign::Plus {
        return Ok(value);
    }
    Ok(match value {
        Columns::Vector(mut vector) if !vector.has_histograms() => {
            vector.map(|v| -v);
            Columns::Vector(vector.drop_names(context.options.delayed_name_removal)?)
        }
        Columns::Vector(mut vector) => {
            vector.map_cells(|_, cell| match cell {
                Cell::Absent => Cell::Absent,
                Cell::Float(value) => Cell::Float(-value),
                Cell::Histogram(histogram) => {
                    let mut negated = FloatHistogram::clone(&histogram);
                    negated.scale(-1.0);
                    Cell::Histogram(Arc::new(negated))
                }
            });
            Columns::Vector(vector.drop_names(context.options.delayed_name_removal)?)
        }
        Columns::Scalar(values) => Columns::Scalar(values.into_iter().map(|v| -v).collect()),
        text => text,
    })
}

fn operate(context: &Context<'_>, grid: Grid, node: &Binary, span: Span) -> Result<Columns, Error> {
    let lhs = evaluate(context, grid, &node.lhs)?;
    let rhs = evaluate(context, grid, &node.rhs)?;
    Ok(match (lhs, rhs) {
        (Columns::Scalar(a), Columns::Scalar(b)) => Columns::Scalar(binary::scalars(node.op, &a, &b)),
        (Columns::Vector(vector), Columns::Scalar(scalar)) => {
            Columns::Vector(binary::with_scalar(context, (node, span), vector, &scalar, binary::Side::Right)?)
        }
        (Columns::Scalar(scalar), Columns::Vector(vector)) => {
            Columns::Vector(binary::with_scalar(context, (node, span), vector, &scalar, binary::Side::Left)?)
        }
        (Columns::Vector(a), Columns::Vector(b)) if node.op.is_set() => {
            Columns::Vector(sets::combine(context, node, a, b)?)
        }
        (Columns::Vector(a), Columns::Vector(b)) => {
            Columns::Vector(matching::combine(context, (node, span), a, b)?)
        }
        _ => return Err(wrong_type("scalar or instant vector")),
    })
}

fn call(context: &Context<'_>, grid: Grid, node: &Call, span: Span) -> Result<Columns, Error> {
    let delayed = context.options.delayed_name_removal;
    match node.function.kernel {
        Kernel::Map(map) => {
            let mut vector = vector(context, grid, &node.args[0])?;
            vector.map(map);
            Ok(Columns::Vector(vector.drop_names(delayed)?))
        }
        Kernel::Date(date) => special::date(context, grid, node, date).map(Columns::Vector),
        Kernel::Over(over) => over::evaluate(context, grid, node, over).map(Columns::Vector),
        Kernel::Special(kernel) => special::evaluate(context, grid, node, kernel, span),
        Kernel::OfHistogram(read) => {
            let mut vector = vector(context, grid, &node.args[0])?;
            vector.map_cells(|_, cell| match cell {
                Cell::Histogram(histogram) => read(&histogram).into(),
                _ => Cell::Absent,
            });
            Ok(Columns::Vector(vector.drop_names(delayed)?))
        }
    }
}

/// The value of an instant query.
pub(super) fn top_instant(context: &Context<'_>, expr: &Expr) -> Result<Value, Error> {
    let grid = context.query;
    let at = Timestamp(grid.start);
    if expr.kind() == Type::Matrix {
        return Ok(Value::Matrix(over::top_matrix(context, grid, expr)?));
    }
    Ok(match evaluate(context, grid, expr)? {
        Columns::Scalar(values) => Value::Scalar(Sample { at, value: values[0] }),
        Columns::Text(text) => Value::String(at, text),
        Columns::Vector(vector) => {
            let datum = |cell: Cell| match cell {
                Cell::Absent => None,
                Cell::Float(value) => Some(Datum::Float(Sample { at, value })),
                Cell::Histogram(histogram) => Some(Datum::Histogram(at, histogram)),
            };
            let series = vector.settle()?.series.into_iter();
            Value::Vector(
                series.filter_map(|series| datum(series.cell(0)).map(|d| (series.labels, d))).collect(),
            )
        }
    })
}

/// The value of a range query.
pub(super) fn top_range(context: &Context<'_>, expr: &Expr) -> Result<Value, Error> {
    let grid = context.query;
    let vector = match evaluate(context, grid, expr)? {
        Columns::Scalar(values) => {
            let width = values.len();
            Vector { series: vec![Series::floats(Labels::empty(), false, values)], width }
        }
        Columns::Vector(vector) => vector.settle()?,
        Columns::Text(_) => return Err(wrong_type("scalar or instant vector")),
    };
    let sample = |step: usize, value: f64| Sample { at: Timestamp(grid.at(step)), value };
    let mut matrix = Vec::with_capacity(vector.series.len());
    for series in vector.series {
        if series.values.len() < grid.len {
            context.budget.hold(grid.len)?;
        }
        let mut floats = Vec::with_capacity(grid.len);
        floats
            .extend((0..grid.len).map(|step| sample(step, series.at(step))).filter(|s| is_present(s.value)));
        let mut histograms = Vec::new();
        if !series.histograms.is_empty() {
            let there = (0..grid.len).filter_map(|step| Some((step, series.histogram(step)?.clone())));
            histograms.extend(there.map(|(step, histogram)| (Timestamp(grid.at(step)), histogram)));
        }
        let track = Track { floats, histograms };
        if !track.is_empty() {
            matrix.push((series.labels, track));
        }
    }
    label_functions::sort_by_labels(&mut matrix);
    Ok(Value::Matrix(matrix))
}

/// A column as wide as the grid, charged to the budget before it takes memory.
pub(super) fn column(
    context: &Context<'_>,
    grid: Grid,
    value: impl FnMut(usize) -> f64,
) -> Result<Vec<f64>, Error> {
    context.budget.hold(grid.len)?;
    Ok((0..grid.len).map(value).collect())
}

/// A vector of one series without labels.
pub(super) fn single(values: Vec<f64>) -> Vector {
    let width = values.len();
    Vector { series: vec![Series::floats(Labels::empty(), false, values)], width }
}
