//! `/mcp` answers assistants: what tools there are, and what they find; as JSON-RPC over HTTP, without sessions.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use hyper::Method;
use serde_json::{Value, json};

use crate::support::{Running, now_ms, start_quiet};

/// What comes back of a call.
async fn call(running: &Running, method: &str, params: Value) -> Value {
    let headers = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-06-18"),
    ];
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params});
    let reply = running.call(Method::POST, "/mcp", &headers, message.to_string().as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let answer = reply.json();
    assert_eq!(answer["id"], 7, "{answer}");
    answer
}

/// What a tool found.
async fn tool(running: &Running, name: &str, arguments: Value) -> Value {
    let answer = call(running, "tools/call", json!({"name": name, "arguments": arguments})).await;
    answer["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_answer_what_the_paths_answer() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();
    for job in ["a", "b"] {
        let written = running
            .write_series(&[("__name__", "jobs_done"), ("job", job)], &[(t - 1000, 1.0), (t, 2.0)])
            .await;
        assert_eq!(written.status, 204);
    }
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let hello = call(&running, "initialize", hello).await;
    assert_eq!(hello["result"]["serverInfo"]["name"], "barograph", "{hello}");
    let tools = call(&running, "tools/list", json!({})).await;
    let tools = tools["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["list_metrics", "query", "explain", "list_health", "list_alerts"]);
    assert!(tools.iter().all(|tool| tool["annotations"]["readOnlyHint"] == true));

    let found = tool(&running, "query", json!({"query": "sum(jobs_done)"})).await;
    let answer = &found["structuredContent"];
    assert_eq!(answer["data"]["result"][0]["value"][1], "4", "{found}");
    assert_eq!(answer["asked"], "sum(jobs_done)");
    let address = running.server.address().unwrap();
    assert_eq!(answer["link"], format!("http://{address}/ui/explore?q=sum%28jobs_done%29"));
    let text: Value = serde_json::from_str(found["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, *answer);

    let (start, end) = ((t - 1000) / 1000, t / 1000);
    let range = json!({"query": "jobs_done", "start": start, "end": end, "step": "1s", "limit": 1});
    let found = tool(&running, "query", range).await;
    let series = found["structuredContent"]["data"]["result"].as_array().unwrap();
    assert_eq!((series.len(), series[0]["values"].as_array().unwrap().len()), (1, 2), "{found}");

    let found = tool(&running, "list_metrics", json!({"prefix": "jobs"})).await;
    assert_eq!(found["structuredContent"]["data"]["metrics"][0]["name"], "jobs_done", "{found}");
    for (name, arguments) in [
        ("explain", json!({"query": "sum(jobs_done)", "analyze": true})),
        ("list_health", json!({})),
        ("list_alerts", json!({})),
    ] {
        let found = tool(&running, name, arguments).await;
        assert!(found["isError"] != true && found["structuredContent"]["data"].is_object(), "{found}");
    }
    running.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let check = async |name: &str, arguments: Value, why: &str| {
        let found = tool(&running, name, arguments).await;
        assert_eq!(found["isError"], true, "{found}");
        assert!(found["content"][0]["text"].as_str().unwrap().contains(why), "{found}");
    };
    check("query", json!({"query": "sum("}), "1:5").await;
    check("query", json!({}), "`query` is needed").await;
    check("query", json!({"query": "up", "start": 1}), "a range needs").await;
    check("list_alerts", json!({"all": true}), "no argument").await;
    let answer = call(&running, "tools/call", json!({"name": "delete_all", "arguments": {}})).await;
    assert!(answer["error"]["message"].as_str().unwrap().contains("delete_all"), "{answer}");
    // Who comes from a page elsewhere does not come in.
    let headers = [("content-type", "application/json"), ("origin", "https://evil.example")];
    assert_eq!(running.call(Method::POST, "/mcp", &headers, b"{}").await.status, 403);
    running.server.stop().await;
}
