//! Remote write as senders use and misuse it: each answer's status, what of a request is kept, and that the
//! server goes on.

use std::{io::Write, net::TcpStream};

use anyhow::{Result, ensure};

use super::{Ground, answers};
use crate::{
    barograph::Barograph,
    http::{self, Reply},
    load::{self, REMOTE_WRITE_HEADERS},
    place,
    server::Server,
    tally::Tally,
};

const PATH: &str = "/api/v1/write";
const SNAPPY: (&str, &str) = ("Content-Encoding", "snappy");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");
/// The bits of the staleness marker.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// More memory than a request that is refused may take.
const BLOCK_BYTES_MAX: f64 = 64.0 * 1024.0 * 1024.0;

type Pairs<'a> = &'a [(&'a str, &'a str)];

pub(super) fn run(ground: &Ground, tally: &mut Tally) -> Result<()> {
    let server = Barograph::new(&ground.binary, &place::fresh("remote_write")?).start()?;
    headers(&server, tally)?;
    bodies(&server, tally)?;
    rows(&server, tally)?;
    values(&server, tally)?;
    tally.check("the server still takes samples", {
        let at = load::now_ms()?;
        status(&post(&server, &one(&[("__name__", "after")], at, 1.0))?, 204)
    });
    Ok(())
}

/// Method, type and encoding.
fn headers(server: &Server, tally: &mut Tally) -> Result<()> {
    let body = one(&[("__name__", "fine")], load::now_ms()?, 1.0);
    let mut check = |name: &str, method: &str, headers: Pairs<'_>, expected: u16| {
        let reply = server.client().send(method, PATH, headers, &body);
        tally.check(name, reply.and_then(|reply| status(&reply, expected)));
    };
    let v2 = ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    let unknown = ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v9.Request");
    let v1 = ("Content-Type", "application/x-protobuf;proto=prometheus.WriteRequest");
    check("GET is 405", "GET", &[SNAPPY, PROTOBUF], 405);
    check("PUT is 405", "PUT", &[SNAPPY, PROTOBUF], 405);
    check("a named v1 type is taken", "POST", &[SNAPPY, v1], 204);
    check("no content type is v1", "POST", &[SNAPPY], 204);
    check("no encoding is snappy", "POST", &[PROTOBUF], 204);
    check("JSON is 415", "POST", &[SNAPPY, ("Content-Type", "application/json")], 415);
    check("an unknown proto is 415", "POST", &[SNAPPY, unknown], 415);
    check("gzip is 415", "POST", &[("Content-Encoding", "gzip"), PROTOBUF], 415);
    // A sender of 2.0 falls back to 1.0 when it is told 415; a 2.0 receiver says how much it wrote.
    let reply = server.client().send("POST", PATH, &[SNAPPY, v2], &body)?;
    let told = reply.status == 415 || reply.header("x-prometheus-remote-write-samples-written").is_some();
    tally.check("2.0 is 415 or answered as 2.0", told.then_some(()).ok_or_else(|| unexpected(&reply)));
    Ok(())
}

/// Bytes that are not what they should be.
fn bodies(server: &Server, tally: &mut Tally) -> Result<()> {
    let mut check = |name: &str, body: &[u8], expected: &[u16]| {
        let outcome = post(server, body).and_then(|reply| {
            ensure!(expected.contains(&reply.status), unexpected(&reply));
            ensure!(
                reply.status == 204 || !reply.body.is_empty(),
                "status {} without a reason",
                reply.status
            );
            Ok(())
        });
        tally.check(name, outcome);
    };
    check("an empty request is fine", &load::compressed(&[]), &[204]);
    check("no bytes at all is 400", &[], &[400]);
    check("bytes that are not snappy are 400", b"this is not snappy", &[400]);
    let fine = one(&[("__name__", "cut")], load::now_ms()?, 1.0);
    check("a snappy block cut short is 400", &fine[..fine.len() - 3], &[400]);
    check("framed snappy is 400", b"\xff\x06\x00\x00sNaPpY\x00\x00\x00\x00", &[400]);
    check("bytes that are not protobuf are 400", &load::compressed(&[0xff; 64]), &[400]);
    check("a field longer than the message is 400", &load::compressed(&[0x0a, 0x7f, 0x0a]), &[400]);
    check("an endless varint is 400", &load::compressed(&[0x80; 32]), &[400]);
    let (worked, held) = (server.cpu_seconds()?, server.peak_bytes()?);
    check("a block that says 4 GiB is refused", b"\xff\xff\xff\xff\x0f\x00a", &[400, 413]);
    tally.check("and costs next to nothing", cheap(server, worked, held));
    tally.check("a body over 32 MiB is 413", too_large(server));
    tally.check("a body that breaks off harms nobody", broken_off(server));
    Ok(())
}

