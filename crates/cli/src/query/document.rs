//! `barograph query json`: a document of the JSON query language, sent as it is.

use super::{Connection, connect, plan};
use crate::{
    answer::{self, Labels, Point, QueryData, Run},
    client::Client,
    error::Error,
    output::{self, Format},
    terminal::{Role, Terminal},
};
use serde_json::Value;
use std::io::Read;

/// A longer document is not sent; no server takes it.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    connection: Connection,
    /// Tell what it comes down to, instead of answering it.
    #[arg(long)]
    explain: bool,
    /// Run it, and tell what each part of it did.
    #[arg(long, requires = "explain")]
    analyze: bool,
    /// The file that holds the document, or `-` for standard input, after the server's URL if it is given here.
    #[arg(value_name = "FILE", required = true, num_args = 1..=2)]
    words: Vec<String>,
}

pub(super) fn run(args: Args, terminal: &mut Terminal) -> Result<(), Error> {
    let (client, words) = connect(&args.connection, args.words)?;
    let mut document = read(&super::only(words, "file")?)?;
    if let Some(limit) = args.connection.limit {
        document["query"]["limit"] = limit.into();
    }
    if args.explain {
        let path = format!("{}?analyze={}", plan::PATH, args.analyze);
        let told = plan::told(client.post_json(&path, &document), None)?;
        return plan::show(&told, args.connection.output, terminal);
    }
    let answer = ask(&client, &document)?;
    let meta = &answer["meta"];
    for warning in meta["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        terminal.message(Role::Warning, warning);
    }
    if args.connection.output == Format::Json {
        return Ok(writeln!(terminal.out(), "{answer}")?);
    }
    if let (Some(tier), Some(reason)) = (meta["tier"].as_str(), meta["reason"].as_str()) {
        terminal.message(Role::Info, &format!("answered from the {tier} tier: {reason}"));
    }
    let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    let data = QueryData::Matrix(results.iter().map(series).collect());
    let paint = terminal.data_paint();
    Ok(match args.connection.output {
        Format::Csv => output::csv::query(terminal.out(), &data),
        Format::Table | Format::Json => output::table::query(terminal.out(), &data, paint),
    }?)
}

fn ask(client: &Client, document: &Value) -> Result<Value, Error> {
    answer::document(&client.post_json("/api/barograph/v1/query", document)?)
}

fn read(file: &str) -> Result<Value, Error> {
    let failed =
        |error: std::io::Error| Error::Failed { what: "cannot read the query", source: error.into() };
    let mut text = String::new();
    let read = match file {
        "-" => std::io::stdin().take(DOCUMENT_BYTES_MAX + 1).read_to_string(&mut text),
        path => {
            std::fs::File::open(path).and_then(|f| f.take(DOCUMENT_BYTES_MAX + 1).read_to_string(&mut text))
        }
    };
    if read.map_err(failed)? as u64 > DOCUMENT_BYTES_MAX {
        return Err(Error::Usage(format!("the query is longer than {DOCUMENT_BYTES_MAX} bytes")));
    }
    serde_json::from_str(&text)
        .map_err(|error| Error::Failed { what: "the query is no JSON", source: error.into() })
}

/// A result as a series. What tells results of one name apart stands among its labels.
fn series(result: &Value) -> Run {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs = result["labels"].as_object().into_iter().flatten();
    let mut metric: Labels = pairs.map(|(name, value)| (name.clone(), text(value))).collect();
    let told = [
        ("__name__", &result["name"]),
        ("aggregation", &result["aggregation"]),
        ("window", &result["window"]),
        ("direction", &result["trend"]["direction"]),
    ];
    for (name, value) in told.into_iter().filter(|(_, value)| !value.is_null()) {
        metric.entry(name.to_owned()).or_insert_with(|| text(value));
    }
    let point = |point: &Value| Some(Point(point["timestamp"].as_f64()? / 1e3, text(&point["value"])));
    let points = result["dataPoints"].as_array().into_iter().flatten();
    Run::of(metric, points.filter_map(point).collect())
}
