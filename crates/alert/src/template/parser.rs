//! Parts of a template to its tree.

use super::{
    Dialect, Mistake, TEXT_BYTES_MAX,
    lexer::{Kind, Part, Token, parts},
    tree::{Base, Command, Node, Operand, Pipeline, Tree},
};

/// How deep actions and parentheses may nest.
const DEPTH_MAX: usize = 64;

/// The variables that are there from the beginning; `$` is all data.
pub(super) const GIVEN: [&str; 5] = ["$", "$labels", "$externalLabels", "$externalURL", "$value"];

/// Reads a template.
pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Tree, Mistake> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Mistake::new(0, format!("a template has at most {TEXT_BYTES_MAX} bytes")));
    }
    let parts = parts(text)?;
    if let [Part::Text(only)] = parts.as_slice() {
        let node = Node::Text { text: (*only).to_owned(), verbatim: only.len() == text.len() };
        return Ok(Tree { body: vec![node], ..Tree::default() });
    }
    let given = if dialect == Dialect::Rules { &GIVEN[..] } else { &GIVEN[..1] };
    let known = given.iter().map(|name| (*name).to_owned()).collect();
    let mut parser =
        Parser { parts, next: 0, end: text.len(), known, tree: Tree::default(), loops: 0, dialect };
    let (body, stop) = parser.body(0)?;
    if let Some((at, word)) = stop {
        return Err(Mistake::new(at, format!("unexpected `{}`", word.as_str())));
    }
    parser.tree.body = body;
    Ok(parser.tree)
}

/// What ends a list of nodes.
#[derive(Clone, Debug, PartialEq)]
enum Stop {
    End,
    Else(Vec<Token>),
}

/// Nodes, and what ended them and where; `None` is the end of the text.
type Body = (Vec<Node>, Option<(usize, Stop)>);

impl Stop {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::End => "end",
            Self::Else(_) => "else",
        }
    }
}

struct Parser<'t> {
    parts: Vec<Part<'t>>,
    next: usize,
    /// Where the text ends.
    end: usize,
    /// Variables in scope.
    known: Vec<String>,
    tree: Tree,
    /// How many `range` are open.
    loops: usize,
    dialect: Dialect,
}

