//! `barograph query` against a server that gives the answers of the Prometheus API.

mod support;

use std::net::TcpListener;
use support::{Server, barograph, barograph_with};

const VECTOR: &str = r#"{"status":"success","data":{"resultType":"vector","result":[
{"metric":{"__name__":"up","job":"api"},"value":[1700000000,"1"]},
{"metric":{"__name__":"up","job":"a \"b\", c"},"value":[1700000000,"0"]}]}}"#;
const MATRIX: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[
{"metric":{"__name__":"load"},"values":[[1700000000,"0.5"],[1700000015,"12"]]}]}}"#;

#[test]
fn an_instant_query_is_a_table() {
    let server = Server::answering("200 OK", VECTOR);
    let run = barograph(&["query", "instant", "--url", &server.url, "--time", "1700000000", "up"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert_eq!(
        run.out,
        "METRIC                VALUE  TIME\n\
         up{job=\"api\"}         1      2023-11-14T22:13:20Z\n\
         up{job=\"a \\\"b\\\", c\"}  0      2023-11-14T22:13:20Z\n"
    );
    let asked = server.asked();
    assert_eq!(asked.line, "POST /api/v1/query");
    assert_eq!(asked.body, "timeout=120&query=up&time=1700000000");
}

#[test]
fn a_tier_is_named_to_the_server() {
    let server = Server::answering("200 OK", VECTOR);
    let words = ["--url", &server.url, "--tier", "5m", "--time", "1700000000", "up"];
    assert_eq!(barograph(&[&["query", "instant"], &words[..]].concat()).code, 0);
    assert_eq!(server.asked().body, "timeout=120&query=up&time=1700000000&tier=5m");
    assert_eq!(barograph(&["query", "range", "--tier", "10m", "up"]).code, 2);
}

#[test]
fn the_server_may_come_first_as_a_word() {
    let server = Server::answering("200 OK", VECTOR);
    let run = barograph(&["query", "instant", &server.url, "up", "-o", "csv"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.out, "time,value,__name__,job\n1700000000,1,up,api\n1700000000,0,up,\"a \"\"b\"\", c\"\n");
}

#[test]
fn a_server_may_live_under_a_path() {
    let server = Server::answering("200 OK", VECTOR);
    let url = format!("{}/baro/", server.url);
    assert_eq!(barograph(&["query", "instant", &url, "up"]).code, 0);
    assert_eq!(server.asked().line, "POST /baro/api/v1/query");
}

#[test]
fn json_is_the_data_to_the_letter() {
    let server = Server::answering("200 OK", r#"{"status":"success","data":{"b":1.0, "a":[]}}"#);
    let run = barograph(&["query", "instant", "--url", &server.url, "-o", "json", "up"]);
    assert_eq!(run.out, "{\"b\":1.0, \"a\":[]}\n");
}

#[test]
fn a_range_query_is_a_block_a_series() {
    let server = Server::answering("200 OK", MATRIX);
    let words = ["--start", "2023-11-14T22:13:20Z", "--end", "1700000030", "--step", "15s", "load"];
    let run = barograph(&[&["query", "range", "--url", &server.url], &words[..]].concat());
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.out, "load\n  0.5  2023-11-14T22:13:20Z\n   12  2023-11-14T22:13:35Z\n");
    let asked = server.asked();
    assert_eq!(asked.line, "POST /api/v1/query_range");
    assert_eq!(asked.body, "timeout=120&query=load&step=15&start=1700000000&end=1700000030");
}

#[test]
fn a_range_is_the_last_hour_unless_told() {
    let server = Server::answering("200 OK", MATRIX);
    assert_eq!(barograph(&["query", "range", &server.url, "load"]).code, 0);
    let body = server.asked().body;
    let field = |name: &str| -> f64 {
        let found = body.split('&').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        found.expect("the field is there").parse().expect("it is a number")
    };
    assert!((field("end") - field("start") - 3600.0).abs() < 1e-3, "{body}");
    assert_eq!(field("step"), 14.0);
}

#[test]
fn labels_and_their_values() {
    let names = r#"{"status":"success","data":["__name__","job"]}"#;
    let server = Server::answering("200 OK", names);
    let run = barograph(&["query", "labels", "--url", &server.url, "--match", "up", "--start", "5"]);
    assert_eq!((run.code, run.out.as_str()), (0, "__name__\njob\n"), "{}", run.err);
    let asked = server.asked();
    assert_eq!((asked.line.as_str(), asked.body.as_str()), ("POST /api/v1/labels", "start=5&match%5B%5D=up"));

    let server = Server::answering("200 OK", names);
    let run = barograph(&["query", "labels", &server.url, "http.route", "-o", "csv", "--limit", "2"]);
    assert_eq!((run.code, run.out.as_str()), (0, "http.route\n__name__\njob\n"), "{}", run.err);
    assert_eq!(server.asked().line, "GET /api/v1/label/U__http_2E_route/values?limit=2");
}

#[test]
fn series_by_words_and_by_flags() {
    let server = Server::answering("200 OK", r#"{"status":"success","data":[{"__name__":"up","job":"a"}]}"#);
    let run = barograph(&["query", "series", "--match", "up", &server.url, "{job=\"a\"}"]);
    assert_eq!((run.code, run.out.as_str()), (0, "up{job=\"a\"}\n"), "{}", run.err);
    let asked = server.asked();
    assert_eq!(asked.line, "POST /api/v1/series");
    assert_eq!(asked.body, "match%5B%5D=up&match%5B%5D=%7Bjob%3D%22a%22%7D");
}

#[test]
fn warnings_and_infos_are_messages_not_data() {
    let body = r#"{"status":"success","data":[],"warnings":["cut at 2"],"infos":["by the way"]}"#;
    let server = Server::answering("200 OK", body);
    let run = barograph(&["query", "labels", &server.url]);
    assert_eq!((run.code, run.out.as_str()), (0, ""));
    assert_eq!(run.err, "warning: cut at 2\ninfo: by the way\n");
}

#[test]
fn a_parse_error_is_marked_in_the_query() {
    let body = r#"{"status":"error","errorType":"bad_data",
        "error":"invalid parameter \"query\": 1:8: parse error: unexpected \")\""}"#;
    let server = Server::answering("400 Bad Request", body);
    let run = barograph(&["query", "instant", &server.url, "sum(up))"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert_eq!(
        run.err,
        "error: bad_data: invalid parameter \"query\": 1:8: parse error: unexpected \")\"\n  sum(up))\n         ^\n"
    );
}

#[test]
fn what_is_no_prometheus_api_is_named() {
    let server = Server::answering("404 Not Found", "<html>");
    let run = barograph(&["query", "instant", &server.url, "up"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("/api/v1/query answers 404"), "{}", run.err);
}

#[test]
fn nobody_there_is_a_failure_with_advice() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("it is bound");
    let url = format!("http://{free}");
    let run = barograph(&["query", "instant", &url, "up"]);
    assert_eq!(run.code, 1);
    assert!(run.err.starts_with(&format!("error: cannot reach {url}: ")), "{}", run.err);
    assert!(run.err.contains("barograph serve"), "{}", run.err);
}

#[test]
fn silence_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("it is bound"));
    let run = barograph(&["query", "instant", "--timeout", "50ms", &url, "up"]);
    assert_eq!((run.code, run.err.as_str()), (1, &*format!("error: no answer from {url} within 0.05 s\n")));
}

#[test]
fn colour_is_asked_for() {
    let asked = |words: &[&str], environment: &[(&str, &str)]| {
        let server = Server::answering("200 OK", VECTOR);
        let run = barograph_with(&[&["query", "instant", &server.url, "up"], words].concat(), environment);
        run.out.contains('\x1b')
    };
    assert!(!asked(&[], &[]), "a pipe is no terminal");
    assert!(asked(&["--color", "always"], &[("NO_COLOR", "1")]));
    assert!(asked(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!asked(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn health_is_an_exit_code() {
    for (status, body, code, word) in [
        ("200 OK", r#"{"status":"healthy"}"#, 0, "ok"),
        ("200 OK", r#"{"status":"degraded"}"#, 1, "warning"),
        ("503 Service Unavailable", r#"{"status":"unhealthy","reason":"disk full"}"#, 2, "critical"),
        ("404 Not Found", "nothing", 3, "unknown"),
    ] {
        let server = Server::answering(status, body);
        let run = barograph(&["check", "health", &server.url]);
        assert_eq!(run.code, code, "{}", run.err);
        assert!(run.out.starts_with(word), "{}", run.out);
    }
}
