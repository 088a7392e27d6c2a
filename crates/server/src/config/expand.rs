//! Variables of the environment in the values of a file: `${NAME}`, and `${NAME:-default}` for one that may not be there.
//!
//! Only values are expanded, after the file was read, so nothing in a variable can become a key. `$${` is `${` as it stands.
//! A name begins with a letter or `_`; what follows `$` otherwise stays, so `$1` and `${1}` of relabelling do.

use std::collections::HashMap;

use super::{
    section::Findings,
    tree::{Kind, Node},
};

/// A value may become so long.
const VALUE_BYTES_MAX: usize = 1 << 20;

/// Expands all values.
pub(super) fn expand(node: &mut Node, environment: &HashMap<&str, &str>, findings: &mut Findings) {
    match &mut node.kind {
        Kind::Null => {}
        Kind::List(items) => items.iter_mut().for_each(|item| expand(item, environment, findings)),
        Kind::Map(entries) => entries.iter_mut().for_each(|(_, value)| expand(value, environment, findings)),
        Kind::Scalar(text) => match expanded(text, environment) {
            Ok(expanded) => *text = expanded,
            Err(why) => findings.add(&node.place, why),
        },
    }
}

fn expanded(text: &str, environment: &HashMap<&str, &str>) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            done += before;
            done += "${";
            rest = &from[2..];
            continue;
        }
        done += before;
        let named = from[2..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !named {
            done += "${";
            rest = &from[2..];
            continue;
        }
        let end =
            from.find('}').ok_or_else(|| "`${` has no `}`; write `$${` for the characters".to_owned())?;
        let inside = &from[2..end];
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!("`${{{name}}}` is no name of a variable; letters, digits and `_` are"));
        }
        let value = environment.get(name).copied().filter(|value| !value.is_empty() || default.is_none());
        done += value.or(default).ok_or_else(|| {
            format!("environment variable {name} is not set; set it, or write `${{{name}:-default}}`")
        })?;
        if done.len() > VALUE_BYTES_MAX {
            return Err(format!("with its variables the value is longer than {VALUE_BYTES_MAX} bytes"));
        }
        rest = &from[end + 1..];
    }
    done += rest;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded() {
        let environment = HashMap::from([("A", "1"), ("EMPTY", ""), ("B_2", "${A}")]);
        let check = |text: &str, expected: &str| assert_eq!(expanded(text, &environment).unwrap(), expected);
        check("x${A}y${A}", "x1y1");
        check("${NONE:-d}${EMPTY:-e}${EMPTY}", "de");
        check("${B_2}", "${A}");
        check("$${A} $1 ${1} $A $", "${A} $1 ${1} $A $");
        check("${A:-}", "1");
        let refused = |text: &str, why: &str| {
            let error = expanded(text, &environment).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        refused("${NONE}", "NONE is not set");
        refused("${A", "has no `}`");
        refused("${A B}", "no name of a variable");
    }
}
