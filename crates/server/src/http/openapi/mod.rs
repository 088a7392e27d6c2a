//! What can be asked of the server, as OpenAPI 3.1: made of one table of operations and the schemas in `docs/schemas`.
//!
//! The table is a text with a line an operation ([`OPERATIONS`]); its head says how to read it. A test walks the sources and
//! fails where a route is not in it, another where the published description is not the one that is served.

use std::sync::OnceLock;

use axum::{
    Router,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Map, Value, json};

use super::App;

/// The table.
const OPERATIONS: &str = include_str!("operations.txt");

/// The schemas that the table names.
const SCHEMAS: [(&str, &str); 3] = [
    ("health-extended.v1", include_str!("../../../../../docs/schemas/health-extended.v1.json")),
    ("diagnostics-metrics.v1", include_str!("../../../../../docs/schemas/diagnostics-metrics.v1.json")),
    (
        "diagnostics-performance.v1",
        include_str!("../../../../../docs/schemas/diagnostics-performance.v1.json"),
    ),
];

/// Statuses that any operation may answer, with what for.
const REFUSALS: [(&str, &str); 8] = [
    ("400", "something in the request is wrong"),
    ("401", "nobody says who asks"),
    ("403", "who asks may not, or not from there"),
    ("404", "there is no such thing"),
    ("405", "the path does not take this method"),
    ("429", "too much is asked at once; `Retry-After` says when to ask again"),
    ("500", "our fault; the log says more"),
    ("503", "the server is not ready or short of memory; `Retry-After` says when to ask again"),
];

/// Where the server is, as the description says it.
const SERVER: &str = r#""url": "/""#;

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/api/barograph/v1/openapi.json", get(description))
}

async fn description(State(app): State<App>) -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    let text = TEXT.get_or_init(text);
    match app.configured().current().external.path() {
        "" => (headers, text.as_str()).into_response(),
        path => {
            (headers, text.replacen(SERVER, &SERVER.replace('/', &format!("{path}/")), 1)).into_response()
        }
    }
}

/// The description, as text that ends with a line's end.
fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}

/// One line of the table.
struct Operation<'t> {
    tag: &'t str,
    method: &'t str,
    path: &'t str,
    summary: &'t str,
    parameters: Vec<&'t str>,
    body: &'t str,
    answers: Vec<(&'t str, &'t str)>,
}

fn operations() -> Vec<Operation<'static>> {
    let mut tag = "";
    let mut found = Vec::new();
    for line in OPERATIONS.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            tag = name;
        } else if !line.is_empty() && !line.starts_with('#') {
            found.push(operation(tag, line).expect("a test reads the whole table"));
        }
    }
    found
}

fn operation<'t>(tag: &'t str, line: &'t str) -> Option<Operation<'t>> {
    let fields: Vec<_> = line.split('|').map(str::trim).collect();
    let [asked, summary, parameters, body, answers] = fields[..] else { return None };
    let (method, path) = asked.split_once(' ')?;
    let parameters = parameters.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
    let answers = answers.split(',').map(|answer| answer.trim().split_once(": ")).collect::<Option<_>>()?;
    Some(Operation { tag, method, path, summary, parameters, body, answers })
}

fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut tags: Vec<&str> = Vec::new();
    for operation in operations() {
        if !tags.contains(&operation.tag) {
            tags.push(operation.tag);
        }
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.to_ascii_lowercase()] = described(&operation);
    }
    let mut schemas = Map::new();
    for (name, text) in SCHEMAS {
        let mut schema: Value = serde_json::from_str(text).expect("a test reads all schemas");
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("$schema");
        }
        schemas.insert(name.to_owned(), schema);
    }
    schemas.insert("problem".to_owned(), problem());
    schemas.insert("prometheus".to_owned(), prometheus());
    let tags: Vec<_> = tags.into_iter().map(|name| json!({"name": name})).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Barograph",
            "version": crate::VERSION,
            "description": "What can be asked of a server over HTTP. Errors under /api/v1 have the form of Prometheus, all others are problems (RFC 9457).",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags,
        "paths": paths,
        "components": {"schemas": schemas, "responses": refusals()},
    })
}

fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "path": {"type": "string", "description": "where in a document it is"},
        },
    })
}

fn prometheus() -> Value {
    json!({
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"enum": ["success", "error"]},
            "data": {},
            "errorType": {"type": "string"},
            "error": {"type": "string"},
            "warnings": {"type": "array", "items": {"type": "string"}},
            "infos": {"type": "array", "items": {"type": "string"}},
        },
    })
}

