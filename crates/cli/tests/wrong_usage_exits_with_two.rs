//! What can be told from the command line alone: usage, version, completions, manual pages.

mod support;

use std::{io::Read, process::Stdio};
use support::{barograph, command};

#[test]
fn wrong_usage_exits_with_two_and_says_why() {
    for (words, told) in [
        (&["brew"][..], "brew"),
        (&["query", "instant"], "EXPR"),
        (&["query", "instant", "sum", "(up)"], "in quotes"),
        (&["query", "instant", "--time", "yesterday", "up"], "RFC 3339"),
        (&["query", "range", "--start", "1h", "up"], "-1h"),
        (&["query", "range", "--start", "now", "--end", "-1h", "up"], "after its end"),
        (&["query", "range", "--step", "0", "up"], "millisecond"),
        (&["query", "instant", "--url", "ftp://127.0.0.1", "up"], "https://"),
        (&["query", "instant", "--url", "localhost:1", "up"], "http://"),
        (&["query", "instant", "--url", "http://a", "http://b", "up"], "twice"),
        (&["query", "instant", "-o", "xml", "up"], "csv"),
        (&["query", "series"], "selector"),
        (&["query", "labels", "job", "instance"], "one label"),
        (&["man", "brew"], "no command"),
        (&["--color", "sometimes", "version"], "never"),
    ] {
        let run = barograph(words);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{words:?}: {}", run.err);
        assert!(run.err.contains(told), "{words:?}: {}", run.err);
    }
}

#[test]
fn the_version_is_printed() {
    let expected = concat!("barograph ", env!("CARGO_PKG_VERSION"));
    assert!(barograph(&["version"]).out.starts_with(expected));
    assert!(barograph(&["--version"]).out.starts_with(expected));
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = barograph(&["completions", shell]);
        assert_eq!(run.code, 0, "{shell}: {}", run.err);
        assert!(run.out.contains("barograph") && run.out.contains("range"), "{shell}");
    }
}

#[test]
fn commands_have_manual_pages() {
    let whole = barograph(&["man"]).out;
    assert!(whole.contains(".TH") && whole.contains("completions"), "{whole}");
    let one = barograph(&["man", "query", "range"]).out;
    assert!(one.contains("BAROGRAPH-QUERY-RANGE") && one.contains("step"), "{one}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child = command(&["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    let mut said = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut said).expect("messages are text");
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}
