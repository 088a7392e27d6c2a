//! Texts of alerts with what they are about filled in: the templates of Prometheus, which are those of Go.
//!
//! `Instance {{ $labels.instance }} down, {{ $value | humanize }}` is read once ([`Template::parse`]) and filled in for
//! each alert ([`Template::expand`]). Actions, pipelines, variables, `if`, `range`, `with`, `define` and `template`, Go's own
//! functions and those that Prometheus documents are there; methods of Go's types are not. Filling in is
//! bounded: steps, depth and the length of the text. Texts of notices are templates too, in the dialect of Alertmanager
//! ([`Dialect::Notices`]), filled in with what a receiver is told ([`Template::tell`]).
//!
//! The language: <https://pkg.go.dev/text/template>; the functions:
//! <https://prometheus.io/docs/prometheus/latest/configuration/template_reference/>.

mod builtins;
mod dates;
mod format;
mod functions;
mod humanize;
mod lexer;
mod library;
mod links;
mod methods;
mod parser;
mod run;
mod telling;
mod tree;
mod value;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use barograph_model::{Labels, Timestamp};
use barograph_query::Datum;

pub use library::Library;
pub use value::Value;

/// The longest text of a template, and the longest that comes of one.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// A text with actions in it.
#[derive(Clone, Debug)]
pub struct Template {
    text: Arc<str>,
    tree: Arc<tree::Tree>,
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What a template may say besides what Go's templates have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The functions of Prometheus, for rules.
    Rules,
    /// The functions and methods of Alertmanager, for notices.
    Notices,
}

impl Dialect {
    fn has(self, function: &str) -> bool {
        match self {
            Self::Rules => functions::exists(function),
            Self::Notices => telling::exists(function) || builtins::exists(function),
        }
    }
}

/// What is wrong with a template, or why it cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct TemplateError {
    /// The line in the template, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

/// Answers an instant query, or says why there is no answer.
pub type Asked<'a> = dyn Fn(&str) -> Result<Vec<(Labels, Datum)>, String> + 'a;

/// What a template may ask.
pub struct Surroundings<'a> {
    /// When it is filled in.
    pub now: Timestamp,
    /// What the server is called from outside; empty if nobody said.
    pub external_url: &'a str,
    /// Answers an instant query.
    pub query: &'a Asked<'a>,
}

/// What a template is about.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The labels of what was found.
    pub labels: &'a Labels,
    /// Labels of this server.
    pub external_labels: &'a Labels,
    /// What was found.
    pub value: &'a Datum,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// It is not one; functions and variables that do not exist are found as well.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        Self::parse_as(text, Dialect::Rules)
    }

    /// Reads a template in a dialect.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_as(text: &str, dialect: Dialect) -> Result<Self, TemplateError> {
        let tree = parser::parse(text, dialect).map_err(|mistake| mistake.placed(text))?;
        Ok(Self { text: text.into(), tree: Arc::new(tree) })
    }

    /// The names of the templates that it calls and does not define itself.
    pub fn called(&self) -> BTreeSet<&str> {
        self.tree.called()
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Fills it in. `.Labels`, `.ExternalLabels`, `.ExternalURL` and `.Value` are there, and the same as variables
    /// `$labels`, `$externalLabels`, `$externalURL` and `$value`.
    ///
    /// # Errors
    /// Something in it does not fit, a query failed, or a limit was reached.
    pub fn expand(
        &self,
        subject: &Subject<'_>,
        surroundings: &Surroundings<'_>,
    ) -> Result<String, TemplateError> {
        if self.tree.is_plain() {
            return Ok(self.text.to_string());
        }
        let value = match subject.value {
            Datum::Float(sample) => Value::Float(sample.value),
            Datum::Histogram(_, histogram) => Value::text(histogram.to_string()),
        };
        let data = [
            ("Labels", Value::labels(subject.labels)),
            ("ExternalLabels", Value::labels(subject.external_labels)),
            ("ExternalURL", Value::text(surroundings.external_url)),
            ("Value", value),
        ];
        run::expand(&self.tree, BTreeMap::from(data), surroundings)
            .map_err(|mistake| mistake.placed(&self.text))
    }
}

impl Template {
    /// Fills in the template of a notice. Where it becomes HTML (`escapes`), what is filled in is escaped.
    ///
    /// # Errors
    /// Something in it does not fit, or a limit was reached.
    pub fn tell(
        &self,
        data: &Value,
        library: &Library,
        now: Timestamp,
        escapes: bool,
    ) -> Result<String, TemplateError> {
        let query = |_: &str| Err("nothing can be asked here".to_owned());
        let surroundings = Surroundings { now, external_url: "", query: &query };
        run::tell(&self.tree, library, data.clone(), &surroundings, escapes)
            .map_err(|mistake| mistake.placed(&self.text))
    }
}

/// A mistake at a byte of the template.
#[derive(Clone, Debug)]
struct Mistake {
    at: usize,
    message: String,
}

impl Mistake {
    fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    fn placed(self, text: &str) -> TemplateError {
        let before = text.get(..self.at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        TemplateError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: self.message,
        }
    }
}

/// A link to an expression as a table, relative to the server.
pub fn expression_link(expression: &str) -> String {
    links::expression(expression, 1)
}

#[cfg(test)]
mod tests;
