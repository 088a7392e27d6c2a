//! Names of other systems as names of metrics and labels: what may not stand in one becomes an underscore.

/// A metric's name: letters, digits, `_` and `:`, no digit first.
pub(crate) fn metric_name(name: &str) -> String {
    spelled(name, |c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// A label's name: letters, digits and `_`, no digit first.
pub(crate) fn label_name(name: &str) -> String {
    spelled(name, |c| c.is_ascii_alphanumeric() || c == '_')
}

fn spelled(name: &str, may_stand: impl Fn(char) -> bool) -> String {
    let mut spelled: String = name.chars().map(|c| if may_stand(c) { c } else { '_' }).collect();
    if spelled.is_empty() || spelled.starts_with(|c: char| c.is_ascii_digit()) {
        spelled.insert(0, '_');
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_with_what_may_stand() {
        assert_eq!(metric_name("a.b-c:d/é"), "a_b_c:d__");
        assert_eq!(label_name("a.b:c"), "a_b_c");
        assert_eq!((metric_name("9lives"), label_name("")), ("_9lives".to_owned(), "_".to_owned()));
    }
}
