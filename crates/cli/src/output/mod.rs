//! How answers are printed: for people, for programs, for spreadsheets.

pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod plan;
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

/// How to print an answer that is no table of samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    /// Text for people.
    Table,
    /// The server's answer, to the letter.
    Json,
}

/// Bytes for people: `1.2 GiB`, with at most three digits.
pub(crate) fn size(bytes: u64) -> String {
    let mut unit = 0;
    let mut value = bytes as f64;
    while value >= 999.5 && unit < UNITS.len() - 1 {
        value /= 1024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 99.95) + usize::from(unit > 0 && value < 9.995);
    format!("{value:.digits$} {}", UNITS[unit])
}

const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_at_most() {
        let check = |bytes: u64, text: &str| assert_eq!(size(bytes), text);
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "0.98 KiB");
        check(1536, "1.50 KiB");
        check(10 << 10, "10.0 KiB");
        check(123 << 20, "123 MiB");
        check(5 << 40, "5.00 TiB");
    }
}
