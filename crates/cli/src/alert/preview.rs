//! `barograph alert preview FILE`: what the alerting rules of a file would have done with what a server has stored.

use std::{path::PathBuf, time::Duration};

use barograph_alert::RuleSpec;
use barograph_model::Timestamp;
use serde_json::{Value, json};

use super::{BASE, Place, items, text};
use crate::{
    answer,
    check::rules::read,
    error::Error,
    output::{self, Format},
    terminal::{Role, Terminal},
    time::{self, Moment, Span},
};

/// Firings of a rule that are shown.
const FIRINGS_MAX: usize = 10;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The rule file, as `rule_files` would name it.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How far back it is looked.
    #[arg(long, value_name = "SPAN", default_value = "1d")]
    since: Span,
    /// Until when: Unix seconds, RFC 3339, or from now (`-1h`).
    #[arg(long, value_name = "TIME", default_value = "now", allow_hyphen_values = true)]
    end: Moment,
    /// Only rules of this name; may be repeated.
    #[arg(long, value_name = "NAME")]
    rule: Vec<String>,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<(), Error> {
    let file = read(&args.file).map_err(Error::Usage)?;
    let wanted = |spec: &RuleSpec| {
        spec.alerting().is_some()
            && (args.rule.is_empty() || args.rule.iter().any(|name| name == spec.name()))
    };
    let rules: Vec<(Option<Duration>, &RuleSpec)> = file
        .groups
        .iter()
        .flat_map(|group| group.rules.iter().map(|rule| (group.interval, &**rule)))
        .filter(|(_, rule)| wanted(rule))
        .collect();
    if rules.is_empty() {
        return Err(Error::Usage(format!("{} has no such alerting rule", args.file.display())));
    }
    let end = args.end.resolve(time::now());
    let length = i64::try_from(args.since.to_duration().as_millis()).unwrap_or(i64::MAX);
    let start = Timestamp(end.0.saturating_sub(length));
    let client = args.place.server.client()?;
    let mut found = Vec::new();
    for (interval, rule) in rules {
        let mut document = rule.document();
        if let Some(interval) = interval {
            // A rule by itself is not asked more often than each second.
            let interval = interval.max(Duration::from_secs(1));
            document.insert("interval".to_owned(), format!("{}ms", interval.as_millis()).into());
        }
        let asked = json!({"rule": document, "start": time::format(start), "end": time::format(end)});
        let reply = client.post_json(&format!("{BASE}/alerts/rules/preview"), &asked)?;
        let mut told = answer::document(&reply)?;
        told["rule"] = rule.name().into();
        found.push(told);
    }
    match args.place.output {
        Format::Json => writeln!(terminal.out(), "{}", Value::Array(found))?,
        format => print(&found, format, terminal)?,
    }
    Ok(())
}

/// A row for each rule; in a table, then what fired, what was held back, what would be quieter, and what is to be known.
fn print(found: &[Value], format: Format, terminal: &mut Terminal) -> Result<(), Error> {
    let headings = ["RULE", "FIRED", "FLAPPED", "INCIDENTS", "WOULD WAKE"];
    let rows: Vec<[String; 5]> = found.iter().map(row).collect();
    let paint = terminal.data_paint();
    if format == Format::Csv {
        output::csv::rows(terminal.out(), headings, &rows)?;
        return Ok(());
    }
    output::table::columns(terminal.out(), &rows, headings, paint)?;
    for told in found {
        let firings = items(told, "firings");
        if !firings.is_empty() {
            let fired = |firing: &Value| {
                let end = if firing["end"].is_null() { "still".to_owned() } else { text(&firing["end"]) };
                [text(&firing["start"]), end, text(&firing["value"]), text(&firing["labels"])]
            };
            let rows: Vec<[String; 4]> = firings.iter().rev().take(FIRINGS_MAX).map(fired).collect();
            writeln!(
                terminal.out(),
                "\n{}, the last {} of {}",
                text(&told["rule"]),
                rows.len(),
                told["fired"]
            )?;
            output::table::columns(terminal.out(), &rows, ["FROM", "UNTIL", "VALUE", "LABELS"], paint)?;
        }
        let held: Vec<[String; 4]> = items(told, "held_back").iter().map(held_back).collect();
        if !held.is_empty() {
            writeln!(terminal.out(), "\n{}, held back", text(&told["rule"]))?;
            output::table::columns(terminal.out(), &held, ["BY", "WHICH", "FIRINGS", "NEVER TOLD"], paint)?;
        }
        let name = text(&told["rule"]);
        if let Some(advice) = advice(&told["suggested"]) {
            terminal.message(Role::Good, &format!("{name}: {advice}"));
        }
        for warning in items(told, "warnings") {
            terminal.message(Role::Warning, &format!("{name}: {}", text(warning)));
        }
    }
    Ok(())
}

fn row(told: &Value) -> [String; 5] {
    let wakes =
        items(told, "would_page").iter().map(|one| format!("{} {}×", text(&one["who"]), one["times"]));
    let wakes: Vec<_> = wakes.collect();
    let wakes = if wakes.is_empty() { "nobody".to_owned() } else { wakes.join(", ") };
    [
        text(&told["rule"]),
        told["fired"].to_string(),
        told["flapping"].to_string(),
        told["incidents"].to_string(),
        wakes,
    ]
}

/// What held how many firings back, and of how many of them nobody was told.
fn held_back(held: &Value) -> [String; 4] {
    let about = if text(&held["about"]).is_empty() { &held["id"] } else { &held["about"] };
    [text(&held["by"]), text(about), held["firings"].to_string(), held["untold"].to_string()]
}

/// What would be quieter, and why.
fn advice(suggested: &Value) -> Option<String> {
    let said = ["for", "keep_firing_for", "threshold"].into_iter().filter(|key| !suggested[*key].is_null());
    let said: Vec<_> = said.map(|key| format!("{key}: {}", text(&suggested[key]))).collect();
    (!said.is_empty()).then(|| format!("better {}. {}", said.join(", "), text(&suggested["why"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_row_and_its_advice_a_sentence() {
        let told = json!({"rule": "A", "fired": 3, "flapping": 1, "incidents": 2, "would_page": [{"who": "ann", "times": 2}]});
        assert_eq!(row(&told), ["A", "3", "1", "2", "ann 2×"].map(str::to_owned));
        assert_eq!(row(&json!({"fired": 0, "flapping": 0, "incidents": 0, "would_page": []}))[4], "nobody");
        let held = json!({"by": "silence", "id": "s1", "about": "known", "firings": 3, "untold": 2});
        assert_eq!(held_back(&held), ["silence", "known", "3", "2"].map(str::to_owned));
        let suggested = json!({"for": "5m", "threshold": 0.5, "keep_firing_for": null, "why": "As said."});
        assert_eq!(advice(&suggested).unwrap(), "better for: 5m, threshold: 0.5. As said.");
        assert_eq!(advice(&Value::Null), None);
    }
}
