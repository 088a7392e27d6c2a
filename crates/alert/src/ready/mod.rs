//! Rules that are there without being written: for a server itself, hosts, processes, and services that answer HTTP.
//!
//! They are rule files like any, so whoever wants them otherwise takes a copy and changes it. Most are rules of Prometheus as
//! they stand; [`plain`] takes away what is not. Each alert says what was measured and what it was held against, and has a
//! page that says what to do. The series that they record begin with `barograph:`.

use std::sync::LazyLock;

use crate::{
    RuleKind,
    file::{RuleFile, parse},
    kinds,
};

/// Before the names of their files: those of users are paths.
const PREFIX: &str = "ready:";

/// Rules of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What the group is called, in configurations too.
    pub name: &'static str,
    /// The rule file.
    pub text: &'static str,
}

/// All of them.
pub const GROUPS: [Ready; 4] = [
    Ready { name: "watchdog", text: include_str!("watchdog.yml") },
    Ready { name: "host", text: include_str!("host.yml") },
    Ready { name: "process", text: include_str!("process.yml") },
    Ready { name: "http", text: include_str!("http.yml") },
];

impl Ready {
    /// The one of a name.
    pub fn of(name: &str) -> Option<Self> {
        GROUPS.into_iter().find(|ready| ready.name == name)
    }

    /// What its file is called.
    pub fn file_name(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// The rules in it, but for those of these names.
    pub fn file(&self, without: &[String]) -> RuleFile {
        // A text of ours that cannot be read is seen by the tests of this module.
        let mut file = parse(self.text, &self.file_name()).unwrap_or_default();
        for group in &mut file.groups {
            group.rules.retain(|rule| !without.iter().any(|name| name == rule.name()));
        }
        file
    }
}

/// Whether a rule file is one of these.
pub fn is_ready(file: &str) -> bool {
    file.strip_prefix(PREFIX).is_some_and(|name| Ready::of(name).is_some())
}

/// The names of all rules, those that record included. Read once: this is asked for each name in a configuration.
pub fn rules() -> &'static [String] {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        let files = GROUPS.iter().map(|ready| ready.file(&[]));
        let rules = files.flat_map(|file| file.groups).flat_map(|group| group.rules);
        rules.map(|rule| rule.name().to_owned()).collect()
    });
    &NAMES
}

/// The names of all alerts.
pub fn alerts() -> Vec<String> {
    let files = GROUPS.iter().map(|ready| ready.file(&[]));
    let rules = files.flat_map(|file| file.groups).flat_map(|group| group.rules);
    rules
        .filter(|rule| matches!(rule.kind, RuleKind::Alerting(_)))
        .map(|rule| rule.name().to_owned())
        .collect()
}

/// A rule file of [`GROUPS`] as Prometheus reads it: without keys of ours, and without rules that are of a kind of ours.
pub fn plain(text: &str) -> String {
    let (mut plain, mut block) = (String::new(), Vec::new());
    for line in text.lines() {
        // A rule ends with the empty line behind it; what is said before it goes with it.
        block.push(line);
        if line.is_empty() {
            flush(&mut block, &mut plain);
        }
    }
    flush(&mut block, &mut plain);
    plain
}

fn flush(block: &mut Vec<&str>, plain: &mut String) {
    if !block.iter().filter_map(|line| key(line)).any(|key| kinds::KEYS.contains(&key)) {
        let kept = block.iter().filter(|line| !key(line).is_some_and(|key| OURS.contains(&key)));
        kept.for_each(|line| plain.extend([*line, "\n"]));
    }
    block.clear();
}

/// The key of a rule that a line begins with.
fn key(line: &str) -> Option<&str> {
    let (key, _) = line.strip_prefix("        ")?.split_once(':')?;
    Some(key)
}

