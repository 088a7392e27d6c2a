//! How answers are printed: for people, for programs, for spreadsheets.

pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod table;

/// How to print an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned text for people.
    Table,
    /// The data of the server's answer, to the letter.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}
