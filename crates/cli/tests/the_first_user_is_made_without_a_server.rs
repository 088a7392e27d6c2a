//! `auth` on a data directory, before any server: who is made there may log in.
#![allow(clippy::unwrap_used, reason = "a test fails by panics")]

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

fn run(args: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_barograph"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn the_first_user_is_made_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let data = data.to_str().unwrap();
    let user = ["auth", "create-user", "ann", "--role", "admin", "--data-dir", data];
    let made = run(&user, "correct horse battery\n");
    assert!(made.status.success(), "{made:?}");
    let again = run(&user, "correct horse battery\n");
    assert!(String::from_utf8_lossy(&again.stderr).contains("a user of that name"), "{again:?}");
    let weak = run(&["auth", "create-user", "bob", "--role", "read", "--data-dir", data], "short\n");
    assert!(String::from_utf8_lossy(&weak.stderr).contains("12 letters"), "{weak:?}");
    let token = run(&["auth", "token", "create", "ci", "--scope", "write", "--data-dir", data], "");
    assert!(token.stdout.starts_with(b"bgt_"), "{token:?}");
    let hash = run(&["auth", "hash"], "correct horse battery\n");
    assert!(hash.stdout.starts_with(b"$argon2id$"), "{hash:?}");
    let wrong = run(&["auth", "create-user", "bob", "--role", "root", "--data-dir", data], "");
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}
