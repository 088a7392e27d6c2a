//! Standard output and standard error: who gets what, and whether in colour.
//!
//! Output is buffered and flushed once at the end. A message that cannot be written is dropped: there is
//! nobody left to tell.

use std::{
    io::{self, BufWriter, IsTerminal, StdoutLock, Write},
    process::ExitCode,
};

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless the environment says otherwise.
    Auto,
    /// Always, also into a pipe or a file.
    Always,
    /// Never.
    Never,
}

/// What the environment says about colour.
#[derive(Clone, Copy, Debug, Default)]
struct Habits {
    /// `NO_COLOR` is set and not empty.
    no_color: bool,
    /// `CLICOLOR_FORCE` is set, not empty and not `0`.
    force: bool,
    /// `TERM` is `dumb`.
    dumb: bool,
}

impl Habits {
    #[expect(clippy::disallowed_methods, reason = "the binary is the edge that reads the environment")]
    fn of_the_environment() -> Self {
        let text = |name| std::env::var(name).unwrap_or_default();
        Self {
            no_color: !text("NO_COLOR").is_empty(),
            force: !matches!(text("CLICOLOR_FORCE").as_str(), "" | "0"),
            dumb: text("TERM") == "dumb",
        }
    }
}

/// A flag outweighs `NO_COLOR`, which outweighs `CLICOLOR_FORCE`, which outweighs what the stream is.
fn colored(choice: ColorChoice, habits: Habits, is_terminal: bool) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto if habits.no_color => false,
        ColorChoice::Auto if habits.force => true,
        ColorChoice::Auto => is_terminal && !habits.dumb,
    }
}

/// What a piece of text is, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It went wrong.
    Error,
    /// It may be wrong.
    Warning,
    /// Good to know.
    Info,
    /// All is well.
    Good,
    /// The head of a column or of a block.
    Heading,
    /// Less important than its neighbours.
    Faint,
}

impl Role {
    fn code(self) -> &'static str {
        match self {
            Self::Error => "1;31",
            Self::Warning => "1;33",
            Self::Info => "1;36",
            Self::Good => "1;32",
            Self::Heading => "1",
            Self::Faint => "2",
        }
    }

    fn word(self) -> Option<&'static str> {
        match self {
            Self::Error => Some("error"),
            Self::Warning => Some("warning"),
            Self::Info => Some("info"),
            Self::Good | Self::Heading | Self::Faint => None,
        }
    }
}

/// Puts text in colour, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Never in colour.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self(false)
    }

    /// `text` as its role wants it.
    pub(crate) fn of(self, role: Role, text: &str) -> String {
        if self.0 { format!("\x1b[{}m{text}\x1b[0m", role.code()) } else { text.to_owned() }
    }
}

/// The two streams a command speaks to.
pub(crate) struct Terminal {
    out: BufWriter<StdoutLock<'static>>,
    data_paint: Paint,
    messages_paint: Paint,
}

impl Terminal {
    pub(crate) fn new(choice: ColorChoice) -> Self {
        let habits = Habits::of_the_environment();
        Self {
            data_paint: Paint(colored(choice, habits, io::stdout().is_terminal())),
            messages_paint: Paint(colored(choice, habits, io::stderr().is_terminal())),
            out: BufWriter::new(io::stdout().lock()),
        }
    }

    /// Where data goes.
    pub(crate) fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// How data is coloured.
    pub(crate) fn data_paint(&self) -> Paint {
        self.data_paint
    }

    /// How messages are coloured.
    pub(crate) fn messages_paint(&self) -> Paint {
        self.messages_paint
    }

    /// Whether what is written to standard error is in colour, if `choice` says so for a part of it.
    pub(crate) fn messages_in_color(&self, choice: ColorChoice) -> bool {
        match choice {
            ColorChoice::Auto => self.messages_paint.0,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        }
    }

    /// One line to standard error, led by what it is.
    pub(crate) fn message(&self, role: Role, text: &str) {
        match role.word() {
            Some(word) => self.note(&format!("{} {text}", self.messages_paint.of(role, &format!("{word}:")))),
            None => self.note(text),
        }
    }

    /// Text to standard error as it is.
    pub(crate) fn note(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Writes what is still held.
    ///
    /// # Errors
    ///
    /// The output cannot be written.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// A line of data that says whether something is all right.
    pub(crate) fn verdict(
        &mut self,
        role: Role,
        word: &str,
        text: &str,
        code: ExitCode,
    ) -> io::Result<ExitCode> {
        writeln!(self.out, "{}: {text}", self.data_paint.of(role, word))?;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_comes_first_then_the_environment_then_the_stream() {
        use ColorChoice::{Always, Auto, Never};
        let none = Habits::default();
        let no_color = Habits { no_color: true, ..none };
        let force = Habits { force: true, ..none };
        let dumb = Habits { dumb: true, ..none };
        let both = Habits { no_color: true, force: true, ..none };
        for (choice, habits, is_terminal, expected) in [
            (Auto, none, true, true),
            (Auto, none, false, false),
            (Auto, no_color, true, false),
            (Auto, force, false, true),
            (Auto, both, true, false),
            (Auto, dumb, true, false),
            (Always, no_color, false, true),
            (Never, force, true, false),
        ] {
            assert_eq!(colored(choice, habits, is_terminal), expected, "{choice:?} {habits:?} {is_terminal}");
        }
    }
}
