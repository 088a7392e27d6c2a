//! A session is made by logging in, belongs to one browser, and no page of somebody else does anything with it.

use hyper::Method;
use serde_json::{Value, json};

use crate::{
    only_those_may_who_may::{PASSWORD, USERS, ask},
    support::{Reply, Running, configured, start},
};

const LOGIN: &str = "/api/barograph/v1/auth/login";

async fn login_with(running: &Running, user: &str, password: &str, headers: &[(&str, &str)]) -> Reply {
    let headers: Vec<_> =
        [("content-type", "application/json")].into_iter().chain(headers.iter().copied()).collect();
    let body = json!({"user": user, "password": password}).to_string();
    running.call(Method::POST, LOGIN, &headers, body.as_bytes()).await
}

fn cookie_of(reply: &Reply) -> String {
    reply.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// Logs in: the cookie, and what is shown with each change.
async fn login(running: &Running, user: &str) -> (String, String) {
    let reply = login_with(running, user, PASSWORD, &[]).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    (cookie_of(&reply), reply.json()["csrf"].as_str().unwrap().to_owned())
}

async fn me(running: &Running, cookie: &str) -> Value {
    running.call(Method::GET, "/api/barograph/v1/auth/me", &[("cookie", cookie)], b"").await.json()
}

#[tokio::test]
async fn a_session_is_made_by_logging_in_and_ends_by_logging_out() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let nobody = me(&running, "").await;
    assert_eq!((&nobody["via"], &nobody["authentication"]), (&json!("anonymous"), &json!(true)));
    let reply = login_with(&running, "reader", PASSWORD, &[]).await;
    let set = reply.headers["set-cookie"].to_str().unwrap();
    for flag in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(flag), "{set}");
    }
    assert_eq!(reply.headers["cache-control"], "no-store");
    let cookie = cookie_of(&reply);
    let known = me(&running, &cookie).await;
    assert_eq!((&known["user"], &known["via"]), (&json!("reader"), &json!("session")));
    assert_eq!(known["csrf"], reply.json()["csrf"]);
    assert_eq!(running.call(Method::GET, "/api/v1/labels", &[("cookie", &*cookie)], b"").await.status, 200);

    // One that somebody was given is worth nothing: logging in makes another, and ends the one that was there.
    let given = "barograph_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let reply = login_with(&running, "reader", PASSWORD, &[("cookie", given)]).await;
    assert_ne!(cookie_of(&reply), given);
    assert_eq!(me(&running, given).await["via"], "anonymous");
    let reply = login_with(&running, "reader", PASSWORD, &[("cookie", &*cookie)]).await;
    assert_eq!(me(&running, &cookie).await["via"], "anonymous");
    let (cookie, csrf) = (cookie_of(&reply), reply.json()["csrf"].as_str().unwrap().to_owned());

    // It is listed without what opens it, and can be ended from elsewhere.
    let (other, _) = login(&running, "reader").await;
    let list =
        running.call(Method::GET, "/api/barograph/v1/auth/sessions", &[("cookie", &*cookie)], b"").await;
    let sessions = list.json()["sessions"].as_array().unwrap().clone();
    assert!(sessions.len() >= 2 && !list.text.contains(&cookie[18..]), "{}", list.text);
    let id = sessions.iter().find(|session| session["current"] == false).unwrap()["id"].as_str().unwrap();
    let path = format!("/api/barograph/v1/auth/sessions/{id}");
    let headers = [("cookie", &*cookie), ("x-csrf-token", &*csrf)];
    assert_eq!(running.call(Method::DELETE, &path, &headers, b"").await.status, 204);
    let left = [me(&running, &other).await, me(&running, &cookie).await];
    assert!(left.iter().any(|it| it["via"] == "anonymous") || sessions.len() > 2);

    let reply = running.call(Method::POST, "/api/barograph/v1/auth/logout", &headers, b"").await;
    assert_eq!(reply.status, 204);
    assert!(reply.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(me(&running, &cookie).await["via"], "anonymous");
    running.server.stop().await;
}

#[tokio::test]
async fn no_page_of_somebody_else_changes_anything() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let (cookie, csrf) = login(&running, "admin").await;
    let (other, _) = login(&running, "admin").await;
    let own = format!("http://{}", running.server.address().unwrap());
    let flush = async |headers: &[(&str, &str)]| {
        let status = running.call(Method::POST, "/api/barograph/v1/admin/flush", headers, b"").await.status;
        status.as_u16()
    };
    let with = ("cookie", &*cookie);
    assert_eq!(flush(&[with, ("x-csrf-token", &csrf)]).await, 200);
    assert_eq!(flush(&[with, ("x-csrf-token", &csrf), ("origin", &own)]).await, 200);
    assert_eq!(flush(&[with]).await, 403);
    assert_eq!(flush(&[with, ("x-csrf-token", "wrong")]).await, 403);
    // That of another session will not do.
    assert_eq!(flush(&[("cookie", &*other), ("x-csrf-token", &csrf)]).await, 403);
    assert_eq!(flush(&[with, ("x-csrf-token", &csrf), ("origin", "https://evil.example")]).await, 403);
    assert_eq!(flush(&[with, ("x-csrf-token", &csrf), ("sec-fetch-site", "cross-site")]).await, 403);
    // Nor does a page of somebody else open a stream, log somebody in, or use what a browser sends along otherwise.
    let upgrade =
        [with, ("upgrade", "websocket"), ("connection", "upgrade"), ("origin", "https://evil.example")];
    let socket = running.call(Method::GET, "/api/barograph/v1/live/ws", &upgrade, b"").await;
    assert_eq!(socket.status, 403);
    let foreign = login_with(&running, "admin", PASSWORD, &[("origin", "https://evil.example")]).await;
    assert_eq!(foreign.status, 403);
    let body = json!({"user": "admin", "password": PASSWORD}).to_string();
    let form = running.call(Method::POST, LOGIN, &[("content-type", "text/plain")], body.as_bytes()).await;
    assert_eq!(form.status, 415);
    let basic = crate::only_those_may_who_may::basic("admin");
    assert_eq!(flush(&[("authorization", &basic), ("origin", "https://evil.example")]).await, 403);
    assert_eq!(flush(&[("authorization", &basic)]).await, 200);
    running.server.stop().await;
}

