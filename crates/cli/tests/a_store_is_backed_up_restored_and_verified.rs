//! `backup`, `restore` and `verify` on a real server and real directories.

mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::Child,
};
use support::{barograph, serve};

/// A server on a free port, killed when the test is over.
struct Serving {
    child: Child,
    url: String,
}

impl Serving {
    fn on(data_dir: &Path, backup_dir: &Path) -> Self {
        let mut child = serve(data_dir, &["--log-format", "json", "--backup-dir"])
            .arg(backup_dir)
            .spawn()
            .expect("the binary runs");
        let log = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut url = String::new();
        for line in log.lines() {
            let line = line.expect("the log is text");
            if let Some((_, rest)) = line.split_once(r#""http":""#) {
                url = rest.split('"').next().expect("a value").to_owned();
            }
            if line.contains(r#""ready""#) {
                break;
            }
        }
        Self { child, url }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_store_is_backed_up_restored_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let (data, backups, target) =
        (dir.path().join("data"), dir.path().join("backups"), dir.path().join("new"));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let serving = Serving::on(&data, &backups);
    let samples = dir.path().join("samples.txt");
    fs::write(&samples, "orders_total 7\n").unwrap();
    let run = barograph(&["import", "text", &text(&samples), "--url", &serving.url]);
    assert_eq!(run.code, 0, "{}", run.err);

    let run = barograph(&["backup", "--url", &serving.url, "--keep", "3"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.starts_with("backup 1: "), "{}", run.out);
    let run = barograph(&["backup", "--url", &serving.url, "--list"]);
    assert!(run.out.starts_with("ID  TIME") && run.out.lines().count() == 2, "{}", run.out);
    let run = barograph(&["backup", "--url", &serving.url, "--target", "../x"]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("target \"../x\""), "{}", run.err);
    let run = barograph(&["verify", &text(&data)]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("in use"), "{}", run.err);
    drop(serving);

    let run = barograph(&["backup", "--data-dir", &text(&data), "--to", &text(&backups), "-o", "json"]);
    assert!(run.out.starts_with('{') && run.out.contains(r#""id":2"#), "{} {}", run.out, run.err);
    let run = barograph(&["restore", "1", "--from", &text(&backups), "--target", &text(&target)]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.starts_with("restored backup 1: "), "{}", run.out);
    let run = barograph(&["restore", "latest", "--from", &text(&backups), "--target", &text(&target)]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("not empty"), "{}", run.err);
    for whole in [&target, &backups, &data] {
        let run = barograph(&["verify", &text(whole)]);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{}", run.out);
    }

    let block = fs::read_dir(target.join("blocks")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&block).unwrap();
    bytes[30] ^= 4;
    fs::write(&block, bytes).unwrap();
    let run = barograph(&["verify", &text(&target)]);
    assert_eq!(run.code, 1);
    let name = block.file_name().unwrap().to_str().unwrap();
    assert!(run.out.starts_with(&format!("damaged: blocks/{name}: ")), "{}", run.out);
    let run = barograph(&["verify", &text(&dir.path().join("nowhere"))]);
    assert!(run.code == 1 && run.err.contains("there is no directory"), "{}", run.err);
}
