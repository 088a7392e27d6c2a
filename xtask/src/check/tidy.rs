//! Small rules for every file of the repository that no other tool keeps.

use std::{env, fs};

use anyhow::{Result, bail};

use crate::{place, shell};

/// Words that a finished file does not have, in two halves so that this file is one.
const LEFT_OVERS: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("todo", "!("),
    concat!("dbg", "!("),
];
/// A test is fixed, or asserts what is true today.
const SWITCHED_OFF: [&str; 3] = [concat!("#[ig", "nore"), concat!("test.sk", "ip("), concat!("it.sk", "ip(")];
/// Files of ours that are text. Lock files are written by their tools.
const TEXT: [&str; 16] = [
    "rs", "md", "toml", "ts", "js", "svelte", "css", "html", "json", "yml", "yaml", "sh", "test", "txt",
    "run", "svg",
];

pub(crate) fn check() -> Result<()> {
    let places = private_places();
    let listed = shell::output(&mut shell::command(
        "git",
        &["ls-files", "--cached", "--others", "--exclude-standard"],
    ))?;
    let mut complaints = Vec::new();
    for path in listed.lines() {
        let name = path.rsplit('/').next().unwrap_or(path);
        let extension = name.rsplit('.').next().unwrap_or(name);
        let generated = name == "package-lock.json" || path.contains("/fixtures/");
        if generated || !TEXT.contains(&extension) {
            continue;
        }
        // A file that is listed and gone is about to be removed.
        let Ok(bytes) = fs::read(place::root().join(path)) else { continue };
        let Ok(text) = String::from_utf8(bytes) else {
            complaints.push(format!("{path}: is not UTF-8"));
            continue;
        };
        complaints
            .extend(complaints_of(&text, extension, &places).into_iter().map(|it| format!("{path}{it}")));
    }
    eprintln!("{} files", listed.lines().count());
    if complaints.is_empty() { Ok(()) } else { bail!("\n  {}", complaints.join("\n  ")) }
}

/// What names the machine at hand: the folder of this workspace, the home folder, the machine itself.
fn private_places() -> Vec<String> {
    let root = place::root();
    let mut places = Vec::new();
    // A root such as `/src` is a word that anybody may write.
    if root.components().count() > 2 {
        places.push(root.display().to_string());
    }
    if let Some(home) = env::var_os("HOME").filter(|home| home.len() > 1) {
        places.push(format!("{}/", home.to_string_lossy()));
    }
    if let Ok(host) = fs::read_to_string("/proc/sys/kernel/hostname") {
        let host = host.trim();
        if host.len() > 5 && host != "localhost" && host.chars().any(|c| c.is_ascii_digit()) {
            places.push(host.to_owned());
        }
    }
    places
}

fn complaints_of(text: &str, extension: &str, places: &[String]) -> Vec<String> {
    let mut complaints = Vec::new();
    if extension == "rs" && !text.starts_with("//!") {
        complaints.push(": does not open by saying what it is, with //!".to_owned());
    }
    if !text.is_empty() && !text.ends_with('\n') {
        complaints.push(": the last line is not ended".to_owned());
    }
    for (index, line) in text.lines().enumerate() {
        let mut complain = |what: &str| complaints.push(format!(":{}: {what}", index + 1));
        if LEFT_OVERS.iter().any(|word| line.contains(word)) {
            complain("work left over");
        }
        if SWITCHED_OFF.iter().any(|word| line.contains(word)) {
            complain("a test that is switched off");
        }
        if places.iter().any(|place| line.contains(place.as_str())) {
            complain("a path or name of this machine");
        }
        if line.ends_with([' ', '\t']) && extension != "md" {
            complain("blanks at the end of the line");
        }
        if line.ends_with('\r') {
            complain("a line end of two characters");
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_complaint() {
        let places = ["/home/someone/".to_owned()];
        let check = |text: &str, expected: &[&str]| assert_eq!(complaints_of(text, "rs", &places), expected);
        check("//! A file.\n", &[]);
        check("fn f() {}\n", &[": does not open by saying what it is, with //!"]);
        check("//! A file.", &[": the last line is not ended"]);
        check(concat!("//! A file.\n// TO", "DO: more\n"), &[":2: work left over"]);
        check(concat!("//! A file.\n#[ig", "nore]\n"), &[":2: a test that is switched off"]);
        check("//! See /home/someone/notes.\n", &[":1: a path or name of this machine"]);
        check("//! A file. \n", &[":1: blanks at the end of the line"]);
    }
}
