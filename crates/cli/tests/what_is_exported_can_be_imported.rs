//! A folder, a table and a page of samples come out of one server and go into another, which then has the same.

mod support;

use std::{fs, path::Path, time::SystemTime};

use barograph_server::{Server, Settings, config::Config};
use support::barograph;

/// A server in this process, and the runtime it lives on.
struct Running {
    server: Option<Server>,
    runtime: tokio::runtime::Runtime,
    url: String,
    _dir: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let quiet = "collectors: {built_in: false}\n";
        let settings = Settings {
            config: Config::parse(quiet, "test.yml", Path::new(""), []).expect("a configuration"),
            data_dir: dir.path().to_owned(),
            http_addr: Some("127.0.0.1:0".parse().expect("an address")),
            grpc_addr: None,
            web_config: None,
            otlp: Default::default(),
            backup_dir: None,
            admin_api: false,
            application: None,
            memory: None,
            give_back: |_| {},
        };
        let server = runtime.block_on(Server::start(settings)).expect("it starts");
        let url = format!("http://{}", server.address().expect("an HTTP port"));
        Self { server: Some(server), runtime, url, _dir: dir }
    }

    /// Runs a command on this server: its standard output, and what it told.
    fn run(&self, words: &[&str], code: i32) -> (String, String) {
        let mut all = words[..2].to_vec();
        all.extend(["--url", &self.url]);
        all.extend(&words[2..]);
        let run = barograph(&all);
        assert_eq!(run.code, code, "{words:?}: {}{}", run.out, run.err);
        (run.out, run.err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

/// Milliseconds since the epoch, some minutes ago, on the second.
#[expect(clippy::disallowed_methods, reason = "the server knows what time it is")]
fn a_while_ago() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    (i64::try_from(now).expect("before the end") - 600) * 1000
}

fn page(at: i64) -> String {
    let mut page = String::from("# TYPE seen counter\n# HELP seen What was seen.\n");
    for second in 0..5 {
        let at = at / 1000 + second;
        page.push_str(&format!("seen_total{{job=\"a,b\"}} {} {at}.000\n", second * 2));
    }
    page.push_str(&format!("{{\"a/b.größe\",\"l m\"=\"x\"}} +Inf {}.250\n# EOF\n", at / 1000));
    page
}

const ALL: &str = r#"{__name__=~"seen.*|a.*"}"#;

#[test]
fn through_each_form() {
    let at = a_while_ago();
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    fs::write(path("page.om"), page(at)).unwrap();

    let one = Running::start();
    let (out, _) = one.run(&["import", "text", &path("page.om")], 0);
    assert_eq!(out, "6 samples sent, 6 of them stored\n");
    let (text, _) = one.run(&["export", "text", "--match", ALL], 0);
    let lines = |text: &str| {
        let mut lines: Vec<_> =
            text.lines().filter(|line| !line.starts_with("# H")).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&text).len(), 8, "{text}");
    assert!(text.contains("# TYPE seen counter\n") && text.ends_with("# EOF\n"), "{text}");
    let (csv, _) = one.run(&["export", "csv", "--match", "seen_total"], 0);
    assert_eq!(csv.lines().next(), Some("time,value,__name__,job"));
    assert_eq!(csv.lines().nth(2).unwrap(), format!("{},2,seen_total,\"a,b\"", at / 1000 + 1));
    let (out, _) = one.run(&["export", "jsonl", "--match", ALL, &path("folder")], 0);
    assert!(out.starts_with("6 lines in "), "{out}");
    let hour = at / 3_600_000 * 3_600_000;
    let file = files.path().join(format!("folder/raw/a%2Fb.gr%C3%B6%C3%9Fe/{hour}.jsonl"));
    let line = format!(
        "{{\"name\":\"a/b.größe\",\"timestamp\":{},\"value\":\"+Inf\",\"labels\":{{\"l m\":\"x\"}}}}\n",
        at + 250
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), line);

    let two = Running::start();
    let (out, _) = two.run(&["import", "jsonl", &path("folder")], 0);
    assert_eq!(out, "6 samples sent, 6 of them stored\n");
    let (again, _) = two.run(&["export", "text", "--match", ALL], 0);
    assert_eq!(again, text);
    let (_, told) = one.run(&["export", "jsonl", &path("folder")], 2);
    assert!(told.contains("is there already"), "{told}");
}

#[test]
fn native_histograms_of_any_age_go_through_json_lines() {
    let now = a_while_ago();
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name).display().to_string();
    let line = |at: i64, count: i64| {
        format!(
            "{{\"name\":\"latency_seconds\",\"timestamp\":{at},\"histogram\":{{\"schema\":3,\"count\":{count},\"sum\":1.5,\
             \"zeroThreshold\":0,\"zeroCount\":0,\"positive\":[[-4,{count}]],\"negative\":[],\"reset\":\"unknown\"}},\
             \"labels\":{{\"job\":\"api\"}}}}\n"
        )
    };
    let ages = [9, 5, 2, 0].map(|hours| now - hours * 3_600_000);
    let lines: String = ages.iter().zip(1..).map(|(at, count)| line(*at, count)).collect();
    fs::write(path("some.jsonl"), &lines).unwrap();

    let one = Running::start();
    let (out, _) = one.run(&["import", "jsonl", &path("some.jsonl")], 0);
    assert_eq!(out, "4 samples sent, 4 of them stored\n");
    one.run(&["export", "jsonl", "--match", "latency_seconds", &path("folder")], 0);
    let two = Running::start();
    for _ in 0..2 {
        let (out, _) = two.run(&["import", "jsonl", &path("folder")], 0);
        assert_eq!(out, "4 samples sent, 4 of them stored\n");
    }
    two.run(&["export", "jsonl", "--match", "latency_seconds", &path("again")], 0);
    let text: String = ages
        .iter()
        .map(|at| {
            files.path().join(format!("again/raw/latency_seconds/{}.jsonl", at / 3_600_000 * 3_600_000))
        })
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    assert_eq!(text, lines);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_is_taken() {
    let at = a_while_ago();
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("some.jsonl").display().to_string();
    let line = |value: i64| format!("{{\"name\":\"m\",\"timestamp\":{},\"value\":{value}}}\n", at + value);
    let torn = &line(3)[..20];
    fs::write(&file, format!("{}no line\n\n{}{torn}", line(1), line(2))).unwrap();
    let server = Running::start();
    let (out, told) = server.run(&["import", "jsonl", &file], 3);
    assert_eq!(out, "2 samples sent, 2 of them stored\n");
    assert!(told.contains("some.jsonl:2: "), "{told}");
    assert!(told.contains("some.jsonl:5: the last line is torn; it is skipped"), "{told}");

    fs::write(&file, format!("m 1\nm{{ 2\nm{{a=\"b\"}} 3 {at}\n")).unwrap();
    let (out, told) = server.run(&["import", "text", &file], 3);
    assert_eq!(out, "2 samples sent, 2 of them stored\n");
    assert!(told.contains("some.jsonl:2: expected"), "{told}");
    let (_, told) = server.run(&["import", "prometheus", &files.path().display().to_string()], 1);
    assert!(told.contains("there are no blocks in"), "{told}");
    let (_, told) = server.run(&["import", "jsonl", "/no/such/file"], 1);
    assert!(told.contains("/no/such/file"), "{told}");
}