impl Parser<'_> {
    /// Nodes up to an `end` or `else`, or to the end of the text.
    fn body(&mut self, depth: usize) -> Result<Body, Mistake> {
        let mut nodes = Vec::new();
        while let Some(part) = self.parts.get_mut(self.next) {
            self.next += 1;
            let (at, tokens) = match part {
                Part::Text(text) => {
                    nodes.push(Node::Text { text: (*text).to_owned(), verbatim: false });
                    continue;
                }
                Part::Action(at, tokens) => (*at, std::mem::take(tokens)),
            };
            if depth > DEPTH_MAX {
                return Err(Mistake::new(at, format!("actions nest deeper than {DEPTH_MAX}")));
            }
            let word = match tokens.first().map(|token| &token.kind) {
                Some(Kind::Word(word)) => word.clone(),
                _ => String::new(),
            };
            let rest = tokens.get(1..).unwrap_or_default();
            match word.as_str() {
                "end" => return self.bare(at, "end", rest).map(|()| (nodes, Some((at, Stop::End)))),
                "else" => return Ok((nodes, Some((at, Stop::Else(rest.to_vec()))))),
                "if" | "with" | "range" => nodes.push(self.branch(at, &word, rest, depth)?),
                "define" => self.define(at, rest, depth)?,
                "block" => {
                    let (name, data) = self.named(at, rest)?;
                    self.define(at, &rest[..1], depth)?;
                    nodes.push(Node::Call { at, name, data });
                }
                "template" => {
                    let (name, data) = self.named(at, rest)?;
                    nodes.push(Node::Call { at, name, data });
                }
                "break" | "continue" => {
                    self.bare(at, &word, rest)?;
                    if self.loops == 0 {
                        return Err(Mistake::new(at, format!("`{word}` outside of `range`")));
                    }
                    nodes.push(if word == "break" { Node::Break } else { Node::Continue });
                }
                _ => {
                    let mut known = std::mem::take(&mut self.known);
                    let pipeline =
                        Tokens { tokens: &tokens, next: 0, at, known: &mut known, dialect: self.dialect }
                            .whole(false);
                    self.known = known;
                    nodes.push(Node::Action(pipeline?));
                }
            }
        }
        Ok((nodes, None))
    }

    fn bare(&self, at: usize, word: &str, rest: &[Token]) -> Result<(), Mistake> {
        match rest.is_empty() {
            true => Ok(()),
            false => Err(Mistake::new(at, format!("`{word}` stands alone"))),
        }
    }

    /// `if`, `with` or `range` with all that belongs to it.
    fn branch(&mut self, at: usize, word: &str, rest: &[Token], depth: usize) -> Result<Node, Mistake> {
        if depth > DEPTH_MAX {
            return Err(Mistake::new(at, format!("actions nest deeper than {DEPTH_MAX}")));
        }
        let scope = self.known.len();
        let mut known = std::mem::take(&mut self.known);
        let pipeline = Tokens { tokens: rest, next: 0, at, known: &mut known, dialect: self.dialect }
            .whole(word == "range");
        self.known = known;
        let pipeline = pipeline?;
        self.loops += usize::from(word == "range");
        let (then, stop) = self.body(depth + 1)?;
        self.loops -= usize::from(word == "range");
        let otherwise = match stop {
            None => return Err(Mistake::new(self.end, format!("the `{word}` at byte {at} has no `end`"))),
            Some((_, Stop::End)) => Vec::new(),
            Some((at, Stop::Else(tokens))) if !tokens.is_empty() => {
                let next = match &tokens[0].kind {
                    Kind::Word(next) if next == word && word != "range" => next.clone(),
                    _ => return Err(Mistake::new(at, format!("expected `else` alone or `else {word}`"))),
                };
                vec![self.branch(at, &next, &tokens[1..], depth + 1)?]
            }
            Some((_, Stop::Else(_))) => {
                let (nodes, stop) = self.body(depth + 1)?;
                match stop {
                    Some((_, Stop::End)) => nodes,
                    Some((at, Stop::Else(_))) => return Err(Mistake::new(at, "a second `else`")),
                    None => {
                        return Err(Mistake::new(
                            self.end,
                            format!("the `{word}` at byte {at} has no `end`"),
                        ));
                    }
                }
            }
        };
        self.known.truncate(scope);
        Ok(match word {
            "if" => Node::If { condition: pipeline, then, otherwise },
            "with" => Node::With { value: pipeline, then, otherwise },
            _ => Node::Range { over: pipeline, each: then, otherwise },
        })
    }

    /// A template with a name of its own; variables outside of it are not seen inside.
    fn define(&mut self, at: usize, rest: &[Token], depth: usize) -> Result<(), Mistake> {
        let [Token { kind: Kind::Text(name), .. }] = rest else {
            return Err(Mistake::new(at, "expected `define \"name\"`"));
        };
        let known = std::mem::replace(&mut self.known, vec!["$".to_owned()]);
        let loops = std::mem::take(&mut self.loops);
        let (body, stop) = self.body(depth + 1)?;
        (self.known, self.loops) = (known, loops);
        match stop {
            Some((_, Stop::End)) => drop(self.tree.defined.insert(name.clone(), body)),
            Some((at, Stop::Else(_))) => return Err(Mistake::new(at, "unexpected `else`")),
            None => return Err(Mistake::new(self.end, format!("the template {name:?} has no `end`"))),
        }
        Ok(())
    }

    /// `"name" pipeline`
    fn named(&mut self, at: usize, rest: &[Token]) -> Result<(String, Option<Pipeline>), Mistake> {
        let Some(Token { kind: Kind::Text(name), .. }) = rest.first() else {
            return Err(Mistake::new(at, "expected the name of a template"));
        };
        if rest.len() == 1 {
            return Ok((name.clone(), None));
        }
        let mut known = std::mem::take(&mut self.known);
        let data =
            Tokens { tokens: &rest[1..], next: 0, at, known: &mut known, dialect: self.dialect }.whole(false);
        self.known = known;
        Ok((name.clone(), Some(data?)))
    }
}

/// The tokens of one action.
struct Tokens<'a> {
    tokens: &'a [Token],
    next: usize,
    at: usize,
    known: &'a mut Vec<String>,
    dialect: Dialect,
}

