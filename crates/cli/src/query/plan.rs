//! `barograph query explain`: what an expression comes down to, and with `--analyze` what it did.

use super::{Connection, Fields, From, auto_step_seconds, connect, only, seconds};
use crate::{
    answer,
    client::Reply,
    error::Error,
    output::{self, Format},
    terminal::{Role, Terminal},
    time::{Moment, Span},
};
use barograph_model::Timestamp;
use serde_json::Value;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// Run it, and tell what each part did and how long that took.
    #[arg(long)]
    analyze: bool,
    /// When, of a query at one time: Unix seconds, RFC 3339, or from now (`-1h`).
    #[arg(
        long,
        value_name = "TIME",
        default_value = "now",
        allow_hyphen_values = true,
        conflicts_with = "start"
    )]
    time: Moment,
    /// The first time of a query over a range, in the same forms.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<Moment>,
    /// The last time of a query over a range.
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true, requires = "start")]
    end: Moment,
    /// From one value to the next: `15s`, `1m`, or seconds. Without it, the range has about 250 steps.
    #[arg(long, value_name = "SPAN", requires = "start")]
    step: Option<Span>,
    #[command(flatten)]
    from: From,
    /// The expression in PromQL, after the server's URL if it is given here.
    #[arg(value_name = "EXPR", required = true, num_args = 1..=2)]
    words: Vec<String>,
}

/// Where plans are asked for.
pub(super) const PATH: &str = "/api/barograph/v1/query/explain";

pub(super) fn run(args: Args, now: Timestamp, terminal: &mut Terminal) -> Result<(), Error> {
    let (client, words) = connect(&args.connection, args.words)?;
    let expression = only(words, "expression")?;
    let mut fields: Fields = vec![("query", expression.clone()), ("analyze", args.analyze.to_string())];
    fields.push(("timeout", args.connection.timeout.to_string()));
    match args.start.map(|start| (start.resolve(now), args.end.resolve(now))) {
        None => fields.push(("time", seconds(args.time.resolve(now)))),
        Some((start, end)) => {
            let step =
                args.step.map_or_else(|| auto_step_seconds(start, end).to_string(), |step| step.to_string());
            fields.extend([("start", seconds(start)), ("end", seconds(end)), ("step", step)]);
        }
    }
    fields.extend(args.from.field());
    let plan = told(client.post(PATH, &fields), Some(expression))?;
    show(&plan, args.connection.output, terminal)
}

/// The plan; a refusal is given the text it may point into.
pub(super) fn told(reply: Result<Reply, Error>, asked: Option<String>) -> Result<Value, Error> {
    reply.and_then(|reply| answer::document(&reply)).map_err(|error| match error {
        Error::Refused { kind, message, .. } => Error::Refused { kind, message, query: asked },
        other => other,
    })
}

pub(super) fn show(plan: &Value, format: Format, terminal: &mut Terminal) -> Result<(), Error> {
    for (key, role) in [("warnings", Role::Warning), ("infos", Role::Info)] {
        for text in plan[key].as_array().into_iter().flatten().filter_map(Value::as_str) {
            terminal.message(role, text);
        }
    }
    let paint = terminal.data_paint();
    match format {
        Format::Json => writeln!(terminal.out(), "{plan}")?,
        Format::Csv => {
            return Err(Error::Usage("a plan is a tree and has no CSV; -o json shows it".to_owned()));
        }
        Format::Table => output::plan::tree(terminal.out(), plan, paint)?,
    }
    Ok(())
}
