//! `barograph query`: questions to a running server.
//!
//! The server may be named by `--url` or, as with promtool, by a first word that begins with `http://`. The two
//! cannot be confused with a question: no PromQL expression, selector or label name begins that way.

mod document;
mod plan;

use crate::{
    answer::{self, Answer},
    client::{Client, DEFAULT_URL},
    error::Error,
    exit,
    output::{self, Format},
    terminal::{Role, Terminal},
    time::{self, Moment, Span},
};
use barograph_model::Timestamp;
use std::process::ExitCode;

/// The steps of a range query whose step is left to us: as many as a chart is wide.
const AUTO_STEPS: i64 = 250;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// The value of an expression at one time.
    #[command(override_usage = "barograph query instant [OPTIONS] [URL] EXPR")]
    Instant(InstantArgs),
    /// The values of an expression over a range of time.
    #[command(override_usage = "barograph query range [OPTIONS] [URL] EXPR")]
    Range(RangeArgs),
    /// The names of labels, or the values of one of them.
    #[command(override_usage = "barograph query labels [OPTIONS] [URL] [LABEL]")]
    Labels(LabelsArgs),
    /// The series that selectors match.
    #[command(override_usage = "barograph query series [OPTIONS] [URL] SELECTOR...")]
    Series(SeriesArgs),
    /// The answer to a document of the JSON query language.
    #[command(override_usage = "barograph query json [OPTIONS] [URL] FILE|-")]
    Json(document::Args),
    /// What an expression comes down to: its parts, what they read, and with --analyze what they did.
    #[command(override_usage = "barograph query explain [OPTIONS] [URL] EXPR")]
    Explain(plan::Args),
}

#[derive(clap::Args)]
struct Connection {
    /// The server to ask [default: http://127.0.0.1:10701].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// How long to wait for the answer; the server is told, too.
    #[arg(long, value_name = "SPAN", default_value = "2m")]
    timeout: Span,
    /// How to print the answer.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
    /// The most series, names or values to answer; the server warns if there are more.
    #[arg(long, value_name = "COUNT")]
    limit: Option<u32>,
    #[command(flatten)]
    access: crate::access::Access,
}

