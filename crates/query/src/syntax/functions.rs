//! The functions of PromQL: their names, what they take and give.

use std::fmt;

use super::ast::Type;
use crate::{eval::Kernel, native::FloatHistogram};

/// A function of PromQL.
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// The types of its arguments; the last one repeats if `arity` says so.
    pub args: &'static [Type],
    /// How many of the arguments must be given.
    pub arity: Arity,
    /// The type of its value.
    pub returns: Type,
    /// Whether it needs a switch.
    pub experimental: bool,
    pub(crate) kernel: Kernel,
}

/// How many arguments a function takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// As many as there are types.
    Exact,
    /// The last one may be left out.
    LastOptional,
    /// The last one may come any number of times, at least this often.
    LastRepeats {
        /// The fewest.
        least: usize,
        /// The most.
        most: usize,
    },
}

impl Function {
    /// The function of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        FUNCTIONS.binary_search_by(|function| function.name.cmp(name)).ok().map(|i| &FUNCTIONS[i])
    }

    /// All functions, by name.
    pub fn all() -> &'static [Self] {
        FUNCTIONS
    }

    /// The fewest and the most arguments it takes.
    pub(super) fn argument_counts(&self) -> (usize, usize) {
        let listed = self.args.len();
        match self.arity {
            Arity::Exact => (listed, listed),
            Arity::LastOptional => (listed - 1, listed),
            Arity::LastRepeats { least, most } => {
                (listed - 1 + least, if most == usize::MAX { most } else { listed - 1 + most })
            }
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

use Type::{Matrix as M, Scalar as S, String as T, Vector as V};

const fn stable(name: &'static str, args: &'static [Type], returns: Type, kernel: Kernel) -> Function {
    Function { name, args, arity: Arity::Exact, returns, experimental: false, kernel }
}

const fn optional(name: &'static str, args: &'static [Type], returns: Type, kernel: Kernel) -> Function {
    Function { name, args, arity: Arity::LastOptional, returns, experimental: false, kernel }
}

const fn experimental(name: &'static str, args: &'static [Type], returns: Type, kernel: Kernel) -> Function {
    Function { name, args, arity: Arity::Exact, returns, experimental: true, kernel }
}

const ANY: Arity = Arity::LastRepeats { least: 0, most: usize::MAX };
/// How many quantiles one call of `histogram_quantiles` may ask for.
const QUANTILES_MAX: usize = 10;

use crate::eval::kernels::{Date, Over, Special};

/// By name, in the order of bytes.
static FUNCTIONS: &[Function] = &[
    stable("abs", &[V], V, Kernel::Map(f64::abs)),
    stable("absent", &[V], V, Kernel::Special(Special::Absent)),
    stable("absent_over_time", &[M], V, Kernel::Special(Special::AbsentOverTime)),
    stable("acos", &[V], V, Kernel::Map(f64::acos)),
    stable("acosh", &[V], V, Kernel::Map(f64::acosh)),
    stable("asin", &[V], V, Kernel::Map(f64::asin)),
    stable("asinh", &[V], V, Kernel::Map(f64::asinh)),
    stable("atan", &[V], V, Kernel::Map(f64::atan)),
    stable("atanh", &[V], V, Kernel::Map(f64::atanh)),
    stable("avg_over_time", &[M], V, Kernel::Over(Over::Avg)),
    stable("ceil", &[V], V, Kernel::Map(f64::ceil)),
    stable("changes", &[M], V, Kernel::Over(Over::Changes)),
    stable("clamp", &[V, S, S], V, Kernel::Special(Special::Clamp)),
    stable("clamp_max", &[V, S], V, Kernel::Special(Special::ClampMax)),
    stable("clamp_min", &[V, S], V, Kernel::Special(Special::ClampMin)),
    stable("cos", &[V], V, Kernel::Map(f64::cos)),
    stable("cosh", &[V], V, Kernel::Map(f64::cosh)),
    stable("count_over_time", &[M], V, Kernel::Over(Over::Count)),
    optional("day_of_month", &[V], V, Kernel::Date(Date::DayOfMonth)),
    optional("day_of_week", &[V], V, Kernel::Date(Date::DayOfWeek)),
    optional("day_of_year", &[V], V, Kernel::Date(Date::DayOfYear)),
    optional("days_in_month", &[V], V, Kernel::Date(Date::DaysInMonth)),
    stable("deg", &[V], V, Kernel::Map(|v| v * 180.0 / std::f64::consts::PI)),
    stable("delta", &[M], V, Kernel::Over(Over::Delta)),
    stable("deriv", &[M], V, Kernel::Over(Over::Deriv)),
    experimental("double_exponential_smoothing", &[M, S, S], V, Kernel::Over(Over::Smooth)),
    experimental("end", &[], S, Kernel::Special(Special::End)),
    stable("exp", &[V], V, Kernel::Map(f64::exp)),
    experimental("first_over_time", &[M], V, Kernel::Over(Over::First)),
    stable("floor", &[V], V, Kernel::Map(f64::floor)),
    stable("histogram_avg", &[V], V, Kernel::OfHistogram(|h| h.sum() / h.count())),
    stable("histogram_count", &[V], V, Kernel::OfHistogram(FloatHistogram::count)),
    stable("histogram_fraction", &[S, S, V], V, Kernel::Special(Special::HistogramFraction)),
    stable("histogram_quantile", &[S, V], V, Kernel::Special(Special::HistogramQuantile)),
    Function {
        name: "histogram_quantiles",
        args: &[V, T, S],
        arity: Arity::LastRepeats { least: 1, most: QUANTILES_MAX },
        returns: V,
        experimental: true,
        kernel: Kernel::Special(Special::HistogramQuantiles),
    },
    stable("histogram_stddev", &[V], V, Kernel::OfHistogram(|h| h.variance().sqrt())),
    stable("histogram_stdvar", &[V], V, Kernel::OfHistogram(FloatHistogram::variance)),
    stable("histogram_sum", &[V], V, Kernel::OfHistogram(FloatHistogram::sum)),
    experimental("holt_winters", &[M, S, S], V, Kernel::Over(Over::Smooth)),
    optional("hour", &[V], V, Kernel::Date(Date::Hour)),
    stable("idelta", &[M], V, Kernel::Over(Over::Idelta)),
    stable("increase", &[M], V, Kernel::Over(Over::Increase)),
    Function {
        name: "info",
        args: &[V, V],
        arity: Arity::LastOptional,
        returns: V,
        experimental: true,
        kernel: Kernel::Special(Special::Info),
    },
    stable("irate", &[M], V, Kernel::Over(Over::Irate)),
    Function {
        name: "label_join",
        args: &[V, T, T, T],
        arity: ANY,
        returns: V,
        experimental: false,
        kernel: Kernel::Special(Special::LabelJoin),
    },
    stable("label_replace", &[V, T, T, T, T], V, Kernel::Special(Special::LabelReplace)),
    stable("last_over_time", &[M], V, Kernel::Over(Over::Last)),
    stable("ln", &[V], V, Kernel::Map(f64::ln)),
    stable("log10", &[V], V, Kernel::Map(f64::log10)),
    stable("log2", &[V], V, Kernel::Map(f64::log2)),
    experimental("mad_over_time", &[M], V, Kernel::Over(Over::Mad)),
    experimental("max_of", &[S, S], S, Kernel::Special(Special::MaxOf)),
    stable("max_over_time", &[M], V, Kernel::Over(Over::Max)),
    experimental("min_of", &[S, S], S, Kernel::Special(Special::MinOf)),
    stable("min_over_time", &[M], V, Kernel::Over(Over::Min)),
    optional("minute", &[V], V, Kernel::Date(Date::Minute)),
    optional("month", &[V], V, Kernel::Date(Date::Month)),
    stable("pi", &[], S, Kernel::Special(Special::Pi)),
    stable("predict_linear", &[M, S], V, Kernel::Over(Over::PredictLinear)),
    stable("present_over_time", &[M], V, Kernel::Over(Over::Present)),
    stable("quantile_over_time", &[S, M], V, Kernel::Over(Over::Quantile)),
    stable("rad", &[V], V, Kernel::Map(|v| v * std::f64::consts::PI / 180.0)),
    experimental("range", &[], S, Kernel::Special(Special::QueryRange)),
    stable("rate", &[M], V, Kernel::Over(Over::Rate)),
    stable("resets", &[M], V, Kernel::Over(Over::Resets)),
    optional("round", &[V, S], V, Kernel::Special(Special::Round)),
    stable("scalar", &[V], S, Kernel::Special(Special::Scalar)),
    stable("sgn", &[V], V, Kernel::Map(|v| if v == 0.0 || v.is_nan() { v } else { v.signum() })),
    stable("sin", &[V], V, Kernel::Map(f64::sin)),
    stable("sinh", &[V], V, Kernel::Map(f64::sinh)),
    stable("sort", &[V], V, Kernel::Special(Special::Sort)),
    Function {
        name: "sort_by_label",
        args: &[V, T],
        arity: ANY,
        returns: V,
        experimental: true,
        kernel: Kernel::Special(Special::SortByLabel),
    },
    Function {
        name: "sort_by_label_desc",
        args: &[V, T],
        arity: ANY,
        returns: V,
        experimental: true,
        kernel: Kernel::Special(Special::SortByLabelDesc),
    },
    stable("sort_desc", &[V], V, Kernel::Special(Special::SortDesc)),
    stable("sqrt", &[V], V, Kernel::Map(f64::sqrt)),
    experimental("start", &[], S, Kernel::Special(Special::Start)),
    experimental("start_timestamp", &[V], V, Kernel::Special(Special::StartTimestamp)),
    stable("stddev_over_time", &[M], V, Kernel::Over(Over::Stddev)),
    stable("stdvar_over_time", &[M], V, Kernel::Over(Over::Stdvar)),
    experimental("step", &[], S, Kernel::Special(Special::Step)),
    stable("sum_over_time", &[M], V, Kernel::Over(Over::Sum)),
    stable("tan", &[V], V, Kernel::Map(f64::tan)),
    stable("tanh", &[V], V, Kernel::Map(f64::tanh)),
    stable("time", &[], S, Kernel::Special(Special::Time)),
    stable("timestamp", &[V], V, Kernel::Special(Special::Timestamp)),
    experimental("ts_of_first_over_time", &[M], V, Kernel::Over(Over::TsOfFirst)),
    experimental("ts_of_last_over_time", &[M], V, Kernel::Over(Over::TsOfLast)),
    experimental("ts_of_max_over_time", &[M], V, Kernel::Over(Over::TsOfMax)),
    experimental("ts_of_min_over_time", &[M], V, Kernel::Over(Over::TsOfMin)),
    stable("vector", &[S], V, Kernel::Special(Special::Vector)),
    optional("year", &[V], V, Kernel::Date(Date::Year)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
        assert_eq!(Function::named("rate").unwrap().args, [M]);
        assert!(Function::named("nothing").is_none());
    }
}
