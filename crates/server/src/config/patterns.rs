//! Patterns of file names, as Go's `filepath.Glob` has them: `*`, `?` and `[a-z]` within a part of a path.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

/// How many files one pattern may match, in the order of their names.
const FILES_MAX: usize = 1_000;

/// The files that a pattern names, sorted. A path without a pattern in it names what is there by that name.
pub fn matching_files(pattern: &Path) -> Vec<PathBuf> {
    if !has_pattern(&pattern.to_string_lossy()) {
        return if pattern.exists() { vec![pattern.to_owned()] } else { Vec::new() };
    }
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        found = match part {
            Component::Normal(name) if has_pattern(&name.to_string_lossy()) => {
                found.iter().flat_map(|folder| entries(folder, &name.to_string_lossy())).collect()
            }
            part => found.into_iter().map(|folder| folder.join(part)).collect(),
        };
    }
    found.retain(|path| path.is_file());
    found.sort();
    found.truncate(FILES_MAX);
    found
}

fn has_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// What is in a folder and fits a pattern.
fn entries(folder: &Path, pattern: &str) -> Vec<PathBuf> {
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = fs::read_dir(listed) else { return Vec::new() };
    let names = entries.flatten().map(|entry| entry.file_name());
    let pattern: Vec<char> = pattern.chars().collect();
    let fits = |name: &std::ffi::OsString| {
        let name: Vec<char> = name.to_string_lossy().chars().collect();
        fits(&pattern, &name)
    };
    names.filter(fits).map(|name| folder.join(name)).collect()
}

/// Whether a name fits a pattern. Where a `*` took too little, it takes one character more; only the last one has to.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if pattern.get(p) == Some(&'*') {
            star = Some((p, n));
            p += 1;
        } else if let Some(after) = one_fits(&pattern[p..], name[n]) {
            (p, n) = (p + after, n + 1);
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            (p, n) = (at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// How long the part of a pattern is that takes this one character, if it does.
fn one_fits(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', class @ ..] => {
            let (negated, class) = match class {
                ['^', class @ ..] => (true, class),
                class => (false, class),
            };
            let end = class.iter().skip(1).position(|c| *c == ']')? + 1;
            let mut rest = &class[..end];
            let mut inside = false;
            while let [first, after @ ..] = rest {
                (inside, rest) = match after {
                    ['-', last, after @ ..] => (inside || (*first..=*last).contains(&c), after),
                    after => (inside || *first == c, after),
                };
            }
            (inside != negated).then_some(end + 2 + usize::from(negated))
        }
        [plain, ..] => (*plain == c).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        let check = |pattern: &str, name: &str, expected: bool| {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(fits(&chars(pattern), &chars(name)), expected, "{pattern} {name}");
        };
        check("*.yml", "a.yml", true);
        check("*.yml", ".yml", true);
        check("*.yml", "a.yaml", false);
        check("a*b*c", "aXbbYc", true);
        check("a*b*c", "aXc", false);
        check("r?les-[0-9a].yml", "rules-7.yml", true);
        check("r?les-[0-9a].yml", "rules-b.yml", false);
        check("[^a]x", "bx", true);
        check("[^a]x", "ax", false);
        check("\\*", "*", true);
        check("[a", "a", false);
        check(&"*a".repeat(50), &"a".repeat(40), false);
    }

    #[test]
    fn folders_have_patterns_too() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["a/x.yml", "b/y.yml", "b/z.json"] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = matching_files(&folder.path().join("*/*.yml"));
        let found: Vec<_> = found.iter().map(|path| path.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(found, [Path::new("a/x.yml"), Path::new("b/y.yml")]);
        assert_eq!(matching_files(&folder.path().join("a/x.yml")).len(), 1);
        assert_eq!(matching_files(&folder.path().join("a/nothing.yml")), Vec::<PathBuf>::new());
    }
}
