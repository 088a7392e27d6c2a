//! What the documentation shows is what is taken.

use barograph_query::{json::Query, parse};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../../docs/query.md");

#[test]
fn the_two_languages_side_by_side() {
    let table = PAGE.split("## Side by side").nth(1).expect("the page has that part");
    let table = table.split("## ").next().unwrap_or_default();
    let rows = table.lines().skip(3).filter(|line| line.starts_with("| ") && line.contains("`{"));
    let mut count = 0;
    for row in rows {
        let mut texts = row.split('`').skip(1).step_by(2);
        let (promql, document) =
            (texts.next().expect("a row has PromQL"), texts.last().expect("and a document"));
        parse(promql).unwrap_or_else(|error| panic!("{promql}: {error}"));
        let document: Value = serde_json::from_str(document).unwrap_or_else(|e| panic!("{document}: {e}"));
        Query::read(&json!({ "query": document })).unwrap_or_else(|error| panic!("{document}: {error}"));
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn whole_documents() {
    let blocks = PAGE.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let queries: Vec<Value> = blocks
        .map(|block| serde_json::from_str(block).unwrap_or_else(|error| panic!("{block}: {error}")))
        .filter(|value: &Value| value.get("query").is_some())
        .collect();
    assert!(queries.len() >= 3);
    for query in queries {
        Query::read(&query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}
