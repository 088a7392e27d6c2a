//! The class of an error value: by the program's patterns, by its type and causes, by what it says.

use std::{any::type_name, error::Error, io};

use super::ErrorClass;

/// How many patterns a classifier may have; more are ignored, which [`Classifier::with`] tells.
pub const PATTERNS_MAX: usize = 64;

/// How many causes of an error are looked at.
const CAUSES_MAX: usize = 16;

/// Words of errors that have no type of their own to tell by, in the order in which they are looked for.
const WORDS: [(&str, ErrorClass); 10] = [
    ("timed out", ErrorClass::Timeout),
    ("timeout", ErrorClass::Timeout),
    ("deadline", ErrorClass::Timeout),
    ("elapsed", ErrorClass::Timeout),
    ("cancelled", ErrorClass::Cancelled),
    ("canceled", ErrorClass::Cancelled),
    ("panicked", ErrorClass::Panic),
    ("connection", ErrorClass::Connection),
    ("broken pipe", ErrorClass::Connection),
    ("unreachable", ErrorClass::Connection),
];

/// Tells the class of errors. The default one knows timeouts, cancellations, panics and broken connections; what it
/// does not know is [`ErrorClass::Server`].
///
/// ```
/// use barograph::errors::{Classifier, ErrorClass};
///
/// let classifier = Classifier::new().with("QuotaExceeded", ErrorClass::Custom("quota"));
/// assert_eq!(classifier.of_text("QuotaExceeded: 10 of 10 used"), ErrorClass::Custom("quota"));
/// assert_eq!(classifier.of(&std::io::Error::from(std::io::ErrorKind::TimedOut)), ErrorClass::Timeout);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Classifier {
    /// In lowercase; the first that fits decides.
    patterns: Vec<(String, ErrorClass)>,
}

impl Classifier {
    /// The classifier without patterns of the program's own.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more pattern: errors whose type's name or text, or that of a cause, contains `pattern` in any case are
    /// of this class. Earlier patterns win, and all win over what is built in. Beyond [`PATTERNS_MAX`], and if it is
    /// empty, the pattern is left out.
    #[must_use]
    pub fn with(mut self, pattern: &str, class: ErrorClass) -> Self {
        if self.patterns.len() < PATTERNS_MAX && !pattern.is_empty() {
            self.patterns.push((pattern.to_lowercase(), class));
        }
        self
    }

    /// The class of an error of a known type. It formats the error, so it costs what that costs.
    pub fn of<E: Error + 'static>(&self, error: &E) -> ErrorClass {
        self.by_pattern(type_name::<E>()).unwrap_or_else(|| self.of_dyn(error))
    }

    /// The class of an error whose type is not known.
    pub fn of_dyn(&self, error: &(dyn Error + 'static)) -> ErrorClass {
        let mut causes = Vec::new();
        let mut next = Some(error);
        while let Some(cause) = next.filter(|_| causes.len() < CAUSES_MAX) {
            causes.push((cause, cause.to_string()));
            next = cause.source();
        }
        let by_pattern = causes.iter().find_map(|(_, text)| self.by_pattern(text));
        let by_type = || causes.iter().find_map(|(cause, _)| of_io(cause.downcast_ref()?));
        let by_words = || causes.iter().find_map(|(_, text)| by_words(text));
        by_pattern.or_else(by_type).or_else(by_words).unwrap_or(ErrorClass::Server)
    }

    /// The class of an error that is only known by what it says.
    pub fn of_text(&self, text: &str) -> ErrorClass {
        self.by_pattern(text).or_else(|| by_words(text)).unwrap_or(ErrorClass::Server)
    }

    fn by_pattern(&self, text: &str) -> Option<ErrorClass> {
        if self.patterns.is_empty() {
            return None;
        }
        let text = text.to_lowercase();
        self.patterns.iter().find(|(pattern, _)| text.contains(pattern)).map(|(_, class)| *class)
    }
}

fn of_io(error: &io::Error) -> Option<ErrorClass> {
    Some(match error.kind() {
        io::ErrorKind::TimedOut => ErrorClass::Timeout,
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::UnexpectedEof => ErrorClass::Connection,
        _ => return None,
    })
}

fn by_words(text: &str) -> Option<ErrorClass> {
    let text = text.to_lowercase();
    WORDS.iter().find(|(word, _)| text.contains(word)).map(|(_, class)| *class)
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    #[derive(Debug)]
    enum Failure {
        Pool,
        Ledger(io::Error),
    }

    impl fmt::Display for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Pool => f.write_str("pool is empty"),
                Self::Ledger(_) => f.write_str("cannot ask the ledger"),
            }
        }
    }

    impl Error for Failure {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            match self {
                Self::Ledger(cause) => Some(cause),
                _ => None,
            }
        }
    }

    #[test]
    fn types_and_texts() {
        let classifier = Classifier::new();
        let io = |kind: io::ErrorKind| classifier.of(&io::Error::from(kind));
        assert_eq!(io(io::ErrorKind::TimedOut), ErrorClass::Timeout);
        assert_eq!(io(io::ErrorKind::ConnectionReset), ErrorClass::Connection);
        assert_eq!(io(io::ErrorKind::NotFound), ErrorClass::Server);
        let check = |text, class| assert_eq!(classifier.of_text(text), class, "{text}");
        check("Deadline has elapsed", ErrorClass::Timeout);
        check("operation was canceled", ErrorClass::Cancelled);
        check("task 7 panicked", ErrorClass::Panic);
        check("Connection refused (os error 111)", ErrorClass::Connection);
        check("no such row", ErrorClass::Server);
        check("", ErrorClass::Server);
    }

    #[test]
    fn causes_are_looked_at() {
        let of = |kind: io::ErrorKind| Classifier::new().of(&Failure::Ledger(kind.into()));
        assert_eq!(of(io::ErrorKind::TimedOut), ErrorClass::Timeout);
        assert_eq!(of(io::ErrorKind::PermissionDenied), ErrorClass::Server);
    }

    #[test]
    fn patterns_come_first_and_are_bounded() {
        let quota = ErrorClass::Custom("quota");
        let classifier =
            Classifier::new().with("pool is", quota).with("", ErrorClass::Panic).with("Failure", quota);
        assert_eq!(classifier.of(&Failure::Pool), quota);
        assert_eq!(
            classifier.of(&Failure::Ledger(io::ErrorKind::TimedOut.into())),
            quota,
            "by the type's name"
        );
        assert_eq!(classifier.of_dyn(&io::Error::other("x")), ErrorClass::Server);
        let many = (0..1000).fold(Classifier::new(), |all, i| all.with(&i.to_string(), quota));
        assert_eq!(many.patterns.len(), PATTERNS_MAX);
    }
}
