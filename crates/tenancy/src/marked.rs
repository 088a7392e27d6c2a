//! Series as they come in, each with the label of its tenant.
//!
//! Label bytes are what remote write sends ([`Labels`](barograph_model::Labels)). For a tenant they are copied once with its
//! label put where it belongs by name, so that a set in the usual order stays in it. A label of that name that came with them
//! is left out, in whatever spelling it came. Bytes that are no labels are passed on: the store refuses them.

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use barograph_model::{RawLabel, encode_label};
use memchr::memmem::Finder;

use crate::{LABEL, Tenant};

/// Finds the name of the label. It is one run of bytes in every spelling of a label set.
static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(LABEL));

/// No label begins with it.
const NO_TAG: u8 = 0xff;

/// The label bytes of many rows, marked.
#[derive(Debug)]
pub struct Marked {
    label: Vec<u8>,
    bytes: Vec<u8>,
    /// The set that was marked last, by where it lies: rows of a series follow each other.
    last: Option<(usize, usize, Range<usize>)>,
    dropped: u64,
}

impl Marked {
    /// For rows of a tenant whose label bytes are about so many together.
    pub fn new(tenant: &Tenant, bytes: usize) -> Self {
        let mut label = Vec::new();
        if let Some(name) = tenant.name() {
            encode_label(&mut label, LABEL, name);
        }
        Self { label, bytes: Vec::with_capacity(bytes), last: None, dropped: 0 }
    }

    /// Marks a set of labels; where it lies in [`Marked::bytes`].
    pub fn add(&mut self, labels: &[u8]) -> Range<usize> {
        let place = (labels.as_ptr() as usize, labels.len());
        if let Some((at, len, range)) = &self.last
            && (*at, *len) == place
        {
            return range.clone();
        }
        let start = self.bytes.len();
        self.dropped += u64::from(append(&mut self.bytes, labels, &self.label));
        let range = start..self.bytes.len();
        self.last = Some((place.0, place.1, range.clone()));
        range
    }

    /// What was marked, one set after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Labels that senders wrote and must not.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Whether a set of labels may have the one that a sender must not write.
pub fn may_name_one(labels: &[u8]) -> bool {
    NAME.find(labels).is_some()
}

/// A set of labels without the one that a sender must not write.
pub fn strip(labels: &[u8]) -> Cow<'_, [u8]> {
    if !may_name_one(labels) {
        return Cow::Borrowed(labels);
    }
    let mut bytes = Vec::with_capacity(labels.len());
    if append(&mut bytes, labels, &[]) { Cow::Owned(bytes) } else { Cow::Borrowed(labels) }
}

/// Appends a set with `label` in it, and without one of that name that was there; whether one was.
fn append(bytes: &mut Vec<u8>, labels: &[u8], label: &[u8]) -> bool {
    let (mut rest, mut spoofed, mut placed) = (labels, false, false);
    while let Some((found, after)) = RawLabel::take(rest) {
        rest = after;
        if found.name == LABEL.as_bytes() {
            spoofed = true;
            continue;
        }
        if !placed && found.name > LABEL.as_bytes() {
            bytes.extend_from_slice(label);
            placed = true;
        }
        bytes.extend_from_slice(found.bytes);
    }
    if !placed {
        bytes.extend_from_slice(label);
    }
    bytes.extend_from_slice(rest);
    // A spelling that is not read here may be one that the store reads. With this byte it is none.
    if NAME.find(rest).is_some() {
        bytes.push(NO_TAG);
        spoofed = true;
    }
    spoofed
}

#[cfg(test)]
mod tests {
    use barograph_model::Labels;

    use super::*;

    fn set(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn the_label_stands_where_it_belongs() {
        let tenant = Tenant::named("b").unwrap();
        let check = |pairs: &[(&str, &str)], expected: &[(&str, &str)], dropped| {
            let mut marked = Marked::new(&tenant, 0);
            let mut sent = Vec::new();
            pairs.iter().for_each(|(name, value)| encode_label(&mut sent, name, value));
            let range = marked.add(&sent);
            let kept = Labels::from_canonical_bytes(&marked.bytes()[range.clone()]).unwrap();
            assert_eq!((kept, marked.dropped()), (set(expected), dropped));
            assert_eq!(marked.add(&sent), range, "once a run");
        };
        check(&[("__name__", "m"), ("x", "1")], &[("__name__", "m"), ("__tenant__", "b"), ("x", "1")], 0);
        check(&[("__name__", "m")], &[("__name__", "m"), ("__tenant__", "b")], 0);
        check(&[("A", "1"), ("__name__", "m")], &[("A", "1"), ("__name__", "m"), ("__tenant__", "b")], 0);
        check(&[("__name__", "m"), ("__tenant__", "a")], &[("__name__", "m"), ("__tenant__", "b")], 1);
        check(&[("__tenant__", "a"), ("x", "1")], &[("__tenant__", "b"), ("x", "1")], 1);
        check(&[("__tenant__", "a"), ("__tenant__", "b"), ("x", "1")], &[("__tenant__", "b"), ("x", "1")], 1);
    }

    #[test]
    fn no_spelling_gets_by() {
        // Lengths that take more bytes than they need.
        let sent = b"\x0a\x91\x00\x0a\x8a\x00__tenant__\x12\x81\x00a";
        assert_eq!(&*strip(sent), b"");
        let mut marked = Marked::new(&Tenant::DEFAULT, 0);
        let range = marked.add(sent);
        assert!(range.is_empty());
        let mention = set(&[("__name__", "m"), ("note", "__tenant__")]);
        assert!(matches!(strip(mention.as_bytes()), Cow::Borrowed(_)));
        // The value before the name: protobuf lets that be.
        let turned = b"\x0a\x0f\x12\x01a\x0a\x0a__tenant__";
        assert_eq!(strip(turned).last(), Some(&NO_TAG));
        let broken = b"\x0a\xff\xff\x01";
        assert_eq!(&*strip(broken), broken);
    }
}
