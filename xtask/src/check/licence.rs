//! SPDX licence expressions (SPDX 2.3, annex D), and whether an allowed choice satisfies them.

use anyhow::{Result, bail, ensure};

/// Whether the licences for which `allowed` holds are enough. `/` is read as `OR`, as old manifests mean it.
///
/// # Errors
/// If the text is no licence expression.
pub(crate) fn satisfied(expression: &str, allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let satisfied = any(&mut rest, allowed)?;
    ensure!(rest.is_empty(), "{expression:?} goes on after its end, at {:?}", rest[0]);
    Ok(satisfied)
}

fn any(rest: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let mut satisfied = all(rest, allowed)?;
    while take(rest, "OR") {
        satisfied |= all(rest, allowed)?;
    }
    Ok(satisfied)
}

fn all(rest: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    let mut satisfied = one(rest, allowed)?;
    while take(rest, "AND") {
        satisfied &= one(rest, allowed)?;
    }
    Ok(satisfied)
}

fn one(rest: &mut &[&str], allowed: &dyn Fn(&str) -> bool) -> Result<bool> {
    if take(rest, "(") {
        let satisfied = any(rest, allowed)?;
        ensure!(take(rest, ")"), "a parenthesis is not closed");
        return Ok(satisfied);
    }
    let Some((licence, after)) = rest.split_first() else { bail!("a licence is missing at the end") };
    *rest = after;
    if !take(rest, "WITH") {
        return Ok(allowed(licence));
    }
    let Some((exception, after)) = rest.split_first() else { bail!("WITH needs an exception") };
    *rest = after;
    // More rights than the licence alone gives, so the licence alone is enough too.
    Ok(allowed(licence) || allowed(&format!("{licence} WITH {exception}")))
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    let found = rest.first() == Some(&word);
    if found {
        *rest = &rest[1..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_and_conjunctions() {
        let allowed = |licence: &str| ["MIT", "BSD-3-Clause", "GPL-2.0 WITH Classpath"].contains(&licence);
        let check =
            |text: &str, expected: bool| assert_eq!(satisfied(text, &allowed).unwrap(), expected, "{text}");
        check("MIT", true);
        check("Apache-2.0", false);
        check("Apache-2.0/MIT", true);
        check("Apache-2.0 OR MIT AND GPL-3.0", false);
        check("(Apache-2.0 OR MIT) AND BSD-3-Clause", true);
        check("GPL-2.0 WITH Classpath", true);
        check("GPL-2.0 WITH Other", false);
        assert!(satisfied("MIT OR", &allowed).is_err());
        assert!(satisfied("(MIT", &allowed).is_err());
        assert!(satisfied("MIT MIT", &allowed).is_err());
    }
}
