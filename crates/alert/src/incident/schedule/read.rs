//! Schedules, as a configuration says them.

use barograph_yaml::{
    section::{Findings, Section, text},
    tree::Node,
    units::parse_duration,
};
use jiff::{
    civil::{DateTime, Time, Weekday},
    tz::TimeZone,
};

use super::{Layer, Override, Restriction, Rotation, Schedule, layer::instant};

/// More layers of a schedule are refused.
const LAYERS_MAX: usize = 50;
/// More people of a layer are refused.
const USERS_MAX: usize = 500;
/// More restrictions of a layer are refused.
const RESTRICTIONS_MAX: usize = 50;
/// More overrides in a file are refused.
const OVERRIDES_MAX: usize = 1_000;

impl Schedule {
    /// Reads the value of a key of `schedules`; what is wrong goes to the findings.
    pub fn read(node: &Node, findings: &mut Findings) -> Option<Self> {
        let mut section = Section::open(node, "a schedule", findings);
        let time_zone = section.value("time_zone", zone, findings);
        let (time_zone, zone) = time_zone.unwrap_or_else(|| ("UTC".to_owned(), TimeZone::UTC));
        let layers = section.items("layers", findings);
        let overrides = section.items("overrides", findings);
        let many = [("layers", layers.len(), LAYERS_MAX), ("overrides", overrides.len(), OVERRIDES_MAX)];
        for (key, number, limit) in many {
            if number > limit {
                findings.add(section.place_of(key), format!("a schedule has at most {limit} `{key}`"));
            }
        }
        if layers.is_empty() {
            findings.add(section.place, "a schedule has at least one of `layers`; give who takes turns");
        }
        section.finish(&[], findings);
        let layers: Vec<Layer> = layers
            .iter()
            .take(LAYERS_MAX)
            .enumerate()
            .filter_map(|(index, node)| read_layer(node, index, findings))
            .collect();
        let overrides = overrides
            .iter()
            .take(OVERRIDES_MAX)
            .enumerate()
            .filter_map(|(index, node)| read_override(node, index, &zone, findings))
            .collect();
        (!layers.is_empty()).then_some(Self { zone, time_zone, layers, overrides })
    }
}

fn read_layer(node: &Node, index: usize, findings: &mut Findings) -> Option<Layer> {
    let mut section = Section::open(node, "a layer", findings);
    let name = section.value("name", text, findings).unwrap_or_else(|| format!("layer {}", index + 1));
    let users = section.values("users", user, findings);
    let rotation = section.value("rotation", rotation, findings).unwrap_or(Rotation::Days(7));
    let start = section.value("start", civil, findings);
    let restrictions = section.items("restrictions", findings);
    if users.is_empty() || users.len() > USERS_MAX {
        findings.add(
            section.place_of("users"),
            format!("a layer has 1 to {USERS_MAX} `users`; give who takes turns"),
        );
    }
    if section.node("start").is_none() {
        findings
            .add(section.place, "a layer needs `start`; give the first handover such as `2026-01-05T09:00`");
    }
    if restrictions.len() > RESTRICTIONS_MAX {
        let message = format!("a layer has at most {RESTRICTIONS_MAX} `restrictions`");
        findings.add(section.place_of("restrictions"), message);
    }
    section.finish(&[], findings);
    let restrictions = restrictions.iter().take(RESTRICTIONS_MAX);
    let restrictions = restrictions.filter_map(|node| read_restriction(node, findings)).collect();
    (!users.is_empty()).then_some(())?;
    Some(Layer { name, users, rotation, start: start?, restrictions })
}

fn read_restriction(node: &Node, findings: &mut Findings) -> Option<Restriction> {
    let mut section = Section::open(node, "a restriction", findings);
    let from = section.value("from", time_of_day, findings);
    let to = section.value("to", time_of_day, findings);
    let weekdays = section.values("weekdays", weekday, findings);
    for key in ["from", "to"] {
        if section.node(key).is_none() {
            findings.add(section.place, format!("a restriction needs `{key}`, such as `\"09:00\"`"));
        }
    }
    section.finish(&[], findings);
    Some(Restriction { from: from?, to: to?, weekdays })
}

fn read_override(node: &Node, index: usize, zone: &TimeZone, findings: &mut Findings) -> Option<Override> {
    let mut section = Section::open(node, "an override", findings);
    let user = section.value("user", user, findings);
    let start = section.value("start", civil, findings);
    let end = section.value("end", civil, findings);
    for key in ["user", "start", "end"] {
        if section.node(key).is_none() {
            findings.add(section.place, format!("an override needs `{key}`"));
        }
    }
    let place = section.place_of("end");
    section.finish(&[], findings);
    let at = |time| instant(time, zone).map(jiff::Timestamp::as_millisecond);
    let (start, end) = (at(start?)?, at(end?)?);
    if end <= start {
        findings.add(place, "an override ends after its `start`");
    }
    // Those of a file cannot be taken back but in the file.
    Some(Override { id: format!("file-{}", index + 1), user: user?, start, end })
}

fn user(name: &str) -> Result<String, String> {
    match name {
        "" => Err("expected a name".to_owned()),
        _ => Ok(name.to_owned()),
    }
}

fn zone(name: &str) -> Result<(String, TimeZone), String> {
    let found = TimeZone::get(name);
    found
        .map(|zone| (name.to_owned(), zone))
        .map_err(|_| format!("expected a time zone such as `Europe/Berlin` or `UTC`, found `{name}`"))
}

fn rotation(text: &str) -> Result<Rotation, String> {
    const HOUR_MS: u128 = 3_600_000;
    let wrong = || {
        format!("expected `daily`, `weekly`, or whole hours or days such as `12h` or `3d`, found `{text}`")
    };
    match text {
        "daily" => return Ok(Rotation::Days(1)),
        "weekly" => return Ok(Rotation::Days(7)),
        "hourly" => return Ok(Rotation::Hours(1)),
        _ => {}
    }
    let ms = parse_duration(text).map_err(|_| wrong())?.as_millis();
    if ms == 0 || ms % HOUR_MS != 0 || ms > 366 * 24 * HOUR_MS {
        return Err(wrong());
    }
    let hours = ms / HOUR_MS;
    // What is said in days goes by the calendar.
    if text.ends_with(['d', 'w', 'y']) {
        return i32::try_from(hours / 24).map(Rotation::Days).map_err(|_| wrong());
    }
    i64::try_from(hours).map(Rotation::Hours).map_err(|_| wrong())
}

fn civil(text: &str) -> Result<DateTime, String> {
    let time: Result<DateTime, _> = text.parse();
    let sane = |time: &DateTime| (1970..=2200).contains(&time.year());
    time.ok().filter(sane).ok_or_else(|| {
        format!(
            "expected a date and time of the schedule's time zone such as `2026-01-05T09:00`, found `{text}`"
        )
    })
}

fn time_of_day(text: &str) -> Result<Time, String> {
    let wrong = || format!("expected a time of day such as `09:00`, found `{text}`");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<i8>().map_err(|_| wrong());
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    match (hours, minutes) {
        // The end of a day is the beginning of the next.
        (24, 0) => Ok(Time::midnight()),
        _ => Time::new(hours, minutes, 0, 0).map_err(|_| wrong()),
    }
}

fn weekday(text: &str) -> Result<Weekday, String> {
    const DAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let lower = text.to_ascii_lowercase();
    let found = DAYS.into_iter().find(|(name, _)| *name == lower || name.get(..3) == Some(lower.as_str()));
    found.map(|(_, day)| day).ok_or_else(|| format!("expected a day such as `monday`, found `{text}`"))
}
