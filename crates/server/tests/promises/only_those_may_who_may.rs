//! With authentication configured, every route asks who calls and lets in who may; gRPC too.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, LazyLock, Mutex},
};

use barograph_proto::v1::{
    FlushRequest, InfoRequest, InstantRequest, WriteRequest, admin_client::AdminClient,
    ingest_client::IngestClient, query_client::QueryClient,
};
use hyper::Method;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{Running, configured, start, start_with_grpc_configured};

pub(crate) const PASSWORD: &str = "correct horse battery";
const BASE: &str = "/api/barograph/v1";

/// Users `admin`, `reader`, `writer` and `acker`, each of the role they are called by, and all with one password.
pub(crate) static USERS: LazyLock<String> = LazyLock::new(|| {
    let hash = barograph_server::auth::offline::hash("", PASSWORD).unwrap();
    let roles = [("admin", "admin"), ("reader", "read"), ("writer", "write"), ("acker", "alert-ack")];
    let user = |(name, role)| format!("    - {{name: {name}, password_hash: '{hash}', roles: [{role}]}}\n");
    let users: String = roles.into_iter().map(user).collect();
    format!("collectors: {{built_in: false}}\nauth:\n  users:\n{users}")
});

pub(crate) fn basic(user: &str) -> String {
    use base64::Engine;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{PASSWORD}"));
    format!("Basic {pair}")
}

/// Sends JSON as a user, by their password.
pub(crate) async fn ask(
    running: &Running,
    user: &str,
    method: Method,
    path: &str,
    body: Value,
) -> (u16, Value) {
    let (credentials, body) = (basic(user), body.to_string());
    let headers = [("authorization", &*credentials), ("content-type", "application/json")];
    let reply = running.call(method, path, &headers, body.as_bytes()).await;
    let document = serde_json::from_str(&reply.text).unwrap_or(Value::Null);
    (reply.status.as_u16(), document)
}

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Wants {
    Nothing,
    Anybody,
    Read,
    Write,
    AlertAck,
    Admin,
}

/// The table of routes, as its source has it: what looking wants, and what all else does.
fn table() -> Vec<(String, Wants, Wants)> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/auth/table.rs");
    let text = std::fs::read_to_string(source).unwrap();
    let rows = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"/"))
        .filter(|row| row.matches(", ").count() == 2);
    let wants = |word: &str| match word {
        "Open" | "Known" => Wants::Nothing,
        "SignedIn" => Wants::Anybody,
        "May(Read)" => Wants::Read,
        "May(Write)" => Wants::Write,
        "May(AlertAck)" => Wants::AlertAck,
        "May(Admin)" => Wants::Admin,
        other => panic!("{other}"),
    };
    let parse = |row: &str| {
        let parts: Vec<_> = row.trim_end_matches("),").split(", ").collect();
        (format!("/{}", parts[0].trim_end_matches('"')), wants(parts[1]), wants(parts[2]))
    };
    rows.map(parse).collect()
}

/// What a path of the router may be called by.
fn concrete(path: &str) -> String {
    let mut concrete = String::new();
    for part in path.split_inclusive('/') {
        let is_variable = part.starts_with('{');
        concrete.push_str(if is_variable { "x" } else { part.trim_end_matches('/') });
        if part.ends_with('/') {
            concrete.push('/');
        }
    }
    concrete
}

