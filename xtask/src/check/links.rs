//! Links in our documents: those to files of the repository lead somewhere.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{place, shell};

pub(crate) fn check() -> Result<()> {
    let root = place::root();
    let listed = shell::output(&mut shell::command("git", &["ls-files", "--cached", "*.md"]))?;
    let mut complaints = Vec::new();
    for document in listed.lines() {
        let text = std::fs::read_to_string(root.join(document)).with_context(|| document.to_owned())?;
        let folder = Path::new(document).parent().unwrap_or(Path::new(""));
        for (line, target) in targets(&text) {
            if !root.join(folder).join(target).exists() {
                complaints.push(format!("{document}:{line}: {target} is not there"));
            }
        }
    }
    if complaints.is_empty() { Ok(()) } else { bail!("\n  {}", complaints.join("\n  ")) }
}

/// What the text links to within the repository, with the number of the line; without anchors.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut targets = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let links = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
        let files = links
            .filter_map(|link| link.split('#').next())
            .filter(|file| !file.is_empty() && !file.contains("://") && !file.starts_with("mailto:"));
        targets.extend(files.map(|file| (index + 1, file)));
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_files_count() {
        let check = |text: &str, expected: &[(usize, &str)]| assert_eq!(targets(text), expected);
        check("see [a](docs/a.md) and\n![b](b.png \"title\")", &[(1, "docs/a.md"), (2, "b.png")]);
        check("[part](docs/a.md#part) [here](#part)", &[(1, "docs/a.md")]);
        check("[out](https://example.net/a)", &[]);
        check("```\n[code](none.md)\n```\n[text](some.md)", &[(4, "some.md")]);
    }
}
