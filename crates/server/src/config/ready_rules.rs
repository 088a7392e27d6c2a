//! The section `ready_rules`: rules that are there without being written.

use barograph_alert::{
    RuleFile,
    ready::{self, GROUPS, Ready},
};

use super::{
    section::{Findings, Section, boolean},
    tree::Node,
};

/// Which of the rules that come with the server are evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyRules {
    /// Whether any are; they are by default.
    pub enabled: bool,
    /// Of these groups; of all by default.
    pub groups: Vec<&'static str>,
    /// But for rules of these names.
    pub without: Vec<String>,
}

impl Default for ReadyRules {
    fn default() -> Self {
        let groups = GROUPS.iter().map(|group| group.name).collect();
        Self { enabled: true, groups, without: Vec::new() }
    }
}

impl ReadyRules {
    /// The rule files, with their names.
    pub fn files(&self) -> Vec<(String, RuleFile)> {
        let wanted = GROUPS.iter().filter(|group| self.enabled && self.groups.contains(&group.name));
        wanted.map(|group| (group.file_name(), group.file(&self.without))).collect()
    }
}

pub(super) fn read_ready_rules(node: &Node, findings: &mut Findings) -> ReadyRules {
    let mut rules = ReadyRules::default();
    let mut section = Section::open(node, "`ready_rules`", findings);
    section.set("enabled", &mut rules.enabled, boolean, findings);
    let given = section.node("groups").is_some();
    let groups = section.values("groups", group, findings);
    if given {
        rules.groups = groups;
    }
    rules.without = section.values("without", rule, findings);
    section.finish(&[], findings);
    rules
}

fn group(name: &str) -> Result<&'static str, String> {
    let known = || GROUPS.map(|group| format!("`{}`", group.name)).join(", ");
    Ready::of(name)
        .map(|group| group.name)
        .ok_or_else(|| format!("expected one of {}, found `{name}`", known()))
}

fn rule(name: &str) -> Result<String, String> {
    match ready::rules().iter().any(|rule| rule == name) {
        true => Ok(name.to_owned()),
        false => Err(format!(
            "no rule that comes with the server is called `{name}`; `barograph rules ready` prints them"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn load(text: &str) -> Result<ReadyRules, String> {
        let config = Config::parse(text, "b.yml", Path::new(""), []);
        config.map(|config| config.ready_rules).map_err(|error| error.to_string())
    }

    #[test]
    fn all_are_evaluated_but_for_those_that_are_not_wanted() {
        let names = |text: &str| -> Vec<String> {
            load(text).unwrap().files().into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(""), ["ready:watchdog", "ready:host", "ready:process", "ready:http"]);
        assert_eq!(names("ready_rules: {enabled: false}"), Vec::<String>::new());
        assert_eq!(names("ready_rules: {groups: [http]}"), ["ready:http"]);
        assert_eq!(names("ready_rules: {groups: []}"), Vec::<String>::new());
        let rules = |text: &str| load(text).unwrap().files()[0].1.rules();
        assert_eq!(rules(""), rules("ready_rules: {without: [Watchdog]}") + 1);
        assert_eq!(
            load("ready_rules: {groups: [hosts], without: [none]}").unwrap_err(),
            "b.yml:1:24: each of `groups`: expected one of `watchdog`, `host`, `process`, `http`, found `hosts`\n\
             b.yml:1:42: each of `without`: no rule that comes with the server is called `none`; `barograph rules ready` prints them"
        );
    }
}
