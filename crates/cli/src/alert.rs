//! `barograph alert`: alerts and incidents of a running server, and what people do with them.
//!
//! An id is that of an alert (`alert_…`, or its bare fingerprint) or of an incident (`incident_…`).

mod preview;
mod words;

use std::process::ExitCode;

use barograph_alert::routing::{MatcherDocument, Matchers};
use serde_json::{Value, json};

use crate::{
    answer,
    client::{self, Client, Reply, Target},
    error::Error,
    exit,
    output::{self, Format},
    terminal::{Role, Terminal},
    time::{self, Moment, Span},
};
use words::{ABOUT_CHARS_MAX, NAME_CHARS_MAX, cut, outcome, said, text};

const BASE: &str = "/api/barograph/v1";

/// What can be done with alerts.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List alerts, or with --incidents what they make up.
    List(ListArgs),
    /// Show an alert or an incident, the latter with its timeline.
    Show(OneArgs),
    /// Acknowledge: nobody else is asked.
    Ack(ActArgs),
    /// Give back what you acknowledged: others are asked again.
    Unack(ActArgs),
    /// Take it over from who has it.
    Takeover(ActArgs),
    /// Ask the next level of the policy now.
    Escalate(ActArgs),
    /// Say something about it.
    Comment(ActArgs),
    /// Say whose it is to mend.
    Assign(AssignArgs),
    /// Say that it is over.
    Resolve(ActArgs),
    /// Silence what matchers match for a while; prints the id of the silence.
    Silence(SilenceArgs),
    /// Say who is on call now and next.
    Oncall(OncallArgs),
    /// Send a test over each channel of a receiver, and say what came of it.
    Test(TestArgs),
    /// Say what the alerting rules of a file would have done with what is stored, and whom they would have woken.
    Preview(preview::Args),
}

/// The server, and how to print what it says.
#[derive(clap::Args)]
pub(crate) struct Place {
    #[command(flatten)]
    server: Target,
    /// How to print the answer.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
}

