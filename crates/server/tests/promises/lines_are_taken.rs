//! InfluxDB line protocol over HTTP, and StatsD over UDP and TCP, can be asked by PromQL.

use std::{io::Write as _, time::Duration};

use flate2::{Compression, write::GzEncoder};
use hyper::Method;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket},
};

use crate::support::{Running, configured, now_ms, start, start_quiet};

async fn value(running: &Running, query: &str) -> Option<String> {
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let data = running.data(&format!("/api/v1/query?query={query}")).await;
    Some(data["result"].as_array().unwrap().first()?["value"][1].as_str().unwrap().to_owned())
}

async fn write(running: &Running, path: &str, body: &[u8]) -> (u16, String) {
    let reply = running.call(Method::POST, path, &[], body).await;
    (reply.status.as_u16(), reply.text)
}

#[tokio::test]
async fn influx_lines_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let t = now_ms();
    let ping = running.get("/ping").await;
    assert!(ping.status == 204 && ping.headers.contains_key("x-influxdb-version"));
    assert_eq!(running.call(Method::HEAD, "/ping", &[], b"").await.status, 204);

    let lines = format!("cpu,host=a load=1.5,up=t,os=\"x\" {t}000000\nup value=3i\n");
    assert_eq!(write(&running, "/write?db=telegraf", lines.as_bytes()).await, (204, String::new()));
    for (selector, expected) in [
        (r#"cpu_load{host="a",db="telegraf"}"#, Some("1.5")),
        ("cpu_up", Some("1")),
        (r#"up{db="telegraf"}"#, Some("3")),
        ("cpu_os", None),
    ] {
        assert_eq!(value(&running, selector).await.as_deref(), expected, "{selector}");
    }
    let metrics = running.get("/metrics").await.text;
    assert!(metrics.contains("\nbarograph_influx_texts_skipped_total 1\n"), "{metrics}");

    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(format!("m,x=y a=7 {}", t / 1_000).as_bytes()).unwrap();
    let (path, headers) = ("/api/v2/write?org=o&bucket=b&precision=s", [("content-encoding", "gzip")]);
    let reply = running.call(Method::POST, path, &headers, &gzip.finish().unwrap()).await;
    assert_eq!((reply.status.as_u16(), reply.text.as_str()), (204, ""));
    assert_eq!(value(&running, r#"m_a{db="b",x="y"}"#).await.as_deref(), Some("7"));
    running.server.stop().await;
}

#[tokio::test]
async fn clients_of_influxdb_may_ask_for_databases() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let kind = [("content-type", "application/x-www-form-urlencoded")];
    let created = running.call(Method::POST, "/query", &kind, b"q=CREATE+DATABASE+%22house%22").await;
    assert_eq!((created.status.as_u16(), &*created.text), (200, r#"{"results":[{"statement_id":0}]}"#));
    let databases =
        async || running.get("/query?q=SHOW%20DATABASES&db=").await.json()["results"][0]["series"].clone();
    assert_eq!(databases().await, serde_json::json!([{"name": "databases", "columns": ["name"]}]));
    for database in ["house", "barn"] {
        assert_eq!(write(&running, &format!("/write?db={database}"), b"m x=1").await.0, 204);
    }
    assert_eq!(databases().await[0]["values"], serde_json::json!([["barn"], ["house"]]));
    let refused = running.get("/query?q=SELECT%20x%20FROM%20m").await;
    assert_eq!(refused.status, 400);
    assert!(refused.json()["error"].as_str().unwrap().contains("ask in PromQL"), "{}", refused.text);
    running.server.stop().await;
}

#[tokio::test]
async fn a_bad_influx_line_is_named_and_the_others_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    let reply = running.call(Method::POST, "/write?precision=ms", &[], b"a b=1\nbad\nc d=x\ne f=2\n").await;
    assert_eq!(reply.status, 400);
    let error = reply.json()["error"].as_str().unwrap().to_owned();
    for part in ["partial write: ", "line 2: unable to parse 'bad': missing fields", "line 3: ", "dropped=2"]
    {
        assert!(error.contains(part), "{error}");
    }
    assert!(reply.headers.contains_key("x-influxdb-error"));
    for (name, expected) in [("a_b", "1"), ("e_f", "2")] {
        assert_eq!(value(&running, name).await.as_deref(), Some(expected));
    }
    // Older than may be stored.
    let reply = running.call(Method::POST, "/api/v2/write?precision=s", &[], b"a b=3 1\n\na b=x\n").await;
    assert_eq!(
        (reply.status.as_u16(), reply.json()["code"].as_str().unwrap().to_owned()),
        (400, "invalid".to_owned())
    );
    assert_eq!(reply.json()["line"], 1);
    let reply = running.call(Method::POST, "/api/v2/write?precision=days", &[], b"a b=3\n").await;
    assert!(reply.status == 400 && reply.text.contains("invalid precision"), "{}", reply.text);
    running.server.stop().await;
}

#[tokio::test]
async fn statsd_is_taken_over_udp_and_tcp() {
    let dir = tempfile::tempdir().unwrap();
    let config = "collectors: {built_in: false}\nstatsd: {address: '127.0.0.1:0', interval: 100ms}\n";
    let running = start(dir.path(), configured(config)).await;
    let address = running.server.statsd_address().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let lines = b"web.hits:1:2|c|#host:a\nweb.temp:20|g\nweb.temp:-5|g\nweb.took:250|ms\n_e{1,1}:a|b\nbad";
    udp.send_to(lines, address).await.unwrap();
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(b"web.users:x|s\nweb.users:y|s\nweb.lo").await.unwrap();
    tcp.write_all(&[b'n'; 10_000]).await.unwrap();
    tcp.write_all(b"\nweb.last:3|g").await.unwrap();
    tcp.shutdown().await.unwrap();
    for (query, expected) in [
        (r#"web_hits_total{host="a"}"#, "3"),
        ("web_temp", "15"),
        ("histogram_sum(web_took_seconds)", "0.25"),
        ("max_over_time(web_users[1m])", "2"),
        ("web_last", "3"),
    ] {
        while value(&running, query).await.as_deref() != Some(expected) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let metrics = running.get("/metrics").await.text;
    for reason in ["event\"} 1", "malformed\"} 2"] {
        assert!(
            metrics.contains(&format!("\nbarograph_statsd_dropped_total{{reason=\"{reason}\n")),
            "{metrics}"
        );
    }
    running.server.stop().await;
}
