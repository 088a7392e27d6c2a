//! `barograph rules`: the rules that come with the server, to be read, copied and changed.

use crate::{error::Error, exit, terminal::Terminal};
use barograph_alert::ready::{self, GROUPS, Ready};
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Print the rules that come with the server, as a rule file.
    ///
    /// A copy in a file that `rule_files` names can be changed; leave the original out then, by
    /// `ready_rules: {without: [NAME]}` or `{groups: [...]}`.
    Ready {
        /// Only these groups; all without.
        #[arg(value_name = "GROUP", value_parser = group)]
        groups: Vec<Ready>,
        /// As Prometheus reads them: without the keys and the kinds of rules that only Barograph has.
        #[arg(long)]
        plain: bool,
        /// Only the names of the groups, with how many rules each has.
        #[arg(long)]
        names: bool,
    },
}

fn group(name: &str) -> Result<Ready, String> {
    let known = GROUPS.map(|group| group.name).join(", ");
    Ready::of(name).ok_or_else(|| format!("expected one of {known}"))
}

pub(crate) fn run(command: Command, terminal: &mut Terminal) -> Result<ExitCode, Error> {
    let Command::Ready { groups, plain, names } = command;
    let groups = if groups.is_empty() { GROUPS.to_vec() } else { groups };
    if names {
        for group in groups {
            writeln!(terminal.out(), "{}\t{}", group.name, group.file(&[]).rules())?;
        }
        return Ok(exit::FINE);
    }
    terminal.out().write_all(joined(&groups, plain).as_bytes())?;
    Ok(exit::FINE)
}

/// Several rule files as one.
fn joined(groups: &[Ready], plain: bool) -> String {
    let mut text = String::new();
    for (index, group) in groups.iter().enumerate() {
        let file = if plain { ready::plain(group.text) } else { group.text.to_owned() };
        match file.split_once("groups:\n") {
            Some((head, rules)) if index > 0 => text.extend(["\n", head, rules]),
            _ => text += &file,
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_groups_are_one_file() {
        for plain in [false, true] {
            let text = joined(&GROUPS, plain);
            let file =
                barograph_alert::file::parse(&text, "r.yml").unwrap_or_else(|faults| panic!("{faults}"));
            let names: Vec<&str> = file.groups.iter().map(|group| group.name.as_str()).collect();
            assert_eq!(names, ["watchdog", "host", "process", "http"]);
        }
    }
}
