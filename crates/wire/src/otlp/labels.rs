//! The labels of the series that a point becomes, put together without an allocation a point.
//!
//! What all points of a resource and scope share is made once ([`Base`]); the attributes of a point are named, sorted, and
//! joined where two come to one name ([`PointLabels`]). Both are merged as they are written, in the form of
//! [`barograph_model::Labels`]. Nothing here checks that text is UTF-8: the store does, for a series that is new.

use std::ops::Range;

use barograph_model::METRIC_NAME;

use super::{names::LabelNames, value::Attribute};
use crate::protobuf::{Malformed, varint_len};

/// Labels that are the same for many points, sorted by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Base {
    labels: Vec<Shared>,
}

#[derive(Clone, Debug)]
struct Shared {
    name: Vec<u8>,
    value: Vec<u8>,
    /// Whether it holds against an attribute of a point.
    wins: bool,
}

impl Base {
    /// A label that holds whatever a point says.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        self.insert(name, value, true);
    }

    /// A label that an attribute of a point, or what is here already, takes precedence over.
    pub(crate) fn offer(&mut self, name: &[u8], value: &[u8]) {
        self.insert(name, value, false);
    }

    fn insert(&mut self, name: &[u8], value: &[u8], wins: bool) {
        if value.is_empty() {
            return;
        }
        let label = Shared { name: name.to_owned(), value: value.to_owned(), wins };
        match self.labels.binary_search_by(|label| label.name.as_slice().cmp(name)) {
            Ok(place) if wins => self.labels[place] = label,
            Ok(_) => {}
            Err(place) => self.labels.insert(place, label),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// The labels that the attributes of one point become. Reused from point to point.
#[derive(Debug, Default)]
pub(crate) struct PointLabels {
    /// Keys and values as they came, then names.
    text: Vec<u8>,
    pairs: Vec<Pair>,
}

#[derive(Clone, Debug)]
struct Pair {
    key: Range<usize>,
    name: Range<usize>,
    value: Range<usize>,
}

/// One label more than the attributes give: `le`, `quantile`.
pub(crate) type Extra<'a> = Option<(&'a str, &'a str)>;

impl PointLabels {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.pairs.clear();
    }

    /// Takes an attribute; whether it has a name. One that has none left, or would be the metric's name, is left out.
    #[inline]
    pub(crate) fn add(&mut self, names: LabelNames, attribute: &Attribute<'_>) -> Result<bool, Malformed> {
        let key = self.push(attribute.key);
        let before = self.text.len();
        let named = names.put(attribute.key, &mut self.text).is_ok();
        if !named || self.text[before..] == *METRIC_NAME.as_bytes() {
            self.text.truncate(key.start);
            return Ok(named);
        }
        let name = before..self.text.len();
        match attribute.plain() {
            Some(text) => self.text.extend_from_slice(text),
            None => attribute.put(&mut self.text)?,
        }
        let value = name.end..self.text.len();
        if !value.is_empty() {
            self.pairs.push(Pair { key, name, value });
        }
        Ok(true)
    }

    fn push(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        start..self.text.len()
    }

    /// Sorts by name; attributes of one name become one, their values joined in the order of their keys.
    pub(crate) fn finish(&mut self) {
        let Self { text, pairs } = self;
        let by = |text: &[u8], pair: &Pair, other: &Pair| {
            let (name, key) = (&text[pair.name.clone()], &text[pair.key.clone()]);
            name.cmp(&text[other.name.clone()]).then_with(|| key.cmp(&text[other.key.clone()]))
        };
        if !pairs.is_sorted_by(|a, b| by(text, a, b).is_lt()) {
            pairs.sort_by(|a, b| by(text, a, b));
        }
        let mut place = 1;
        while place < pairs.len() {
            let (kept, twin) = (&pairs[place - 1], &pairs[place]);
            if text[kept.name.clone()] != text[twin.name.clone()] {
                place += 1;
                continue;
            }
            let start = text.len();
            // The same key twice is a mistake of the sender's, of which the last counts.
            if text[kept.key.clone()] != text[twin.key.clone()] {
                text.extend_from_within(kept.value.clone());
                text.push(b';');
            }
            text.extend_from_within(twin.value.clone());
            let value = start..text.len();
            pairs[place - 1].value = value;
            pairs[place - 1].key = pairs[place].key.clone();
            pairs.remove(place);
        }
    }

    /// Writes the labels of a series: those of the point and of `base`, the metric's name, and one more.
    #[inline]
    pub(crate) fn put(&self, base: &Base, metric: &str, extra: Extra<'_>, out: &mut Vec<u8>) {
        let fixed = [Some((METRIC_NAME, metric)), extra];
        let (mut shared, mut fixed) = (base.labels.iter().peekable(), fixed.into_iter().flatten().peekable());
        let mut pairs = self.pairs.iter().peekable();
        // `__name__` sorts before nearly all there is, but for names with a capital or a digit first.
        loop {
            let name_of = |pair: &&Pair| &self.text[pair.name.clone()];
            let own = pairs.peek().map(name_of);
            let common = shared.peek().map(|label| &*label.name);
            let given = fixed.peek().map(|(name, _)| name.as_bytes());
            let Some(name) = [own, common, given].into_iter().flatten().min() else { return };
            let own = if own == Some(name) { pairs.next() } else { None };
            let common = if common == Some(name) { shared.next() } else { None };
            let given = if given == Some(name) { fixed.next() } else { None };
            let value = match (given, common, own) {
                (Some((_, value)), ..) => value.as_bytes(),
                (None, Some(label), own) if label.wins || own.is_none() => &label.value,
                (None, _, Some(pair)) => &self.text[pair.value.clone()],
                (None, _, None) => continue,
            };
            put_label(name, value, out);
        }
    }
}

/// One label, as `barograph_model::encode_label` writes it.
#[inline]
fn put_label(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let len = |bytes: &[u8]| varint_len(bytes.len() as u64);
    let body = 2 + len(name) + len(value) + name.len() + value.len();
    out.push(0x0a);
    put_len(body, out);
    for (tag, bytes) in [(0x0a, name), (0x12, value)] {
        out.push(tag);
        put_len(bytes.len(), out);
        out.extend_from_slice(bytes);
    }
}

#[inline]
fn put_len(len: usize, out: &mut Vec<u8>) {
    match u8::try_from(len) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => crate::protobuf::put_varint(out, len as u64),
    }
}

