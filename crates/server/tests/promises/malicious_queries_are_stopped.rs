//! A query made to hurt is refused, or stopped at its limit; what it took is given back, and the next one is answered.

use crate::support::{Running, configured, now_ms, request, start};
use hyper::Method;

const CONFIG: &str = "
collectors: {built_in: false}
query: {max_samples: 5_000_000, max_series: 500, max_bytes: 100MiB, timeout: 6s, experimental: true}
";

/// A hundred series `x` with sixty samples each, and a histogram of buckets.
async fn filled(running: &Running) -> i64 {
    let t = now_ms();
    let samples: Vec<(i64, f64)> = (0..60).map(|i| (t - (59 - i) * 1_000, i as f64)).collect();
    let names: Vec<String> = (0..100).map(|i| format!("{i}-{}", "v".repeat(40))).collect();
    let labels: Vec<_> = names.iter().map(|name| [("__name__", "x"), ("host", name.as_str())]).collect();
    let series: Vec<_> = labels.iter().map(|labels| (&labels[..], &samples[..])).collect();
    assert_eq!(running.write(&request(&series)).await.status, 204);
    let buckets = ["1", "2", "+Inf"].map(|le| [("__name__", "h_bucket"), ("le", le)]);
    let series: Vec<_> = buckets.iter().map(|labels| (&labels[..], &samples[..])).collect();
    assert_eq!(running.write(&request(&series)).await.status, 204);
    t / 1_000
}

