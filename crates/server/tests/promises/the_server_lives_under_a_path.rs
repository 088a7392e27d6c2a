//! With an external URL that has a path, everything is below it: routes, pages, redirects, cookies, and links in answers.

use barograph_server::config::Config;
use hyper::Method;
use serde_json::json;

use crate::{
    only_those_may_who_may::{PASSWORD, USERS, basic},
    support::{Reply, Running, configured, start},
};

const URL: &str = "http://graphs.example/metrics/baro";
const PREFIX: &str = "/metrics/baro";
const HTML: (&str, &str) = ("accept", "text/html");

fn with(web: &str) -> Config {
    configured(&format!("{}web: {web}\n", *USERS))
}

fn place(reply: &Reply) -> &str {
    reply.headers["location"].to_str().unwrap()
}

async fn login(running: &Running, prefix: &str) -> Reply {
    let body = json!({"user": "admin", "password": PASSWORD}).to_string();
    let path = format!("{prefix}/api/barograph/v1/auth/login");
    let headers = [
        ("content-type", "application/json"),
        // What a browser sends that came by the external URL.
        ("origin", "http://graphs.example"),
    ];
    running.call(Method::POST, &path, &headers, body.as_bytes()).await
}

#[tokio::test]
async fn routes_pages_redirects_and_cookies_are_below_it() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), with(&format!("{{external_url: '{URL}/'}}"))).await;
    for (path, to) in [
        ("/".to_owned(), "/metrics/baro/"),
        (PREFIX.to_owned(), "/metrics/baro/ui/"),
        (format!("{PREFIX}/"), "/metrics/baro/ui/"),
        (format!("{PREFIX}/login"), "/metrics/baro/ui/login"),
    ] {
        let reply = running.get(&path).await;
        assert_eq!((reply.status.as_u16(), place(&reply)), (307, to), "{path}");
    }
    // Whoever has to log in first comes back to a path below the root, which the login takes.
    let reply = running.call(Method::GET, &format!("{PREFIX}/ui/explore?q=up"), &[HTML], b"").await;
    assert_eq!(place(&reply), "/metrics/baro/ui/login?next=%2Fui%2Fexplore%3Fq%3Dup");
    let shell = running.call(Method::GET, place(&reply), &[HTML], b"").await;
    assert_eq!(shell.status, 200);
    let names: Vec<_> = shell.text.split("=\"/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with("metrics/baro/ui/")), "{names:?}");
    for name in names {
        assert_eq!(running.get(&format!("/{name}")).await.status, 200, "{name}");
    }
    for path in ["/ui/", "/api/v1/labels", "/metrics/barograph/ui/", "/mcp"] {
        assert_eq!(running.get(path).await.status, 404, "{path}");
    }

    let reply = login(&running, PREFIX).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let set = reply.headers["set-cookie"].to_str().unwrap();
    assert!(set.contains("; Path=/metrics/baro/;"), "{set}");
    let cookie = set.split(';').next().unwrap();
    let labels =
        running.call(Method::GET, &format!("{PREFIX}/api/v1/labels"), &[("cookie", cookie)], b"").await;
    assert_eq!(labels.status, 200);
    running.server.stop().await;
}

#[tokio::test]
async fn health_and_metrics_are_answered_without_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), with("{route_prefix: /baro}")).await;
    for path in ["/-/healthy", "/-/ready", "/healthz", "/livez", "/readyz", "/readyz/store", "/health"] {
        for prefix in ["", "/baro"] {
            assert_eq!(running.get(&format!("{prefix}{path}")).await.status, 200, "{prefix}{path}");
        }
    }
    // Who may is asked there as well.
    assert_eq!(running.get("/metrics").await.status, 401);
    let authorization = basic("reader");
    for path in ["/metrics", "/baro/metrics"] {
        let reply = running.call(Method::GET, path, &[("authorization", &authorization)], b"").await;
        assert!(reply.text.contains("barograph_build_info"), "{path}");
    }
    running.server.stop().await;
}

#[tokio::test]
async fn answers_link_to_where_people_are() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("rules.yml");
    let rule = "groups: [{name: g, interval: 100ms, rules: [{alert: Up, expr: vector(1), annotations: \
                {link: '{{ externalURL }}|{{ pathPrefix }}'}}]}]";
    std::fs::write(&rules, rule).unwrap();
    let text = format!(
        "collectors: {{built_in: false}}\nrule_files: ['{}']\nweb: {{external_url: '{URL}'}}\n",
        rules.display()
    );
    let running = start(&dir.path().join("data"), configured(&text)).await;
    let headers = [
        // The name by which people reach it is known, though nobody is asked who they are.
        ("host", "graphs.example"),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-06-18"),
    ];
    let message = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "query", "arguments": {"query": "up"}},
    });
    let body = message.to_string();
    let reply = running.call(Method::POST, &format!("{PREFIX}/mcp"), &headers, body.as_bytes()).await;
    assert_eq!(reply.json()["result"]["structuredContent"]["link"], format!("{URL}/ui/explore?q=up"));
    let description = running.get(&format!("{PREFIX}/api/barograph/v1/openapi.json")).await.json();
    assert_eq!(description["servers"][0]["url"], "/metrics/baro/");
    let alert = loop {
        let alerts = running.data(&format!("{PREFIX}/api/v1/alerts")).await;
        match alerts["alerts"].as_array().and_then(|alerts| alerts.first().cloned()) {
            Some(alert) => break alert,
            None => tokio::task::yield_now().await,
        }
    };
    assert_eq!(alert["annotations"]["link"], format!("{URL}|{PREFIX}"));
    assert_eq!(running.call(Method::GET, PREFIX, &[("host", "evil.example")], b"").await.status, 403);
    running.server.stop().await;
}

#[tokio::test]
async fn whatever_is_in_front_may_take_the_path_away() {
    let dir = tempfile::tempdir().unwrap();
    let web = format!("{{external_url: '{URL}', route_prefix: /}}");
    let running = start(dir.path(), with(&web)).await;
    let reply = running.call(Method::GET, "/ui/", &[HTML], b"").await;
    assert_eq!(place(&reply), "/metrics/baro/ui/login?next=%2Fui%2F");
    let shell = running.get("/ui/login").await;
    assert!(shell.text.contains("=\"/metrics/baro/ui/assets/"), "{}", shell.text);
    let reply = login(&running, "").await;
    assert!(reply.headers["set-cookie"].to_str().unwrap().contains("; Path=/metrics/baro/;"));
    running.server.stop().await;
}
