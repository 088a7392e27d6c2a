//! YAML as a tree in which every node knows its place.
//!
//! Scalars are kept as they were written: what `010` or `yes` means is up to who reads the key. Aliases and `<<`
//! merges are resolved here, within `NODES_MAX`.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::error::{Finding, Place};

/// How many nodes a file may have, those that aliases repeat included.
const NODES_MAX: usize = 200_000;

/// How deep lists and mappings may nest, through aliases too; clones and drops recurse this far.
const DEPTH_MAX: usize = 64;

/// A value, and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing: absent, `~` or `null`.
    Null,
    /// A single value, as it was written.
    Scalar(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file; no key stands twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where it stands.
    pub place: Place,
}

impl Node {
    /// Nothing, at a place.
    pub const fn null(place: Place) -> Self {
        Self { place, kind: Kind::Null }
    }

    /// What the node is, for messages.
    pub const fn word(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Scalar(_) => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// Whether the node says nothing: null, `[]`, `{}`, or a list or mapping of such.
    pub fn is_void(&self) -> bool {
        match &self.kind {
            Kind::Null => true,
            Kind::Scalar(_) => false,
            Kind::List(items) => items.iter().all(Self::is_void),
            Kind::Map(entries) => entries.iter().all(|(_, node)| node.is_void()),
        }
    }

    /// Sets the scalar under a path of keys, making mappings on the way.
    pub fn set(&mut self, path: &[&str], place: &Place, text: &str) {
        let Some((first, rest)) = path.split_first() else {
            *self = Self { place: place.clone(), kind: Kind::Scalar(text.to_owned()) };
            return;
        };
        if !matches!(self.kind, Kind::Map(_)) {
            self.kind = Kind::Map(Vec::new());
        }
        let Kind::Map(entries) = &mut self.kind else { return };
        let index = entries.iter().position(|(key, _)| key.text == *first).unwrap_or_else(|| {
            let key = Key { text: (*first).to_owned(), place: place.clone() };
            entries.push((key, Self::null(place.clone())));
            entries.len() - 1
        });
        entries[index].1.set(rest, place, text);
    }

    fn depth(&self) -> usize {
        match &self.kind {
            Kind::Null | Kind::Scalar(_) => 0,
            Kind::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Map(entries) => 1 + entries.iter().map(|(_, node)| node.depth()).max().unwrap_or(0),
        }
    }

    fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::Null | Kind::Scalar(_) => 0,
            Kind::List(items) => items.iter().map(Self::size).sum(),
            Kind::Map(entries) => entries.iter().map(|(_, node)| 1 + node.size()).sum(),
        }
    }
}

/// Reads the first document of a file.
///
/// # Errors
/// It is not YAML, has a second document, or is beyond a limit.
pub fn parse(text: &str) -> Result<Node, Finding> {
    let mut builder =
        Builder { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0, depth: 0 };
    loop {
        let (event, span) = builder.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            Event::StreamEnd | Event::DocumentEnd => return Ok(Node::null(place(&span))),
            event => {
                let root = builder.node(event, &span)?;
                builder.expect_end()?;
                return Ok(root);
            }
        }
    }
}

fn place(span: &Span) -> Place {
    Place::File { line: span.start.line(), column: span.start.col() + 1 }
}

struct Builder<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    /// How many lists and mappings are open.
    depth: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Finding> {
        match self.parser.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let place = Place::File { line: error.marker().line(), column: error.marker().col() + 1 };
                Err(Finding { place, message: format!("not valid YAML: {}", error.info()) })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn expect_end(&mut self) -> Result<(), Finding> {
        loop {
            match self.next()? {
                (Event::DocumentEnd, _) => {}
                (Event::StreamEnd, _) => return Ok(()),
                (_, span) => {
                    return Err(Finding {
                        place: place(&span),
                        message: "the file has a second document".to_owned(),
                    });
                }
            }
        }
    }

    /// The node that begins with an event.
    fn node(&mut self, event: Event<'a>, span: &Span) -> Result<Node, Finding> {
        let place = place(span);
        self.count(1, &place)?;
        let (kind, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_null =
                    style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                (if is_null { Kind::Null } else { Kind::Scalar(text.into_owned()) }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (self.nested(&place, Self::list)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.nested(&place, Self::map)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, place),
            other => {
                return Err(Finding { place, message: format!("not valid YAML here: {other:?}") });
            }
        };
        let node = Node { place, kind };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Node, Finding> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(Finding { place, message: "an alias refers to the node it stands in".to_owned() });
        };
        self.count(node.size(), &place)?;
        self.check_depth(node.depth(), &place)?;
        Ok(node)
    }

    fn nested(
        &mut self,
        place: &Place,
        read: fn(&mut Self) -> Result<Kind, Finding>,
    ) -> Result<Kind, Finding> {
        self.check_depth(1, place)?;
        self.depth += 1;
        let kind = read(self)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn check_depth(&self, more: usize, place: &Place) -> Result<(), Finding> {
        if self.depth + more > DEPTH_MAX {
            let message = format!("lists and mappings nest deeper than {DEPTH_MAX}");
            return Err(Finding { place: place.clone(), message });
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, place: &Place) -> Result<(), Finding> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            let message = format!("the file has more than {NODES_MAX} nodes, aliases counted in full");
            return Err(Finding { place: place.clone(), message });
        }
        Ok(())
    }

    fn list(&mut self) -> Result<Kind, Finding> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.node(event, &span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Kind, Finding> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => break,
                (event, span) => key(self.node(event, &span)?)?,
            };
            let (event, span) = self.next()?;
            let value = self.node(event, &span)?;
            if key.text == "<<" {
                merged.push(value);
            } else if let Some((first, _)) = entries.iter().find(|(earlier, _)| earlier.text == key.text) {
                let message = format!("key `{}` stands twice, first at {}", key.text, first.place);
                return Err(Finding { place: key.place, message });
            } else {
                entries.push((key, value));
            }
        }
        for node in merged {
            merge(&mut entries, node)?;
        }
        Ok(Kind::Map(entries))
    }
}

