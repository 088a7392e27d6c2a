//! `GET` and `POST /query`: what clients of InfluxDB 1 ask before they write.
//!
//! `SHOW DATABASES` lists the databases and buckets that something was written to, `CREATE DATABASE` says that it is fine:
//! there is nothing to create. All else is asked in PromQL, and refused here with that advice.

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use barograph_model::{Budget, Selection, Source, TimeRange};
use serde_json::{Value, json};

use super::{App, params::Params};
use crate::{Engine, current};

/// The label that a database or bucket becomes.
const DATABASE: &str = "db";
/// Series that are looked at for their databases, at most.
const SERIES_MAX: u64 = 1_000_000;
/// Statements of one request, at most.
const STATEMENTS_MAX: usize = 16;

/// What who asks anything else is told.
const ADVICE: &str =
    "only SHOW DATABASES and CREATE DATABASE are answered here; ask in PromQL, at /api/v1/query";

pub(crate) fn routes() -> Router<App> {
    Router::new().route("/query", get(query).post(query))
}

async fn query(State(app): State<App>, params: Params) -> Response {
    match answered(&app, params.first("q").unwrap_or_default()).await {
        Ok(results) => Json(json!({ "results": results })).into_response(),
        Err((status, why)) => {
            let mut response = (status, Json(json!({ "error": why }))).into_response();
            if status == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
            }
            response
        }
    }
}

/// What a client may ask here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statement {
    ShowDatabases,
    CreateDatabase,
}

async fn answered(app: &App, text: &str) -> Result<Vec<Value>, (StatusCode, String)> {
    let statements = statements(text).map_err(|why| (StatusCode::BAD_REQUEST, why))?;
    let mut results = Vec::with_capacity(statements.len());
    for (id, statement) in statements.into_iter().enumerate() {
        let mut result = json!({ "statement_id": id });
        if statement == Statement::ShowDatabases {
            let opening = || (StatusCode::SERVICE_UNAVAILABLE, "the store is being opened".to_owned());
            let engine = app.ready().ok_or_else(opening)?;
            let failed = |why: String| (StatusCode::INTERNAL_SERVER_ERROR, why);
            let found = current::blocking(move || databases(&engine)).await;
            let found = found.map_err(|_| failed("looking failed; the log says why".to_owned()))?;
            let rows: Vec<Value> = found.map_err(failed)?.into_iter().map(|name| json!([name])).collect();
            let mut series = json!({ "name": "databases", "columns": ["name"] });
            if !rows.is_empty() {
                series["values"] = rows.into();
            }
            result["series"] = json!([series]);
        }
        results.push(result);
    }
    Ok(results)
}

/// The values of the label that databases become.
fn databases(engine: &Engine) -> Result<Vec<String>, String> {
    let selection = Selection { matchers: &[], range: TimeRange::ALL };
    let values = engine.store.label_values(DATABASE, &selection, &Budget::new(SERIES_MAX));
    values.map_err(|error| error.to_string())
}

/// The statements of a text, in order.
fn statements(text: &str) -> Result<Vec<Statement>, String> {
    let parts: Vec<_> = text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
    match parts.len() {
        0 => Err("missing required parameter \"q\"".to_owned()),
        1..=STATEMENTS_MAX => parts.into_iter().map(statement).collect(),
        _ => Err(format!("more than {STATEMENTS_MAX} statements in one request")),
    }
}

fn statement(text: &str) -> Result<Statement, String> {
    let words: Vec<_> = text.split_whitespace().map(str::to_ascii_uppercase).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["SHOW", "DATABASES"] => Ok(Statement::ShowDatabases),
        ["CREATE", "DATABASE", _, ..] => Ok(Statement::CreateDatabase),
        _ => Err(ADVICE.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_ask_at_their_start_is_understood() {
        let check =
            |text: &str, expected: &[Statement]| assert_eq!(statements(text).unwrap(), expected, "{text}");
        check("SHOW DATABASES", &[Statement::ShowDatabases]);
        check("show  databases;", &[Statement::ShowDatabases]);
        check("CREATE DATABASE \"a b\" WITH DURATION 1d", &[Statement::CreateDatabase]);
        check("create database x; SHOW DATABASES", &[Statement::CreateDatabase, Statement::ShowDatabases]);
    }

    #[test]
    fn all_else_is_refused_with_advice() {
        for text in
            ["SELECT * FROM cpu", "DROP DATABASE x", "CREATE DATABASE", "SHOW DATABASES x", "SHOW", "é"]
        {
            assert!(statements(text).unwrap_err().contains("ask in PromQL"), "{text}");
        }
        assert!(statements(" ; ").unwrap_err().contains("missing required parameter"));
        assert!(statements(&"SHOW DATABASES;".repeat(17)).unwrap_err().contains("more than 16"));
    }
}
