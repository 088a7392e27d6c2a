//! A question names the tier that answers, and the answer says which did; every aggregate can be had as JSON.

use crate::support::{now_ms, start_quiet};
use http::Method;
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;

#[tokio::test]
async fn by_promql_and_as_points() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let start = (now_ms() / HOUR - 1) * HOUR;
    let samples: Vec<(i64, f64)> = (0..120).map(|i| (start + i * 30_000, i as f64)).collect();
    running.write_series(&[("__name__", "x_total"), ("job", "a")], &samples).await;
    let at = (start + HOUR) / 1000;

    let asked = |tier: &str| format!("/api/v1/query?query=x_total&time={at}&tier={tier}");
    for (tier, value, infos) in [("raw", "119", 0), ("1m", "119", 1), ("1h", "119", 1), ("auto", "119", 0)] {
        let reply = running.get(&asked(tier)).await;
        let body = reply.json();
        assert_eq!(body["data"]["result"][0]["value"][1], value, "{tier}: {}", reply.text);
        assert_eq!(body["infos"].as_array().map_or(0, Vec::len), infos, "{tier}: {}", reply.text);
        assert_eq!(reply.headers["x-barograph-tier"], if tier == "auto" { "raw" } else { tier });
    }
    let bad = running.get(&asked("10m")).await;
    assert_eq!(bad.status, 400);
    assert!(bad.text.contains("invalid parameter \\\"tier\\\"") && bad.text.contains("auto"), "{}", bad.text);
    let range =
        format!("/api/v1/query_range?query=increase(x_total[30m])&start={at}&end={at}&step=60&tier=5m");
    let reply = running.get(&range).await;
    assert_eq!(reply.headers["x-barograph-tier"], "5m");
    assert!(reply.text.contains("answered from the 5m tier: it was asked for"), "{}", reply.text);

    let path = "/api/barograph/v1/query";
    let span = format!("start={}&end={}", start / 1000, at - 1);
    let ask = async |rest: &str| -> Value {
        let reply = running.get(&format!("{path}?names=x_total,nothing&{span}&{rest}")).await;
        assert_eq!(reply.status, 200, "{rest}: {}", reply.text);
        reply.json()
    };
    let one = async |function: &str| ask(&format!("granularity=1h&function={function}")).await;
    for (function, value) in [
        ("avg", 59.5),
        ("sum", 7140.0),
        ("min", 0.0),
        ("max", 119.0),
        ("count", 120.0),
        ("first", 0.0),
        ("last", 119.0),
        // Extrapolated to the end of the hour, as in PromQL.
        ("increase", 120.0),
        ("rate", 119.0 / (119.0 * 30.0)),
    ] {
        let answer = one(function).await;
        let point = &answer["results"][0]["dataPoints"][0];
        assert_eq!(point["timestamp"], start);
        assert!((point["value"].as_f64().unwrap() - value).abs() < 1e-9, "{function}: {point}");
        assert_eq!(answer["meta"]["error"], 0.0);
    }
    for (function, exact) in [("p50", 59.5), ("p99.9", 118.881), ("quantile&q=0.9", 107.1)] {
        let answer = one(function).await;
        let value = answer["results"][0]["dataPoints"][0]["value"].as_f64().unwrap();
        let error = answer["meta"]["error"].as_f64().unwrap();
        assert!(
            error > 0.0 && error < 0.0109 && (value - exact).abs() <= error * exact,
            "{function}: {value}"
        );
    }
    let fine = ask("function=count").await;
    assert_eq!(
        (&fine["meta"]["tier"], &fine["meta"]["reason"]),
        (&json!("raw"), &json!("the span is 59m59s"))
    );
    assert_eq!(fine["results"][0]["dataPoints"].as_array().unwrap().len(), 120);
    assert_eq!(fine["results"][0]["labels"], json!({"job": "a"}));
    assert_eq!(fine["results"].as_array().unwrap().len(), 1);

    let body = json!({
        "names": ["x_total"], "granularity": "5m", "function": "sum", "start": start / 1000, "end": at - 1,
        "step": "30m", "labels": {"job": "a"},
    });
    let posted = running.call(Method::POST, path, &[], body.to_string().as_bytes()).await.json();
    assert_eq!(
        posted["results"][0]["dataPoints"][1],
        json!({"timestamp": start + HOUR / 2, "value": 5370.0})
    );

    for (rest, words) in [
        ("names=", "names"),
        ("names=x&function=median", "function"),
        ("names=x&function=quantile&q=2", "from 0 to 1"),
        ("names=x&granularity=2m", "granularity"),
        (&format!("names=x&granularity=1h&step=60&{span}"), "no multiple of 1h"),
        ("names=x&start=2&end=1", "not after the start"),
        ("names=x&start=soon", "start"),
    ] {
        let reply = running.get(&format!("{path}?{rest}")).await;
        assert_eq!(reply.status, 400, "{rest}: {}", reply.text);
        assert_eq!(reply.headers["content-type"], "application/problem+json");
        assert!(reply.text.contains(words), "{rest}: {}", reply.text);
    }
    let reply = running.call(Method::POST, path, &[], b"[]").await;
    assert_eq!(reply.status, 400, "{}", reply.text);
    running.server.stop().await;
}
