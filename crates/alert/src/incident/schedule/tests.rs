//! Who is on call, over rotations, handovers, restrictions, overrides and changes of clocks.

use jiff::civil::{Weekday, date, time};

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Result<Schedule, String> {
    barograph_yaml::read(text, "s.yml", |node, findings| Schedule::read(&node, findings))
        .map(Option::unwrap)
        .map_err(|faults| faults.to_string())
}

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn who(schedule: &Schedule, at: &str) -> String {
    schedule.on_call(ms(at)).map(|on_call| on_call.user).unwrap_or_default()
}

const WEEKS: &str = "
time_zone: Europe/Berlin
layers:
- {name: weeks, users: [ann, bo], rotation: weekly, start: 2026-03-23T09:00}
- name: nights
  users: [cy]
  rotation: daily
  start: 2026-03-23T22:00
  restrictions: [{from: '22:00', to: '06:00', weekdays: [fri, saturday]}]
overrides:
- {user: di, start: 2026-03-25T00:00, end: 2026-03-26T00:00}
";

#[test]
fn a_handover_stays_at_its_time_of_day() {
    let schedule = read(WEEKS).unwrap();
    // Summer time began on the 29th: 09:00 is 08:00 UTC before, and 07:00 after.
    assert_eq!(who(&schedule, "2026-03-23T07:59:59Z"), "");
    assert_eq!(who(&schedule, "2026-03-23T08:00:00Z"), "ann");
    assert_eq!(who(&schedule, "2026-03-30T06:59:59Z"), "ann");
    assert_eq!(who(&schedule, "2026-03-30T07:00:00Z"), "bo");
    assert_eq!(who(&schedule, "2026-04-06T07:00:00Z"), "ann");
    assert_eq!(schedule.next_change(ms("2026-03-29T12:00:00Z")), Some(ms("2026-03-30T07:00:00Z")));
}

#[test]
fn hours_and_overrides_come_first() {
    let schedule = read(WEEKS).unwrap();
    assert_eq!(who(&schedule, "2026-03-27T21:00:00Z"), "cy");
    assert_eq!(who(&schedule, "2026-03-28T04:59:59Z"), "cy");
    assert_eq!(who(&schedule, "2026-03-28T05:00:00Z"), "ann");
    // That of Thursday is not there.
    assert_eq!(who(&schedule, "2026-03-26T21:30:00Z"), "ann");
    assert_eq!(who(&schedule, "2026-03-25T12:00:00Z"), "di");
    let shifts = schedule.shifts(ms("2026-03-24T23:00:00Z"), ms("2026-03-28T23:00:00Z"));
    let shifts: Vec<_> = shifts.into_iter().map(|shift| (shift.user, shift.end)).collect();
    let expected = [
        ("di", "2026-03-25T23:00:00Z"),
        ("ann", "2026-03-27T21:00:00Z"),
        ("cy", "2026-03-28T05:00:00Z"),
        ("ann", "2026-03-28T21:00:00Z"),
        ("cy", "2026-03-28T23:00:00Z"),
    ];
    assert_eq!(shifts, expected.map(|(user, end)| (user.to_owned(), ms(end))));
}

#[test]
fn what_is_wrong_has_its_place() {
    let check = |text: &str, expected: &str| assert_eq!(read(text).unwrap_err(), expected);
    check("layers: []", "s.yml:1:1: a schedule has at least one of `layers`; give who takes turns");
    check(
        "time_zone: Berlin\nlayers: [{users: [a], start: 2026-01-05T09:00, rotation: 90m}]",
        "s.yml:1:12: `time_zone`: expected a time zone such as `Europe/Berlin` or `UTC`, found `Berlin`\n\
         s.yml:2:58: `rotation`: expected `daily`, `weekly`, or whole hours or days such as `12h` or `3d`, found `90m`",
    );
    check(
        "layers: [{users: [a], start: soon, restrictions: [{from: '25:00', to: '9'}]}]",
        "s.yml:1:30: `start`: expected a date and time of the schedule's time zone such as `2026-01-05T09:00`, found \
         `soon`\n\
         s.yml:1:58: `from`: expected a time of day such as `09:00`, found `25:00`\n\
         s.yml:1:71: `to`: expected a time of day such as `09:00`, found `9`",
    );
}