#[derive(clap::Args)]
pub(crate) struct InstantArgs {
    #[command(flatten)]
    connection: Connection,
    /// When: Unix seconds, RFC 3339, or from now (`-1h`).
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    time: Moment,
    #[command(flatten)]
    from: From,
    /// The expression in PromQL, after the server's URL if it is given here.
    #[arg(value_name = "EXPR", required = true, num_args = 1..=2)]
    words: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct RangeArgs {
    #[command(flatten)]
    connection: Connection,
    /// The first time: Unix seconds, RFC 3339, or from now (`-1h`).
    #[arg(long, value_name = "TIME", default_value = "-1h", allow_hyphen_values = true)]
    start: Moment,
    /// The last time, in the same forms.
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    end: Moment,
    /// From one value to the next: `15s`, `1m`, or seconds. Without it, the range has about 250 steps.
    #[arg(long, value_name = "SPAN")]
    step: Option<Span>,
    #[command(flatten)]
    from: From,
    /// The expression in PromQL, after the server's URL if it is given here.
    #[arg(value_name = "EXPR", required = true, num_args = 1..=2)]
    words: Vec<String>,
}

/// What answers a query.
#[derive(clap::Args)]
struct From {
    /// The tier that answers; without it, raw samples where they are, and else the tier that suits.
    #[arg(long, value_name = "TIER", value_parser = ["raw", "1m", "5m", "1h", "auto"])]
    tier: Option<String>,
}

/// Which series a look-up considers, besides selectors.
#[derive(clap::Args)]
struct Between {
    /// Only series with samples since then: Unix seconds, RFC 3339, or from now (`-1h`).
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<Moment>,
    /// Only series with samples until then.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<Moment>,
}

#[derive(clap::Args)]
pub(crate) struct LabelsArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    between: Between,
    /// Only of series that this selector matches; may be repeated.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// The label whose values to list, after the server's URL if it is given here; without it, names are listed.
    #[arg(value_name = "LABEL", num_args = 0..=2)]
    words: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct SeriesArgs {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    between: Between,
    /// A selector, as promtool takes it; may be repeated.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// Selectors, after the server's URL if it is given here.
    #[arg(value_name = "SELECTOR")]
    words: Vec<String>,
}

type Fields = Vec<(&'static str, String)>;

pub(crate) fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let now = time::now();
    match command {
        Command::Instant(args) => instant(args, now, terminal),
        Command::Range(args) => range(args, now, terminal),
        Command::Labels(args) => labels(args, now, terminal),
        Command::Series(args) => series(args, now, terminal),
        Command::Json(args) => document::run(args, terminal),
        Command::Explain(args) => plan::run(args, now, terminal),
    }?;
    Ok(exit::FINE)
}

fn instant(args: InstantArgs, now: Timestamp, terminal: &mut Terminal) -> Result<(), Error> {
    let (client, words) = connect(&args.connection, args.words)?;
    let expression = only(words, "expression")?;
    let mut fields = args.connection.fields_of_a_query();
    fields.push(("query", expression.clone()));
    fields.push(("time", seconds(args.time.resolve(now))));
    fields.extend(args.from.field());
    let answer = explained(client.post("/api/v1/query", &fields), &expression)?;
    show_query(&answer, args.connection.output, terminal)
}

fn range(args: RangeArgs, now: Timestamp, terminal: &mut Terminal) -> Result<(), Error> {
    let (client, words) = connect(&args.connection, args.words)?;
    let expression = only(words, "expression")?;
    let (start, end) = (args.start.resolve(now), args.end.resolve(now));
    if start > end {
        let (start, end) = (time::format(start), time::format(end));
        return Err(Error::Usage(format!("the range starts at {start}, after its end at {end}")));
    }
    let step = args.step.map_or_else(|| auto_step_seconds(start, end).to_string(), |step| step.to_string());
    let mut fields = args.connection.fields_of_a_query();
    fields.extend([("query", expression.clone()), ("step", step)]);
    fields.extend([("start", seconds(start)), ("end", seconds(end))]);
    fields.extend(args.from.field());
    let answer = explained(client.post("/api/v1/query_range", &fields), &expression)?;
    show_query(&answer, args.connection.output, terminal)
}

fn labels(args: LabelsArgs, now: Timestamp, terminal: &mut Terminal) -> Result<(), Error> {
    let (client, mut words) = connect(&args.connection, args.words)?;
    let label = words.pop();
    if !words.is_empty() {
        return Err(Error::Usage("one label at a time: the first word is no URL".to_owned()));
    }
    let mut fields = args.between.fields(now);
    fields.extend(args.connection.limit_field());
    fields.extend(args.selectors.iter().map(|selector| ("match[]", selector.clone())));
    let reply = match &label {
        Some(name) => client.get(&format!("/api/v1/label/{}/values", path_of_label(name)), &fields),
        None => client.post("/api/v1/labels", &fields),
    };
    let answer = explained(reply, args.selectors.first().map_or("", String::as_str))?;
    tell_notes(&answer, terminal);
    if args.connection.output == Format::Json {
        return Ok(output::json::data(terminal.out(), &answer)?);
    }
    let names: Vec<String> = answer.read()?;
    Ok(match args.connection.output {
        Format::Csv => output::csv::names(terminal.out(), label.as_deref().unwrap_or("label"), &names),
        Format::Table | Format::Json => output::table::names(terminal.out(), &names),
    }?)
}

fn series(args: SeriesArgs, now: Timestamp, terminal: &mut Terminal) -> Result<(), Error> {
    let (client, words) = connect(&args.connection, args.words)?;
    let selectors: Vec<String> = args.selectors.into_iter().chain(words).collect();
    let Some(first) = selectors.first().cloned() else {
        return Err(Error::Usage("name at least one selector, such as `up` or `{job=\"api\"}`".to_owned()));
    };
    let mut fields = args.between.fields(now);
    fields.extend(args.connection.limit_field());
    fields.extend(selectors.into_iter().map(|selector| ("match[]", selector)));
    let answer = explained(client.post("/api/v1/series", &fields), &first)?;
    tell_notes(&answer, terminal);
    if args.connection.output == Format::Json {
        return Ok(output::json::data(terminal.out(), &answer)?);
    }
    let series: Vec<answer::Labels> = answer.read()?;
    Ok(match args.connection.output {
        Format::Csv => output::csv::series(terminal.out(), &series),
        Format::Table | Format::Json => output::table::series(terminal.out(), &series),
    }?)
}

impl Connection {
    fn fields_of_a_query(&self) -> Fields {
        let mut fields = vec![("timeout", self.timeout.to_string())];
        fields.extend(self.limit_field());
        fields
    }

