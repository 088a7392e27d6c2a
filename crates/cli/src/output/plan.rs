//! The plan of a query as a tree of text: a line a part, under it what it reads and what it did.

use super::size;
use crate::{
    terminal::{Paint, Role},
    time,
};
use barograph_model::Timestamp;
use serde_json::Value;
use std::io::{self, Write};

pub(crate) fn tree(out: &mut dyn Write, plan: &Value, paint: Paint) -> io::Result<()> {
    part(out, &plan["plan"], ("", ""), paint)?;
    let at = |key: &str| plan[key].as_i64().map(|ms| time::format(Timestamp(ms))).unwrap_or_default();
    let when = match plan["step"].as_i64() {
        Some(0) | None if plan["start"] == plan["end"] => format!("at {}", at("start")),
        Some(0) | None => format!("from {} to {}", at("start"), at("end")),
        Some(step) => {
            let steps = plan["steps"].as_u64().unwrap_or_default();
            format!("from {} to {}, {steps} steps of {}", at("start"), at("end"), seconds(step as f64))
        }
    };
    let total = &plan["total"];
    let bytes = size(total["bytes"].as_u64().unwrap_or_default());
    let about = if plan["analyzed"] == true { "" } else { "about " };
    writeln!(out, "\n{when}")?;
    writeln!(out, "in all: {about}{}, {about}{bytes} of memory", figures(total))?;
    if let Some(text) = plan["promql"].as_str() {
        writeln!(out, "as PromQL: {text}")?;
    }
    if plan["json"].is_object() {
        writeln!(out, "as a document: {}", plan["json"])?;
    }
    Ok(())
}

/// `first` stands before the line of the part, `rest` before all lines below it.
fn part(out: &mut dyn Write, node: &Value, (first, rest): (&str, &str), paint: Paint) -> io::Result<()> {
    let text = |key: &str| node[key].as_str().filter(|text| !text.is_empty());
    let head = paint.of(Role::Heading, text("operation").unwrap_or("part"));
    writeln!(out, "{first}{head}{}", text("text").map(|text| format!("  {text}")).unwrap_or_default())?;
    let children = node["children"].as_array().map(Vec::as_slice).unwrap_or_default();
    let bar = if children.is_empty() { "   " } else { "│  " };
    let mut told: Vec<String> = text("detail").map(str::to_owned).into_iter().collect();
    if let Some(tier) = text("tier") {
        let why = text("reason").map(|why| format!(": {why}")).unwrap_or_default();
        told.push(format!("tier {tier}{why}"));
    }
    told.extend(node["estimate"].is_object().then(|| format!("about {}", figures(&node["estimate"]))));
    told.extend(node["actual"].is_object().then(|| format!("did {}", figures(&node["actual"]))));
    for line in told {
        writeln!(out, "{rest}{bar}{}", paint.of(Role::Faint, &line))?;
    }
    for (i, child) in children.iter().enumerate() {
        let (mark, line) = if i + 1 < children.len() { ("├─ ", "│  ") } else { ("└─ ", "   ") };
        part(out, child, (&format!("{rest}{mark}"), &format!("{rest}{line}")), paint)?;
    }
    Ok(())
}

/// `3 series, 12 samples, 1.5 ms`
fn figures(node: &Value) -> String {
    let number = |key: &str| node[key].as_u64().unwrap_or_default();
    let took = node["took_ms"].as_f64().map(|ms| format!(", {}", seconds(ms))).unwrap_or_default();
    format!("{} series, {} samples{took}", number("series"), number("samples"))
}

fn seconds(ms: f64) -> String {
    if ms < 1_000.0 { format!("{} ms", (ms * 1e3).round() / 1e3) } else { format!("{} s", ms.round() / 1e3) }
}
