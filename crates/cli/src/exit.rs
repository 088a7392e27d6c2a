//! What the exit code of a command says.

use std::process::ExitCode;

/// All is well.
pub(crate) const FINE: ExitCode = ExitCode::SUCCESS;
/// The command did not do what was asked.
pub(crate) const FAILED: u8 = 1;
/// What was typed makes no sense. Also what the parser of the command line exits with.
pub(crate) const USAGE: u8 = 2;
/// The command did what was asked, and found something that deserves a look.
pub(crate) const FINDINGS: u8 = 3;

/// The answer of `check health`, which monitoring systems read as a plug-in's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// The server works.
    Ok,
    /// It works, and something needs attention, or it is still starting.
    Warning,
    /// It does not do its work.
    Critical,
    /// Nothing can be said.
    Unknown,
}

impl Health {
    /// 0 to 3, in this order.
    pub(crate) fn code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        })
    }

    /// The word printed for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}
