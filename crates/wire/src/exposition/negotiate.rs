//! Which text format a client gets, from its `Accept` header.
//!
//! The range with the highest q-value that names a format of ours wins, the earlier one on a tie; ranges with a
//! wildcard mean text 0.0.4 and yield to exact ones. Whoever asks for nothing we have gets text 0.0.4 too, as the
//! scrapers of the field expect. RFC 9110, 12.5.1; Prometheus, "Content negotiation".

/// A text format for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text 0.0.4: names of the old character set, no units, no exemplars.
    Text004,
    /// Prometheus text 1.0.0: the same with quoted UTF-8 names.
    Text100,
    /// OpenMetrics 1.0.0: units, exemplars, `# EOF` at the end.
    OpenMetrics100,
}

impl Format {
    /// The value of the `Content-Type` header.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text004 => "text/plain; version=0.0.4; charset=utf-8",
            Self::Text100 => "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8",
            Self::OpenMetrics100 => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The format for a client that sent this `Accept` header.
pub fn negotiate(accept: Option<&str>) -> Format {
    let mut best = Offer { quality: 0, exact: true, format: Format::Text004 };
    for offer in accept.unwrap_or_default().split(',').filter_map(offer) {
        if (offer.quality, offer.exact) > (best.quality, best.exact) {
            best = offer;
        }
    }
    best.format
}

/// A media range that one of our formats satisfies.
struct Offer {
    /// The q-value in thousandths.
    quality: u32,
    exact: bool,
    format: Format,
}

fn offer(range: &str) -> Option<Offer> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let (mut quality, mut version, mut escaping) = (1000, "", "");
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match key.trim().to_ascii_lowercase().as_str() {
            "q" => quality = thousandths(value)?,
            "version" => version = value,
            "escaping" => escaping = value,
            _ => {}
        }
    }
    let format = match (media.as_str(), version) {
        ("application/openmetrics-text", "" | "1.0.0") => Format::OpenMetrics100,
        ("text/plain", "1.0.0") if matches!(escaping, "" | "allow-utf-8") => Format::Text100,
        ("text/plain", "" | "0.0.4") | ("text/*" | "*/*", _) => Format::Text004,
        _ => return None,
    };
    Some(Offer { quality, exact: !media.ends_with('*'), format })
}

/// A q-value in thousandths; `None` where it is none.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    let fraction: u32 = format!("{fraction:0<3}").parse().ok().filter(|_| digits)?;
    match whole {
        "0" => Some(fraction),
        "1" if fraction == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picks_what_was_asked_for() {
        use Format::{OpenMetrics100 as Om, Text004 as T4, Text100 as T1};
        let table = [
            (None, T4),
            (Some(""), T4),
            (Some("*/*"), T4),
            (Some("text/html,application/xhtml+xml,*/*;q=0.8"), T4),
            (Some("application/json"), T4),
            (Some("text/plain"), T4),
            (Some("text/plain;version=0.0.4"), T4),
            (Some("text/plain; version=\"1.0.0\""), T1),
            (Some("text/plain;version=1.0.0;escaping=allow-utf-8"), T1),
            (Some("text/plain;version=1.0.0;escaping=underscores"), T4),
            (Some("application/openmetrics-text"), Om),
            (Some("Application/OpenMetrics-Text; Version=1.0.0"), Om),
            (Some("application/openmetrics-text;version=0.0.1"), T4),
            (Some("application/openmetrics-text;version=2.0.0"), T4),
            (Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.9"), T4),
            (Some("application/openmetrics-text;version=1.0.0;q=0.9,text/plain;version=0.0.4;q=0.5"), Om),
            (Some("text/plain;version=1.0.0,application/openmetrics-text"), T1),
            (Some("*/*,application/openmetrics-text"), Om),
            (Some("application/openmetrics-text;q=0,text/plain;q=0.1"), T4),
            (Some("application/openmetrics-text;q=0"), T4),
            (Some("application/openmetrics-text;q=oops,text/plain;version=1.0.0;q=0.001"), T1),
            (Some(";;;=,,q=1"), T4),
            (
                Some(
                    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,\
                     application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                     application/openmetrics-text;version=0.0.1;q=0.5,\
                     text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                ),
                Om,
            ),
        ];
        for (accept, format) in table {
            assert_eq!(negotiate(accept), format, "{accept:?}");
        }
    }

    #[test]
    fn reads_q_values() {
        let check = |text, expected| assert_eq!(thousandths(text), expected, "{text}");
        check("1", Some(1000));
        check("1.000", Some(1000));
        check("0.75", Some(750));
        check("0", Some(0));
        check("1.1", None);
        check("0.1234", None);
        check("-1", None);
        check("0.+5", None);
        check("", None);
    }
}
