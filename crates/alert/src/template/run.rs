//! A template filled in.

use std::{collections::BTreeMap, rc::Rc};

use super::{
    Mistake, Surroundings, TEXT_BYTES_MAX, builtins, functions,
    library::Library,
    methods, telling,
    tree::{Base, Command, Node, Operand, Pipeline, Tree},
    value::Value,
};

/// Nodes and commands that are run at most.
const STEPS_MAX: usize = 100_000;
/// How deep templates may call each other.
const CALLS_MAX: usize = 32;

/// Fills in a template of a rule with these fields.
pub(super) fn expand(
    tree: &Tree,
    data: BTreeMap<&'static str, Value>,
    surroundings: &Surroundings<'_>,
) -> Result<String, Mistake> {
    let given = [
        ("$labels", "Labels"),
        ("$externalLabels", "ExternalLabels"),
        ("$externalURL", "ExternalURL"),
        ("$value", "Value"),
    ];
    let variables = given
        .iter()
        .filter_map(|(name, field)| Some(((*name).to_owned(), data.get(field)?.clone())))
        .collect();
    let dot = Value::Fields(Rc::new(data));
    run(Run { variables, ..Run::new(tree, surroundings) }, dot)
}

/// Fills in a template of a notice. Where it becomes HTML, what is filled in is escaped.
pub(super) fn tell(
    tree: &Tree,
    library: &Library,
    dot: Value,
    surroundings: &Surroundings<'_>,
    escapes: bool,
) -> Result<String, Mistake> {
    run(Run { library: Some(library), escapes, ..Run::new(tree, surroundings) }, dot)
}

fn run(mut run: Run<'_>, dot: Value) -> Result<String, Mistake> {
    run.variables.push(("$".to_owned(), dot.clone()));
    run.nodes(&run.tree.body, &dot)?;
    Ok(run.out)
}

/// A template being filled in.
pub(super) struct Run<'t> {
    tree: &'t Tree,
    /// Templates of files; `None` in rules.
    library: Option<&'t Library>,
    pub(super) surroundings: &'t Surroundings<'t>,
    variables: Vec<(String, Value)>,
    out: String,
    steps: usize,
    calls: usize,
    escapes: bool,
}

/// How a list of nodes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

impl<'t> Run<'t> {
    fn new(tree: &'t Tree, surroundings: &'t Surroundings<'t>) -> Self {
        let (variables, out) = (Vec::new(), String::new());
        Self { tree, library: None, surroundings, variables, out, steps: 0, calls: 0, escapes: false }
    }

    fn nodes(&mut self, nodes: &'t [Node], dot: &Value) -> Result<Flow, Mistake> {
        let scope = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::On {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn step(&mut self, at: usize) -> Result<(), Mistake> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err(Mistake::new(at, format!("more than {STEPS_MAX} steps")));
        }
        Ok(())
    }

