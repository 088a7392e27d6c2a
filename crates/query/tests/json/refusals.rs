//! What is refused, and where it is said to be wrong.

use barograph_model::{Budget, Timestamp};
use barograph_query::{
    json::{self, Error, Query},
    script::Memory,
};
use serde_json::{Value, json};

use crate::{APRIL, HOUR, load};

fn check(query: Value, path: &str, words: &str) {
    let document = json!({"query": query});
    let error = Query::read(&document).expect_err(&document.to_string());
    assert_eq!(error.path, path, "{error}");
    assert!(error.message.contains(words), "{error}");
}

#[test]
fn documents() {
    let parse = |text: &str| Query::parse(text.as_bytes()).unwrap_err().to_string();
    assert_eq!(parse("{}"), "query: is missing");
    assert_eq!(parse("[]"), "expected an object, got a list");
    assert_eq!(parse(r#"{"query": {}, "x": 1}"#), "x: unknown key; known are query");
    assert!(parse("{\"query\": \n{").starts_with("is no JSON: EOF"), "{}", parse("{"));
    assert!(parse(&format!("{{\"query\": \"{}\"}}", "x".repeat(300_000))).contains("longer than"));
    check(json!({}), "query.metrics", "name at least one metric");
    check(json!({"metrics": "m"}), "query.metrics", "expected a list, got a text");
    check(json!({"metrics": ["m", 1]}), "query.metrics[1]", "expected a text");
    check(json!({"metrics": [""]}), "query.metrics[0]", "is empty");
    check(json!({"metrics": ["/a(/"]}), "query.metrics[0]", "is no pattern");
    check(json!({"metrics": [{"regx": "a"}]}), "query.metrics[0].regx", "unknown key");
    check(json!({"metrics": vec!["m"; 65]}), "query.metrics", "more than the 64");
    check(json!({"metrics": ["m"], "fliter": {}}), "query.fliter", "unknown key; known are metrics, filter");
}

#[test]
fn filters() {
    let filter = |filter: Value| json!({"metrics": ["m"], "filter": filter});
    check(filter(json!({"range": {}})), "query.filter.range", "unknown key");
    check(filter(json!({"timeRange": {"from": 1}})), "query.filter.timeRange.from", "unknown key");
    check(
        filter(json!({"timeRange": {"start": "yesterday"}})),
        "query.filter.timeRange.start",
        "expected a time",
    );
    check(filter(json!({"timeRange": {"end": 1.5}})), "query.filter.timeRange.end", "expected a time");
    check(
        filter(json!({"timeRange": {"start": 2, "end": 2}})),
        "query.filter.timeRange",
        "not after the start",
    );
    check(filter(json!({"dimensions": []})), "query.filter.dimensions", "expected an object");
    check(
        filter(json!({"dimensions": {"a": null}})),
        "query.filter.dimensions.a",
        "expected a text, a number",
    );
    check(filter(json!({"dimensions": {"a": []}})), "query.filter.dimensions.a", "is empty");
    check(filter(json!({"dimensions": {"a": {}}})), "query.filter.dimensions.a", "give one of equals");
    check(
        filter(json!({"dimensions": {"a b": {"like": "x"}}})),
        "query.filter.dimensions[\"a b\"].like",
        "unknown key",
    );
    check(
        filter(json!({"dimensions": {"a": {"regex": "("}}})),
        "query.filter.dimensions.a.regex",
        "error parsing",
    );
    check(
        filter(json!({"dimensions": {"a": {"in": ["x", {}]}}})),
        "query.filter.dimensions.a.in[1]",
        "expected",
    );
    check(
        filter(json!({"dimensions": {"a": vec!["x"; 1001]}})),
        "query.filter.dimensions.a",
        "more than the 1000",
    );
    let many: serde_json::Map<String, Value> = (0..33).map(|i| (format!("a{i}"), json!("x"))).collect();
    check(filter(json!({"dimensions": many})), "query.filter.dimensions", "more than 32");
}

#[test]
fn clauses() {
    let with = |key: &str, value: Value| json!({"metrics": ["m"], key: value});
    check(with("groupBy", json!(["a", "a"])), "query.groupBy[1]", "is there twice");
    check(with("groupBy", json!(["a", "*"])), "query.groupBy[1]", "stands alone");
    check(with("groupBy", json!(vec!["a"; 17])), "query.groupBy", "more than the 16");
    let first = |value: Value| with("aggregations", json!([value]));
    check(first(json!({})), "query.aggregations[0].type", "is missing");
    check(first(json!({"type": "MEDIAN"})), "query.aggregations[0].type", "is none of SUM, AVG");
    check(first(json!({"type": "AVG", "window": "soon"})), "query.aggregations[0].window", "length of time");
    check(first(json!({"type": "AVG", "window": 0})), "query.aggregations[0].window", "length of time");
    check(first(json!({"type": "PERCENTILE"})), "query.aggregations[0].percentile", "is missing");
    check(
        first(json!({"type": "PERCENTILE", "percentile": 101})),
        "query.aggregations[0].percentile",
        "0 to 100",
    );
    check(
        first(json!({"type": "AVG", "percentile": 5})),
        "query.aggregations[0].percentile",
        "only PERCENTILE",
    );
    check(
        first(json!({"type": "AVG", "metric": "x"})),
        "query.aggregations[0].metric",
        "not among the metrics",
    );
    check(first(json!({"type": "AVG", "as": "x"})), "query.aggregations[0].as", "unknown key");
    check(
        with("aggregations", json!(vec![json!({"type": "AVG"}); 17])),
        "query.aggregations",
        "more than the 16",
    );
    let computed = |value: Value| with("calculations", json!([value]));
    check(computed(json!({"name": "x"})), "query.calculations[0].expression", "is missing");
    check(computed(json!({"expression": "a +"})), "query.calculations[0].expression", "column 4: expected");
    check(computed(json!({"expression": "a", "name": 5})), "query.calculations[0].name", "expected a text");
    let twice = json!([{"name": "x", "expression": "a"}, {"name": "x", "expression": "b"}]);
    check(with("calculations", twice), "query.calculations[1].name", "has this name");
    check(with("sort", json!({"order": "ASC"})), "query.sort.field", "is missing");
    check(with("sort", json!({"field": "x"})), "query.sort.field", "no metric of the query");
    check(with("sort", json!({"field": "m", "order": "UP"})), "query.sort.order", "is none of ASC, DESC");
    check(with("limit", json!(0)), "query.limit", "from 1 to 11000");
    check(with("limit", json!("5")), "query.limit", "from 1 to 11000");
    check(with("targetPoints", json!(1.5)), "query.targetPoints", "from 1 to 11000");
    check(with("granularity", json!("2m")), "query.granularity", "is none of auto, raw, 1m, 5m, 1h");
    check(with("pattern", json!({"sequence": []})), "query.pattern.conditions", "is missing");
    let conditions = json!({"conditions": {"a": "cpu > "}, "sequence": [{"when": "a"}]});
    check(with("pattern", conditions), "query.pattern.conditions.a", "column 7: expected");
}

#[test]
fn what_makes_no_sense_of_what_is_stored() {
    let mut memory = Memory::new();
    for name in ["q_seconds", "q_bytes", "h_bucket", "h_sum", "h_count"] {
        load(&mut memory, &[("__name__", name), ("flowId", "1"), ("flow_id", "2")], [(APRIL, 1.0)]);
    }
    let check = |query: Value, budget: &Budget, path: &str, words: &str| {
        let mut document = json!({"query": query});
        document["query"]["filter"] = json!({"timeRange": {"start": APRIL, "end": "now"}});
        let query = Query::read(&document).unwrap();
        let error = json::answer(&memory, &query, Timestamp(APRIL + HOUR), budget).unwrap_err();
        let at = if let Error::Invalid(error) = &error { error.path.as_str() } else { "" };
        assert_eq!(at, path, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    let any = Budget::unlimited();
    check(json!({"metrics": ["q"]}), &any, "query.metrics[0]", "may be any of q_bytes, q_seconds");
    let expression = json!([{"expression": "q * 2"}]);
    check(json!({"calculations": expression}), &any, "query.calculations[0].expression", "may be any of");
    let group = json!({"metrics": ["q_bytes"], "groupBy": ["flow.id"]});
    check(group, &any, "query.groupBy[0]", "may be any of the labels flowId, flow_id");
    let least = json!({"metrics": ["h"], "aggregations": [{"type": "MIN"}]});
    check(least, &any, "query.aggregations[0].type", "is a histogram of buckets");
    let many =
        json!({"metrics": ["h_sum"], "aggregations": [{"type": "AVG"}, {"type": "AVG", "window": "1ms"}]});
    check(many, &any, "query.aggregations[1].window", "makes 3600000 buckets");
    let asked =
        json!({"metrics": ["h_sum"], "aggregations": [{"type": "AVG", "window": "7m"}], "granularity": "1h"});
    check(asked, &any, "query.aggregations[0].window", "is no multiple of 1h");
    let small = Budget::new(100);
    let wide = json!({"metrics": ["h_sum"], "groupBy": ["flowId"], "aggregations": [{"type": "AVG", "window": "1s"}]});
    check(wide, &small, "", "too many samples");
    let now =
        json!({"query": {"metrics": ["h_sum"], "filter": {"timeRange": {"start": "now", "end": "now-1h"}}}});
    let query = Query::read(&now).unwrap();
    let error = json::answer(&memory, &query, Timestamp(APRIL), &Budget::unlimited()).unwrap_err();
    assert_eq!(error.to_string(), "query.filter.timeRange: the end is not after the start");
}