#[tokio::test]
async fn every_route_asks_who_calls_and_lets_in_who_may() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let users: BTreeMap<&str, &[Wants]> = [
        ("reader", &[Wants::Read][..]),
        ("writer", &[Wants::Write]),
        ("acker", &[Wants::Read, Wants::AlertAck]),
    ]
    .into();
    let (mut asked, mut refused) = (0, 0);
    let table = table();
    assert!(table.len() > 100);
    for (path, look, change) in &table {
        for path in [concrete(path), format!("{BASE}{}", concrete(path))] {
            for (method, wants) in [(Method::GET, look), (Method::POST, change), (Method::DELETE, change)] {
                let nobody = running.send(method.clone(), &path, &[], b"").await.status().as_u16();
                if *wants == Wants::Nothing || nobody == 404 {
                    assert!(nobody != 403, "{method} {path}: {nobody}");
                    continue;
                }
                assert_eq!(nobody, 401, "{method} {path} without anything");
                asked += 1;
                let wrong =
                    running.send(method.clone(), &path, &[("authorization", "Bearer bgt_wrong")], b"").await;
                assert_eq!(wrong.status(), 401, "{method} {path} with a wrong token");
                // What is allowed is only looked at: it might do something.
                for (user, has) in &users {
                    let may = *wants == Wants::Anybody || has.contains(wants);
                    if may && method != Method::GET {
                        continue;
                    }
                    let credentials = basic(user);
                    let headers = [("authorization", &*credentials)];
                    let status = running.send(method.clone(), &path, &headers, b"").await.status().as_u16();
                    // A path of the Prometheus API that is not there says so to whoever is known.
                    if status == 404 && path.starts_with("/api/v1/") {
                        continue;
                    }
                    assert!(status != 401 && (status == 403) != may, "{method} {path} as {user}: {status}");
                    refused += u32::from(!may);
                }
            }
        }
    }
    assert!(asked > 200 && refused > 300, "{asked} {refused}");
    // Who administers may look at everything.
    for path in ["/api/v1/labels", "/api/barograph/v1/audit", "/metrics", "/api/barograph/v1/auth/users"] {
        assert_eq!(ask(&running, "admin", Method::GET, path, Value::Null).await.0, 200, "{path}");
    }
    assert_eq!(
        ask(&running, "admin", Method::POST, "/api/barograph/v1/admin/flush", Value::Null).await.0,
        200
    );
    for open in ["/health", "/-/healthy", "/-/ready", "/livez", "/readyz"] {
        assert_eq!(running.get(open).await.status, 200, "{open}");
    }
    running.server.stop().await;
}

#[tokio::test]
async fn a_refusal_says_what_would_do() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let reply = running.get("/api/v1/labels").await;
    let challenges: Vec<_> =
        reply.headers.get_all("www-authenticate").iter().map(|it| it.to_str().unwrap()).collect();
    assert_eq!((reply.status.as_u16(), challenges.len()), (401, 2));
    assert_eq!(reply.json()["errorType"], "unauthorized");
    // A browser is not made to ask by a window of its own, and goes to the page where one logs in.
    let reply = running.call(Method::GET, "/api/v1/labels", &[("sec-fetch-mode", "cors")], b"").await;
    assert_eq!(reply.headers.get_all("www-authenticate").iter().count(), 1);
    let reply = running.call(Method::GET, "/ui/explore?a=1&b=2", &[("accept", "text/html")], b"").await;
    assert_eq!(reply.status, 303);
    assert_eq!(reply.headers["location"], "/ui/login?next=%2Fui%2Fexplore%3Fa%3D1%26b%3D2");
    assert_eq!(running.get("/ui/login").await.status, 200);
    let (status, problem) =
        ask(&running, "reader", Method::POST, "/api/barograph/v1/admin/flush", Value::Null).await;
    assert_eq!(status, 403);
    assert!(problem["detail"].as_str().unwrap().contains("scope `admin`"), "{problem}");
    running.server.stop().await;

    // Everybody may look, if that is said; no more.
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&format!("{}  anonymous: read\n", *USERS))).await;
    assert_eq!(running.get("/api/v1/labels").await.status, 200);
    assert_eq!(running.call(Method::POST, "/api/barograph/v1/record", &[], b"{}").await.status, 401);
    assert_eq!(running.get("/api/barograph/v1/audit").await.status, 401);
    running.server.stop().await;
}

#[tokio::test]
async fn tokens_do_what_they_were_made_for_until_they_are_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let path = "/api/barograph/v1/auth/tokens";
    let wanted = json!({"name": "grafana", "scopes": ["read"]});
    let (status, made) = ask(&running, "reader", Method::POST, path, wanted.clone()).await;
    assert_eq!(status, 201, "{made}");
    let token = made["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let get = async |path: &str, bearer: &str| {
        running.call(Method::GET, path, &[("authorization", bearer)], b"").await
    };
    assert_eq!(get("/api/v1/labels", &bearer).await.status, 200);
    let write = running.call(Method::POST, "/api/v1/write", &[("authorization", &*bearer)], b"").await;
    assert_eq!(write.status, 403);
    // It is told once, and stands nowhere.
    let (_, listed) = ask(&running, "reader", Method::GET, path, Value::Null).await;
    assert_eq!(listed["tokens"][0]["name"], "grafana");
    assert!(!listed.to_string().contains(&token) && listed["tokens"][0]["used"].is_i64());
    // Nobody gives more than they have, and a token makes none.
    let more = json!({"name": "more", "scopes": ["admin"]});
    assert_eq!(ask(&running, "reader", Method::POST, path, more).await.0, 403);
    let headers = [("authorization", &*bearer)];
    let by_token = running.call(Method::POST, path, &headers, wanted.to_string().as_bytes()).await;
    assert_eq!(by_token.status, 403);
    // Somebody else neither sees nor revokes it; who administers does.
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    let (_, others) = ask(&running, "writer", Method::GET, path, Value::Null).await;
    assert_eq!(others["tokens"], json!([]));
    assert_eq!(ask(&running, "writer", Method::DELETE, &one, Value::Null).await.0, 404);
    assert_eq!(ask(&running, "admin", Method::DELETE, &one, Value::Null).await.0, 204);
    assert_eq!(get("/api/v1/labels", &bearer).await.status, 401);
    // One that is good for a second is good for nothing afterwards.
    let short = json!({"name": "short", "scopes": ["read"], "expires_in": 1});
    let (_, short) = ask(&running, "reader", Method::POST, path, short).await;
    let short = format!("Bearer {}", short["token"].as_str().unwrap());
    while get("/api/v1/labels", &short).await.status != 401 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    // A service's token survives a restart.
    let service = json!({"name": "agent", "scopes": ["write"], "service": true});
    let (status, service) = ask(&running, "admin", Method::POST, path, service).await;
    assert_eq!(status, 201, "{service}");
    running.server.stop().await;
    let running = start(dir.path(), configured(&USERS)).await;
    let bearer = format!("Bearer {}", service["token"].as_str().unwrap());
    let write = running.call(Method::POST, "/api/v1/write", &[("authorization", &*bearer)], b"").await;
    assert!(!matches!(write.status.as_u16(), 401 | 403), "{}", write.status);
    running.server.stop().await;
}