/// Whether the server worked and held little more than before, whoever else is at work on this machine.
fn cheap(server: &Server, worked: f64, held: f64) -> Result<()> {
    let (worked, held) = (server.cpu_seconds()? - worked, server.peak_bytes()? - held);
    ensure!(worked < 1.0, "it took {worked:.2} s of a processor");
    ensure!(held < BLOCK_BYTES_MAX, "it held {held} bytes more");
    Ok(())
}

/// Requests of which some series are wrong: the others stay.
fn rows(server: &Server, tally: &mut Tally) -> Result<()> {
    let at = load::now_ms()? - 60_000;
    let mut check = |name: &str, bad: &[u8], bad_at: i64, reason: &str| {
        let good = name.replace(' ', "_");
        let outcome = (|| {
            let mut message = Vec::new();
            load::push_series(
                &mut message,
                &raw_labels(&[("__name__", "kept"), ("case", &good)]),
                &[(at, 1.0)],
            );
            load::push_series(&mut message, bad, &[(bad_at, 2.0)]);
            load::push_series(
                &mut message,
                &raw_labels(&[("__name__", "kept_too"), ("case", &good)]),
                &[(at, 3.0)],
            );
            let reply = post(server, &load::compressed(&message))?;
            status(&reply, 400)?;
            ensure!(reply.text().contains(reason), "{reason:?} is not in {:?}", reply.excerpt());
            stored(server, &format!("kept{{case=\"{good}\"}}"), at, Some("1"))?;
            stored(server, &format!("kept_too{{case=\"{good}\"}}"), at, Some("3"))
        })();
        tally.check(&format!("{name} is 400 and the rest is kept"), outcome);
    };
    check("a series without a name", &raw_labels(&[("a", "b")]), at, "name");
    check("an empty label name", &raw_labels(&[("", "x"), ("__name__", "m")]), at, "name");
    check("a label twice", &raw_labels(&[("__name__", "m"), ("a", "1"), ("a", "2")]), at, "a");
    check("a label value that is not UTF-8", &not_utf8(), at, "UTF-8");
    let ahead = load::now_ms()? + 11 * 60_000;
    check("a sample far ahead", &raw_labels(&[("__name__", "ahead")]), ahead, "");
    Ok(())
}