#[derive(clap::Args)]
pub(crate) struct ListArgs {
    /// Only those in this state: pending, firing, resolved; of incidents open, acknowledged, resolved.
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Only those that this matcher matches, as `severity="critical"`; may be repeated.
    #[arg(long, value_name = "MATCHER")]
    filter: Vec<String>,
    /// Incidents in place of alerts.
    #[arg(long)]
    incidents: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
pub(crate) struct OneArgs {
    /// The alert or incident.
    id: String,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
pub(crate) struct ActArgs {
    /// The alert or incident.
    id: String,
    /// What to say of it.
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    message: String,
    /// Who does it, where the server asks nobody who they are.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
pub(crate) struct AssignArgs {
    /// Who is to mend it; an empty name is nobody.
    #[arg(long, value_name = "NAME")]
    to: String,
    #[command(flatten)]
    act: ActArgs,
}

#[derive(clap::Args)]
pub(crate) struct SilenceArgs {
    /// What is silenced, as `alertname="Down"` or `job=~"api.*"`; all of them have to match.
    #[arg(value_name = "MATCHER", required = true)]
    matchers: Vec<String>,
    /// For how long.
    #[arg(long = "for", value_name = "SPAN", default_value = "1h")]
    span: Span,
    /// Why.
    #[arg(short, long, value_name = "TEXT", default_value = "silenced from the command line")]
    comment: String,
    /// Who does it.
    #[arg(long, value_name = "NAME", default_value = "barograph alert")]
    by: String,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
pub(crate) struct OncallArgs {
    /// Shifts from then on: Unix seconds, RFC 3339, or from now (`-1h`).
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    start: Moment,
    /// Shifts until then, in the same forms; without it, for two weeks.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<Moment>,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
pub(crate) struct TestArgs {
    /// The receiver, as `alertmanager.yml` calls it.
    receiver: String,
    /// What to say.
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    match command {
        Command::List(args) => list(&args, terminal)?,
        Command::Show(args) => show(&args, terminal)?,
        Command::Ack(args) => act("ack", &args, None, terminal)?,
        Command::Unack(args) => act("unack", &args, None, terminal)?,
        Command::Takeover(args) => act("takeover", &args, None, terminal)?,
        Command::Escalate(args) => act("escalate", &args, None, terminal)?,
        Command::Comment(args) => act("comment", &args, None, terminal)?,
        Command::Assign(args) => act("assign", &args.act, Some(&args.to), terminal)?,
        Command::Resolve(args) => act("resolve", &args, None, terminal)?,
        Command::Silence(args) => silence(&args, terminal)?,
        Command::Oncall(args) => oncall(&args, terminal)?,
        Command::Test(args) => return test(&args, terminal),
        Command::Preview(args) => preview::run(&args, terminal)?,
    }
    Ok(exit::FINE)
}

fn path_of(id: &str) -> String {
    let id: String = id.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
    if id.starts_with("incident_") { format!("{BASE}/incidents/{id}") } else { format!("{BASE}/alerts/{id}") }
}

/// Prints rows, or the answer to the letter.
fn print<const N: usize>(
    terminal: &mut Terminal,
    format: Format,
    reply: &Reply,
    headings: [&str; N],
    rows: &[[String; N]],
) -> Result<(), Error> {
    let paint = terminal.data_paint();
    let out = terminal.out();
    match format {
        Format::Json => {
            out.write_all(&reply.body)?;
            writeln!(out)?;
        }
        Format::Csv => output::csv::rows(out, headings, rows)?,
        Format::Table => output::table::columns(out, rows, headings, paint)?,
    }
    Ok(())
}

fn items<'v>(document: &'v Value, key: &str) -> &'v [Value] {
    document[key].as_array().map_or(&[], Vec::as_slice)
}

fn list(args: &ListArgs, terminal: &mut Terminal) -> Result<(), Error> {
    let client = args.place.server.client()?;
    let mut fields: Vec<(&str, String)> =
        args.filter.iter().map(|filter| ("filter", filter.clone())).collect();
    fields.extend(args.state.iter().map(|state| ("state", state.clone())));
    let what = if args.incidents { "incidents" } else { "alerts" };
    let reply = client.get(&format!("{BASE}/{what}"), &fields)?;
    let document = answer::document(&reply)?;
    let row = |one: &Value| {
        let since = if args.incidents { &one["opened_at"] } else { &one["starts_at"] };
        let name = if args.incidents { &one["title"] } else { &one["labels"]["alertname"] };
        let about = if args.incidents { said(one) } else { text(&one["message"]) };
        let is_table = matches!(args.place.output, Format::Table);
        let fit = |text, chars_max| if is_table { cut(text, chars_max) } else { text };
        [
            text(&one["id"]),
            fit(text(name), NAME_CHARS_MAX),
            text(&one["state"]),
            text(&one["severity"]),
            text(since),
            text(&one["ack"]["acknowledged_by"]),
            fit(about, ABOUT_CHARS_MAX),
        ]
    };
    let rows: Vec<_> = items(&document, what).iter().map(row).collect();
    let headings = ["ID", "NAME", "STATE", "SEVERITY", "SINCE", "ACKNOWLEDGED BY", "ABOUT"];
    print(terminal, args.place.output, &reply, headings, &rows)?;
    if rows.is_empty() && matches!(args.place.output, Format::Table) {
        terminal.message(Role::Info, &format!("there are no {what} like that"));
    }
    Ok(())
}

fn show(args: &OneArgs, terminal: &mut Terminal) -> Result<(), Error> {
    let client = args.place.server.client()?;
    let reply = client.get(&path_of(&args.id), &[])?;
    let document = answer::document(&reply)?;
    print_one(terminal, args.place.output, &reply, &document)
}

/// Each field of a document, then its timeline.
fn print_one(terminal: &mut Terminal, format: Format, reply: &Reply, document: &Value) -> Result<(), Error> {
    let fields = document.as_object().into_iter().flatten();
    let shown = fields.filter(|(key, value)| !value.is_null() && *key != "timeline" && *key != "alerts");
    let mut rows: Vec<[String; 2]> = shown.map(|(key, value)| [key.clone(), text(value)]).collect();
    for row in items(document, "timeline") {
        rows.push([text(&row["at"]), format!("{}: {}", text(&row["kind"]), text(&row["text"]))]);
    }
    print(terminal, format, reply, ["FIELD", "VALUE"], &rows)
}

fn act(action: &str, args: &ActArgs, to: Option<&str>, terminal: &mut Terminal) -> Result<(), Error> {
    let client: Client = args.place.server.client()?;
    let mut said = json!({"message": args.message});
    if let Some(by) = &args.by {
        said["acknowledged_by"] = by.as_str().into();
    }
    if let Some(to) = to {
        said["assignee"] = to.into();
    }
    let reply = client.post_json(&format!("{}/{action}", path_of(&args.id)), &said)?;
    let document = answer::document(&reply)?;
    match args.place.output {
        Format::Table => terminal.message(Role::Good, &outcome(action, &args.id, to, &document)),
        format => print_one(terminal, format, &reply, &document)?,
    }
    Ok(())
}

fn silence(args: &SilenceArgs, terminal: &mut Terminal) -> Result<(), Error> {
    let read = args.matchers.iter().map(|text| matchers(text)).collect::<Result<Vec<_>, _>>()?;
    let matchers = read.concat();
    let now = time::now();
    let span = i64::try_from(args.span.to_duration().as_millis()).unwrap_or(i64::MAX);
    let end = barograph_model::Timestamp(now.0.saturating_add(span));
    let wanted = json!({
        "matchers": matchers,
        "startsAt": time::format(now),
        "endsAt": time::format(end),
        "createdBy": args.by,
        "comment": args.comment,
    });
    let reply = args.place.server.client()?.post_json("/api/v2/silences", &wanted)?;
    let document = answer::document(&reply)?;
    match args.place.output {
        Format::Json => writeln!(terminal.out(), "{document}")?,
        _ => writeln!(terminal.out(), "{}", text(&document["silenceID"]))?,
    }
    Ok(())
}

/// Reads matchers as routes and `amtool` have them: `name="value"`, also with `!=`, `=~` and `!~`, the value with or without quotes.
fn matchers(given: &str) -> Result<Vec<MatcherDocument>, Error> {
    let wrong = |why: String| {
        Error::Usage(format!("expected a matcher such as `job=\"api\"`, found `{given}`: {why}"))
    };
    let read = Matchers::parse(given).map_err(wrong)?.documents();
    if read.is_empty() { Err(wrong("it says nothing".to_owned())) } else { Ok(read) }
}

fn oncall(args: &OncallArgs, terminal: &mut Terminal) -> Result<(), Error> {
    let now = time::now();
    let mut fields = vec![("start", time::format(args.start.resolve(now)))];
    fields.extend(args.end.map(|end| ("end", time::format(end.resolve(now)))));
    let reply = args.place.server.client()?.get(&format!("{BASE}/oncall"), &fields)?;
    let document = answer::document(&reply)?;
    let mut rows = Vec::new();
    for schedule in items(&document, "schedules") {
        for shift in items(schedule, "shifts") {
            rows.push([
                text(&schedule["name"]),
                text(&shift["user"]),
                text(&shift["start"]),
                text(&shift["end"]),
            ]);
        }
    }
    print(terminal, args.place.output, &reply, ["SCHEDULE", "USER", "FROM", "UNTIL"], &rows)?;
    if rows.is_empty() && matches!(args.place.output, Format::Table) {
        let told = if items(&document, "schedules").is_empty() {
            "there are no schedules; they stand under `schedules` in the file that `alertmanager_config` names"
        } else {
            "nobody is on call in that time"
        };
        terminal.message(Role::Info, told);
    }
    Ok(())
}

/// Whether all channels took it is the exit code.
fn test(args: &TestArgs, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let mut name = String::new();
    client::escape(&args.receiver, &mut name);
    let wanted = args.message.as_ref().map_or_else(|| json!({}), |message| json!({ "message": message }));
    let reply = args.place.server.client()?.post_json(&format!("{BASE}/receivers/{name}/test"), &wanted)?;
    let document = answer::document(&reply)?;
    let attempts = items(&document, "attempts");
    let row = |one: &Value| {
        let outcome = if one["ok"] == true { "sent" } else { "not sent" };
        [
            text(&one["channel"]),
            outcome.to_owned(),
            text(&one["status"]),
            format!("{} ms", text(&one["took_ms"])),
            text(&one["error"]),
        ]
    };
    let rows: Vec<_> = attempts.iter().map(row).collect();
    let headings = ["CHANNEL", "OUTCOME", "STATUS", "TOOK", "WHY NOT"];
    print(terminal, args.place.output, &reply, headings, &rows)?;
    let all = attempts.iter().all(|one| one["ok"] == true);
    if attempts.is_empty() {
        terminal.message(Role::Warning, "this receiver has no channel; it tells nobody");
    }
    Ok(if all { exit::FINE } else { ExitCode::from(exit::FAILED) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_read() {
        let check = |text: &str, value: &str, is_regex: bool, is_equal: bool| {
            let expected = json!([{"name": "job", "value": value, "isRegex": is_regex, "isEqual": is_equal}]);
            assert_eq!(json!(matchers(text).unwrap()), expected, "{text}");
        };
        check("job=api", "api", false, true);
        check("job = \"a b\"", "a b", false, true);
        check("job!=api", "api", false, false);
        check("job=~a.*", "a.*", true, true);
        check("job!~\"a\"", "a", true, false);
        check(r#"job="C:\\a \"b\"""#, r#"C:\a "b""#, false, true);
        assert_eq!(matchers("job=api,site=x").unwrap().len(), 2);
        for wrong in ["job", "=x", "job!x", "", "job=~("] {
            assert!(matchers(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_id_is_of_an_alert_or_an_incident() {
        assert_eq!(path_of("incident_1"), "/api/barograph/v1/incidents/incident_1");
        assert_eq!(path_of("alert_1/../x"), "/api/barograph/v1/alerts/alert_1x");
    }
}