#[tokio::test]
async fn whoever_guesses_waits() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let mut texts = Vec::new();
    for user in ["reader", "nobody"] {
        // Each failure doubles the wait, so that the right one comes too soon however slow the machine is.
        let mut waits = false;
        for _ in 0..20 {
            let reply = login_with(&running, user, "wrong horse battery", &[]).await;
            if reply.status == 401 {
                texts.push(reply.text);
                continue;
            }
            // Now even the right one has to wait, by every way in.
            let reply = login_with(&running, user, PASSWORD, &[]).await;
            let by_basic = ask(&running, user, Method::GET, "/api/v1/labels", Value::Null).await.0;
            if (reply.status.as_u16(), by_basic) == (429, 429) {
                waits = reply.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1;
                break;
            }
        }
        assert!(waits, "{user}");
    }
    // A name that is not there is refused in the same words.
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(login_with(&running, "admin", PASSWORD, &[]).await.status, 200);
    running.server.stop().await;
}

#[tokio::test]
async fn a_new_password_ends_every_session() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let ann = json!({"name": "ann", "password": PASSWORD, "roles": ["read"]});
    assert_eq!(ask(&running, "admin", Method::POST, "/api/barograph/v1/auth/users", ann).await.0, 201);
    let ((cookie, csrf), (other, _)) = (login(&running, "ann").await, login(&running, "ann").await);
    let change = async |current: &str, new: &str| {
        let headers = [("cookie", &*cookie), ("x-csrf-token", &*csrf), ("content-type", "application/json")];
        let body = json!({"current": current, "new": new}).to_string();
        running
            .call(Method::POST, "/api/barograph/v1/auth/password", &headers, body.as_bytes())
            .await
            .status
            .as_u16()
    };
    assert_eq!(change("wrong", "another horse battery").await, 403);
    assert_eq!(change(PASSWORD, "short").await, 400);
    assert_eq!(change(PASSWORD, "another horse battery").await, 204);
    for old in [&cookie, &other] {
        assert_eq!(me(&running, old).await["via"], "anonymous");
    }
    assert_eq!(login_with(&running, "ann", PASSWORD, &[]).await.status, 401);
    assert_eq!(login_with(&running, "ann", "another horse battery", &[]).await.status, 200);
    let (_, audit) = ask(&running, "admin", Method::GET, "/api/barograph/v1/audit", Value::Null).await;
    let actions: Vec<_> =
        audit["records"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    for action in ["login", "user.create", "user.password"] {
        assert!(actions.contains(&action), "{action} is not in {actions:?}");
    }
    running.server.stop().await;
}

#[tokio::test]
async fn sessions_outlive_a_restart_unless_they_ended() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(dir.path(), configured(&USERS)).await;
    let (kept, csrf) = login(&running, "admin").await;
    let (ended, _) = login(&running, "reader").await;
    let (left, left_csrf) = login(&running, "writer").await;
    let with = [("cookie", &*kept)];
    let all = "/api/barograph/v1/auth/sessions?all=true";
    let sessions = running.call(Method::GET, all, &with, b"").await;
    let sessions = sessions.json()["sessions"].as_array().unwrap().clone();
    let id = sessions.iter().find(|session| session["user"] == "reader").unwrap()["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let change = [("cookie", &*kept), ("x-csrf-token", &*csrf)];
    let path = format!("/api/barograph/v1/auth/sessions/{id}");
    assert_eq!(running.call(Method::DELETE, &path, &change, b"").await.status, 204);
    let headers = [("cookie", &*left), ("x-csrf-token", &*left_csrf)];
    assert_eq!(running.call(Method::POST, "/api/barograph/v1/auth/logout", &headers, b"").await.status, 204);
    running.server.stop().await;
    let secret = kept.split_once('=').unwrap().1;
    let stored = std::fs::read(dir.path().join("state")).unwrap();
    assert!(!stored.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "only digests are stored");

    let running = start(dir.path(), configured(&USERS)).await;
    let known = me(&running, &kept).await;
    assert_eq!((&known["user"], &known["csrf"]), (&json!("admin"), &json!(csrf)));
    assert_eq!(running.call(Method::POST, "/api/barograph/v1/admin/flush", &change, b"").await.status, 200);
    for cookie in [&ended, &left] {
        assert_eq!(me(&running, cookie).await["via"], "anonymous");
    }
    running.server.stop().await;

    // A password that was changed in the file ends what was begun with the one before.
    let hash = barograph_server::auth::offline::hash("", "another horse battery").unwrap();
    let changed = format!("auth: {{users: [{{name: admin, password_hash: '{hash}', roles: [admin]}}]}}");
    let running = start(dir.path(), configured(&changed)).await;
    assert_eq!(me(&running, &kept).await["via"], "anonymous");
    running.server.stop().await;
}
