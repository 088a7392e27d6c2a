//! Label sets, kept as remote write sends them.
//!
//! A `Labels` is one shared run of bytes: for each label, in the order of names, what protobuf field 1 of a
//! remote-write `TimeSeries` holds: `0x0a len (0x0a len name 0x12 len value)`, lengths in the shortest varint
//! form. So the label bytes of a well-formed request *are* the key of its series, with nothing parsed or copied,
//! and a label set is one allocation, cheap to clone. Names are unique and not empty; an empty value is the same
//! as no label and is never kept.

use std::{borrow::Cow, cmp::Ordering, fmt, sync::Arc};

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

const TAG_LABEL: u8 = 0x0a;
const TAG_NAME: u8 = 0x0a;
const TAG_VALUE: u8 = 0x12;

/// A sorted set of labels with unique names; the metric name is the label `__name__`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Labels(Arc<[u8]>);

/// Why some pairs are no label set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelError {
    /// A label has no name.
    EmptyName,
    /// A name stands twice.
    Duplicate(String),
    /// A name or a value is not UTF-8.
    NotUtf8(String),
    /// The bytes are not those of a label set.
    Malformed(usize),
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyName => f.write_str("a label name is empty"),
            Self::Duplicate(it) => write!(f, "label name \"{it}\" is not unique"),
            Self::NotUtf8(it) => write!(f, "label {it} is not valid UTF-8"),
            Self::Malformed(it) => write!(f, "label bytes are malformed at offset {it}"),
        }
    }
}

impl std::error::Error for LabelError {}

impl Labels {
    /// The label set with no labels.
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Sorts the pairs and leaves out those with an empty value.
    ///
    /// # Errors
    /// [`LabelError::EmptyName`] and [`LabelError::Duplicate`].
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, LabelError> {
        let mut pairs: Vec<_> = pairs.into_iter().collect();
        pairs.sort_by_key(|pair| pair.0);
        if pairs.first().is_some_and(|pair| pair.0.is_empty()) {
            return Err(LabelError::EmptyName);
        }
        if let Some(twin) = pairs.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(LabelError::Duplicate(twin[0].0.to_owned()));
        }
        Ok(Self::encode(pairs.into_iter()))
    }

    /// Takes bytes that may already be in the kept form (see the module); `None` if they are not, though they may
    /// still be label bytes in another order or spelling. One pass, no allocation before success.
    pub fn from_canonical_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut last = "";
        while !rest.is_empty() {
            let (name, value, after) = decode_label(rest)?;
            let ordered = name > last && !value.is_empty();
            if !ordered || encoded_len(name, value) != rest.len() - after.len() {
                return None;
            }
            (last, rest) = (name, after);
        }
        Some(Self(bytes.into()))
    }

    /// The bytes described at the top of the module.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The labels as `(name, value)`, sorted by name.
    pub fn iter(&self) -> LabelsIter<'_> {
        LabelsIter { rest: &self.0 }
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a label, `None` if it is absent.
    pub fn value(&self, name: &str) -> Option<&str> {
        let label = self.raw().find(|label| label.name == name.as_bytes())?;
        Some(std::str::from_utf8(label.value).expect("a Labels holds UTF-8 only"))
    }

    /// Whether a label of another set is in this one, too.
    pub fn has(&self, label: RawLabel<'_>) -> bool {
        let mut rest = self.as_bytes();
        while let Some((_, after)) = take_field(rest, TAG_LABEL) {
            if rest[..rest.len() - after.len()] == *label.bytes {
                return true;
            }
            rest = after;
        }
        false
    }

    /// Appends the labels for which `keep` holds, in the form at the top of the module: a key of the series by some
    /// of its labels. `keep` sees the bytes of each name.
    pub fn append_kept(&self, key: &mut Vec<u8>, mut keep: impl FnMut(&[u8]) -> bool) {
        self.raw().filter(|label| keep(label.name)).for_each(|label| key.extend_from_slice(label.bytes));
    }

    /// The metric name.
    pub fn metric_name(&self) -> Option<&str> {
        self.value(METRIC_NAME)
    }

    /// These labels with one set to `value`; an empty value takes it away.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut builder = LabelsBuilder::from(self);
        builder.set(name, value);
        builder.build()
    }

    /// These labels without those for which `drop` holds; it sees the bytes of each name.
    #[must_use]
    pub fn without(&self, mut drop: impl FnMut(&[u8]) -> bool) -> Self {
        let mut kept = Vec::with_capacity(self.0.len());
        self.append_kept(&mut kept, |name| !drop(name));
        if kept.len() == self.0.len() { self.clone() } else { Self(kept.into()) }
    }

    /// The labels as they lie, nothing of them checked again.
    pub fn raw(&self) -> impl Iterator<Item = RawLabel<'_>> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || {
            let (label, after) = RawLabel::take(rest)?;
            rest = after;
            Some(label)
        })
    }

    /// `pairs` must be sorted and unique, with no empty name.
    fn encode<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut bytes = Vec::with_capacity(256);
        for (name, value) in pairs.filter(|pair| !pair.1.is_empty()) {
            encode_label(&mut bytes, name, value);
        }
        Self(bytes.into())
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl Ord for Labels {
    /// By the first pair that differs, name before value; a prefix comes first. Only that pair is decoded.
    fn cmp(&self, other: &Self) -> Ordering {
        let (x, y) = (self.as_bytes(), other.as_bytes());
        let same = common_prefix(x, y);
        if same == x.len() || same == y.len() {
            return x.len().cmp(&y.len());
        }
        // Both are the same bytes up to the label that differs, so that label begins at the same place.
        let mut start = 0;
        while let Some((_, rest)) = take_field(&x[start..], TAG_LABEL)
            && x.len() - rest.len() <= same
        {
            start = x.len() - rest.len();
        }
        let pair = |bytes| RawLabel::take(bytes).map(|(label, _)| (label.name, label.value));
        pair(&x[start..]).cmp(&pair(&y[start..]))
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a str, &'a str);
    type IntoIter = LabelsIter<'a>;

    fn into_iter(self) -> LabelsIter<'a> {
        self.iter()
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Labels {
    /// As PromQL writes it: `name{a="b"}`; names that are no plain identifiers are quoted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.metric_name().filter(|name| is_metric_identifier(name));
        f.write_str(name.unwrap_or_default())?;
        let shown = self.iter().filter(|pair| name.is_none() || pair.0 != METRIC_NAME);
        let mut count = 0;
        for (label, value) in shown {
            f.write_str(if count == 0 { "{" } else { ", " })?;
            count += 1;
            if label == METRIC_NAME {
                f.write_str(&quote(value))?;
            } else if is_label_identifier(label) {
                write!(f, "{label}={}", quote(value))?;
            } else {
                write!(f, "{}={}", quote(label), quote(value))?;
            }
        }
        match (count, name) {
            (0, Some(_)) => Ok(()),
            (0, None) => f.write_str("{}"),
            _ => f.write_str("}"),
        }
    }
}

/// The labels of a set, by name.
#[derive(Clone, Debug)]
pub struct LabelsIter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for LabelsIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (name, value, after) = decode_label(self.rest).expect("a Labels holds label bytes only");
        self.rest = after;
        Some((name, value))
    }
}

