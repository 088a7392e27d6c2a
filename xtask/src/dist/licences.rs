//! The licences of all that is in the binary: a list of crates, and each text once.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use super::crates::Crates;

pub(super) fn text(crates: &Crates) -> String {
    let mut text = format!(
        "Barograph {} is licensed under MIT or Apache-2.0, at your choice. It has these crates in it.\n\n",
        crates.version
    );
    // Equal texts are shown once, with all crates that bring them.
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ((name, version), found) in crates.all.iter().filter(|(_, found)| !found.own) {
        let repository = found.repository.as_deref().unwrap_or("-");
        let _ = writeln!(text, "{name} {version}  {}  {repository}", found.licence);
        for path in &found.texts {
            let Ok(licence) = fs::read(path) else { continue };
            let licence = String::from_utf8_lossy(&licence).trim().to_owned();
            texts.entry(licence).or_default().push(format!("{name} {version}"));
        }
    }
    for (licence, crates) in texts {
        let _ = write!(text, "\n{}\n{}\n\n{licence}\n", "-".repeat(80), crates.join(", "));
    }
    text
}