/// Samples that meet samples which are there already, and special values.
fn values(server: &Server, tally: &mut Tally) -> Result<()> {
    let at = load::now_ms()? - 60_000;
    let name: Pairs<'_> = &[("__name__", "twice")];
    tally.check("the same sample again is fine", {
        let body = one(name, at, 1.5);
        post(server, &body)
            .and_then(|first| status(&first, 204))
            .and_then(|()| status(&post(server, &body)?, 204))
    });
    tally.check("another value at the same time is 400 and the first stays", {
        let reply = post(server, &one(name, at, 2.5));
        reply.and_then(|reply| status(&reply, 400)).and_then(|()| stored(server, "twice", at, Some("1.5")))
    });
    tally.check("NaN is a value", {
        let reply = post(server, &one(&[("__name__", "no_number")], at, f64::NAN));
        reply
            .and_then(|reply| status(&reply, 204))
            .and_then(|()| stored(server, "no_number", at, Some("NaN")))
    });
    tally.check("the staleness marker ends a series", {
        let mut message = Vec::new();
        let samples = [(at, 1.0), (at + 1000, f64::from_bits(STALE))];
        load::push_series(&mut message, &raw_labels(&[("__name__", "stale")]), &samples);
        let reply = post(server, &load::compressed(&message));
        reply
            .and_then(|reply| status(&reply, 204))
            .and_then(|()| stored(server, "stale", at, Some("1")))
            .and_then(|()| stored(server, "stale", at + 1000, None))
    });
    tally.check("labels are sorted and empty ones dropped", {
        let labels = [("z", "1"), ("a", "2"), ("empty", ""), ("__name__", "unsorted")];
        let reply = post(server, &one(&labels, at, 1.0));
        reply
            .and_then(|reply| status(&reply, 204))
            .and_then(|()| stored(server, "unsorted{a=\"2\", z=\"1\", empty=\"\"}", at, Some("1")))
    });
    tally.check("what is acknowledged can be asked for at once", {
        (0..20_i32).try_for_each(|turn| {
            let at = at + i64::from(turn);
            status(&post(server, &one(&[("__name__", "fresh")], at, f64::from(turn)))?, 204)?;
            stored(server, "fresh", at, Some(&turn.to_string()))
        })
    });
    Ok(())
}

fn post(server: &Server, body: &[u8]) -> Result<Reply> {
    server.client().send("POST", PATH, &REMOTE_WRITE_HEADERS, body)
}

fn status(reply: &Reply, expected: u16) -> Result<()> {
    ensure!(reply.status == expected, "expected {expected}: {}", unexpected(reply));
    Ok(())
}

fn unexpected(reply: &Reply) -> anyhow::Error {
    anyhow::anyhow!("status {}: {}", reply.status, reply.excerpt())
}

/// Whether an instant query gives one series with this value, or none.
fn stored(server: &Server, selector: &str, at_ms: i64, expected: Option<&str>) -> Result<()> {
    let time = format!("{}.{:03}", at_ms / 1000, at_ms % 1000);
    let data = answers::ask(&mut server.client(), "/api/v1/query", &[("query", selector), ("time", &time)])?;
    let found: Vec<_> = data["result"].as_array().into_iter().flatten().collect();
    let values: Vec<_> = found.iter().filter_map(|one| one["value"][1].as_str()).collect();
    ensure!(
        values == expected.into_iter().collect::<Vec<_>>(),
        "{selector} is {values:?}, expected {expected:?}"
    );
    Ok(())
}

fn one(labels: Pairs<'_>, at: i64, value: f64) -> Vec<u8> {
    let mut message = Vec::new();
    load::push_series(&mut message, &raw_labels(labels), &[(at, value)]);
    load::compressed(&message)
}

/// Label bytes as given, right or wrong.
fn raw_labels(pairs: Pairs<'_>) -> Vec<u8> {
    pairs.iter().flat_map(|(name, value)| raw_label(name.as_bytes(), value.as_bytes())).collect()
}

fn raw_label(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut label = Vec::new();
    load::push_field(&mut label, 0x0a, name);
    load::push_field(&mut label, 0x12, value);
    let mut field = Vec::new();
    load::push_field(&mut field, 0x0a, &label);
    field
}

fn not_utf8() -> Vec<u8> {
    [raw_label(b"__name__", b"m"), raw_label(b"a", &[0xc3, 0x28])].concat()
}

/// Says how much will come, and need not read it.
fn too_large(server: &Server) -> Result<()> {
    let length = 33 << 20;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: {}\r\nContent-Encoding: snappy\r\nContent-Length: {length}\r\n\r\n",
        server.address
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + length, 0);
    status(&http::send_raw(&server.address, &bytes)?, 413)
}

fn broken_off(server: &Server) -> Result<()> {
    let mut stream = TcpStream::connect(&server.address)?;
    write!(stream, "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this")?;
    drop(stream);
    let reply = server.client().get("/-/ready")?;
    status(&reply, 200)
}
