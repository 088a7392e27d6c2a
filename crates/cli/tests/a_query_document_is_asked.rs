//! `barograph query json` sends a document and prints what comes of it.

mod support;

use std::{io::Write, process::Stdio};

use support::{Server, barograph, command};

const ANSWER: &str = r#"{"results":[
    {"name":"flow.duration","aggregation":"avg","window":"1h","labels":{"versionId":"1.0"},
     "dataPoints":[{"timestamp":1743465600000,"value":1.5},{"timestamp":1743469200000,"value":"NaN"}]},
    {"name":"t","labels":{"versionId":"1.0"},"dataPoints":[{"timestamp":1743465600000,"value":0.25}],
     "trend":{"direction":"increasing","slope":0.25}}],
    "meta":{"tier":"1m","reason":"the span is 6h","error":0,"warnings":["mind the gap"]}}"#;
const QUERY: &str = r#"{"query": {"metrics": ["flow.duration"]}}"#;

#[test]
fn from_a_file_in_three_forms() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("query.json");
    std::fs::write(&file, QUERY).expect("it is written");
    let file = file.to_str().expect("a path of text");
    for (form, expected) in [
        (
            "table",
            "{\"flow.duration\", aggregation=\"avg\", versionId=\"1.0\", window=\"1h\"}\n  \
             1.5  2025-04-01T00:00:00Z\n  NaN  2025-04-01T01:00:00Z\n\n\
             t{direction=\"increasing\", versionId=\"1.0\"}\n  0.25  2025-04-01T00:00:00Z\n",
        ),
        (
            "csv",
            "time,value,__name__,aggregation,direction,versionId,window\n\
             1743465600,1.5,flow.duration,avg,,1.0,1h\n1743469200,NaN,flow.duration,avg,,1.0,1h\n\
             1743465600,0.25,t,,increasing,1.0,\n",
        ),
    ] {
        let server = Server::answering("200 OK", ANSWER);
        let run = barograph(&["query", "json", "-o", form, &server.url, file]);
        assert_eq!((run.code, run.out.as_str()), (0, expected), "{}", run.err);
        assert_eq!(run.err, "warning: mind the gap\ninfo: answered from the 1m tier: the span is 6h\n");
        let asked = server.asked();
        assert_eq!(asked.line, "POST /api/barograph/v1/query");
        assert_eq!(asked.body, r#"{"query":{"metrics":["flow.duration"]}}"#);
    }
    let server = Server::answering("200 OK", ANSWER);
    let run = barograph(&["query", "json", "-o", "json", "--limit", "3", "--url", &server.url, file]);
    assert!(run.code == 0 && run.out.starts_with("{\"meta\":"), "{} {}", run.out, run.err);
    assert!(server.asked().body.contains(r#""limit":3"#));
}

#[test]
fn from_standard_input() {
    let server = Server::answering("200 OK", ANSWER);
    let mut command = command(&["query", "json", "-o", "csv", &server.url, "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(QUERY.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stdout.starts_with(b"time,value"), "{output:?}");
}

#[test]
fn a_refusal_names_the_path() {
    let body = r#"{"status":400,"detail":"query.limit: expected a whole number","path":"query.limit"}"#;
    let server = Server::answering("400 Bad Request", body);
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("query.json");
    std::fs::write(&file, QUERY).expect("it is written");
    let run = barograph(&["query", "json", &server.url, file.to_str().expect("text")]);
    assert_eq!((run.code, run.err.as_str()), (1, "error: query.limit: expected a whole number\n"));
    std::fs::write(&file, "{").expect("it is written");
    let run = barograph(&["query", "json", file.to_str().expect("text")]);
    assert!(run.code == 1 && run.err.starts_with("error: the query is no JSON: EOF"), "{}", run.err);
    let run = barograph(&["query", "json", "/no/such/file"]);
    assert!(run.code == 1 && run.err.starts_with("error: cannot read the query: "), "{}", run.err);
}
