//! What a reader reads, found out by having it read.
//!
//! A reader is given a document that is empty at first. Sections note each key that they are asked for, what it holds, and
//! its default; the document grows by these keys, with values that fit, and is read again, until the reader asks for nothing
//! new. So an outline has all that is read and nothing else, and there is no second list of keys to keep true. What a single
//! value may be is found out likewise: its parser is asked about a value of each kind.
//!
//! Nodes are told apart by where they lie in memory, which holds for the time of one reading.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use crate::{
    error::Place,
    section::Findings,
    tree::{Key, Kind, Node},
};

/// A document is read so often at most; each time it is one level deeper.
const READINGS_MAX: usize = 24;
/// Values of which at least one fits most parsers.
const VALUES: [&str; 22] = [
    "example",
    "true",
    "1m",
    "10s",
    "1h",
    "1d",
    "64MiB",
    "1",
    "2",
    "10",
    "200",
    "1000",
    "0.5",
    "127.0.0.1:1",
    "http://127.0.0.1:1/",
    "example.yml",
    "example_1",
    "{job=\"example\"}",
    "10.0.0.0/8",
    "/example",
    "TLS12",
    "0",
];

/// What may stand somewhere.
#[derive(Clone, Debug, PartialEq)]
pub enum Outline {
    /// Anything: the reader does not say.
    Any,
    /// A single value.
    Scalar(Scalar),
    /// A list.
    List(Box<Outline>),
    /// A mapping with keys of the user's choice.
    Entries(Box<Outline>),
    /// A mapping with these keys, in the order in which they are asked for.
    Section(Vec<Field>),
    /// Not found out yet; as a mapping, and after that as a list, it was not read.
    #[doc(hidden)]
    Open { as_list: bool },
}

/// A key and what it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The key.
    pub key: &'static str,
    /// What it holds.
    pub outline: Outline,
    /// What holds without it, as Rust shows it; `None` where that is decided elsewhere.
    pub default: Option<String>,
}

/// What a single value may be.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar {
    /// Its kind.
    pub kind: ScalarKind,
    /// A value that the reader takes, if one was found.
    pub example: Option<String>,
}

/// The kinds of single values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScalarKind {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Count,
    /// A number.
    Number,
    /// A duration such as `5m`.
    Duration,
    /// A size such as `64MiB`.
    Size,
    /// One of these words.
    Words(Vec<String>),
    /// A text.
    Text,
}

impl Scalar {
    /// What a parser takes.
    pub(crate) fn read_by<T>(parse: &dyn Fn(&str) -> Result<T, String>) -> Self {
        let takes = |text: &str| parse(text).is_ok();
        let any = |texts: &[&str]| texts.iter().any(|text| takes(text));
        let words = parse("?").err().map(|why| words_of(&why)).unwrap_or_default();
        // A message that says more than words, such as one with an example, is no list of them.
        let words = if words.iter().all(|word| takes(word)) { words } else { Vec::new() };
        let kind = if takes("some words") {
            ScalarKind::Text
        } else if takes("true") && takes("false") {
            ScalarKind::Boolean
        } else if any(&["1m", "10s", "1h", "1d"]) {
            ScalarKind::Duration
        } else if any(&["1KiB", "64MiB", "10GiB"]) {
            ScalarKind::Size
        } else if any(&["0.25", "0.5", "1.5"]) {
            ScalarKind::Number
        } else if any(&["0", "1", "2", "10", "200", "1000", "100000"]) {
            ScalarKind::Count
        } else if !words.is_empty() {
            ScalarKind::Words(words.clone())
        } else {
            ScalarKind::Text
        };
        let example = VALUES.into_iter().map(str::to_owned).chain(words).find(|text| takes(text));
        Self { kind, example }
    }
}

