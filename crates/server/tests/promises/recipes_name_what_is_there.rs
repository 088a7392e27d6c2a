//! The files of `docs/monitoring` and `packaging` can be read, and name paths, metrics, commands and ports that are there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use barograph_yaml::tree::{Kind, Node, parse};

use crate::support::{Running, configured, start};

/// Longest wait for what comes by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn files() -> Vec<PathBuf> {
    let mut folders = vec![root().join("docs/monitoring"), root().join("packaging")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 10, "{files:?}");
    files
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Node {
    parse(&read(name)).unwrap_or_else(|finding| panic!("{name}: {finding:?}"))
}

/// The value at a path of keys and indexes.
fn at<'n>(node: &'n Node, path: &[&str]) -> &'n Node {
    let Some((key, rest)) = path.split_first() else { return node };
    let below = match &node.kind {
        Kind::Map(entries) => entries.iter().find(|(found, _)| found.text == *key).map(|(_, node)| node),
        Kind::List(items) => key.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    };
    at(below.unwrap_or_else(|| panic!("no {key} in {:?}", node.kind)), rest)
}

fn text(node: &Node) -> &str {
    match &node.kind {
        Kind::Scalar(text) => text,
        other => panic!("{other:?} is no text"),
    }
}

#[test]
fn yaml_files_are_yaml() {
    // Templates of a chart are YAML only when they are filled in.
    let is_yaml = |path: &Path| {
        let is_template = path.components().any(|part| part.as_os_str() == "templates");
        !is_template && path.extension().is_some_and(|kind| kind == "yml" || kind == "yaml")
    };
    for path in files().into_iter().filter(|path| is_yaml(path)) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(parse(&text).is_ok(), "{}: {:?}", path.display(), parse(&text));
    }
}

#[test]
fn the_scrape_is_the_one_that_is_printed() {
    let job = "docs/monitoring/prometheus.yml";
    let config = yaml(job);
    let job = at(&config, &["scrape_configs", "0"]);
    assert_eq!(text(at(job, &["job_name"])), "barograph-server");
    assert_eq!(text(at(job, &["static_configs", "0", "targets", "0"])), "localhost:10701");
    assert_eq!(text(at(job, &["metrics_path"])), "/health/server");
    assert_eq!(text(at(job, &["scrape_interval"])), "15s");
    // We read it ourselves, too.
    let config = configured(&read("docs/monitoring/prometheus.yml"));
    assert_eq!(config.scrape_configs[0].job_name, "barograph-server");
}

#[tokio::test]
async fn manifests_of_kubernetes_name_paths_that_answer() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("")).await;
    let folder = "docs/monitoring/kubernetes";
    let deployment = yaml(&format!("{folder}/deployment.yml"));
    let pod = at(&deployment, &["spec", "template"]);
    let (server, gate) = (at(pod, &["spec", "containers", "0"]), at(pod, &["spec", "containers", "1"]));
    let port = text(at(gate, &["ports", "0", "name"])).to_owned();
    let number = text(at(gate, &["ports", "0", "containerPort"])).to_owned();
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let get = at(gate, &[probe, "httpGet"]);
        assert_eq!(text(at(get, &["port"])), port, "{probe}");
        answers(&running, text(at(get, &["path"]))).await;
    }
    assert_eq!(text(at(server, &["args", "0"])), "serve");
    let annotations = at(pod, &["metadata", "annotations"]);
    assert_eq!(text(at(annotations, &["prometheus.io/port"])), number);
    answers(&running, text(at(annotations, &["prometheus.io/path"]))).await;
    let monitor = yaml(&format!("{folder}/servicemonitor.yml"));
    assert_eq!(text(at(&monitor, &["apiVersion"])), "monitoring.coreos.com/v1");
    assert_eq!(text(at(&monitor, &["kind"])), "ServiceMonitor");
    let app = text(at(&deployment, &["metadata", "labels", "app"]));
    assert_eq!(text(at(&monitor, &["spec", "selector", "matchLabels", "app"])), app);
    for index in ["0", "1"] {
        let endpoint = at(&monitor, &["spec", "endpoints", index]);
        assert_eq!(text(at(endpoint, &["port"])), port);
        answers(&running, text(at(endpoint, &["path"]))).await;
    }
    let service = yaml(&format!("{folder}/service.yml"));
    assert_eq!(text(at(&service, &["spec", "ports", "0", "name"])), port);
    let gate = yaml(&format!("{folder}/gate.yml"));
    assert!(text(at(&gate, &["data", "default.conf"])).contains(&format!("listen {number};")));
    let autoscaler = yaml(&format!("{folder}/autoscaler.yml"));
    let known = exposed(&running).await;
    for index in ["0", "1"] {
        let metric = text(at(&autoscaler, &["spec", "metrics", index, "pods", "metric", "name"]));
        assert!(known.contains(metric), "{metric}");
    }
}