fn rotations() -> impl Strategy<Value = Rotation> {
    prop_oneof![(1i32..=14).prop_map(Rotation::Days), (1i64..=72).prop_map(Rotation::Hours)]
}

fn schedules() -> impl Strategy<Value = Schedule> {
    let zones = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Asia/Kathmandu",
    ]);
    let layer = (1usize..5, rotations(), 0i8..24, 0i8..60, 0i32..40);
    let restricted = (any::<bool>(), 0i8..24, 0i8..24);
    let overrides = prop::collection::vec((0i64..400 * 24, 1i64..200), 0..4);
    (zones, layer, restricted, overrides).prop_map(
        |(zone, (people, rotation, hour, minute, day), night, overrides)| {
            use jiff::ToSpan;
            let start =
                date(2026, 1, 1).checked_add(day.days()).unwrap().to_datetime(time(hour, minute, 0, 0));
            let users = (0..people).map(|person| format!("user{person}")).collect();
            let base = Layer { name: "base".to_owned(), users, rotation, start, restrictions: Vec::new() };
            let hours = Restriction {
                from: time(night.1, 0, 0, 0),
                to: time(night.2, 0, 0, 0),
                weekdays: vec![Weekday::Sunday],
            };
            let upper = Layer {
                name: "upper".to_owned(),
                users: vec!["upper".to_owned()],
                restrictions: vec![hours],
                ..base.clone()
            };
            let first = ms("2026-01-01T00:00:00Z");
            let overrides = overrides.into_iter().enumerate().map(|(index, (from, hours))| Override {
                id: index.to_string(),
                user: format!("override{index}"),
                start: first + from * 3_600_000,
                end: first + (from + hours) * 3_600_000,
            });
            Schedule {
                zone: TimeZone::get(zone).unwrap(),
                time_zone: zone.to_owned(),
                layers: if night.0 { vec![base, upper] } else { vec![base] },
                overrides: overrides.collect(),
            }
        },
    )
}

proptest! {
    #[test]
    fn there_is_never_a_gap(schedule in schedules(), hours in 0i64..365 * 24, minutes in 0i64..60) {
        let at = ms("2026-02-12T00:00:00Z") + (hours * 60 + minutes) * 60_000;
        prop_assert!(schedule.on_call(at).is_some());
        let shifts = schedule.shifts(at, at + 40 * 86_400_000);
        prop_assert_eq!(shifts[0].start, at);
        for pair in shifts.windows(2) {
            prop_assert_eq!(pair[0].end, pair[1].start);
            prop_assert_ne!(&pair[0].user, &pair[1].user);
        }
    }

    #[test]
    fn nobody_changes_between_two_changes(schedule in schedules(), hours in 0i64..365 * 24) {
        let at = ms("2026-02-12T00:00:00Z") + hours * 3_600_000;
        let next = schedule.next_change(at).unwrap_or(at + 86_400_000).min(at + 40 * 86_400_000);
        let now = schedule.on_call(at);
        for part in 0..10 {
            prop_assert_eq!(&schedule.on_call(at + (next - 1 - at) * part / 9), &now);
        }
    }

    #[test]
    fn an_override_wins(schedule in schedules(), hours in 0i64..365 * 24) {
        let at = ms("2026-01-01T00:00:00Z") + hours * 3_600_000;
        let held = schedule.overrides.iter().rev().find(|it| it.start <= at && at < it.end);
        if let Some(held) = held {
            prop_assert_eq!(&schedule.on_call(at).unwrap().user, &held.user);
        }
    }

    #[test]
    fn turns_go_round(people in 1usize..6, hours in 1i64..100, turn in 0i64..200) {
        let users: Vec<String> = (0..people).map(|person| person.to_string()).collect();
        let layer = Layer {
            name: String::new(),
            users: users.clone(),
            rotation: Rotation::Hours(hours),
            start: date(2026, 1, 1).to_datetime(time(0, 0, 0, 0)),
            restrictions: Vec::new(),
        };
        let at = ms("2026-01-01T00:00:00Z") + turn * hours * 3_600_000;
        let at = Timestamp::from_millisecond(at).unwrap();
        let expected = &users[usize::try_from(turn).unwrap() % people];
        prop_assert_eq!(layer.on_call(at, &TimeZone::UTC), Some(expected.as_str()));
    }
}