/// A label set being changed: names stay unique, the order comes at the end.
#[derive(Clone, Debug, Default)]
pub struct LabelsBuilder {
    pairs: Vec<(String, String)>,
}

impl LabelsBuilder {
    /// No labels yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a label, in place of an earlier one of that name; an empty value takes it away.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Self {
        debug_assert!(!name.is_empty(), "a label has a name");
        match self.pairs.iter_mut().find(|pair| pair.0 == name) {
            Some(pair) => pair.1 = value.to_owned(),
            None => self.pairs.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// The value as it stands now.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|pair| pair.0 == name && !pair.1.is_empty()).map(|pair| pair.1.as_str())
    }

    /// Takes away all labels for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) -> &mut Self {
        self.pairs.retain(|pair| keep(&pair.0));
        self
    }

    /// The labels as they stand, in no particular order, none with an empty value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().filter(|pair| !pair.1.is_empty()).map(|pair| (pair.0.as_str(), pair.1.as_str()))
    }

    /// The finished set.
    pub fn build(mut self) -> Labels {
        self.pairs.sort_by(|a, b| a.0.cmp(&b.0));
        Labels::encode(self.pairs.iter().map(|pair| (pair.0.as_str(), pair.1.as_str())))
    }
}

impl From<&Labels> for LabelsBuilder {
    fn from(labels: &Labels) -> Self {
        Self { pairs: labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }
}

/// Writes one label in the form at the top of the module.
pub fn encode_label(bytes: &mut Vec<u8>, name: &str, value: &str) {
    let body = 2 + varint_len(name.len()) + varint_len(value.len()) + name.len() + value.len();
    bytes.push(TAG_LABEL);
    put_varint(bytes, body);
    bytes.push(TAG_NAME);
    put_varint(bytes, name.len());
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(TAG_VALUE);
    put_varint(bytes, value.len());
    bytes.extend_from_slice(value.as_bytes());
}

/// A string as PromQL and Go quote it: `"`, `\` and control characters escaped.
pub fn quote(text: &str) -> Cow<'static, str> {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted.into()
}

fn is_label_identifier(name: &str) -> bool {
    name.bytes()
        .enumerate()
        .all(|(i, b)| b == b'_' || b.is_ascii_alphabetic() || (i > 0 && b.is_ascii_digit()))
}

fn is_metric_identifier(name: &str) -> bool {
    !name.is_empty() && is_label_identifier(&name.replace(':', "_"))
}

fn encoded_len(name: &str, value: &str) -> usize {
    let body = 2 + varint_len(name.len()) + varint_len(value.len()) + name.len() + value.len();
    1 + varint_len(body) + body
}

/// Name, value and the bytes after the first label, if it is one and UTF-8.
fn decode_label(bytes: &[u8]) -> Option<(&str, &str, &[u8])> {
    let (label, after) = RawLabel::take(bytes)?;
    Some((std::str::from_utf8(label.name).ok()?, std::str::from_utf8(label.value).ok()?, after))
}

