//! What is asked.

use barograph_model::{MatchOp, Timestamp};

use crate::protobuf::{LEN, Malformed, Reader, VARINT, key};

/// Queries of a request at most.
pub const QUERIES_MAX: usize = 100;
/// Matchers of a query at most.
pub const MATCHERS_MAX: usize = 100;
/// Bytes of a name or a value of a matcher at most.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// How an answer may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accepted {
    /// In one message with all samples.
    #[default]
    Samples,
    /// As a stream of chunks.
    Chunks,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// What is asked.
    pub queries: Vec<Query>,
    /// The first of the forms that the sender takes and we know.
    pub accepted: Accepted,
}

/// One query of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The time of the first sample wanted.
    pub start: Timestamp,
    /// The time of the last sample wanted.
    pub end: Timestamp,
    /// Name, operator and value of each matcher; patterns are not compiled yet.
    pub matchers: Vec<(String, MatchOp, String)>,
}

const WRONG_TYPE: &str = "a field has the wrong type";

impl Request {
    /// Reads a decoded request.
    ///
    /// # Errors
    /// It is malformed, or has more than the limits of this module say.
    pub fn read(body: &[u8]) -> Result<Self, Malformed> {
        const QUERY: u32 = key(1, LEN);
        let mut request = Self::default();
        let mut accepted = None;
        let mut rest = Reader::new(body);
        while !rest.is_done() {
            let before = rest;
            match rest.key()? {
                QUERY if request.queries.len() >= QUERIES_MAX => {
                    return Err(before.malformed("too many queries"));
                }
                QUERY => request.queries.push(Query::read(rest.message()?)?),
                key if key >> 3 == 2 && matches!(key & 7, VARINT | LEN) => {
                    let mut types = if key & 7 == LEN { rest.message()? } else { rest };
                    let one = key & 7 == VARINT;
                    while !types.is_done() {
                        let known = match types.varint()? {
                            0 => Some(Accepted::Samples),
                            1 => Some(Accepted::Chunks),
                            _ => None,
                        };
                        accepted = accepted.or(known);
                        if one {
                            rest = types;
                            break;
                        }
                    }
                }
                key if key >> 3 <= 2 => return Err(before.malformed(WRONG_TYPE)),
                key => rest.skip(key)?,
            }
        }
        request.accepted = accepted.unwrap_or_default();
        Ok(request)
    }
}

impl Query {
    fn read(mut message: Reader<'_>) -> Result<Self, Malformed> {
        const START: u32 = key(1, VARINT);
        const END: u32 = key(2, VARINT);
        const MATCHER: u32 = key(3, LEN);
        let mut query = Self { start: Timestamp(0), end: Timestamp(0), matchers: Vec::new() };
        while !message.is_done() {
            let before = message;
            match message.key()? {
                START => query.start = Timestamp(message.int64()?),
                END => query.end = Timestamp(message.int64()?),
                MATCHER if query.matchers.len() >= MATCHERS_MAX => {
                    return Err(before.malformed("too many matchers"));
                }
                MATCHER => query.matchers.push(read_matcher(message.message()?)?),
                key if key >> 3 <= 3 => return Err(before.malformed(WRONG_TYPE)),
                key => message.skip(key)?,
            }
        }
        Ok(query)
    }
}

fn read_matcher(mut message: Reader<'_>) -> Result<(String, MatchOp, String), Malformed> {
    const TYPE: u32 = key(1, VARINT);
    const NAME: u32 = key(2, LEN);
    const VALUE: u32 = key(3, LEN);
    let (mut name, mut op, mut value) = (String::new(), MatchOp::Equal, String::new());
    while !message.is_done() {
        let before = message;
        match message.key()? {
            TYPE => {
                op = match message.varint()? {
                    0 => MatchOp::Equal,
                    1 => MatchOp::NotEqual,
                    2 => MatchOp::Regex,
                    3 => MatchOp::NotRegex,
                    _ => return Err(before.malformed("no such type of matcher")),
                }
            }
            NAME => name = text(&mut message)?,
            VALUE => value = text(&mut message)?,
            key if key >> 3 <= 3 => return Err(before.malformed(WRONG_TYPE)),
            key => message.skip(key)?,
        }
    }
    Ok((name, op, value))
}

fn text(message: &mut Reader<'_>) -> Result<String, Malformed> {
    let before = *message;
    let bytes = message.bytes()?;
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(before.malformed("a name or a value is too long"));
    }
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| before.malformed("a text is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protobuf::{put_bytes, put_number};

    fn query() -> Vec<u8> {
        let (mut query, mut matcher) = (Vec::new(), Vec::new());
        put_number(&mut query, 1, 1000);
        put_number(&mut query, 2, 2000);
        put_number(&mut matcher, 1, 2);
        put_bytes(&mut matcher, 2, b"job");
        put_bytes(&mut matcher, 3, b"a.*");
        put_bytes(&mut query, 3, &matcher);
        put_bytes(&mut query, 4, &[0x08, 5]);
        query
    }

    fn check(accepted: &[u8], expected: Accepted) {
        let mut body = Vec::new();
        put_bytes(&mut body, 1, &query());
        body.extend_from_slice(accepted);
        let request = Request::read(&body).unwrap();
        let matchers = vec![("job".to_owned(), MatchOp::Regex, "a.*".to_owned())];
        let query = Query { start: Timestamp(1000), end: Timestamp(2000), matchers };
        assert_eq!(request, Request { queries: vec![query], accepted: expected });
    }

    #[test]
    fn the_first_form_that_is_known_is_taken() {
        check(&[], Accepted::Samples);
        check(&[0x12, 2, 1, 0], Accepted::Chunks);
        check(&[0x12, 2, 0, 1], Accepted::Samples);
        check(&[0x12, 2, 7, 1], Accepted::Chunks);
        check(&[0x10, 1, 0x10, 0], Accepted::Chunks);
    }

    #[test]
    fn limits_hold() {
        let mut body = Vec::new();
        (0..=QUERIES_MAX).for_each(|_| put_bytes(&mut body, 1, &[]));
        assert_eq!(Request::read(&body).unwrap_err().what, "too many queries");
        let (mut query, mut body) = (Vec::new(), Vec::new());
        (0..=MATCHERS_MAX).for_each(|_| put_bytes(&mut query, 3, &[]));
        put_bytes(&mut body, 1, &query);
        assert_eq!(Request::read(&body).unwrap_err().what, "too many matchers");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |body: &[u8], what| assert_eq!(Request::read(body).unwrap_err().what, what);
        check(&[0x08, 1], "a field has the wrong type");
        check(&[0x0a, 4, 0x1a, 2, 0x08, 9], "no such type of matcher");
        check(&[0x0a, 5, 0x1a, 3, 0x12, 1, 0xff], "a text is not UTF-8");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer(body: Vec<u8>) {
            let _ = Request::read(&body);
        }
    }
}
