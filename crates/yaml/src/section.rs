//! A mapping being read key by key.
//!
//! Readers ask a [`Section`] for the keys they know; what nobody asked for is reported when the section is finished,
//! with advice. Everything wrong is collected, so that a file is mended in one go.

use std::{cell::RefCell, fmt, rc::Rc};

use crate::{
    error::{Finding, Place},
    outline::{Held, Notes, Scalar},
    tree::{Key, Kind, Node},
};

/// More findings than this are not collected.
const FINDINGS_MAX: usize = 100;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub struct Findings {
    found: Vec<Finding>,
    /// What is read, for whoever wants to know.
    notes: Option<Rc<RefCell<Notes>>>,
}

impl Findings {
    /// Notes what is read as well.
    pub(crate) fn noting(notes: Rc<RefCell<Notes>>) -> Self {
        Self { found: Vec::new(), notes: Some(notes) }
    }

    /// One thing more.
    pub fn add(&mut self, place: &Place, message: impl Into<String>) {
        if self.found.len() < FINDINGS_MAX {
            self.found.push(Finding { place: place.clone(), message: message.into() });
        }
    }

    /// In the order of the file.
    pub fn into_vec(mut self) -> Vec<Finding> {
        self.found.sort_by_key(|finding| match finding.place {
            Place::File { line, column } => (line, column),
            Place::Environment(_) | Place::Flag(_) | Place::Path(_) => (usize::MAX, 0),
        });
        self.found
    }
}

/// A mapping, and which of its keys were asked for.
#[derive(Debug)]
pub struct Section<'n> {
    /// Where it begins.
    pub place: &'n Place,
    name: &'static str,
    entries: &'n [(Key, Node)],
    known: Vec<&'static str>,
    node: &'n Node,
    notes: Option<Rc<RefCell<Notes>>>,
}

impl<'n> Section<'n> {
    /// The mapping that `node` should be; null is an empty one.
    pub fn open(node: &'n Node, name: &'static str, findings: &mut Findings) -> Self {
        let entries = match &node.kind {
            Kind::Map(entries) => &entries[..],
            Kind::Null => &[],
            _ => {
                findings.add(
                    &node.place,
                    format!("{name} should be a mapping of keys to values, not {}", node.word()),
                );
                &[]
            }
        };
        let notes = findings.notes.clone();
        if let Some(notes) = &notes {
            notes.borrow_mut().opened(node);
        }
        Self { place: &node.place, name, entries, known: Vec::new(), node, notes }
    }

    /// The node of a key, if the key is there and not null.
    pub fn node(&mut self, key: &'static str) -> Option<&'n Node> {
        self.known.push(key);
        self.note(key, Held::Unknown, None);
        let (_, node) = self.entries.iter().find(|(found, _)| found.text == key)?;
        (!matches!(node.kind, Kind::Null)).then_some(node)
    }

    fn note(&self, key: &'static str, held: Held, default: Option<String>) {
        if let Some(notes) = &self.notes {
            notes.borrow_mut().asked(self.node, key, held, default);
        }
    }

    /// The value of a key that holds a single value.
    pub fn value<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
        findings: &mut Findings,
    ) -> Option<T> {
        if self.notes.is_some() {
            self.note(key, Held::Scalar(Scalar::read_by(&parse)), None);
        }
        read_scalar(self.node(key)?, &format!("`{key}`"), parse, findings)
    }

    /// Puts the value of a key in place of `target`, the default, if it is there and right.
    pub fn set<T: fmt::Debug>(
        &mut self,
        key: &'static str,
        target: &mut T,
        parse: impl Fn(&str) -> Result<T, String>,
        findings: &mut Findings,
    ) {
        if self.notes.is_some() {
            self.note(key, Held::Unknown, Some(format!("{target:?}")));
        }
        if let Some(value) = self.value(key, parse, findings) {
            *target = value;
        }
    }