/// What is asked over many steps, and what the refusal says; an empty text where it may be answered.
fn expressions() -> Vec<(&'static str, String, &'static str)> {
    let nested = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    let doubled = |times: usize| {
        let mut text = "x".to_owned();
        for _ in 0..times {
            text = format!(r#"label_replace({text}, "host", "$1$1", "host", "(.*)")"#);
        }
        text
    };
    let listed = |item: &dyn Fn(usize) -> String, count: usize, between: &str| {
        (0..count).map(item).collect::<Vec<_>>().join(between)
    };
    let large = |i: usize| format!(r#"a=~"[a-z]{{20}}(\\w{{{}}})""#, i + 1);
    vec![
        ("parentheses", nested("(", "1", ")", 100_000), "nested deeper than 200 levels"),
        ("signs", nested("-", "1", "", 100_000), "nested deeper than 200 levels"),
        ("a chain of operators", vec!["x"; 100_000].join("+"), "nested deeper than 200 levels"),
        ("calls", nested("abs(", "x", ")", 50_000), "nested deeper than 200 levels"),
        ("a long text", format!("x{}", " ".repeat(2 << 20)), "longer than 1048576 bytes"),
        ("a large pattern", r#"x{a=~"((a{100}){100}){100}"}"#.into(), "error parsing regexp"),
        ("a pattern that others go back in", r#"x{host=~"((v+)+)+(.*)*!"}"#.into(), ""),
        (
            "many large patterns",
            format!("x{{{}}}", listed(&large, 40, ",")),
            "regular expressions of one query may take 1048576 bytes",
        ),
        (
            "many names in a pattern",
            format!("x{{host=~\"{}\"}}", listed(&|i| i.to_string(), 100_000, "|")),
            "",
        ),
        (
            "a subquery of centuries",
            "count_over_time(x[100y:1ms])".into(),
            "(limit 5000000); the setting is query.max_samples",
        ),
        ("a subquery of a number", "count_over_time(vector(1)[100y:1ms])".into(), "too many samples"),
        (
            "subqueries in subqueries",
            "max_over_time(max_over_time(max_over_time(x[30d:1s])[30d:1s])[30d:1s])".into(),
            "too many samples",
        ),
        ("a label that doubles", doubled(60), "may make a label value longer than 65536 bytes"),
        (
            "a label joined of many",
            format!("label_join(x, \"a\", \"\", {})", vec!["\"host\""; 50_000].join(",")),
            "may make a label value longer than 65536 bytes",
        ),
        ("a value for each label set", "count_values(\"v\", vector(time()))".into(), "query.max_"),
        (
            "many quantiles",
            format!(
                "histogram_quantiles(h_bucket, \"q\", {})",
                listed(&|i| format!("0.{:05}", i + 1), 5_000, ",")
            ),
            "at most 12 argument",
        ),
        ("a greatest of too many", "topk(1e300, x)".into(), "overflows int64"),
        ("a greatest of all", "topk(1e15, x)".into(), ""),
        ("groups by many labels", format!("sum by ({}) (x)", listed(&|i| format!("l{i}"), 100_000, ",")), ""),
        (
            "everything with everything",
            "x * on () group_left () x".into(),
            "many-to-many matching not allowed",
        ),
        (
            "too many series",
            format!("x{}", " or x".repeat(30)),
            "(limit 500); the setting is query.max_series",
        ),
        ("work without end", "mad_over_time(vector(1)[1h:10ms])".into(), "query.timeout"),
        ("everything there is", "{__name__=~\".+\"}[100y:1ms]".into(), "range vector"),
    ]
}

#[tokio::test]
async fn in_promql() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(CONFIG)).await;
    let t = filled(&running).await;
    let steps = format!("start={}&end={t}&step=1", t - 8_000);
    for (what, expression, expected) in expressions() {
        let form = format!("{steps}&query={}", encoded(&expression));
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let reply = running.call(Method::POST, "/api/v1/query_range", &headers, form.as_bytes()).await;
        let told = &reply.text[..reply.text.floor_char_boundary(600)];
        assert_eq!(reply.status == 200, expected.is_empty(), "{what}: {told}");
        assert!(reply.text.contains(expected), "{what}: {told}");
        // So is its plan, where it has one, and it is small.
        let path = "/api/barograph/v1/query/explain";
        let plan = running.call(Method::POST, path, &headers, form.as_bytes()).await;
        assert!(plan.text.len() < 4 << 20, "{what}: {} bytes of plan", plan.text.len());
    }
    let reply = running.get("/api/v1/query_range?query=x&start=0&end=1000000000&step=1").await;
    assert!(reply.status == 400 && reply.text.contains("11,000 points"), "{}", reply.text);
    let list = running.get("/api/barograph/v1/queries").await.json();
    let left = list["running"].as_array().unwrap();
    assert!(left.iter().all(|query| query["state"] == "stopping"), "{left:?}");
    let reply = running.get("/api/v1/query?query=count(x)").await;
    assert!(reply.text.contains("\"100\""), "{}", reply.text);
    running.server.stop().await;
}

/// A form value.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[tokio::test]
async fn as_documents() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(CONFIG)).await;
    filled(&running).await;
    let query = |rest: &str| format!(r#"{{"query": {{"metrics": ["x"], "groupBy": ["*"], {rest}}}}}"#);
    let sum = |times: usize| vec!["x"; times].join(" + ");
    let cases = [
        ("brackets", "[".repeat(100_000), "recursion limit"),
        (
            "a long document",
            query(&format!("\"sort\": \"{}\"", "x".repeat(300 << 10))),
            "longer than 262144 bytes",
        ),
        ("many buckets", query(r#""aggregations": [{"type": "AVG", "window": "1ms"}]"#), "more than 11000"),
        (
            "a deep calculation",
            query(&format!(
                r#""calculations": [{{"name": "c", "expression": "{}x{}"}}]"#,
                "(".repeat(500),
                ")".repeat(500)
            )),
            "nested deeper than 32 levels",
        ),
        (
            "a long calculation",
            query(&format!(r#""calculations": [{{"name": "c", "expression": "{}"}}]"#, sum(2_000))),
            "longer than 4096 bytes",
        ),
        (
            "a large pattern",
            r#"{"query": {"metrics": ["/((a{100}){100}){100}/"]}}"#.into(),
            "query.metrics[0]",
        ),
        (
            "a large condition",
            query(r#""filter": {"dimensions": {"host": {"regex": "((a{100}){100}){100}"}}}"#),
            "query.filter.dimensions.host",
        ),
        (
            "a long calculation of what is there",
            query(&format!(r#""calculations": [{{"name": "c", "expression": "{}"}}]"#, sum(30))),
            "the setting is query.max_",
        ),
        (
            "centuries",
            query(
                r#""filter": {"timeRange": {"start": 0, "end": "now"}}, "aggregations": [{"type": "P95", "window": "1h"}]"#,
            ),
            "more than 11000",
        ),
    ];
    for (what, document, expected) in cases {
        let headers = [("content-type", "application/json")];
        let reply =
            running.call(Method::POST, "/api/barograph/v1/query", &headers, document.as_bytes()).await;
        let told = &reply.text[..reply.text.floor_char_boundary(600)];
        assert!(!reply.status.is_success() && reply.text.contains(expected), "{what}: {told}");
    }
    let reply =
        running.call(Method::POST, "/api/barograph/v1/query", &[], query(r#""limit": 3"#).as_bytes()).await;
    assert_eq!(reply.json()["results"].as_array().unwrap().len(), 3, "{}", reply.text);
    running.server.stop().await;
}