/// One label as it lies in a set: for who compares and hashes labels, and need not know that they are text.
#[derive(Clone, Copy, Debug)]
pub struct RawLabel<'a> {
    /// Its name, as UTF-8.
    pub name: &'a [u8],
    /// Its value, as UTF-8.
    pub value: &'a [u8],
    /// All of it, tag and length included.
    pub bytes: &'a [u8],
}

impl<'a> RawLabel<'a> {
    /// The first label and the bytes after it; `None` if there is none.
    #[inline]
    pub fn take(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (body, after) = take_field(bytes, TAG_LABEL)?;
        let (name, rest) = take_field(body, TAG_NAME)?;
        let (value, rest) = take_field(rest, TAG_VALUE)?;
        let label = Self { name, value, bytes: &bytes[..bytes.len() - after.len()] };
        rest.is_empty().then_some((label, after))
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    // Arrays of this length are compared in one instruction, slices by a call.
    const STEP: usize = 16;
    let (a_steps, b_steps) = (a.as_chunks::<STEP>().0, b.as_chunks::<STEP>().0);
    let whole = a_steps.iter().zip(b_steps).take_while(|(a, b)| a == b).count() * STEP;
    whole + a[whole..].iter().zip(&b[whole..]).take_while(|(a, b)| a == b).count()
}

#[inline]
fn take_field(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first != tag {
        return None;
    }
    let (len, rest) = take_varint(rest)?;
    (len <= rest.len()).then(|| rest.split_at(len))
}

#[inline]
fn take_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    // Nearly all lengths take one byte.
    if let Some((&byte, rest)) = bytes.split_first()
        && byte < 0x80
    {
        return Some((usize::from(byte), rest));
    }
    let mut value = 0usize;
    for (i, &byte) in bytes.iter().enumerate().take(4) {
        value |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

fn put_varint(bytes: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

const fn varint_len(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn sorts_and_drops_empty_values() {
        let set = labels(&[("b", "2"), ("a", "1"), ("c", "")]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert_eq!(set, labels(&[("a", "1"), ("b", "2")]));
    }

    #[test]
    fn refuses_what_is_no_set() {
        assert_eq!(Labels::from_pairs([("", "x")]), Err(LabelError::EmptyName));
        assert_eq!(Labels::from_pairs([("a", "x"), ("a", "y")]), Err(LabelError::Duplicate("a".into())));
    }

    #[test]
    fn reads_as_promql() {
        let check = |pairs: &[(&str, &str)], text: &str| assert_eq!(labels(pairs).to_string(), text);
        check(&[], "{}");
        check(&[("__name__", "up")], "up");
        check(&[("__name__", "up"), ("job", "a\"b")], r#"up{job="a\"b"}"#);
        check(&[("__name__", "my.metric"), ("a b", "c")], r#"{"my.metric", "a b"="c"}"#);
        check(&[("job", "x")], r#"{job="x"}"#);
    }

    #[test]
    fn orders_by_pairs() {
        assert!(labels(&[("a", "1")]) < labels(&[("a", "1"), ("b", "1")]));
        assert!(labels(&[("a", "12")]) < labels(&[("a", "2")]));
        assert!(labels(&[("a", "2")]) < labels(&[("b", "1")]));
    }

    #[test]
    fn only_canonical_bytes_are_taken() {
        let mut bytes = Vec::new();
        encode_label(&mut bytes, "b", "1");
        encode_label(&mut bytes, "a", "1");
        assert_eq!(Labels::from_canonical_bytes(&bytes), None, "not sorted");
        bytes.clear();
        encode_label(&mut bytes, "a", "");
        assert_eq!(Labels::from_canonical_bytes(&bytes), None, "empty value");
        // The length of the name in two bytes where one would do.
        assert_eq!(Labels::from_canonical_bytes(&[0x0a, 7, 0x0a, 0x81, 0, b'a', 0x12, 1, b'b']), None);
    }

    proptest! {
        #[test]
        fn bytes_come_back(pairs in proptest::collection::btree_map("[a-z_.]{1,9}", ".{1,200}", 0..9)) {
            let set = Labels::from_pairs(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap();
            prop_assert_eq!(Labels::from_canonical_bytes(set.as_bytes()), Some(set.clone()));
            prop_assert_eq!(set.iter().map(|(n, v)| (n.into(), v.into())).collect::<Vec<(String, String)>>(),
                pairs.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn order_is_that_of_the_pairs(
            a in proptest::collection::btree_map("[a-c]{1,2}", "[a-c]{1,20}", 0..4),
            b in proptest::collection::btree_map("[a-c]{1,2}", "[a-c]{1,20}", 0..4),
        ) {
            let set = |map: &std::collections::BTreeMap<String, String>| {
                Labels::from_pairs(map.iter().map(|(n, v)| (n.as_str(), v.as_str()))).unwrap()
            };
            prop_assert_eq!(set(&a).cmp(&set(&b)), a.iter().cmp(b.iter()));
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(set) = Labels::from_canonical_bytes(&bytes) {
                prop_assert_eq!(set.as_bytes(), &bytes[..]);
            }
        }
    }
}
