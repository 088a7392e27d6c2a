//! StatsD with the additions of DogStatsD, read line by line.
//!
//! ```text
//! name:value[:value...]|type[|@rate][|#tag:value,...][|Ttime][|c:container][|...]
//! ```
//!
//! Types are `c`, `g`, `ms`, `h`, `d` and `s`. Sections that are not known are passed over, as newer clients send more of
//! them. Events (`_e{...}`) and service checks (`_sc|...`) are told apart from metrics, and not read further.

/// A longer line is an error.
pub const LINE_BYTES_MAX: usize = 8 << 10;
/// A metric has no more tags than this.
pub const TAGS_MAX: usize = 64;

/// What a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Increments.
    Counter,
    /// A value, or a change of it.
    Gauge,
    /// Durations in milliseconds.
    Time,
    /// Values of any unit.
    Histogram,
    /// Members of a set.
    Set,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'a> {
    /// A metric.
    Metric(Metric<'a>),
    /// An event.
    Event,
    /// A service check.
    ServiceCheck,
}

/// A metric with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric<'a> {
    /// The name as sent.
    pub name: &'a str,
    /// What it counts.
    pub kind: Kind,
    /// The share of all values that was sent: above 0, and 1 at most.
    pub rate: f64,
    /// Names and values, in the order sent; the value of a bare tag is empty.
    pub tags: Vec<(&'a str, &'a str)>,
    values: &'a str,
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A number.
    Number(f64),
    /// A number that is added to a gauge.
    Change(f64),
    /// A member of a set.
    Member(&'a str),
}

impl<'a> Metric<'a> {
    /// The values, each read or what is wrong with it.
    pub fn values(&self) -> impl Iterator<Item = Result<Value<'a>, &'static str>> + use<'a> {
        let kind = self.kind;
        // A member of a set may be anything.
        let whole = (kind == Kind::Set).then_some(self.values);
        let parts = if kind == Kind::Set { "" } else { self.values };
        let parts = parts.split(':').filter(move |_| whole.is_none()).chain(whole);
        parts.map(move |text| match kind {
            Kind::Set => Ok(Value::Member(text)),
            Kind::Gauge if text.starts_with(['+', '-']) => number(text).map(Value::Change),
            _ => number(text).map(Value::Number),
        })
    }
}

/// Reads one line, without its end.
///
/// # Errors
/// What is wrong with it.
pub fn read(line: &[u8]) -> Result<Message<'_>, &'static str> {
    if line.len() > LINE_BYTES_MAX {
        return Err("the line is too long");
    }
    let line = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?.trim_end_matches('\r');
    if line.starts_with("_e{") {
        return Ok(Message::Event);
    }
    if line.starts_with("_sc|") {
        return Ok(Message::ServiceCheck);
    }
    let mut sections = line.split('|');
    let head = sections.next().unwrap_or_default();
    let (name, values) = head.split_once(':').ok_or("expected `name:value|type`")?;
    if name.is_empty() {
        return Err("the name is empty");
    }
    if values.is_empty() {
        return Err("the value is empty");
    }
    let kind = match sections.next() {
        Some("c") => Kind::Counter,
        Some("g") => Kind::Gauge,
        Some("ms") => Kind::Time,
        Some("h" | "d") => Kind::Histogram,
        Some("s") => Kind::Set,
        Some(_) => return Err("the type is none of c, g, ms, h, d, s"),
        None => return Err("the type is missing"),
    };
    let mut metric = Metric { name, kind, rate: 1.0, tags: Vec::new(), values };
    for section in sections {
        if let Some(rate) = section.strip_prefix('@') {
            let rate = number(rate).ok().filter(|&rate| rate > 0.0 && rate <= 1.0);
            metric.rate = rate.ok_or("the rate is not above 0 and 1 at most")?;
        } else if let Some(tags) = section.strip_prefix('#') {
            for tag in tags.split(',').filter(|tag| !tag.is_empty()) {
                if metric.tags.len() == TAGS_MAX {
                    return Err("too many tags");
                }
                metric.tags.push(tag.split_once(':').unwrap_or((tag, "")));
            }
        }
    }
    Ok(Message::Metric(metric))
}

fn number(text: &str) -> Result<f64, &'static str> {
    let finite = text.parse().ok().filter(|number: &f64| number.is_finite());
    finite.ok_or("the value is not a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expected: Result<&str, &str>) {
        let got = read(line.as_bytes()).map(|message| match message {
            Message::Metric(metric) => {
                let values: Vec<_> = metric.values().collect();
                format!("{} {:?} {} {:?} {values:?}", metric.name, metric.kind, metric.rate, metric.tags)
            }
            other => format!("{other:?}"),
        });
        assert_eq!(got.as_deref(), expected.as_ref().copied(), "{line}");
    }

    #[test]
    fn metrics_are_read() {
        check("a.b:1|c", Ok("a.b Counter 1 [] [Ok(Number(1.0))]"));
        check(
            "a:1:2.5|ms|@0.1|#x:y,z",
            Ok(r#"a Time 0.1 [("x", "y"), ("z", "")] [Ok(Number(1.0)), Ok(Number(2.5))]"#),
        );
        check("a:-3|g|#u:http://b|c:in-1|T17", Ok(r#"a Gauge 1 [("u", "http://b")] [Ok(Change(-3.0))]"#));
        check("a:3|g\r", Ok("a Gauge 1 [] [Ok(Number(3.0))]"));
        check("a:b:c|s", Ok(r#"a Set 1 [] [Ok(Member("b:c"))]"#));
        check("a:1|d|e:later|card:low", Ok("a Histogram 1 [] [Ok(Number(1.0))]"));
        check("a:1:x|h", Ok(r#"a Histogram 1 [] [Ok(Number(1.0)), Err("the value is not a number")]"#));
        check("_e{2,2}:ab|cd", Ok("Event"));
        check("_sc|a|0", Ok("ServiceCheck"));
    }

    #[test]
    fn what_is_none_is_refused() {
        check("a", Err("expected `name:value|type`"));
        check(":1|c", Err("the name is empty"));
        check("a:|c", Err("the value is empty"));
        check("a:1", Err("the type is missing"));
        check("a:1|x", Err("the type is none of c, g, ms, h, d, s"));
        check("a:1|c|@0", Err("the rate is not above 0 and 1 at most"));
        check("a:1|c|@nan", Err("the rate is not above 0 and 1 at most"));
        assert!(read(&[0xff; 10]).is_err());
        assert!(read(&[b'a'; LINE_BYTES_MAX + 1]).is_err());
        assert!(read(format!("a:1|c|#{}", "x,".repeat(TAGS_MAX + 1)).as_bytes()).is_err());
    }
}