/// The words that a message says it expected.
fn words_of(message: &str) -> Vec<String> {
    let expected = message.split_once("expected ").map_or(message, |(_, rest)| rest);
    let end = [", found", ", not", ";"].iter().filter_map(|mark| expected.find(mark)).min();
    let words = expected[..end.unwrap_or(expected.len())].split([' ', ',', '`']);
    words
        .filter(|word| !word.is_empty() && !["or", "one", "of", "a"].contains(word))
        .map(str::to_owned)
        .collect()
}

/// What was noted in one reading.
#[derive(Debug, Default)]
pub(crate) struct Notes(HashMap<usize, Noted>);

#[derive(Debug)]
enum Noted {
    Section(Vec<Asked>),
    Scalar(Scalar),
}

#[derive(Debug)]
struct Asked {
    key: &'static str,
    held: Held,
    default: Option<String>,
}

/// What a key holds, as far as asking for it says.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    Unknown,
    Scalar(Scalar),
    Scalars(Scalar),
    List,
    Entries,
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

impl Notes {
    /// A node is read as a mapping.
    pub(crate) fn opened(&mut self, node: &Node) {
        self.0.entry(address(node)).or_insert_with(|| Noted::Section(Vec::new()));
    }

    /// A section is asked for a key.
    pub(crate) fn asked(&mut self, node: &Node, key: &'static str, held: Held, default: Option<String>) {
        let Some(Noted::Section(keys)) = self.0.get_mut(&address(node)) else { return };
        match keys.iter_mut().find(|asked| asked.key == key) {
            None => keys.push(Asked { key, held, default }),
            Some(known) => {
                if matches!(known.held, Held::Unknown | Held::List) {
                    known.held = held;
                }
                known.default = known.default.take().or(default);
            }
        }
    }

    /// A node is read as a single value.
    pub(crate) fn scalar(&mut self, node: &Node, scalar: impl FnOnce() -> Scalar) {
        self.0.entry(address(node)).or_insert_with(|| Noted::Scalar(scalar()));
    }
}

impl Outline {
    /// What a reader of a whole document reads. What it finds wrong with the documents it is given does not matter.
    pub fn of(reader: impl Fn(&Node, &mut Findings)) -> Self {
        let mut outline = Self::Open { as_list: false };
        for _ in 0..READINGS_MAX {
            let mut lines = 0;
            let example = outline.example(&mut lines);
            let notes = Rc::new(RefCell::new(Notes::default()));
            reader(&example, &mut Findings::noting(notes.clone()));
            if !outline.learn(&example, &notes.borrow()) {
                break;
            }
        }
        outline
    }

    /// A document with all that is known.
    fn example(&self, lines: &mut usize) -> Node {
        *lines += 1;
        let place = Place::File { line: *lines, column: 1 };
        let key = |text: &str| Key { text: text.to_owned(), place: place.clone() };
        let kind = match self {
            Self::Open { as_list: false } => Kind::Map(Vec::new()),
            Self::Open { as_list: true } => Kind::List(vec![Self::Open { as_list: false }.example(lines)]),
            Self::Any => Kind::Null,
            Self::Scalar(scalar) => Kind::Scalar(scalar.example.clone().unwrap_or_default()),
            Self::List(item) => Kind::List(vec![item.example(lines)]),
            Self::Entries(value) => Kind::Map(vec![(key("example"), value.example(lines))]),
            Self::Section(fields) => {
                Kind::Map(fields.iter().map(|field| (key(field.key), field.outline.example(lines))).collect())
            }
        };
        Node { place: place.clone(), kind }
    }

