//! A second server on the same data directory is refused, by the name of the first, and harms it not.

use crate::support::{start_quiet, start_settings};

#[tokio::test]
async fn a_directory_in_use_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let running = start_quiet(dir.path()).await;
    // The port is taken too: the directory is what is told, for it is looked at first.
    let taken = running.server.address().unwrap().to_string();
    let error = start_settings(dir.path(), &taken).await.err().expect("one server a directory");
    let text = std::error::Error::source(&error).unwrap().to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{error}: {text}");
    assert_eq!(running.get("/-/ready").await.status, 200);
    running.server.stop().await;
}
