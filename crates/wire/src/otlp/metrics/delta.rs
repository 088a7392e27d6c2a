//! Points of delta temporality, added up: one total a series.
//!
//! A total begins with the first point of its series and is what a cumulative counter would show from then on. A point
//! must be newer than the one before; the same point again gives the same total, so a request may be sent twice. Totals are
//! kept within [`DeltaLimits`]: a series that said nothing for a while is forgotten, and begins anew at zero when it comes
//! again, which queries take for the reset of a counter. Time comes from the caller.

use std::{collections::HashMap, fmt};

use barograph_model::Histogram;

/// What totals may take, and how long they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaLimits {
    /// Bytes of all of them.
    pub bytes: usize,
    /// Milliseconds since the last point of a series, after which its total is forgotten.
    pub expiry_ms: i64,
}

/// A total takes about so many bytes beside its labels and buckets.
const TOTAL_BYTES: usize = 120;
/// And so many for each bucket in use.
const BUCKET_BYTES: usize = 16;

/// The totals of all series of delta temporality.
#[derive(Debug)]
pub struct Deltas {
    limits: DeltaLimits,
    totals: HashMap<Box<[u8]>, Total>,
    bytes: usize,
    looked: i64,
    full: u64,
}

#[derive(Debug)]
struct Total {
    /// The time of the last point.
    at: i64,
    /// When it came.
    seen: i64,
    sum: Sum,
}

#[derive(Debug)]
enum Sum {
    Number(f64),
    Histogram(Box<Histogram>),
}

/// Why a point was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAdded {
    /// It is older than the last.
    Late,
    /// There is no room for another series.
    Full,
    /// It is no number that can be added.
    NoNumber,
}

impl fmt::Display for NotAdded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "a delta is older than the last of its series",
            Self::Full => {
                "there are too many series of delta temporality; send cumulative ones or raise otlp.delta_bytes"
            }
            Self::NoNumber => "a delta is not finite",
        })
    }
}

impl Sum {
    fn bytes(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Histogram(it) => {
                (it.positive().len() + it.negative().len() + it.bounds().len()) * BUCKET_BYTES
            }
        }
    }
}

impl Deltas {
    /// None yet.
    pub fn new(limits: DeltaLimits) -> Self {
        Self { limits, totals: HashMap::new(), bytes: 0, looked: i64::MIN, full: 0 }
    }

    /// They may take so many bytes from now on; those that take more stay.
    pub fn limit(&mut self, bytes: usize) {
        self.limits.bytes = bytes;
    }

    /// Series that have a total.
    pub fn len(&self) -> usize {
        self.totals.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.totals.is_empty()
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Points refused so far because there was no room.
    pub fn full(&self) -> u64 {
        self.full
    }

    /// Forgets series that said nothing for too long; looked for four times within the expiry.
    pub fn expire(&mut self, now: i64) {
        if now.saturating_sub(self.looked) < self.limits.expiry_ms / 4 {
            return;
        }
        self.looked = now;
        let before = now.saturating_sub(self.limits.expiry_ms);
        let bytes = &mut self.bytes;
        self.totals.retain(|key, total| {
            let stays = total.seen >= before;
            if !stays {
                *bytes -= cost(key, &total.sum);
            }
            stays
        });
    }

    /// The total with a point added.
    pub(super) fn add(&mut self, key: &[u8], at: i64, value: f64, now: i64) -> Result<f64, NotAdded> {
        if !value.is_finite() {
            return Err(NotAdded::NoNumber);
        }
        let Some(total) = self.totals.get_mut(key) else {
            self.begin(key, at, Sum::Number(value), now)?;
            return Ok(value);
        };
        let fresh = total.advance(at, now)?;
        match &mut total.sum {
            Sum::Number(sum) => {
                *sum += if fresh { value } else { 0.0 };
                Ok(*sum)
            }
            Sum::Histogram(_) => {
                self.replace(key, Sum::Number(value));
                Ok(value)
            }
        }
    }

    /// As [`Deltas::add`], of distributions. One whose bounds are others begins anew.
    pub(super) fn add_histogram(
        &mut self,
        key: &[u8],
        at: i64,
        value: &Histogram,
        now: i64,
    ) -> Result<Histogram, NotAdded> {
        if !value.sum().is_finite() {
            return Err(NotAdded::NoNumber);
        }
        let Some(total) = self.totals.get_mut(key) else {
            self.begin(key, at, Sum::Histogram(Box::new(value.clone())), now)?;
            return Ok(value.clone());
        };
        let fresh = total.advance(at, now)?;
        if let Sum::Histogram(sum) = &mut total.sum {
            if !fresh {
                return Ok((**sum).clone());
            }
            let before = cost(key, &total.sum);
            let Sum::Histogram(sum) = &mut total.sum else { return Err(NotAdded::NoNumber) };
            let added = sum.add(value).is_ok();
            if !added {
                **sum = value.clone();
            }
            let result = (**sum).clone();
            self.bytes = self.bytes - before + cost(key, &total.sum);
            return Ok(result);
        }
        self.replace(key, Sum::Histogram(Box::new(value.clone())));
        Ok(value.clone())
    }

    fn begin(&mut self, key: &[u8], at: i64, sum: Sum, now: i64) -> Result<(), NotAdded> {
        let cost = cost(key, &sum);
        if self.bytes + cost > self.limits.bytes {
            self.full += 1;
            return Err(NotAdded::Full);
        }
        self.bytes += cost;
        self.totals.insert(key.into(), Total { at, seen: now, sum });
        Ok(())
    }

    fn replace(&mut self, key: &[u8], sum: Sum) {
        if let Some(total) = self.totals.get_mut(key) {
            self.bytes = self.bytes - cost(key, &total.sum) + cost(key, &sum);
            total.sum = sum;
        }
    }
}

impl Total {
    /// Whether a point is new, rather than the last one again.
    fn advance(&mut self, at: i64, now: i64) -> Result<bool, NotAdded> {
        if at < self.at {
            return Err(NotAdded::Late);
        }
        let fresh = at > self.at;
        (self.at, self.seen) = (at, now);
        Ok(fresh)
    }
}

fn cost(key: &[u8], sum: &Sum) -> usize {
    TOTAL_BYTES + key.len() + sum.bytes()
}

#[cfg(test)]
mod tests {
    use barograph_model::HistogramParts;