    /// The values of a key that holds a list of single values.
    pub fn values<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
        findings: &mut Findings,
    ) -> Vec<T> {
        let each = format!("each of `{key}`");
        if self.notes.is_some() {
            self.note(key, Held::Scalars(Scalar::read_by(&parse)), None);
        }
        self.items(key, findings)
            .iter()
            .filter_map(|item| read_scalar(item, &each, &parse, findings))
            .collect()
    }

    /// The nodes of a key that holds a list.
    pub fn items(&mut self, key: &'static str, findings: &mut Findings) -> &'n [Node] {
        self.note(key, Held::List, None);
        match self.node(key) {
            None => &[],
            Some(Node { kind: Kind::List(items), .. }) => items,
            Some(node) => {
                findings.add(&node.place, format!("`{key}` should be a list, not {}", node.word()));
                &[]
            }
        }
    }

    /// The entries of a key that holds a mapping with keys of the user's choice.
    pub fn entries(&mut self, key: &'static str, findings: &mut Findings) -> &'n [(Key, Node)] {
        self.note(key, Held::Entries, None);
        match self.node(key) {
            None => &[],
            Some(Node { kind: Kind::Map(entries), .. }) => entries,
            Some(node) => {
                findings.add(&node.place, format!("`{key}` should be a mapping, not {}", node.word()));
                &[]
            }
        }
    }

    /// The place of a key, or of the section if it is not there.
    pub fn place_of(&self, key: &str) -> &'n Place {
        self.entries.iter().find(|(found, _)| found.text == key).map_or(self.place, |(found, _)| &found.place)
    }

    /// Reports the keys nobody asked for. Those of `unsupported` that say nothing are let pass.
    pub fn finish(self, unsupported: &[&str], findings: &mut Findings) {
        for (key, node) in self.entries {
            if self.known.contains(&&*key.text) {
                continue;
            }
            if unsupported.contains(&&*key.text) {
                if !node.is_void() {
                    let message =
                        format!("key `{}` of {} is not supported yet; remove it", key.text, self.name);
                    findings.add(&key.place, message);
                }
                continue;
            }
            let advice = match closest(&key.text, self.known.iter().chain(unsupported)) {
                Some(known) => format!("did you mean `{known}`?"),
                None => "remove it".to_owned(),
            };
            findings.add(&key.place, format!("unknown key `{}` in {}; {advice}", key.text, self.name));
        }
    }
}

/// Reads a node that should be a single value.
pub fn read_scalar<T>(
    node: &Node,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
    findings: &mut Findings,
) -> Option<T> {
    if let Some(notes) = &findings.notes {
        notes.borrow_mut().scalar(node, || Scalar::read_by(&parse));
    }
    let Kind::Scalar(text) = &node.kind else {
        findings.add(&node.place, format!("{name} should be a single value, not {}", node.word()));
        return None;
    };
    match parse(text) {
        Ok(value) => Some(value),
        Err(reason) => {
            findings.add(&node.place, format!("{name}: {reason}"));
            None
        }
    }
}

/// Any text.
///
/// # Errors
/// Never.
pub fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// A YAML 1.2 boolean.
///
/// # Errors
/// It is none.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "True" | "TRUE" => Ok(true),
        "false" | "False" | "FALSE" => Ok(false),
        _ => Err(format!("expected `true` or `false`, found `{text}`")),
    }
}

/// A whole number that is not negative.
///
/// # Errors
/// It is none.
pub fn count(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| format!("expected a whole number, found `{text}`"))
}

/// The known word nearest to a mistyped one, if any is near.
fn closest<'k>(word: &str, known: impl Iterator<Item = &'k &'k str>) -> Option<&'k str> {
    known
        .map(|&known| (distance(word, known), known))
        .filter(|&(edits, known)| edits <= 1 + known.len() / 5)
        .min()
        .map(|(_, known)| known)
}

/// How many insertions, deletions and replacements make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["scrape_interval", "scrape_timeout", "job_name"];
        let check = |word: &str, expected| assert_eq!(closest(word, known.iter()), expected);
        check("scrape_intervall", Some("scrape_interval"));
        check("scrapeinterval", Some("scrape_interval"));
        check("jobname", Some("job_name"));
        check("interval", None);
    }
}
