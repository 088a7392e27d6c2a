//! Where lines lie: `raw/NAME/EPOCH_MS.jsonl`, and the same under `1m/`, `5m/` and `1h/`.
//!
//! A file holds the lines of one metric and one span of time: an hour of raw samples, a day of one- and five-minute
//! windows, thirty days of hours, each beginning at a multiple of its length and named by that time. The name of the
//! folder is that of the metric with everything but letters, digits, `_`, `-` and `.` spelled `%XX` by its UTF-8 bytes,
//! so that every name comes back and none leads out of its folder; a `.` at either end is spelled out as well. A name
//! too long for one folder goes on in folders below it, each but the last ending in a bare `%`.

use barograph_model::Tier;

/// File systems take 255 bytes; the mark that the name goes on is one.
const FOLDER_BYTES_MAX: usize = 250;
const HOUR_MS: i64 = 3_600_000;

/// The length of time in one file of a tier, in milliseconds.
pub const fn span_ms(tier: Tier) -> i64 {
    match tier {
        Tier::Raw => HOUR_MS,
        Tier::Minute | Tier::FiveMinutes => 24 * HOUR_MS,
        Tier::Hour => 30 * 24 * HOUR_MS,
    }
}

/// The file of a tier, metric and time, relative to the root, with `/` between folders.
pub fn file(tier: Tier, name: &str, at: i64) -> String {
    let span = span_ms(tier);
    let start = at.div_euclid(span).saturating_mul(span);
    format!("{tier}/{}/{start}.jsonl", folder(name))
}

/// The folder of a metric, or several with `/` between them.
pub fn folder(name: &str) -> String {
    let mut path = String::with_capacity(name.len() + 8);
    let mut start = 0;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    for (at, byte) in name.bytes().enumerate() {
        if path.len() - start + 3 > FOLDER_BYTES_MAX {
            path.push_str("%/");
            start = path.len();
        }
        let at_an_end = at == 0 || at + 1 == name.len() || path.len() == start;
        if plain(byte) && !(byte == b'.' && at_an_end) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// The metric of a folder, `None` if no metric has it.
pub fn name_of(folder: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(folder.len());
    let mut rest = folder.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'%' {
            bytes.push(first);
        } else if let Some(after) = rest.strip_prefix(b"/") {
            rest = after;
        } else {
            let (digits, after) = rest.split_at_checked(2)?;
            let digits =
                std::str::from_utf8(digits).ok().filter(|_| digits.iter().all(u8::is_ascii_hexdigit))?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    // Only what we write: another spelling of the same name is another folder.
    (self::folder(&name) == folder).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(name: &str, expected: &str) {
        assert_eq!(folder(name), expected);
        assert_eq!(name_of(expected).as_deref(), Some(name));
    }

    #[test]
    fn usual_names_stay_as_they_are() {
        check("system.cpu.usage", "system.cpu.usage");
        check("http_requests_total", "http_requests_total");
        check("job:errors:rate5m", "job%3Aerrors%3Arate5m");
    }

    #[test]
    fn no_name_leads_anywhere() {
        check("..", "%2E%2E");
        check(".", "%2E");
        check("a/../b", "a%2F..%2Fb");
        check(".hidden.", "%2Ehidden%2E");
        check("100%", "100%25");
        check("größe m\0", "gr%C3%B6%C3%9Fe%20m%00");
    }

    #[test]
    fn long_names_take_several_folders() {
        let name = "é".repeat(100);
        let path = folder(&name);
        let parts: Vec<_> = path.split('/').collect();
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.len() <= 251) && parts[0].ends_with('%'));
        assert_eq!(name_of(&path), Some(name));
    }

    #[test]
    fn what_nobody_wrote_is_no_name() {
        for folder in ["%", "%4", "%zz", "%+1", "a/b", "%61", "%FF", "é", "a%/b"] {
            assert_eq!(name_of(folder), None, "{folder}");
        }
    }

    #[test]
    fn files_are_named_by_their_first_millisecond() {
        let name = "system.cpu.usage";
        assert_eq!(file(Tier::Raw, name, 1_738_936_800_000), "raw/system.cpu.usage/1738936800000.jsonl");
        assert_eq!(file(Tier::Raw, name, 1_738_940_399_999), "raw/system.cpu.usage/1738936800000.jsonl");
        assert_eq!(file(Tier::Minute, name, 1_738_936_800_000), "1m/system.cpu.usage/1738886400000.jsonl");
        assert_eq!(file(Tier::Hour, name, -1), "1h/system.cpu.usage/-2592000000.jsonl");
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "(?s:.){1,400}") {
            let path = folder(&name);
            prop_assert_eq!(name_of(&path), Some(name));
            prop_assert!(path.split('/').all(|part| !part.is_empty() && part.len() <= 255));
            prop_assert!(path.split('/').all(|part| !part.starts_with('.')));
        }

        #[test]
        fn no_two_names_share_a_folder(a in "[.%/a:]{1,6}", b in "[.%/a:]{1,6}") {
            prop_assert_eq!(a == b, folder(&a) == folder(&b));
        }
    }
}