    use super::*;

    fn deltas(bytes: usize) -> Deltas {
        Deltas::new(DeltaLimits { bytes, expiry_ms: 1000 })
    }

    #[test]
    fn points_are_added_up() {
        let mut deltas = deltas(1 << 20);
        let mut check =
            |key: &str, at, value, expected| assert_eq!(deltas.add(key.as_bytes(), at, value, 0), expected);
        check("a", 10, 2.0, Ok(2.0));
        check("b", 10, 5.0, Ok(5.0));
        check("a", 20, 3.0, Ok(5.0));
        check("a", 20, 3.0, Ok(5.0));
        check("a", 15, 3.0, Err(NotAdded::Late));
        check("a", 30, f64::NAN, Err(NotAdded::NoNumber));
        check("a", 30, 1.0, Ok(6.0));
    }

    #[test]
    fn room_is_bounded_and_given_back() {
        let mut deltas = deltas(2 * (TOTAL_BYTES + 1));
        assert_eq!(deltas.add(b"a", 1, 1.0, 0), Ok(1.0));
        assert_eq!(deltas.add(b"b", 1, 1.0, 600), Ok(1.0));
        assert_eq!(deltas.add(b"c", 1, 1.0, 600), Err(NotAdded::Full));
        assert_eq!((deltas.len(), deltas.full()), (2, 1));
        deltas.expire(1100);
        assert_eq!(deltas.len(), 1);
        assert_eq!(deltas.add(b"c", 1, 1.0, 1100), Ok(1.0));
        deltas.expire(99_000);
        assert_eq!((deltas.len(), deltas.bytes()), (0, 0));
    }

    #[test]
    fn distributions_are_added_up() {
        let of = |schema: i8, bounds: &[f64], positive: &[(i32, f64)]| {
            let count = positive.iter().map(|bucket| bucket.1).sum();
            let parts = HistogramParts {
                schema,
                count,
                sum: 1.0,
                positive: positive.to_vec(),
                bounds: bounds.to_vec(),
                ..HistogramParts::default()
            };
            Histogram::new(parts).unwrap()
        };
        let mut deltas = deltas(1 << 20);
        let first = of(1, &[], &[(1, 1.0)]);
        assert_eq!(deltas.add_histogram(b"h", 1, &first, 0), Ok(first.clone()));
        let second = deltas.add_histogram(b"h", 2, &of(0, &[], &[(1, 2.0), (3, 1.0)]), 0).unwrap();
        assert_eq!((second.schema(), second.positive()), (0, &[(1, 3.0), (3, 1.0)][..]));
        assert_eq!(deltas.add_histogram(b"h", 2, &first, 0), Ok(second));
        assert_eq!(deltas.add_histogram(b"h", 1, &first, 0), Err(NotAdded::Late));
        let other = of(-53, &[1.0], &[(0, 2.0)]);
        assert_eq!(deltas.add_histogram(b"h", 3, &other, 0), Ok(other), "other bounds begin anew");
        deltas.expire(99_000);
        assert_eq!(deltas.bytes(), 0, "what was counted is given back");
    }
}
