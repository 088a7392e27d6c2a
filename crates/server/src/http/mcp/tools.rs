//! The tools: what each takes, and which path answers it.

use std::sync::Arc;

use barograph_model::Timestamp;
use form_urlencoded::Serializer;
use rmcp::model::{JsonObject, Tool as Described, ToolAnnotations};
use serde_json::{Value, json};

/// Something that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    ListMetrics,
    Query,
    Explain,
    ListHealth,
    ListAlerts,
}

/// A question as the server's own paths take it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The path, with its parameters.
    pub(super) path: String,
    /// What was asked, in words that a person can ask again.
    pub(super) words: String,
    /// The page where the answer can be seen.
    pub(super) page: String,
}

/// Series of an answer, if it is not said how many.
const SERIES: u64 = 100;
/// Metrics of a list, if it is not said how many.
const METRICS: u64 = 200;
/// No more of either.
const MOST: u64 = 1_000;
/// A longer argument is no question.
const TEXT_BYTES_MAX: usize = 16 << 10;

impl Tool {
    pub(super) const ALL: [Self; 5] =
        [Self::ListMetrics, Self::Query, Self::Explain, Self::ListHealth, Self::ListAlerts];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ListMetrics => "list_metrics",
            Self::Query => "query",
            Self::Explain => "explain",
            Self::ListHealth => "list_health",
            Self::ListAlerts => "list_alerts",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::ListMetrics => {
                "List the metrics that are stored, with type, unit, help and how many series each has."
            }
            Self::Query => {
                "Evaluate a PromQL expression: at one time (now, or `time`), or over a range (`start`, `end` and `step`)."
            }
            Self::Explain => {
                "Say what a PromQL expression comes down to and how much it would read, part by part; with `analyze` \
                 also what it did."
            }
            Self::ListHealth => {
                "Say how each component fares that is checked, and why where it does not fare well."
            }
            Self::ListAlerts => "List the alerts that are pending or firing.",
        }
    }

    /// As it is told to whoever asks what there is.
    pub(super) fn describe(self) -> Described {
        let text = |about: &str| json!({"type": "string", "description": about});
        let number =
            |about: &str| json!({"type": "integer", "minimum": 1, "maximum": MOST, "description": about});
        let time = "RFC 3339, or seconds since the epoch";
        let query = || text("A PromQL expression.");
        let range = || {
            [
                ("start", text(&format!("The first time of a range: {time}."))),
                ("end", text(&format!("The last time of a range: {time}."))),
                ("step", text("Time from one point of a range to the next, such as 30s.")),
            ]
        };
        let (properties, required): (Vec<(&str, Value)>, Vec<&str>) = match self {
            Self::ListMetrics => (
                vec![
                    ("prefix", text("How the names begin.")),
                    ("limit", number("How many are listed at most; 200 by default.")),
                ],
                vec![],
            ),
            Self::Query => {
                let mut properties = vec![("query", query()), ("time", text(&format!("When: {time}.")))];
                properties.extend(range());
                properties.push(("limit", number("How many series are answered at most; 100 by default.")));
                (properties, vec!["query"])
            }
            Self::Explain => {
                let mut properties = vec![("query", query()), ("time", text(&format!("When: {time}.")))];
                properties.extend(range());
                let analyze = json!({"type": "boolean", "description": "Whether it is run, too."});
                properties.push(("analyze", analyze));
                (properties, vec!["query"])
            }
            Self::ListHealth | Self::ListAlerts => (vec![], vec![]),
        };
        let properties: JsonObject =
            properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let mut schema = JsonObject::new();
        schema.insert("type".to_owned(), "object".into());
        schema.insert("properties".to_owned(), properties.into());
        schema.insert("required".to_owned(), required.into());
        schema.insert("additionalProperties".to_owned(), false.into());
        Described::new(self.name(), self.description(), Arc::new(schema))
            .with_annotations(ToolAnnotations::new().read_only(true))
    }

    /// Makes a question of arguments.
    pub(super) fn ask(self, arguments: &JsonObject) -> Result<Asked, String> {
        let known = self.describe().input_schema;
        let known = known.get("properties").and_then(Value::as_object);
        if let Some(name) = arguments.keys().find(|name| known.is_none_or(|known| !known.contains_key(*name)))
        {
            return Err(format!("`{name}` is no argument of {}", self.name()));
        }
        match self {
            Self::ListMetrics => {
                let prefix = optional(arguments, "prefix")?.unwrap_or_default();
                let limit = limit(arguments, METRICS)?;
                let path = with("/api/barograph/v1/metrics", &[("prefix", &prefix), ("limit", &limit)]);
                Ok(Asked {
                    path,
                    words: format!("metrics that begin with {prefix:?}"),
                    page: "/ui/explore".into(),
                })
            }
            Self::Query => {
                let query = needed(arguments, "query")?;
                let mut fields = vec![("query", query.clone()), ("limit", limit(arguments, SERIES)?)];
                let is_range = times(arguments, &mut fields)?;
                let path = if is_range { "/api/v1/query_range" } else { "/api/v1/query" };
                Ok(Asked { path: with(path, &fields), page: explore(&query, arguments)?, words: query })
            }
            Self::Explain => {
                let query = needed(arguments, "query")?;
                let mut fields = vec![("query", query.clone())];
                times(arguments, &mut fields)?;
                match arguments.get("analyze") {
                    None | Some(Value::Null | Value::Bool(false)) => {}
                    Some(Value::Bool(true)) => fields.push(("analyze", "true".to_owned())),
                    Some(_) => return Err("`analyze` should be true or false".to_owned()),
                }
                let path = with("/api/barograph/v1/query/explain", &fields);
                Ok(Asked { path, page: explore(&query, arguments)?, words: query })
            }
            Self::ListHealth => Ok(Asked {
                path: "/api/barograph/v1/health/components".to_owned(),
                words: "health of all components".to_owned(),
                page: "/ui/health".to_owned(),
            }),
            Self::ListAlerts => Ok(Asked {
                path: "/api/v1/alerts".to_owned(),
                words: "alerts that are pending or firing".to_owned(),
                page: "/ui/health".to_owned(),
            }),
        }
    }
}

