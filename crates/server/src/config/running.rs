//! The sections `config` and `log`: how the configuration itself is read and read again, and what is logged.

use std::time::Duration;

use super::{
    section::{Findings, Section, boolean},
    tree::Node,
    units::parse_duration,
};

/// How the configuration is read, and read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloading {
    /// Whether `${NAME}` in values is taken from the environment; it is not by default.
    pub expand_env: bool,
    /// How often the file is looked at for changes; zero, the default, for never.
    pub auto_reload_interval: Duration,
    /// Whether `/-/reload` and `/-/quit` are answered; they are not by default.
    pub lifecycle: bool,
}

impl Default for Reloading {
    fn default() -> Self {
        Self { expand_env: false, auto_reload_interval: Duration::ZERO, lifecycle: false }
    }
}

pub(super) fn read_reloading(node: &Node, findings: &mut Findings) -> Reloading {
    let mut reloading = Reloading::default();
    let mut section = Section::open(node, "`config`", findings);
    section.set("expand_env", &mut reloading.expand_env, boolean, findings);
    let interval = |text: &str| match parse_duration(text)? {
        interval if interval.is_zero() || interval >= Duration::from_secs(1) => Ok(interval),
        _ => Err("expected 0 or at least 1s".to_owned()),
    };
    section.set("auto_reload_interval", &mut reloading.auto_reload_interval, interval, findings);
    section.set("lifecycle", &mut reloading.lifecycle, boolean, findings);
    section.finish(&[], findings);
    reloading
}

/// The least important log lines that are written, or a filter; `None` leaves it as it was at the start.
pub(super) fn read_log(node: &Node, findings: &mut Findings) -> Option<String> {
    let mut section = Section::open(node, "`log`", findings);
    let level = section.value("level", crate::logging::filter, findings);
    section.finish(&[], findings);
    level
}
