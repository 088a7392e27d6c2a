//! A template as a tree. Nodes know the byte at which they begin.

use std::collections::{BTreeMap, BTreeSet};

/// A template, and those that it defines by name.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) body: Vec<Node>,
    pub(super) defined: BTreeMap<String, Vec<Node>>,
}

impl Tree {
    /// The names of the templates that it calls and does not define.
    pub(super) fn called(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let mut left: Vec<&Node> = self.body.iter().chain(self.defined.values().flatten()).collect();
        while let Some(node) = left.pop() {
            match node {
                Node::If { then, otherwise, .. } | Node::With { then, otherwise, .. } => {
                    left.extend(then.iter().chain(otherwise));
                }
                Node::Range { each, otherwise, .. } => left.extend(each.iter().chain(otherwise)),
                Node::Call { name, .. } if !self.defined.contains_key(name) => {
                    names.insert(name.as_str());
                }
                Node::Call { .. } | Node::Text { .. } | Node::Action(_) | Node::Break | Node::Continue => {}
            }
        }
        names
    }

    /// Whether there is nothing to fill in.
    pub(super) fn is_plain(&self) -> bool {
        match self.body.as_slice() {
            [] => self.defined.is_empty(),
            [Node::Text { verbatim, .. }] => *verbatim,
            _ => false,
        }
    }
}

#[derive(Debug)]
pub(super) enum Node {
    Text {
        text: String,
        /// Whether it is the whole template as it was written.
        verbatim: bool,
    },
    Action(Pipeline),
    If {
        condition: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    With {
        value: Pipeline,
        then: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Range {
        over: Pipeline,
        each: Vec<Node>,
        otherwise: Vec<Node>,
    },
    Call {
        at: usize,
        name: String,
        data: Option<Pipeline>,
    },
    Break,
    Continue,
}

/// Commands, each of which gives its value to the next as the last argument.
#[derive(Debug)]
pub(super) struct Pipeline {
    /// Variables that get the value: declared anew, or set.
    pub(super) variables: Vec<String>,
    pub(super) sets: bool,
    pub(super) commands: Vec<Command>,
}

#[derive(Debug)]
pub(super) struct Command {
    pub(super) at: usize,
    pub(super) operands: Vec<Operand>,
}

/// A value, and fields taken from it.
#[derive(Debug)]
pub(super) struct Operand {
    pub(super) at: usize,
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
}

#[derive(Debug)]
pub(super) enum Base {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Variable(String),
    Function(String),
    Pipeline(Box<Pipeline>),
}