fn described(operation: &Operation<'_>) -> Value {
    let named = operation.path.split('{').skip(1).filter_map(|part| part.split_once('}'));
    let in_path = named.map(|(name, _)| {
        json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
    });
    let parameters: Vec<_> =
        in_path.chain(operation.parameters.iter().filter_map(|text| parameter(text))).collect();
    let mut responses: Map<String, Value> = Map::new();
    // Each kind of refusal is described once.
    let form = if operation.path.starts_with("/api/v1/") { "prometheus" } else { "problem" };
    for (status, _) in REFUSALS {
        let name = format!("#/components/responses/{form}-{status}");
        responses.insert(status.to_owned(), json!({"$ref": name}));
    }
    for (status, content) in &operation.answers {
        let described = match content_of(content) {
            Some(content) => json!({"description": operation.summary, "content": content}),
            None => json!({"description": operation.summary}),
        };
        responses.insert((*status).to_owned(), described);
    }
    let mut document = json!({
        "operationId": id_of(operation),
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    let (kind, required) = match operation.body.strip_suffix('?') {
        Some(kind) => (kind, false),
        None => (operation.body, true),
    };
    if let Some(content) = body_of(kind) {
        document["requestBody"] = json!({"required": required, "content": content});
    }
    document
}

/// What any operation may answer, by name. What stands before the handlers refuses in forms of its own.
fn refusals() -> Map<String, Value> {
    let forms = [("problem", "application/problem+json"), ("prometheus", "application/json")];
    let all = forms.into_iter().flat_map(|form| REFUSALS.map(|(status, meaning)| (form, status, meaning)));
    let described = |((form, kind), status, meaning): ((&str, &str), &str, &str)| {
        let schema = json!({"$ref": format!("#/components/schemas/{form}")});
        let content = match status {
            "401" | "403" => json!({"*/*": {}}),
            _ => json!({kind: {"schema": schema}, "*/*": {}}),
        };
        (format!("{form}-{status}"), json!({"description": meaning, "content": content}))
    };
    all.map(described).collect()
}

fn id_of(operation: &Operation<'_>) -> String {
    let path = operation.path.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let words: Vec<_> = path.split('_').filter(|word| !word.is_empty()).collect();
    format!("{}_{}", operation.method.to_ascii_lowercase(), words.join("_"))
}

fn parameter(text: &str) -> Option<Value> {
    let (name, kind) = text.rsplit_once(':')?;
    let (name, several) = name.strip_suffix('*').map_or((name, false), |name| (name, true));
    let (name, required) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
    let schema = match kind {
        "text" => json!({"type": "string"}),
        "count" => json!({"type": "integer", "minimum": 0}),
        "number" => json!({"type": "number"}),
        "flag" => json!({"type": "boolean"}),
        "time" => {
            json!({"type": "string", "description": "Unix seconds with a fraction, or RFC 3339", "examples": ["1700000000.5", "2023-11-14T22:13:20Z"]})
        }
        "duration" => {
            json!({"type": "string", "description": "seconds, or a duration such as 1h30m", "examples": ["15", "5m"]})
        }
        "tier" => json!({"enum": ["auto", "raw", "1m", "5m", "1h"]}),
        words => json!({"enum": words.split('/').collect::<Vec<_>>()}),
    };
    let schema = if several { json!({"type": "array", "items": schema}) } else { schema };
    let mut parameter = json!({"name": name, "in": "query", "required": required, "schema": schema});
    if several {
        parameter["style"] = "form".into();
        parameter["explode"] = true.into();
    }
    Some(parameter)
}

fn body_of(kind: &str) -> Option<Value> {
    Some(match kind {
        "" => return None,
        "json" => json!({"application/json": {"schema": {}}}),
        "form" => {
            json!({"application/x-www-form-urlencoded": {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}})
        }
        "text" => json!({"text/plain": {"schema": {"type": "string"}}}),
        _ => json!({"application/x-protobuf": {"schema": {"type": "string", "format": "binary"}}}),
    })
}

fn content_of(kind: &str) -> Option<Value> {
    Some(match kind {
        "none" => return None,
        "any" => json!({"*/*": {}}),
        "json" => json!({"application/json": {"schema": {"type": "object"}}}),
        "text" => json!({"text/plain": {"schema": {"type": "string"}}}),
        "yaml" => json!({"application/yaml": {}}),
        "events" => json!({"text/event-stream": {}}),
        "page" => json!({"text/html": {}}),
        "metrics" => json!({"text/plain": {}, "application/openmetrics-text": {}, "*/*": {}}),
        "problem" => {
            json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/problem"}}})
        }
        schema => {
            json!({"application/json": {"schema": {"$ref": format!("#/components/schemas/{schema}")}}})
        }
    })
}

#[cfg(test)]
mod tests;
