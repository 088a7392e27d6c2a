//! JSON objects, written field by field.

use std::fmt::Write as _;

use barograph_wire::exposition::json;

/// An object that is being written; [`Object::write`] opens and closes it.
pub(crate) struct Object<'a> {
    out: &'a mut String,
    first: bool,
}

impl Object<'_> {
    /// Appends an object with the fields that `fields` writes.
    pub(crate) fn write(out: &mut String, fields: impl FnOnce(&mut Object<'_>)) {
        out.push('{');
        fields(&mut Object { out, first: true });
        out.push('}');
    }

    fn key(&mut self, key: &str) -> &mut String {
        if !self.first {
            self.out.push(',');
        }
        self.first = false;
        json::string(self.out, key);
        self.out.push(':');
        self.out
    }

    /// A number; `null` if it is none, or there is none.
    pub(crate) fn number(&mut self, key: &str, value: impl Into<Option<f64>>) {
        json::number(self.key(key), value.into().unwrap_or(f64::NAN));
    }

    /// A whole number.
    pub(crate) fn count(&mut self, key: &str, value: impl Into<i128>) {
        let value = value.into();
        let _ = write!(self.key(key), "{value}");
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        json::string(self.key(key), value);
    }

    /// A text, or null.
    pub(crate) fn text_or_null(&mut self, key: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(key, value),
            None => self.key(key).push_str("null"),
        }
    }

    /// A whole number, or null.
    pub(crate) fn count_or_null(&mut self, key: &str, value: Option<u64>) {
        match value {
            Some(value) => self.count(key, value),
            None => self.key(key).push_str("null"),
        }
    }

    /// A list of texts.
    pub(crate) fn texts<'a>(&mut self, key: &str, items: impl IntoIterator<Item = &'a str>) {
        let out = self.key(key);
        out.push('[');
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            json::string(out, item);
        }
        out.push(']');
    }

    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.key(key).push_str(if value { "true" } else { "false" });
    }

    pub(crate) fn object(&mut self, key: &str, fields: impl FnOnce(&mut Object<'_>)) {
        Object::write(self.key(key), fields);
    }

    /// A list of objects.
    pub(crate) fn list<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut fields: impl FnMut(&mut Object<'_>, T),
    ) {
        let out = self.key(key);
        out.push('[');
        for (i, item) in items.into_iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            Object::write(out, |object| fields(object, item));
        }
        out.push(']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_json() {
        let mut out = String::new();
        Object::write(&mut out, |object| {
            object.number("a", 0.5);
            object.number("b", None);
            object.count("c", 7u64);
            object.text("d\"", "é\n");
            object.object("e", |object| object.flag("f", true));
            object.list("g", [1u64, 2], |object, item| object.count("h", item));
            object.object("i", |_| {});
            object.text_or_null("j", None);
            object.count_or_null("k", Some(1));
            object.texts("l", ["m", "n"]);
        });
        let expected = r#"{"a":0.5,"b":null,"c":7,"d\"":"é\n","e":{"f":true},"g":[{"h":1},{"h":2}],"i":{},"j":null,"k":1,"l":["m","n"]}"#;
        assert_eq!(out, expected);
    }
}