    fn write(&mut self, text: &str, at: usize) -> Result<(), Mistake> {
        if self.out.len() + text.len() > TEXT_BYTES_MAX {
            return Err(Mistake::new(at, format!("the text gets longer than {TEXT_BYTES_MAX} bytes")));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn node(&mut self, node: &'t Node, dot: &Value) -> Result<Flow, Mistake> {
        self.step(0)?;
        match node {
            Node::Text { text, .. } => self.write(text, 0)?,
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    let text = if value == Value::Nil { "<no value>".to_owned() } else { value.show() };
                    let text =
                        if self.escapes && !is_safe(pipeline) { builtins::escape_html(&text) } else { text };
                    self.write(&text, place(pipeline))?;
                }
            }
            Node::If { condition, then, otherwise } => {
                let scope = self.variables.len();
                let holds = self.pipeline(condition, dot)?.is_true();
                let flow = self.nodes(if holds { then } else { otherwise }, dot)?;
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::With { value, then, otherwise } => {
                let scope = self.variables.len();
                let value = self.pipeline(value, dot)?;
                let flow = match value.is_true() {
                    true => self.nodes(then, &value)?,
                    false => self.nodes(otherwise, dot)?,
                };
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Range { over, each, otherwise } => {
                let scope = self.variables.len();
                let flow = self.range(over, each, otherwise, dot);
                self.variables.truncate(scope);
                return flow;
            }
            Node::Call { at, name, data } => {
                let data = match data {
                    Some(pipeline) => self.pipeline(pipeline, dot)?,
                    None => Value::Nil,
                };
                self.call_template(name, data, *at)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn range(
        &mut self,
        over: &'t Pipeline,
        each: &'t [Node],
        otherwise: &'t [Node],
        dot: &Value,
    ) -> Result<Flow, Mistake> {
        // Its variables are of each item, not of the list.
        let list = self.commands(over, dot)?;
        let items: Vec<(Value, Value)> = match &list {
            Value::List(list) => (0..).map(Value::Int).zip(list.iter().cloned()).collect(),
            Value::Texts(texts) | Value::Pairs(texts) => {
                texts.iter().map(|(name, value)| (Value::text(name), Value::text(value))).collect()
            }
            Value::Map(map) => map.iter().map(|(name, value)| (Value::text(name), value.clone())).collect(),
            Value::Int(count) => {
                let count = (*count).clamp(0, i64::try_from(STEPS_MAX).unwrap_or(i64::MAX) + 1);
                (0..count).map(|i| (Value::Int(i), Value::Int(i))).collect()
            }
            Value::Nil => Vec::new(),
            other => {
                return Err(Mistake::new(place(over), format!("cannot range over a {}", other.kind())));
            }
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (key, item) in items {
            self.step(place(over))?;
            let scope = self.variables.len();
            match over.variables.as_slice() {
                [name] => self.assign(name, item.clone(), over.sets),
                [first, second] => {
                    self.assign(first, key, over.sets);
                    self.assign(second, item.clone(), over.sets);
                }
                _ => {}
            }
            let flow = self.nodes(each, &item)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn assign(&mut self, name: &str, value: Value, sets: bool) {
        match self.variables.iter_mut().rev().find(|known| sets && known.0 == name) {
            Some(known) => known.1 = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    fn call_template(&mut self, name: &str, data: Value, at: usize) -> Result<(), Mistake> {
        let tree = self.tree;
        let library = self.library;
        let body = tree.defined.get(name).or_else(|| library?.get(name));
        let Some(body) = body else {
            return Err(Mistake::new(at, format!("there is no template {name:?}")));
        };
        if self.calls >= CALLS_MAX {
            return Err(Mistake::new(at, format!("templates call each other more than {CALLS_MAX} deep")));
        }
        self.calls += 1;
        let outside = std::mem::replace(&mut self.variables, vec![("$".to_owned(), data.clone())]);
        let done = self.nodes(body, &data);
        (self.variables, self.calls) = (outside, self.calls - 1);
        done.map(|_| ())
    }

    /// A template of this text as a value: the function `tmpl`.
    pub(super) fn named(&mut self, name: &str, data: Value) -> Result<Value, String> {
        let outside = std::mem::take(&mut self.out);
        let done = self.call_template(name, data, 0);
        let text = std::mem::replace(&mut self.out, outside);
        done.map(|()| Value::text(text)).map_err(|mistake| mistake.message)
    }

    fn pipeline(&mut self, pipeline: &'t Pipeline, dot: &Value) -> Result<Value, Mistake> {
        let value = self.commands(pipeline, dot)?;
        if let [name] = pipeline.variables.as_slice() {
            self.assign(name, value.clone(), pipeline.sets);
        }
        Ok(value)
    }

    fn commands(&mut self, pipeline: &'t Pipeline, dot: &Value) -> Result<Value, Mistake> {
        let mut value = None;
        for command in &pipeline.commands {
            self.step(command.at)?;
            value = Some(self.command(command, value, dot)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    fn command(&mut self, command: &'t Command, last: Option<Value>, dot: &Value) -> Result<Value, Mistake> {
        let [first, args @ ..] = command.operands.as_slice() else { return Ok(Value::Nil) };
        let Base::Function(name) = &first.base else {
            return if args.is_empty() { self.operand(first, dot) } else { self.method(first, args, dot) };
        };
        if let "and" | "or" = name.as_str() {
            if args.is_empty() && last.is_none() {
                return Err(Mistake::new(command.at, format!("`{name}`: takes at least one argument")));
            }
            return self.until(name == "or", args, last, dot);
        }
        let mut given = Vec::with_capacity(args.len() + 1);
        for arg in args {
            given.push(self.operand(arg, dot)?);
        }
        given.extend(last);
        self.call(name, &given, command.at)
    }

    fn call(&mut self, name: &str, args: &[Value], at: usize) -> Result<Value, Mistake> {
        let bytes = |value: &Value| if let Value::Text(text) = value { text.len() } else { 0 };
        if args.iter().map(bytes).sum::<usize>() > TEXT_BYTES_MAX {
            return Err(Mistake::new(at, format!("a text gets longer than {TEXT_BYTES_MAX} bytes")));
        }
        let told = self.library.and_then(|_| telling::call(name, args, self.surroundings.now));
        let answer =
            told.or_else(|| builtins::call(name, args)).or_else(|| functions::call(name, args, self));
        let answer = answer.unwrap_or_else(|| Err("there is no such function".to_owned()));
        answer.map_err(|reason| Mistake::new(at, format!("`{name}`: {reason}")))
    }

    /// A method with arguments: the last field of an operand.
    fn method(&mut self, operand: &'t Operand, args: &'t [Operand], dot: &Value) -> Result<Value, Mistake> {
        let mut value = self.base(operand, dot)?;
        let placed = |reason| Mistake::new(operand.at, reason);
        let Some((name, before)) = operand.fields.split_last() else { return Ok(value) };
        for field in before {
            value = value.field(field).map_err(placed)?;
        }
        let args = args.iter().map(|arg| self.operand(arg, dot)).collect::<Result<Vec<_>, _>>()?;
        methods::call(&value, name, &args).map_err(placed)
    }

    /// `and`, `or`: the first argument that decides, or the last.
    fn until(
        &mut self,
        decides: bool,
        args: &'t [Operand],
        last: Option<Value>,
        dot: &Value,
    ) -> Result<Value, Mistake> {
        let mut value = Value::Nil;
        for arg in args {
            value = self.operand(arg, dot)?;
            if value.is_true() == decides {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn operand(&mut self, operand: &'t Operand, dot: &Value) -> Result<Value, Mistake> {
        let mut value = self.base(operand, dot)?;
        for name in &operand.fields {
            value = value.field(name).map_err(|reason| Mistake::new(operand.at, reason))?;
        }
        Ok(value)
    }

    fn base(&mut self, operand: &'t Operand, dot: &Value) -> Result<Value, Mistake> {
        Ok(match &operand.base {
            Base::Dot => dot.clone(),
            Base::Nil => Value::Nil,
            Base::Bool(value) => Value::Bool(*value),
            Base::Int(value) => Value::Int(*value),
            Base::Float(value) => Value::Float(*value),
            Base::Text(text) => Value::text(text),
            Base::Variable(name) => {
                let known = self.variables.iter().rev().find(|known| known.0 == *name);
                known.map_or(Value::Nil, |known| known.1.clone())
            }
            Base::Function(name) => self.call(name, &[], operand.at)?,
            Base::Pipeline(pipeline) => {
                let scope = self.variables.len();
                let value = self.pipeline(pipeline, dot)?;
                self.variables.truncate(scope);
                value
            }
        })
    }
}

/// Whether what comes of it may stand in HTML as it is.
fn is_safe(pipeline: &Pipeline) -> bool {
    let last = pipeline.commands.last().and_then(|command| command.operands.first());
    last.is_some_and(|first| {
        matches!(&first.base, Base::Function(name) if ["safeHtml", "safeUrl", "html"].contains(&name.as_str()))
    })
}

fn place(pipeline: &Pipeline) -> usize {
    pipeline.commands.first().map_or(0, |command| command.at)
}