/// Keys of a rule that Prometheus does not know, besides those of kinds.
const OURS: [&str; 6] = ["clear_threshold", "missing", "cooldown", "escalation", "runbook_url", "auto_ack"];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn all_can_be_read_and_each_alert_says_what_it_has_to() {
        let mut names = BTreeSet::new();
        for ready in GROUPS {
            let file = parse(ready.text, &ready.file_name()).unwrap_or_else(|faults| panic!("{faults}"));
            assert_eq!(file.groups.len(), 1, "{}", ready.name);
            assert_eq!(file.groups[0].name, ready.name);
            for rule in &file.groups[0].rules {
                let name = rule.name();
                assert!(names.insert(name.to_owned()), "{name} is there twice");
                let Some(alert) = rule.alerting() else {
                    assert!(name.starts_with("barograph:"), "{name}");
                    continue;
                };
                let severity = alert.labels["severity"].text();
                assert!(["none", "info", "warning", "critical"].contains(&severity), "{name}: {severity}");
                for annotation in ["summary", "description", "runbook_url"] {
                    assert!(alert.annotations.contains_key(annotation), "{name} has no {annotation}");
                }
                let expected = format!("{{{{ $externalURL }}}}/runbooks/{name}");
                assert_eq!(alert.annotations["runbook_url"].text(), expected);
                if alert.threshold.is_some() && severity != "none" {
                    let summary = alert.annotations["summary"].text();
                    let says = summary.contains("is right") || summary.contains("than");
                    assert!(says && summary.contains("$value"), "{name}: {summary}");
                }
            }
        }
        assert!(names.len() > 25, "{names:?}");
        assert!(is_ready("ready:host") && !is_ready("ready:other") && !is_ready("/etc/host"));
    }

    /// Something that fires has held for a while, or goes on for a while: `for`, `keep_firing_for`, a `cooldown` or two
    /// thresholds. What comes once and says all at once is exempt.
    #[test]
    fn noise_is_kept_down() {
        const AT_ONCE: [&str; 3] = ["Watchdog", "storage-read-only", "notifications-dead"];
        for ready in GROUPS {
            for group in ready.file(&[]).groups {
                for rule in group.rules {
                    let Some(alert) = rule.alerting() else { continue };
                    let calm = !alert.hold.is_zero()
                        || !alert.keep_firing.is_zero()
                        || !alert.handling.cooldown.is_zero();
                    assert!(calm || AT_ONCE.contains(&alert.name.as_str()), "{}", alert.name);
                }
            }
        }
    }

    #[test]
    fn what_nobody_wants_is_left_out() {
        let host = Ready::of("host").unwrap();
        let without = ["host-load-high".to_owned(), "other".to_owned()];
        assert_eq!(host.file(&without).rules() + 1, host.file(&[]).rules());
    }

    #[test]
    fn what_is_plain_has_no_keys_of_ours() {
        let process = plain(Ready::of("process").unwrap().text);
        let file = parse(&process, "process.yml").unwrap();
        let names: Vec<_> = file.groups[0].rules.iter().map(|rule| rule.name()).collect();
        assert!(
            names.contains(&"event-loop-lag-high") && !names.contains(&"process-memory-grows"),
            "{names:?}"
        );
        assert!(!process.contains("clear_threshold:") && !process.contains("trend:"), "{process}");
        let watchdog = Ready::of("watchdog").unwrap();
        assert_eq!(plain(watchdog.text), watchdog.text);
    }

    /// Runs a file of tests over the rules as they are made plain or not.
    fn failures(name: &str, change: impl Fn(&str) -> String) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ready/tests").join(name);
        let text = fs::read_to_string(&path).unwrap();
        let tests = crate::test::parse(&text, name).unwrap_or_else(|faults| panic!("{faults}"));
        let rules: Vec<_> = tests
            .rule_files
            .iter()
            .map(|file| {
                let ready = Ready::of(file.trim_start_matches("../").trim_end_matches(".yml")).unwrap();
                (file.clone(), parse(&change(ready.text), file).unwrap())
            })
            .collect();
        let options = barograph_query::Options::default();
        let reports = crate::test::run(&tests, &rules, &options, |_| true);
        assert!(!reports.is_empty(), "{name}");
        reports.iter().flat_map(|report| &report.failures).map(ToString::to_string).collect()
    }

    #[test]
    fn they_do_what_their_tests_say() {
        let mut told = Vec::new();
        for name in ["watchdog.yml", "host.yml", "process.yml", "http.yml"] {
            told.extend(failures(name, plain));
            told.extend(failures(name, str::to_owned));
        }
        for name in ["host-own.yml", "process-own.yml", "http-own.yml"] {
            told.extend(failures(name, str::to_owned));
        }
        assert!(told.is_empty(), "{}", told.join("\n"));
    }
}