#[tokio::test]
async fn a_user_who_goes_takes_everything_along() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let users = "/api/barograph/v1/auth/users";
    let ann = json!({"name": "ann", "password": PASSWORD, "roles": ["read"]});
    assert_eq!(ask(&running, "reader", Method::POST, users, ann.clone()).await.0, 403);
    assert_eq!(ask(&running, "admin", Method::POST, users, ann.clone()).await.0, 201);
    assert_eq!(ask(&running, "admin", Method::POST, users, ann).await.0, 409);
    let weak = json!({"name": "bob", "password": "short", "roles": ["read"]});
    let (status, problem) = ask(&running, "admin", Method::POST, users, weak).await;
    assert!(status == 400 && !problem.to_string().contains("\"short"), "{problem}");
    let (_, token) = ask(
        &running,
        "ann",
        Method::POST,
        "/api/barograph/v1/auth/tokens",
        json!({"name": "t", "scopes": ["read"]}),
    )
    .await;
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let labels = async || {
        running.call(Method::GET, "/api/v1/labels", &[("authorization", &*bearer)], b"").await.status
    };
    assert_eq!(labels().await, 200);
    // A token has no more than its owner has now.
    let ann = format!("{users}/ann");
    assert_eq!(ask(&running, "admin", Method::PATCH, &ann, json!({"roles": ["write"]})).await.0, 200);
    assert_eq!(labels().await, 403);
    assert_eq!(ask(&running, "admin", Method::DELETE, &ann, Value::Null).await.0, 204);
    assert_eq!(labels().await, 401);
    assert_eq!(ask(&running, "ann", Method::GET, "/api/v1/labels", Value::Null).await.0, 401);
    // Those of the configuration are changed there.
    assert_eq!(ask(&running, "admin", Method::DELETE, &format!("{users}/reader"), Value::Null).await.0, 409);
    running.server.stop().await;
}