impl Tokens<'_> {
    /// A pipeline that takes all tokens.
    fn whole(mut self, is_range: bool) -> Result<Pipeline, Mistake> {
        let pipeline = self.pipeline(is_range, 0)?;
        match self.tokens.get(self.next) {
            None => Ok(pipeline),
            Some(token) => Err(Mistake::new(token.at, "unexpected here; is a parenthesis missing?")),
        }
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn pipeline(&mut self, is_range: bool, depth: usize) -> Result<Pipeline, Mistake> {
        if depth > DEPTH_MAX {
            return Err(Mistake::new(self.at, format!("parentheses nest deeper than {DEPTH_MAX}")));
        }
        let (variables, sets) = self.variables(is_range)?;
        let mut commands = Vec::new();
        loop {
            commands.push(self.command(depth)?);
            if self.peek() != Some(&Kind::Pipe) {
                break;
            }
            self.next += 1;
        }
        for command in &commands[1..] {
            if !matches!(command.operands[0].base, Base::Function(_)) {
                return Err(Mistake::new(command.at, "what follows a `|` has to be a function"));
            }
        }
        if !sets {
            self.known.extend(variables.iter().cloned());
        }
        Ok(Pipeline { variables, sets, commands })
    }

    /// `$x :=`, `$x =`, and in a `range` `$i, $x :=`.
    fn variables(&mut self, is_range: bool) -> Result<(Vec<String>, bool), Mistake> {
        let name = |kind: Option<&Token>| match kind {
            Some(Token { kind: Kind::Variable(name), .. }) => Some(name.clone()),
            _ => None,
        };
        let ahead = |index: usize| self.tokens.get(self.next + index);
        let (Some(first), second) = (name(ahead(0)), ahead(1).map(|token| &token.kind)) else {
            return Ok((Vec::new(), false));
        };
        let (names, used) = match second {
            Some(Kind::Comma) if is_range => match name(ahead(2)) {
                Some(second) => (vec![first, second], 3),
                None => return Err(Mistake::new(self.at, "expected a second variable")),
            },
            _ => (vec![first], 1),
        };
        let sets = match ahead(used).map(|token| &token.kind) {
            Some(Kind::Declare) => false,
            Some(Kind::Assign) => true,
            _ if used == 1 => return Ok((Vec::new(), false)),
            _ => return Err(Mistake::new(self.at, "expected `:=` after two variables")),
        };
        if sets && let Some(unknown) = names.iter().find(|name| !self.known.contains(name)) {
            return Err(Mistake::new(self.at, format!("there is no variable `{unknown}`")));
        }
        self.next += used + 1;
        Ok((names, sets))
    }

    fn command(&mut self, depth: usize) -> Result<Command, Mistake> {
        let at = self.tokens.get(self.next).map_or(self.at, |token| token.at);
        let mut operands = Vec::new();
        while let Some(operand) = self.operand(depth)? {
            operands.push(operand);
        }
        match operands.first() {
            None => Err(Mistake::new(at, "a value is missing")),
            Some(first)
                if operands.len() > 1
                    && !matches!(first.base, Base::Function(_))
                    && (self.dialect == Dialect::Rules || first.fields.is_empty()) =>
            {
                Err(Mistake::new(at, "only functions take arguments"))
            }
            Some(_) => Ok(Command { at, operands }),
        }
    }

    fn operand(&mut self, depth: usize) -> Result<Option<Operand>, Mistake> {
        let Some(Token { at, kind, .. }) = self.tokens.get(self.next).cloned() else { return Ok(None) };
        let mut fields = Vec::new();
        let base = match kind {
            Kind::Pipe | Kind::Close => return Ok(None),
            Kind::Comma | Kind::Declare | Kind::Assign => {
                return Err(Mistake::new(at, "unexpected in an action"));
            }
            Kind::Dot => Base::Dot,
            Kind::Field(name) => {
                fields.push(name);
                Base::Dot
            }
            Kind::Int(value) => Base::Int(value),
            Kind::Float(value) => Base::Float(value),
            Kind::Text(text) => Base::Text(text),
            Kind::Variable(name) => {
                if !self.known.contains(&name) {
                    return Err(Mistake::new(at, format!("there is no variable `{name}`")));
                }
                Base::Variable(name)
            }
            Kind::Word(word) => match word.as_str() {
                "true" => Base::Bool(true),
                "false" => Base::Bool(false),
                "nil" => Base::Nil,
                _ if self.dialect.has(&word) => Base::Function(word),
                _ => return Err(Mistake::new(at, format!("there is no function `{word}`"))),
            },
            Kind::Open => {
                self.next += 1;
                let inner = self.pipeline(false, depth + 1)?;
                if self.peek() != Some(&Kind::Close) {
                    return Err(Mistake::new(at, "unclosed parenthesis"));
                }
                Base::Pipeline(Box::new(inner))
            }
        };
        self.next += 1;
        let takes_fields = !matches!(base, Base::Function(_) | Base::Bool(_) | Base::Nil);
        while let Some(Token { kind: Kind::Field(name), spaced: false, .. }) = self.tokens.get(self.next)
            && takes_fields
        {
            fields.push(name.clone());
            self.next += 1;
        }
        Ok(Some(Operand { at, base, fields }))
    }
}