#[cfg(test)]
mod tests {
    use barograph_model::Labels;

    use super::*;
    use crate::{
        otlp::Strategy,
        protobuf::{Reader, put_bytes, put_message},
    };

    fn check(attributes: &[(&str, &str)], base: &Base, extra: Extra<'_>, expected: &str) {
        let mut point = PointLabels::default();
        let names = LabelNames::new(Strategy::EscapedWithSuffixes, true, true);
        for (key, value) in attributes {
            let mut pair = Vec::new();
            put_bytes(&mut pair, 1, key.as_bytes());
            put_message(&mut pair, 2, |any| put_bytes(any, 1, value.as_bytes()));
            point.add(names, &Attribute::read(Reader::new(&pair)).unwrap()).unwrap();
        }
        point.finish();
        let mut bytes = Vec::new();
        point.put(base, "m", extra, &mut bytes);
        let labels = Labels::from_canonical_bytes(&bytes).expect("label bytes are canonical");
        assert_eq!(labels.to_string().replace("\", ", "\","), expected, "{attributes:?}");
    }

    #[test]
    fn labels_are_merged_in_order() {
        let none = Base::default();
        check(&[], &none, None, "m");
        check(&[("b.c", "1"), ("a", "2"), ("Z", "3")], &none, None, r#"m{Z="3",a="2",b_c="1"}"#);
        check(&[("a.b", "2"), ("a-b", "1"), ("a/b", "3")], &none, None, r#"m{a_b="1;2;3"}"#);
        check(&[("a", "1"), ("a", "2")], &none, None, r#"m{a="2"}"#);
        check(&[("__name__", "x"), ("..", "x"), ("empty", "")], &none, None, "m");
        check(&[("le", "x")], &none, Some(("le", "1")), r#"m{le="1"}"#);
        let mut base = Base::default();
        base.set(b"job", b"a/b");
        base.offer(b"zone", b"z");
        base.offer(b"job", b"other");
        base.set(b"none", b"");
        check(&[], &base, None, r#"m{job="a/b",zone="z"}"#);
        check(&[("job", "mine"), ("zone", "mine")], &base, None, r#"m{job="a/b",zone="mine"}"#);
        let long = "x".repeat(300);
        check(&[("l", &long)], &base, None, &format!(r#"m{{job="a/b",l="{long}",zone="z"}}"#));
    }
}