/// The times of a question, among its fields; whether it is about a range.
fn times(arguments: &JsonObject, fields: &mut Vec<(&'static str, String)>) -> Result<bool, String> {
    let mut given = Vec::new();
    for name in ["start", "end", "step"] {
        given.extend(optional(arguments, name)?.map(|value| (name, value)));
    }
    let time = optional(arguments, "time")?;
    match (given.len(), &time) {
        (0, _) => {
            fields.extend(time.map(|time| ("time", time)));
            Ok(false)
        }
        (3, None) => {
            fields.extend(given);
            Ok(true)
        }
        (3, Some(_)) => Err("give either `time`, or `start`, `end` and `step`".to_owned()),
        _ => Err("a range needs `start`, `end` and `step`".to_owned()),
    }
}

/// A path with parameters; those that say nothing are left out.
fn with(path: &str, fields: &[(&str, impl AsRef<str>)]) -> String {
    let mut query = Serializer::new(String::new());
    query.extend_pairs(fields.iter().filter(|(_, value)| !value.as_ref().is_empty()));
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// The page that shows the same.
fn explore(query: &str, arguments: &JsonObject) -> Result<String, String> {
    let mut fields = vec![("q", query.to_owned())];
    let (start, end) = (optional(arguments, "start")?, optional(arguments, "end")?);
    fields.extend(start.map(|start| ("from", moment(start))));
    fields.extend(end.map(|end| ("to", moment(end))));
    Ok(with("/ui/explore", &fields))
}

/// A time as pages write it.
#[expect(clippy::cast_possible_truncation, reason = "what is no time of a page is shown as its default")]
fn moment(text: String) -> String {
    match text.parse::<f64>() {
        Ok(seconds) => Timestamp((seconds * 1e3) as i64).to_rfc3339(),
        Err(_) => text,
    }
}

fn needed(arguments: &JsonObject, name: &str) -> Result<String, String> {
    optional(arguments, name)?.filter(|text| !text.is_empty()).ok_or_else(|| format!("`{name}` is needed"))
}

/// A text; a number will do.
fn optional(arguments: &JsonObject, name: &str) -> Result<Option<String>, String> {
    match arguments.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= TEXT_BYTES_MAX => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(format!("`{name}` is longer than {TEXT_BYTES_MAX} bytes")),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(format!("`{name}` should be a text")),
    }
}

fn limit(arguments: &JsonObject, default: u64) -> Result<String, String> {
    let limit = match arguments.get("limit") {
        None | Some(Value::Null) => Some(default),
        Some(value) => value.as_u64().filter(|limit| (1..=MOST).contains(limit)),
    };
    limit.map(|limit| limit.to_string()).ok_or_else(|| format!("`limit` should be a number from 1 to {MOST}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(tool: Tool, arguments: Value) -> Result<Asked, String> {
        tool.ask(arguments.as_object().unwrap())
    }

    #[test]
    fn questions_are_paths() {
        let check = |tool, arguments, path: &str| assert_eq!(ask(tool, arguments).unwrap().path, path);
        check(Tool::ListMetrics, json!({}), "/api/barograph/v1/metrics?limit=200");
        check(Tool::Query, json!({"query": "a + b"}), "/api/v1/query?query=a+%2B+b&limit=100");
        let range = json!({"query": "a", "start": 0, "end": "60", "step": "15s", "limit": 5});
        check(Tool::Query, range, "/api/v1/query_range?query=a&limit=5&start=0&end=60&step=15s");
        let explain = json!({"query": "a", "analyze": true});
        check(Tool::Explain, explain, "/api/barograph/v1/query/explain?query=a&analyze=true");
        assert_eq!(ask(Tool::Query, json!({"query": "up"})).unwrap().page, "/ui/explore?q=up");
    }

    #[test]
    fn what_is_no_question_is_told() {
        let check = |tool, arguments, why: &str| {
            let text = ask(tool, arguments).unwrap_err();
            assert!(text.contains(why), "{text}");
        };
        check(Tool::Query, json!({}), "`query` is needed");
        check(Tool::Query, json!({"query": "a", "start": 1}), "a range needs");
        check(Tool::Query, json!({"query": ["a"]}), "should be a text");
        check(Tool::Query, json!({"query": "a", "limit": 0}), "from 1 to 1000");
        check(Tool::Query, json!({"query": "a".repeat(20_000)}), "longer than");
        check(Tool::ListAlerts, json!({"query": "a"}), "no argument");
        check(Tool::Explain, json!({"query": "a", "analyze": "yes"}), "true or false");
    }
}