    fn limit_field(&self) -> Option<(&'static str, String)> {
        self.limit.map(|limit| ("limit", limit.to_string()))
    }
}

impl From {
    fn field(self) -> Option<(&'static str, String)> {
        self.tier.map(|tier| ("tier", tier))
    }
}

impl Between {
    fn fields(&self, now: Timestamp) -> Fields {
        let field = |name, moment: Option<Moment>| moment.map(|moment| (name, seconds(moment.resolve(now))));
        [field("start", self.start), field("end", self.end)].into_iter().flatten().collect()
    }
}

/// The client of the server that the flag or the first word names, and the other words.
fn connect(connection: &Connection, mut words: Vec<String>) -> Result<(Client, Vec<String>), Error> {
    let named = words.first().is_some_and(|word| word.starts_with("http://") || word.starts_with("https://"));
    let url = match (&connection.url, named) {
        (Some(_), true) => {
            return Err(Error::Usage("the server is named twice, by --url and by a word".to_owned()));
        }
        (Some(url), false) => url.clone(),
        (None, true) => words.remove(0),
        (None, false) => DEFAULT_URL.to_owned(),
    };
    Ok((Client::new(&url, connection.timeout, &connection.access)?, words))
}

fn only(mut words: Vec<String>, what: &str) -> Result<String, Error> {
    match (words.pop(), words.pop()) {
        (Some(word), None) => Ok(word),
        (None, _) => Err(Error::Usage(format!("the {what} is missing"))),
        (Some(_), Some(first)) => {
            Err(Error::Usage(format!("one {what}, in quotes; `{first}` is neither a URL nor all of it")))
        }
    }
}

/// The answer; a refusal is given the text it may point into.
fn explained(reply: Result<crate::client::Reply, Error>, asked: &str) -> Result<Answer, Error> {
    reply.and_then(answer::open).map_err(|error| match error {
        Error::Refused { kind, message, .. } => {
            Error::Refused { kind, message, query: Some(asked.to_owned()) }
        }
        other => other,
    })
}

fn show_query(answer: &Answer, format: Format, terminal: &mut Terminal) -> Result<(), Error> {
    tell_notes(answer, terminal);
    if format == Format::Json {
        return Ok(output::json::data(terminal.out(), answer)?);
    }
    let data: answer::QueryData = answer.read()?;
    if data.histograms() > 0 {
        let text = format!("{} samples are native histograms; -o json shows them", data.histograms());
        terminal.message(Role::Warning, &text);
    }
    let paint = terminal.data_paint();
    Ok(match format {
        Format::Csv => output::csv::query(terminal.out(), &data),
        Format::Table | Format::Json => output::table::query(terminal.out(), &data, paint),
    }?)
}

fn tell_notes(answer: &Answer, terminal: &Terminal) {
    answer.warnings.iter().for_each(|text| terminal.message(Role::Warning, text));
    answer.infos.iter().for_each(|text| terminal.message(Role::Info, text));
}

/// Unix seconds, with the decimals there are.
fn seconds(at: Timestamp) -> String {
    at.seconds().to_string()
}

/// Whole seconds, at least one.
fn auto_step_seconds(start: Timestamp, end: Timestamp) -> i64 {
    let step_ms = end.0.saturating_sub(start.0) / AUTO_STEPS;
    (step_ms / 1_000).max(1)
}

/// A label's name as a part of a path: as it is if it has only letters, digits and `_`, else in the `U__` form,
/// in which `_` is doubled and every other character becomes `_HEX_`.
fn path_of_label(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.starts_with("U__")
    {
        return name.to_owned();
    }
    let mut escaped = String::from("U__");
    for c in name.chars() {
        match c {
            '_' => escaped.push_str("__"),
            c if c.is_ascii_alphanumeric() => escaped.push(c),
            c => escaped.push_str(&format!("_{:X}_", u32::from(c))),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_labels_in_a_path() {
        for (name, path) in [
            ("job", "job"),
            ("__name__", "__name__"),
            ("http.status code", "U__http_2E_status_20_code"),
            ("a_b.c", "U__a__b_2E_c"),
            ("U__a", "U__U____a"),
            ("1a", "U__1a"),
        ] {
            assert_eq!(path_of_label(name), path);
        }
    }

    #[test]
    fn a_step_nobody_named_fits_a_chart() {
        for (range_ms, step) in [(0, 1), (60_000, 1), (3_600_000, 14), (86_400_000, 345)] {
            assert_eq!(auto_step_seconds(Timestamp(0), Timestamp(range_ms)), step);
        }
    }

    #[test]
    fn one_expression_is_wanted() {
        assert_eq!(only(vec!["up".into()], "expression").unwrap(), "up");
        assert!(only(vec![], "expression").is_err());
        assert!(only(vec!["sum".into(), "(up)".into()], "expression").is_err());
    }
}