#[tokio::test]
async fn grpc_asks_too() {
    let dir = tempfile::tempdir().unwrap();
    let (running, channel) = start_with_grpc_configured(dir.path(), &USERS).await;
    fn by<T>(user: Option<&str>, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(user) = user {
            request.metadata_mut().insert("authorization", basic(user).parse().unwrap());
        }
        request
    }
    let mut query = QueryClient::new(channel.clone());
    let question = || InstantRequest { query: "1".to_owned(), ..Default::default() };
    assert_eq!(query.instant(by(None, question())).await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(
        query.instant(by(Some("writer"), question())).await.unwrap_err().code(),
        Code::PermissionDenied
    );
    query.instant(by(Some("reader"), question())).await.unwrap();
    let mut ingest = IngestClient::new(channel.clone());
    let refused = ingest.write(by(Some("reader"), WriteRequest::default())).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    let mut admin = AdminClient::new(channel.clone());
    admin.info(by(Some("reader"), InfoRequest {})).await.unwrap();
    let refused = admin.flush(by(Some("reader"), FlushRequest {})).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    admin.flush(by(Some("admin"), FlushRequest {})).await.unwrap();
    // Probes are never asked.
    let mut health = barograph_proto::health::health_client::HealthClient::new(channel);
    health.check(barograph_proto::health::HealthCheckRequest { service: String::new() }).await.unwrap();
    let (_, audit) =
        ask(&running, "admin", Method::GET, "/api/barograph/v1/audit?user=admin&action=call", Value::Null)
            .await;
    assert_eq!(audit["records"][0]["object"], "/barograph.v1.Admin/Flush", "{audit}");
    running.server.stop().await;
}

#[tokio::test]
async fn callers_and_addresses_have_their_rates() {
    let dir = tempfile::tempdir().unwrap();
    let limits = "rate_limit:\n  read: {per_caller: {requests_per_second: 0.001, burst: 3}}\n  \
                  write: {per_address: {requests_per_second: 0.001, burst: 2}}\n";
    let (running, channel) = start_with_grpc_configured(dir.path(), &format!("{}{limits}", *USERS)).await;
    let labels = async |user: &str| ask(&running, user, Method::GET, "/api/v1/labels", Value::Null).await.0;
    for expected in [200, 200, 200, 429] {
        assert_eq!(labels("reader").await, expected);
    }
    // Somebody else has their own.
    assert_eq!(labels("admin").await, 200);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let reply = running.call(Method::POST, "/api/barograph/v1/record", &[], b"{}").await;
        statuses.push((reply.status.as_u16(), reply.headers.contains_key("retry-after")));
    }
    assert_eq!(statuses, [(401, false), (401, false), (429, true)]);
    let mut request = tonic::Request::new(InstantRequest { query: "1".to_owned(), ..Default::default() });
    request.metadata_mut().insert("authorization", basic("reader").parse().unwrap());
    let refused = QueryClient::new(channel).instant(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let (_, page) =
        ("", running.call(Method::GET, "/metrics", &[("authorization", &*basic("admin"))], b"").await.text);
    assert!(page.contains("barograph_auth_limited_total{by=\"caller\",class=\"read\"} 2"), "{page}");
    // Probes have none.
    for _ in 0..20 {
        assert_eq!(running.get("/health").await.status, 200);
    }
    running.server.stop().await;
}

#[tokio::test]
async fn from_elsewhere_only_those_may_call_who_are_asked() {
    let dir = tempfile::tempdir().unwrap();
    let open =
        crate::support::start_at(dir.path(), "0.0.0.0:0", configured("collectors: {built_in: false}\n"))
            .await;
    assert!(open.err().unwrap().to_string().contains("section auth"));
    let server = crate::support::start_at(dir.path(), "0.0.0.0:0", configured(&USERS)).await.unwrap();
    assert!(!server.address().unwrap().ip().is_loopback());
    server.stop().await;
}

/// Log lines, as text.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn secrets_are_in_no_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let (_, made) = ask(
        &running,
        "admin",
        Method::POST,
        "/api/barograph/v1/auth/tokens",
        json!({"name": "t", "scopes": ["read"]}),
    )
    .await;
    let token = made["token"].as_str().unwrap().to_owned();
    let body = json!({"user": "admin", "password": PASSWORD}).to_string();
    let headers = [("content-type", "application/json")];
    let reply = running.call(Method::POST, "/api/barograph/v1/auth/login", &headers, body.as_bytes()).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let cookie = reply.headers["set-cookie"].to_str().unwrap().split(['=', ';']).nth(1).unwrap().to_owned();
    let csrf = reply.json()["csrf"].as_str().unwrap().to_owned();
    let bad = json!({"user": "admin", "password": "hunter2hunter2"}).to_string();
    running.call(Method::POST, "/api/barograph/v1/auth/login", &headers, bad.as_bytes()).await;
    running
        .call(
            Method::POST,
            "/api/barograph/v1/auth/login",
            &headers,
            b"{\"user\": 1, \"password\": \"hunter3hunter3\"}",
        )
        .await;
    running.call(Method::GET, "/api/v1/labels", &[("authorization", &*format!("Bearer {token}"))], b"").await;
    running.server.stop().await;
    let log = String::from_utf8_lossy(&lines.0.lock().unwrap()).into_owned();
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir.path().join("audit")).unwrap() {
        files.push(std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let audit = files.concat();
    assert!(
        log.contains("listening") && audit.contains("\"login\"") && audit.contains("\"token.create\""),
        "{audit}"
    );
    let pair = basic("admin");
    let secrets = [PASSWORD, &token[4..], &cookie, &csrf, "hunter2", "hunter3", "argon2id", &pair[6..]];
    for text in [&log, &audit] {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
    let state = std::fs::read(dir.path().join("state")).unwrap();
    for secret in [PASSWORD, &token[4..], &*cookie] {
        assert!(!state.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}
