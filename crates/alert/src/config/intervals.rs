//! Recurring times by name.

use std::collections::BTreeMap;

use barograph_yaml::{
    section::{Findings, Section, text},
    tree::Node,
};
use jiff::tz::TimeZone;

use crate::routing::{TimeInterval, interval};

pub(super) fn read_intervals(
    nodes: &[Node],
    intervals: &mut BTreeMap<String, Vec<TimeInterval>>,
    findings: &mut Findings,
) {
    for node in nodes {
        let mut section = Section::open(node, "a time interval", findings);
        let name = section.value("name", text, findings).filter(|name| !name.is_empty());
        let parts = section.items("time_intervals", findings);
        let parts: Vec<_> = parts.iter().map(|part| read_interval(part, findings)).collect();
        section.finish(&[], findings);
        let Some(name) = name else {
            findings.add(&node.place, "a time interval needs a `name`");
            continue;
        };
        if intervals.insert(name.clone(), parts).is_some() {
            findings.add(
                &node.place,
                format!("a time interval is called `{name}` already; give it another name"),
            );
        }
    }
}

fn read_interval(node: &Node, findings: &mut Findings) -> TimeInterval {
    let mut section = Section::open(node, "a part of a time interval", findings);
    let mut times = Vec::new();
    for node in section.items("times", findings) {
        let mut section = Section::open(node, "a range of times", findings);
        let from = section.value("start_time", interval::minute, findings);
        let to = section.value("end_time", interval::minute, findings);
        match (from, to) {
            (Some(from), Some(to)) if from < to => times.push((from, to)),
            (Some(_), Some(_)) => {
                findings.add(&node.place, "a range of times ends after it starts, on the same day");
            }
            _ => {
                if section.node("start_time").is_none() || section.node("end_time").is_none() {
                    findings.add(&node.place, "a range of times needs a `start_time` and an `end_time`");
                }
            }
        }
        section.finish(&[], findings);
    }
    let read = TimeInterval {
        times,
        weekdays: section.values("weekdays", interval::weekdays, findings),
        days_of_month: section.values("days_of_month", interval::days_of_month, findings),
        months: section.values("months", interval::months, findings),
        years: section.values("years", interval::years, findings),
        zone: section.value("location", zone, findings).unwrap_or(TimeZone::UTC),
    };
    section.finish(&[], findings);
    read
}

fn zone(name: &str) -> Result<TimeZone, String> {
    match name {
        "UTC" => Ok(TimeZone::UTC),
        "Local" => Err("what is local depends on the machine; name a place such as Europe/Berlin".to_owned()),
        _ => TimeZone::get(name)
            .map_err(|_| format!("there is no time zone {name:?}; write one such as Europe/Berlin")),
    }
}
