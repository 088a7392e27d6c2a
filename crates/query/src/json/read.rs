//! A JSON document read with the path to every value, so that whatever is wrong with it can be pointed at.
//!
//! Paths are written as one would in a program: `query.aggregations[0].window`. A key that is not known is refused
//! where it stands; it is never ignored.

use std::fmt;

use serde_json::{Map, Value};

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The path to it, such as `query.sort.order`; empty for the document as a whole.
    pub path: String,
    /// What is wrong, and what would do.
    pub message: String,
}

impl Invalid {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

impl std::error::Error for Invalid {}

/// A value and the way to it.
pub(super) struct At<'a> {
    pub(super) value: &'a Value,
    pub(super) path: String,
}

impl<'a> At<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, path: String::new() }
    }

    pub(super) fn wrong(&self, message: impl Into<String>) -> Invalid {
        Invalid::new(self.path.clone(), message)
    }

    fn expected(&self, what: &str) -> Invalid {
        let found = match self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.wrong(format!("expected {what}, got {found}"))
    }

    /// An object with no other keys than these.
    pub(super) fn object(self, known: &'static [&'static str]) -> Result<Fields<'a>, Invalid> {
        let fields = self.any_object()?;
        match fields.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                let text = format!("unknown key; known are {}", known.join(", "));
                Err(Invalid::new(fields.path_of(key), text))
            }
            None => Ok(fields),
        }
    }

    /// An object whose keys are names that the sender chose.
    pub(super) fn any_object(self) -> Result<Fields<'a>, Invalid> {
        match self.value {
            Value::Object(map) => Ok(Fields { map, path: self.path }),
            _ => Err(self.expected("an object")),
        }
    }

    /// A list of at most `most` values.
    pub(super) fn list(self, most: usize) -> Result<Vec<At<'a>>, Invalid> {
        let Value::Array(items) = self.value else { return Err(self.expected("a list")) };
        if items.len() > most {
            return Err(self.wrong(format!("{} values, more than the {most} there may be", items.len())));
        }
        let at = |(i, value)| At { value, path: format!("{}[{i}]", self.path) };
        Ok(items.iter().enumerate().map(at).collect())
    }

    /// A text that is not empty.
    pub(super) fn text(&self) -> Result<&'a str, Invalid> {
        match self.value.as_str() {
            Some("") => Err(self.wrong("is empty")),
            Some(text) => Ok(text),
            None => Err(self.expected("a text")),
        }
    }

    pub(super) fn number(&self) -> Result<f64, Invalid> {
        self.value.as_f64().ok_or_else(|| self.expected("a number"))
    }

    pub(super) fn flag(&self) -> Result<bool, Invalid> {
        self.value.as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// A whole number from 1 to `most`.
    pub(super) fn count(&self, most: usize) -> Result<usize, Invalid> {
        let count = self.value.as_u64().and_then(|count| usize::try_from(count).ok());
        match count.filter(|count| (1..=most).contains(count)) {
            Some(count) => Ok(count),
            None => Err(self.wrong(format!("expected a whole number from 1 to {most}"))),
        }
    }

    /// One of some words, in whatever case.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Invalid> {
        let text = self.text()?;
        match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            Some((_, meaning)) => Ok(*meaning),
            None => {
                let words: Vec<&str> = words.iter().map(|pair| pair.0).collect();
                Err(self.wrong(format!("{text:?} is none of {}", words.join(", "))))
            }
        }
    }
}

/// An object. A key whose value is `null` counts as absent.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    fn path_of(&self, key: &str) -> String {
        let plain = key.bytes().all(|c| c == b'_' || c == b'-' || c == b'$' || c.is_ascii_alphanumeric());
        match (self.path.as_str(), plain && !key.is_empty()) {
            ("", true) => key.to_owned(),
            (path, true) => format!("{path}.{key}"),
            (path, false) => format!("{path}[{key:?}]"),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        let value = self.map.get(key).filter(|value| !value.is_null())?;
        Some(At { value, path: self.path_of(key) })
    }

    pub(super) fn need(&self, key: &str) -> Result<At<'a>, Invalid> {
        self.get(key).ok_or_else(|| Invalid::new(self.path_of(key), "is missing"))
    }

    /// All keys with their values, in the order of the keys.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'a str, At<'a>)> {
        self.map.iter().map(|(key, value)| (key.as_str(), At { value, path: self.path_of(key) }))
    }

    pub(super) fn wrong(&self, message: impl Into<String>) -> Invalid {
        Invalid::new(self.path.clone(), message)
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check<T>(read: Result<T, Invalid>, text: &str) {
        assert_eq!(read.err().map(|e| e.to_string()).as_deref(), Some(text));
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        let value = json!({"a": {"b": [1, {"c d": ""}]}, "n": null});
        let root = At::root(&value).object(&["a", "n"]).unwrap();
        check(At::root(&value).object(&["a"]), "n: unknown key; known are a");
        check(root.need("n"), "n: is missing");
        let list = root.need("a").unwrap().object(&["b"]).unwrap().need("b").unwrap().list(2).unwrap();
        check(list[0].text(), "a.b[0]: expected a text, got a number");
        check(list[1].number(), "a.b[1]: expected a number, got an object");
        let inner = At { value: list[1].value, path: list[1].path.clone() }.any_object().unwrap();
        check(inner.need("c d").unwrap().text(), "a.b[1][\"c d\"]: is empty");
        check(
            root.need("a").unwrap().any_object().unwrap().need("b").unwrap().list(1),
            "a.b: 2 values, more than the 1 there may be",
        );
        check(list[0].count(0), "a.b[0]: expected a whole number from 1 to 0");
        let word = json!("up");
        check(At::root(&word).word(&[("ASC", 1), ("DESC", 2)]), "\"up\" is none of ASC, DESC");
    }
}