fn key(node: Node) -> Result<Key, Finding> {
    match node.kind {
        Kind::Scalar(text) => Ok(Key { text, place: node.place }),
        _ => Err(Finding {
            message: format!("a key should be a word, not {}", node.word()),
            place: node.place,
        }),
    }
}

/// Adds the entries of a merged mapping, or of a list of such, whose keys are not there yet.
fn merge(entries: &mut Vec<(Key, Node)>, node: Node) -> Result<(), Finding> {
    match node.kind {
        Kind::Map(more) => {
            for (key, value) in more {
                if entries.iter().all(|(earlier, _)| earlier.text != key.text) {
                    entries.push((key, value));
                }
            }
            Ok(())
        }
        Kind::List(items) => items.into_iter().try_for_each(|item| merge(entries, item)),
        _ => Err(Finding { message: "only a mapping can be merged by `<<`".to_owned(), place: node.place }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(node: &Node) -> String {
        match &node.kind {
            Kind::Null => "null".to_owned(),
            Kind::Scalar(text) => format!("{text:?}"),
            Kind::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Kind::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(key, node)| format!("{}={}", key.text, show(node))).collect();
                format!("{{{}}}", entries.join(" "))
            }
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match parse(text) {
            Ok(node) => show(&node),
            Err(finding) => format!("{}: {}", finding.place, finding.message),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn scalars_stay_as_written() {
        check("", "null");
        check("# nothing\n", "null");
        check("a: 010\nb: yes\nc: '~'\nd: ~\ne:", r#"{a="010" b="yes" c="~" d=null e=null}"#);
        check("- 1\n- [a, b]\n- {c: d}\n", r#"["1" ["a" "b"] {c="d"}]"#);
    }

    #[test]
    fn aliases_and_merges_are_resolved() {
        check(
            "a: &x {k: 1, l: 2}\nb: *x\nc:\n  <<: *x\n  k: 3\n",
            r#"{a={k="1" l="2"} b={k="1" l="2"} c={k="3" l="2"}}"#,
        );
        check("a: 1\nb:\n  <<: 5\n", "3:7: only a mapping can be merged by `<<`");
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for i in 1..10 {
            text += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
        }
        let finding = parse(&text).unwrap_err();
        assert!(finding.message.contains("more than 200000 nodes"), "{}", finding.message);
    }

    #[test]
    fn says_where_it_is_wrong() {
        check("a: 1\nb: 2\na: 3\n", "3:1: key `a` stands twice, first at 1:1");
        check("a: 1\n---\nb: 2\n", "2:1: the file has a second document");
        check("[1]: 2\n", "1:1: a key should be a word, not a list");
        let finding = parse("a: [1\nb: 2").unwrap_err();
        assert!(finding.message.starts_with("not valid YAML: "), "{}", finding.message);
    }

    #[test]
    fn depth_is_bounded() {
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&"- ".repeat(100_000)).is_err());
        assert!(parse(&"a: {".repeat(10_000)).is_err());
        let mut text = "a0: &a0 [[[[[[[[x]]]]]]]]\n".to_owned();
        for i in 1..20 {
            text += &format!("a{i}: &a{i} [[[[[[[[*a{}]]]]]]]]\n", i - 1);
        }
        let finding = parse(&text).unwrap_err();
        assert!(finding.message.contains("nest deeper than 64"), "{}", finding.message);
    }
}
