//! The configuration read: every key, every mistake with its place.

use std::{path::PathBuf, time::Duration};

use barograph_model::{MetricType, Tier};

use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(text, "b.yml", Path::new("/etc/barograph"), environment)
}

#[track_caller]
fn check_refused(text: &str, expected: &[&str]) {
    let error = load(text, &[]).unwrap_err().to_string();
    assert_eq!(error.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn nothing_is_the_defaults() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.global.scrape_interval, Duration::from_secs(60));
    assert_eq!(config.storage, Storage::default());
    assert!(config.scrape_configs.is_empty());
}

#[test]
fn rule_files_are_patterns_beside_the_file() {
    let config =
        load("rule_files: [first.rules, 'more/*.yml', /abs/x.yml]\nglobal: {rule_query_offset: 30s}\n", &[]);
    let config = config.unwrap();
    let expected = ["/etc/barograph/first.rules", "/etc/barograph/more/*.yml", "/abs/x.yml"];
    assert_eq!(config.rule_files, expected.map(PathBuf::from));
    assert_eq!(config.global.rule_query_offset, Duration::from_secs(30));
    check_refused("rule_files: ['']", &["b.yml:1:14: each of `rule_files`: expected the path of a file"]);
}

#[test]
fn reads_a_prometheus_file() {
    let config = load(
        "\
global:
  scrape_interval: 15s
  evaluation_interval: 15s
  external_labels: {monitor: codelab, shard: 1}
alerting:
  alertmanagers:
    - static_configs:
        - targets:
rule_files:
  # - first.rules
scrape_configs:
  - job_name: prometheus
    static_configs:
      - targets: ['localhost:9090', \"[::1]:9091\"]
        labels: {env: prod, n: 010}
  - job_name: node
    scrape_interval: 5s
    scrape_timeout: 4s
    metrics_path: /probe
    params: {module: [http_2xx, tcp]}
    honor_labels: true
    honor_timestamps: false
    sample_limit: 1000
    body_size_limit: 10MB
    basic_auth: {username: ann, password_file: secret/pw}
    file_sd_configs:
      - files: ['targets/*.json', /abs/x.yml]
        refresh_interval: 1m
    relabel_configs:
      - source_labels: [__address__]
        target_label: instance
    metric_relabel_configs:
      - {source_labels: [__name__], regex: go_.*, action: drop}
",
        &[],
    )
    .unwrap();
    assert_eq!(config.global.external_labels.to_string(), r#"{monitor="codelab", shard="1"}"#);
    let [prometheus, node] = &config.scrape_configs[..] else { panic!("two jobs") };
    assert_eq!(prometheus.scrape_interval, Duration::from_secs(15));
    assert_eq!(prometheus.scrape_timeout, Duration::from_secs(10));
    assert_eq!(prometheus.discovery.static_configs[0].targets, ["localhost:9090", "[::1]:9091"]);
    assert_eq!(prometheus.discovery.static_configs[0].labels["n"], "010");
    assert_eq!(node.scrape_timeout, Duration::from_secs(4));
    assert_eq!(node.params["module"], ["http_2xx", "tcp"]);
    assert_eq!((node.limits.samples, node.limits.body_bytes), (1000, 10 << 20));
    assert_eq!((node.honor_labels, node.honor_timestamps, node.http.follow_redirects), (true, false, true));
    let password = Secret::File(PathBuf::from("/etc/barograph/secret/pw"));
    assert!(matches!(&node.http.auth, Some(Auth::Basic { password: found, .. }) if *found == password));
    let files = &node.discovery.file_sd_configs[0].files;
    assert_eq!(*files, [PathBuf::from("/etc/barograph/targets/*.json"), PathBuf::from("/abs/x.yml")]);
    assert_eq!((node.relabel_configs.len(), node.metric_relabel_configs.len()), (1, 1));
}

#[test]
fn reads_our_own_sections() {
    let config = load(
        "\
storage: {retention_raw: 7d, out_of_order: 0s, durability: relaxed, start_time_zeros: true}
collectors:
  system: {interval: 5s}
  process: {enabled: false}
query: {lookback: 2m, timeout: 10s, max_samples: 1_000_000, max_concurrency: 4, cache: 64MiB, experimental: true}
limits: {body: 1MB, active_series: 10, series_per_metric: 5, values_per_label: 3}
stats: {higher_cost: false}
metrics: {profile: dev, max_samples: 100, histogram_buckets: '1,5'}
",
        &[("BAROGRAPH_COLLECTORS__SYSTEM__INTERVAL", "2s"), ("BAROGRAPH_TESTDATA", "/x"), ("HOME", "/root")],
    )
    .unwrap();
    assert_eq!((config.storage.out_of_order, config.storage.start_time_zeros), (Duration::ZERO, true));
    assert_eq!(config.retention.of(Tier::Raw), Some(Duration::from_secs(7 * 86_400)));
    assert_eq!(config.storage.durability, Durability::Relaxed);
    assert_eq!(config.collectors.system, Collector { enabled: true, interval: Duration::from_secs(2) });
    assert!(!config.collectors.process.enabled);
    assert_eq!((config.query.max_samples, config.query.max_concurrency), (1_000_000, 4));
    assert!(config.query.experimental && !config.stats.higher_cost);
    let settings = config.metrics.settings().unwrap();
    assert_eq!((settings.window().as_secs(), settings.max_samples()), (60, 100));
    assert_eq!(settings.bounds(), [0.001, 0.005]);
    let origin = |path: &str| config.origins.get(path).map(|origin| origin.as_str());
    assert_eq!(origin("storage.durability"), Some("file"));
    assert_eq!(origin("collectors.system.interval"), Some("environment"));
    assert_eq!(origin("limits.body"), Some("file"));
    assert_eq!(origin("query.slow"), None);
    assert_eq!(config.query.cache, Some(64 << 20));
    assert_eq!((config.limits.body_bytes, config.limits.active_series), (1 << 20, 10));
    assert_eq!((config.limits.series_per_metric, config.limits.values_per_label), (5, 3));
}

#[test]
fn reads_how_long_tiers_are_kept() {
    let text = "\
storage: {retention_raw: 7d}
retention:
  raw: 15d
  1h: 0s
  bytes: 10GiB
  rules:
    - {match: '{__name__=~\"node_.*\"}', raw: 2d, 5m: 0s}
";
    let retention = load(text, &[("BAROGRAPH_RETENTION__5M", "3d")]).unwrap().retention;
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    assert_eq!(Tier::ALL.map(|tier| retention.of(tier)), [days(15), days(7), days(3), None]);
    assert_eq!((retention.bytes, retention.rules.len()), (Some(10 << 30), 1));
    assert_eq!(retention.rules[0].tiers, [days(2), None, Some(Duration::ZERO), None]);
    let text = "\
storage: {aggregation_interval: 30s, cleanupInterval: 600}
retention:
  rawRetentionHours: 24
  oneMinuteRetentionDays: 7
  1m: 8d
  oneHourRetentionDays: 0
  by_type:
    histogram: {raw: 3d, 1h: 0s}
    gauge: {1m: 1d}
";
    let config = load(text, &[]).unwrap();
    assert_eq!(Tier::ALL.map(|tier| config.retention.of(tier)), [days(1), days(8), days(30), None]);
    let by_type = [
        (MetricType::Histogram, [days(3), None, None, Some(Duration::ZERO)]),
        (MetricType::Gauge, [None, days(1), None, None]),
    ];
    assert_eq!(config.retention.by_type, by_type);
    let intervals = (config.storage.aggregation_interval, config.storage.cleanup_interval);
    assert_eq!(intervals, (Duration::from_secs(30), Duration::from_secs(600)));
    check_refused(
        "retention: {by_type: {histogramm: {raw: 1d}}, rawRetentionHours: 1d}\nstorage: {cleanup_interval: 0s}\n",
        &[
            "b.yml:1:35: unknown type `histogramm` in `retention.by_type`; give one of counter, gauge, histogram, \
             gaugehistogram, summary, info, stateset, unknown",
            "b.yml:1:66: `rawRetentionHours`: expected a whole number, found `1d`",
            "b.yml:2:29: `cleanup_interval`: expected more than 0",
        ],
    );
    check_refused(
        "\
retention:
  2h: 1d
  bytes: much
  rules:
    - {raw: 1d}
    - {match: up}
    - {match: '{', 1m: 1d}
",
        &[
            "b.yml:2:3: unknown key `2h` in `retention`; did you mean `1h`?",
            "b.yml:3:10: `bytes`: expected a size such as `512MB` or `10GiB`, found `much`",
            "b.yml:5:7: a rule of `retention` needs `match`; add a selector such as `{job=\"api\"}`",
            "b.yml:6:7: a rule of `retention` needs one of `raw`, `1m`, `5m`, `1h`; add what it is for",
            "b.yml:7:15: `match`: 1:2: parse error: unexpected end of input inside braces",
        ],
    );
}

#[test]
fn finds_everything_wrong_at_once() {
    check_refused(
        "\
global:
  scrape_intervall: 15s
  scrape_timeout: soon
scrape_configs:
  - job_name: a
    scheme: ftp
    scrape_interval: 5s
    scrape_timeout: 6s
    consul_sd_configs: [{server: x}]
    static_configs:
      - targets: ['http://x/metrics']
  - job_name: a
  - honor_labels: maybe
remote_read:
  - url: http://x
storage:
  retention: 1d
  durability: always
frobnicate: true
alerting: {alertmanagers: [{api_version: v1}]}
",
        &[
            "b.yml:2:3: unknown key `scrape_intervall` in `global`; did you mean `scrape_interval`?",
            "b.yml:3:19: `scrape_timeout`: expected a duration such as `30s`, `5m` or `1h30m`, found `soon`",
            "b.yml:6:13: `scheme`: expected `http` or `https`, found `ftp`",
            "b.yml:8:5: `scrape_timeout` is longer than `scrape_interval`; lower it",
            "b.yml:9:5: `consul_sd_configs` is not supported; let a program that knows these targets serve them to \
             `http_sd_configs`, or write them to a file of `file_sd_configs`",
            "b.yml:11:19: each of `targets`: expected `host` or `host:port` without scheme and path, found `http://x/metrics`",
            "b.yml:12:5: job name `a` stands twice; give each job its own",
            "b.yml:13:5: a scrape configuration needs `job_name`; add it",
            "b.yml:13:19: `honor_labels`: expected `true` or `false`, found `maybe`",
            "b.yml:14:1: key `remote_read` of the configuration is not supported yet; remove it",
            "b.yml:17:3: unknown key `retention` in `storage`; remove it",
            "b.yml:18:15: `durability`: expected `batch`, `sync` or `relaxed`, found `always`",
            "b.yml:19:1: unknown key `frobnicate` in the configuration; remove it",
            "b.yml:20:42: `api_version`: `v1` is not spoken, and Alertmanager has it no more since 0.27; remove it, or \
             give `v2`",
        ],
    );
}

#[test]
fn says_what_shape_was_expected() {
    check_refused("[]", &["b.yml:1:1: the configuration should be a mapping of keys to values, not a list"]);
    check_refused("scrape_configs: {}", &["b.yml:1:17: `scrape_configs` should be a list, not a mapping"]);
    check_refused(
        "global: 5",
        &["b.yml:1:9: `global` should be a mapping of keys to values, not a single value"],
    );
    check_refused("query: {timeout: [1s]}", &["b.yml:1:18: `timeout` should be a single value, not a list"]);
    check_refused("query: {timeout: 0}", &["b.yml:1:18: `timeout`: expected more than 0"]);
    let error = load("", &[("BAROGRAPH_QUERY__TIMEOUT", "x")]).unwrap_err().to_string();
    assert!(
        error.starts_with("environment variable BAROGRAPH_QUERY__TIMEOUT: `timeout`: expected"),
        "{error}"
    );
    let error = load("", &[("BAROGRAPH_QUERY__TIMOUT", "1s")]).unwrap_err().to_string();
    assert!(error.ends_with("unknown key `timout` in `query`; did you mean `timeout`?"), "{error}");
}

#[test]
fn passwords_are_not_shown() {
    let text = "scrape_configs: [{job_name: a, basic_auth: {username: u, password: hunter2}},\
                {job_name: b, authorization: {credentials: hunter2}}]";
    let config = load(text, &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn reads_files_of_targets() {
    let check = |text: &str| {
        let groups = parse_targets(text, "t").unwrap();
        assert_eq!(groups[0].targets, ["a:1", "b"]);
        assert_eq!(groups[0].labels["env"], "x");
    };
    check("- targets: [a:1, b]\n  labels: {env: x}\n");
    check(r#"[{"targets": ["a:1", "b"], "labels": {"env": "x"}}]"#);
    assert_eq!(parse_targets("", "t").unwrap(), []);
    let error = parse_targets("targets: []", "t.yml").unwrap_err().to_string();
    assert_eq!(error, "t.yml:1:1: a file of targets should be a list of groups, not a mapping");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Some(Path::new("/nowhere/b.yml")), []).unwrap_err().to_string();
    assert_eq!(error, "cannot read configuration file /nowhere/b.yml");
}

#[test]
fn statistics_of_clients_are_configured() {
    let config = load("", &[]).unwrap();
    assert_eq!((config.stats, config.per_client), (Stats::default(), false));
    assert_eq!(config.rate_limit, RateLimit { per_second: 50.0, burst: 100.0 });
    let config = load(
        "stats:\n  persist: true\n  history: 1m\n  log_interval: 30s\n  \
         queue: {capacity: 4, policy: drop-newest, critical_window_s: 5, warning_fill: 0.5}\n  \
         weights: {load: {cpu: 1, memory: 0, worker-busy: 0, queue-fill: 0}}\n\
         prometheus: {per_client: true}\nrate_limit: {requests_per_second: 0.5, burst: 3}\n",
        &[],
    );
    let config = config.unwrap();
    let queue = &config.stats.queue;
    assert_eq!(
        (queue.capacity, queue.policy.as_str(), queue.critical_window.as_secs()),
        (4, "drop-newest", 5)
    );
    assert_eq!(config.stats.weights.load, [1.0, 0.0, 0.0, 0.0]);
    assert!(config.per_client && config.stats.persist);
    assert_eq!(config.rate_limit.burst, 3.0);
    check_refused(
        "stats:\n  queue: {policy: drop-all, capacity: 0}\n  weights: {client: {error-free: 2}}\n\
         rate_limit: {burst: 0}\n",
        &[
            "b.yml:2:19: `policy`: expected drop-oldest, drop-newest or disconnect, not `drop-all`",
            "b.yml:2:39: `capacity`: expected 1 to 1000000",
            "b.yml:3:34: `error-free`: expected a number from 0 to 1, not `2`",
            "b.yml:4:21: `burst`: expected a number from 1 to 1000000000, not `0`",
        ],
    );
    let nothing = "api-success-rate: 0, event-delivery-reliability: 0, queue-health: 0, error-free: 0";
    let error = load(&format!("stats: {{weights: {{client: {{{nothing}}}}}}}"), &[]).unwrap_err().to_string();
    assert!(error.contains("are all 0"), "{error}");
}

#[test]
fn what_the_guide_shows_are_the_defaults() {
    let guide = include_str!("../../../../docs/guide/configuration.md");
    let block = guide.split("## Ours").nth(1).and_then(|rest| rest.split("```").nth(1)).unwrap();
    let text = block.strip_prefix("yaml\n").unwrap();
    let section = |name: &str| {
        let from = text.find(&format!("\n{name}:")).unwrap() + 1;
        let length = text[from..].find("\n\n").unwrap_or(text.len() - from);
        &text[from..from + length]
    };
    let sections = ["stats", "prometheus", "rate_limit"].map(section).join("\n");
    let (shown, config) = (load(&sections, &[]).unwrap(), load("", &[]).unwrap());
    assert_eq!((shown.stats, shown.per_client), (config.stats, config.per_client));
    assert_eq!(shown.rate_limit, config.rate_limit);
}