#[tokio::test]
async fn agents_ask_for_what_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("")).await;
    let local = |url: &str| url.strip_prefix("http://localhost:10701").unwrap().to_owned();
    let datadog = yaml("docs/monitoring/datadog/openmetrics.yaml");
    let instance = at(&datadog, &["instances", "0"]);
    let page = answers(&running, &local(text(at(instance, &["openmetrics_endpoint"])))).await;
    assert!(page.contains("# TYPE server_api_calls_total counter"), "{page}");
    assert_eq!(text(at(instance, &["tags", "0"])), "service:barograph");
    assert_eq!(text(at(instance, &["tags", "1"])), "environment:production");
    let check = yaml("docs/monitoring/datadog/http_check.yaml");
    let instance = at(&check, &["instances", "0"]);
    let document = answers(&running, &local(text(at(instance, &["url"])))).await;
    assert!(document.contains(text(at(instance, &["content_match"]))));
    let flex = yaml("docs/monitoring/newrelic/flex.yml");
    let config = at(&flex, &["integrations", "0", "config", "apis"]);
    for (index, is_list) in [("0", false), ("1", true)] {
        let document = answers(&running, &local(text(at(config, &[index, "url"])))).await;
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document.is_array(), is_list);
    }
}

#[tokio::test]
async fn rules_and_dashboards_ask_for_metrics_that_are_exposed() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured("")).await;
    let known = exposed(&running).await;
    let mut expressions = Vec::new();
    let rules = yaml("docs/monitoring/rules.yml");
    let Kind::List(rules) = &at(&rules, &["groups", "0", "rules"]).kind else { panic!("no list of rules") };
    expressions.extend(rules.iter().map(|rule| text(at(rule, &["expr"])).to_owned()));
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("docs/monitoring/grafana/dashboard.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().unwrap();
        expressions.extend(targets.iter().map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    assert!(expressions.len() > 15, "{expressions:?}");
    for expression in expressions {
        let expression = expression.replace("$__rate_interval", "5m").replace("$job", "barograph-server");
        let parsed = barograph_query::parse(&expression).unwrap_or_else(|e| panic!("{expression}: {e}"));
        for matcher in barograph_query::selectors(&parsed).into_iter().flatten() {
            if matcher.name() == "__name__" {
                for name in matcher.allowed_values().unwrap() {
                    let recorded = name.starts_with("barograph_server:") || name == "up";
                    assert!(recorded || known.contains(name), "{name} of {expression} is not exposed");
                }
            }
        }
    }
}

#[test]
fn the_unit_of_systemd_is_told_what_the_server_tells() {
    let unit = read("packaging/systemd/barograph.service");
    let value = |key: &str| {
        let found = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {key}"))
    };
    assert_eq!((value("Type"), value("NotifyAccess"), value("WatchdogSec")), ("notify", "main", "30s"));
    assert!(value("ExecStart").starts_with("/usr/bin/barograph serve "));
    assert!(value("RestrictAddressFamilies").contains("AF_UNIX"), "it tells the manager over a socket");
}

async fn answers(running: &Running, path: &str) -> String {
    let reply = running.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    reply.text
}

/// The names of the series of `/health/server`, once there are calls in its window.
async fn exposed(running: &Running) -> BTreeSet<String> {
    let accept = [("accept", "text/plain;version=0.0.4")];
    let began = tokio::time::Instant::now();
    loop {
        let page = running.call(hyper::Method::GET, "/health/server", &accept, b"").await.text;
        if page.contains("server_api_response_ms{") {
            let series = page.lines().filter(|line| !line.starts_with('#'));
            return series.map(|line| line.split(['{', ' ']).next().unwrap_or_default().to_owned()).collect();
        }
        assert!(began.elapsed() < PATIENCE, "{page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
