//! Names of traces and spans: random numbers that are not 0.

use std::{
    cell::RefCell,
    fmt,
    hash::{BuildHasher, RandomState},
};

use crate::sampling::Random;

/// The name of a trace: 128 bits, not all 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId(u128);

/// The name of a span within its trace: 64 bits, not all 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId(u64);

impl TraceId {
    /// One that nobody had before.
    pub fn random() -> Self {
        Self((u128::from(random()) << 64 | u128::from(random())).max(1))
    }

    /// `None` if all bits are 0.
    pub const fn new(bits: u128) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }

    /// Reads 32 lowercase hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        Self::new(u128::from_str_radix(hexadecimal(text, 32)?, 16).ok()?)
    }

    /// The bits; in OTLP as big-endian bytes.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl SpanId {
    /// One that nobody had before.
    pub fn random() -> Self {
        Self(random().max(1))
    }

    /// `None` if all bits are 0.
    pub const fn new(bits: u64) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }

    /// Reads 16 lowercase hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        Self::new(u64::from_str_radix(hexadecimal(text, 16)?, 16).ok()?)
    }

    /// The bits; in OTLP as big-endian bytes.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text if it is `digits` lowercase hexadecimal digits.
pub(super) fn hexadecimal(text: &str, digits: usize) -> Option<&str> {
    let all = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == digits && all).then_some(text)
}

/// 64 bits of this thread's generator, whose seed the standard library has from the system.
fn random() -> u64 {
    fn seeded() -> Random {
        Random::new(RandomState::new().hash_one(std::thread::current().id()))
    }
    thread_local! {
        static RANDOM: RefCell<Random> = RefCell::new(seeded());
    }
    RANDOM.try_with(|random| random.borrow_mut().bits()).unwrap_or_else(|_| seeded().bits())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_have_a_text() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(TraceId::parse(trace).unwrap().to_string(), trace);
        assert_eq!(SpanId::parse("b7ad6b7169203331").unwrap().to_string(), "b7ad6b7169203331");
        assert_eq!(SpanId::parse("B7ad6b7169203331"), None);
        assert_eq!(SpanId::parse("+7ad6b7169203331"), None);
        assert_eq!(SpanId::parse("0000000000000000"), None);
        assert_eq!(TraceId::parse(&trace[1..]), None);
    }

    #[test]
    fn random_ids_differ_also_between_threads() {
        let ids = || (0..1_000).map(|_| SpanId::random()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(ids)).collect();
        let all: BTreeSet<SpanId> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(all.len(), 4_000);
    }
}
