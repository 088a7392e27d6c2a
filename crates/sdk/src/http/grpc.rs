//! What is different in gRPC: names of methods, and the status that comes last.
//!
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};

/// The label `method` of all gRPC calls, which are `POST` to HTTP.
pub(crate) const METHOD: &str = "GRPC";

static STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The status of a call that ended without telling one.
pub(crate) const UNKNOWN: u32 = 2;
pub(crate) const UNIMPLEMENTED: u32 = 12;

/// The most bytes of a name.
const NAME_BYTES_MAX: usize = 200;

/// Whether a request or an answer is one of gRPC.
pub(crate) fn is(headers: &HeaderMap) -> bool {
    let prefix = b"application/grpc";
    let is = |kind: &HeaderValue| kind.as_bytes().get(..prefix.len()).is_some_and(|kind| kind == prefix);
    headers.get(CONTENT_TYPE).is_some_and(is)
}

/// `pkg.Service/Method`, if the path has the form of one.
pub(crate) fn name(path: &str) -> Option<&str> {
    let name = path.strip_prefix('/')?;
    let (service, method) = name.split_once('/')?;
    let is_word = |word: &str, more: &[u8]| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || more.contains(&byte);
        word.bytes().all(fits) && !word.is_empty()
    };
    (name.len() <= NAME_BYTES_MAX && is_word(service, b".") && is_word(method, b"")).then_some(name)
}

/// The status that headers or trailers tell; one that is no number is [`UNKNOWN`].
pub(crate) fn status(headers: &HeaderMap) -> Option<u32> {
    let status = headers.get(&STATUS)?;
    if status == "0" {
        return Some(0);
    }
    Some(status.to_str().ok().and_then(|status| status.parse().ok()).unwrap_or(UNKNOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_methods() {
        let check = |path, expected| assert_eq!(name(path), expected, "{path}");
        check("/grpc.health.v1.Health/Check", Some("grpc.health.v1.Health/Check"));
        check("/Greeter/say_hello", Some("Greeter/say_hello"));
        check("/users/1/name", None);
        check("/users/%20", None);
        check("/users", None);
        check("//Check", None);
        check("*", None);
        check(&format!("/{}/Check", "a".repeat(NAME_BYTES_MAX)), None);
    }

    #[test]
    fn what_is_grpc_and_what_it_tells() {
        let headers = |name: &'static str, value| {
            HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
        };
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/json", false),
            ("a", false),
        ] {
            assert_eq!(is(&headers("content-type", kind)), expected, "{kind}");
        }
        for (value, expected) in [("0", 0), ("14", 14), ("no number", UNKNOWN)] {
            assert_eq!(status(&headers("grpc-status", value)), Some(expected));
        }
        assert_eq!(status(&HeaderMap::new()), None);
    }
}
