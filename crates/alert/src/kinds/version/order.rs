//! Which of two versions is the newer one, by what they are called.
//!
//! Names are read in parts, which are numbers or words: `1.10.0` is after `1.9.2`, and `v2` is `2`. What follows a hyphen comes
//! before the version as such (`2.0.0-rc.1`), and what follows a plus sign says nothing, as in Semantic Versioning.

use std::cmp::Ordering;

/// Compares two versions. Those that differ in nothing that says anything are equal.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let ((a, a_before), (b, b_before)) = (split(a), split(b));
    by_parts(a, b).then_with(|| match (a_before, b_before) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => by_parts(a, b),
    })
}

/// The version as such, and what says that it is not there yet.
fn split(version: &str) -> (&str, Option<&str>) {
    let version = version.split('+').next().unwrap_or_default().trim();
    let version = match version.strip_prefix(['v', 'V']) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => version,
    };
    match version.split_once('-') {
        Some((version, before)) => (version, Some(before)),
        None => (version, None),
    }
}

/// Numbers and words, one after the other; what is missing at the end is zero.
fn by_parts(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (parts(a), parts(b));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (Some(a), Some(b)) => part(a, b),
            (Some(a), None) => part(a, "0"),
            (None, Some(b)) => part("0", b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(['.', '_', '-'])
        .flat_map(|part| {
            // `1rc2` is `1`, `rc`, `2`.
            let bytes = part.as_bytes();
            let mut from = 0;
            std::iter::from_fn(move || {
                let digit = bytes.get(from)?.is_ascii_digit();
                let length = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit() == digit).count();
                let found = &part[from..from + length];
                from += length;
                Some(found)
            })
        })
        .filter(|part| !part.is_empty())
}

/// Numbers by value, however long they are, and before words.
fn part(a: &str, b: &str) -> Ordering {
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match (number(a), number(b)) {
        (true, true) => {
            let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        }
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_in_the_order_in_which_they_come() {
        let order = [
            "0.9",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0",
            "v1.2",
            "1.10",
            "2.0-1",
            "2",
            "2024.01.31",
            "99999999999999999999999.1",
        ];
        for (i, a) in order.iter().enumerate() {
            for (j, b) in order.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} and {b}");
            }
        }
        for (a, b) in
            [("1.0", "1.0.0"), ("v1.2.3", "1.2.3"), ("1.0+abc", "1.0+def"), ("", ""), ("1.02", "1.2")]
        {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} and {b}");
        }
        assert_eq!(compare("é1", "é2"), Ordering::Less);
    }
}