    /// Takes up what was noted of a document that was made of this; whether another reading may tell more.
    fn learn(&mut self, node: &Node, notes: &Notes) -> bool {
        match (&mut *self, &node.kind) {
            (Self::Open { as_list }, kind) => {
                let noted = |node: &Node| notes.0.get(&address(node)).map(of_note);
                let as_list_now = *as_list;
                *self = match (noted(node), kind) {
                    (Some(found), _) => found,
                    (None, Kind::List(items)) if as_list_now => match items.first().and_then(noted) {
                        Some(item) => Self::List(Box::new(item)),
                        None => Self::Any,
                    },
                    (None, _) => Self::Open { as_list: true },
                };
                true
            }
            (Self::List(item), Kind::List(items)) => {
                items.first().is_some_and(|node| item.learn(node, notes))
            }
            (Self::Entries(value), Kind::Map(entries)) => {
                entries.first().is_some_and(|(_, node)| value.learn(node, notes))
            }
            (Self::Section(fields), Kind::Map(entries)) => {
                let mut more = false;
                for (field, (_, node)) in fields.iter_mut().zip(entries) {
                    more |= field.outline.learn(node, notes);
                }
                if let Some(Noted::Section(keys)) = notes.0.get(&address(node)) {
                    for asked in keys {
                        if fields.iter().all(|field| field.key != asked.key) {
                            fields.push(of_key(asked));
                            more = true;
                        }
                    }
                }
                more
            }
            _ => false,
        }
    }
}

fn of_note(noted: &Noted) -> Outline {
    match noted {
        Noted::Section(keys) => Outline::Section(keys.iter().map(of_key).collect()),
        Noted::Scalar(scalar) => Outline::Scalar(scalar.clone()),
    }
}

fn of_key(asked: &Asked) -> Field {
    let open = || Box::new(Outline::Open { as_list: false });
    let outline = match &asked.held {
        Held::Unknown => Outline::Open { as_list: false },
        Held::Scalar(scalar) => Outline::Scalar(scalar.clone()),
        Held::Scalars(scalar) => Outline::List(Box::new(Outline::Scalar(scalar.clone()))),
        Held::List => Outline::List(open()),
        Held::Entries => Outline::Entries(open()),
    };
    Field { key: asked.key, outline, default: asked.default.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        section::{Section, boolean, count, read_scalar, text},
        units::{parse_duration, parse_size},
    };

    fn show(outline: &Outline) -> String {
        match outline {
            Outline::Section(fields) => {
                let show = |field: &Field| {
                    let default = field.default.as_ref().map(|text| format!("={text}")).unwrap_or_default();
                    format!("{}{default}: {}", field.key, show(&field.outline))
                };
                format!("{{{}}}", fields.iter().map(show).collect::<Vec<_>>().join(", "))
            }
            Outline::List(item) => format!("[{}]", show(item)),
            Outline::Entries(value) => format!("<{}>", show(value)),
            Outline::Scalar(scalar) => format!("{:?}", scalar.kind),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_reader_tells_what_it_reads() {
        let colour = |text: &str| match text {
            "red" | "blue" => Ok(text.len()),
            _ => Err(format!("expected `red` or `blue`, found `{text}`")),
        };
        let outline = Outline::of(|root, findings| {
            let mut section = Section::open(root, "the file", findings);
            let mut on = true;
            section.set("on", &mut on, boolean, findings);
            section.value("wait", parse_duration, findings);
            section.value("room", parse_size, findings);
            section.values("names", text, findings);
            section.value("colour", colour, findings);
            for (_, node) in section.entries("labels", findings) {
                read_scalar(node, "a label", text, findings);
            }
            for node in section.items("jobs", findings) {
                let mut job = Section::open(node, "a job", findings);
                // Asked for only when the one before is there.
                if job.value("name", text, findings).is_some() {
                    job.value("times", count, findings);
                }
            }
            if let Some(node) = section.node("deep") {
                let mut deep = Section::open(node, "deep", findings);
                if let Some(Node { kind: Kind::List(items), .. }) = deep.node("list") {
                    for item in items {
                        read_scalar(item, "item", count, findings);
                    }
                }
                deep.node("mystery");
            }
        });
        assert_eq!(
            show(&outline),
            "{on=true: Boolean, wait: Duration, room: Size, names: [Text], colour: Words([\"red\", \"blue\"]), \
             labels: <Text>, jobs: [{name: Text, times: Count}], deep: {list: [Count], mystery: Any}}"
        );
    }
}
