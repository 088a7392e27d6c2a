//! Which format a client gets, from its `Accept` header.
//!
//! The range with the highest q-value that names a format of ours wins, the earlier one on a tie; ranges with a
//! wildcard mean text 0.0.4 and yield to exact ones. Whoever asks for nothing we have gets text 0.0.4 too, as the
//! scrapers of the field expect. RFC 9110, 12.5.1; Prometheus, "Content negotiation".

use super::{Family, protobuf, write};

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

/// A format for metrics, text or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Text.
    Text(Format),
    /// Messages `io.prometheus.client.MetricFamily`, each after its length; with native histograms.
    Protobuf,
}

impl Form {
    /// The value of the `Content-Type` header.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text(format) => format.content_type(),
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// Families as a page.
    pub fn page(self, families: &[Family]) -> Vec<u8> {
        match self {
            Self::Text(format) => {
                let mut text = String::with_capacity(32 << 10);
                write(&mut text, families, format);
                text.into_bytes()
            }
            Self::Protobuf => {
                let mut bytes = Vec::with_capacity(16 << 10);
                protobuf::write(&mut bytes, families);
                bytes
            }
        }
    }
}

/// The text format for a client that sent this `Accept` header.
pub fn negotiate(accept: Option<&str>) -> Format {
    match best(accept, false) {
        Form::Text(format) => format,
        Form::Protobuf => Format::Text004,
    }
}

/// The format for a client that sent this `Accept` header, text or protobuf.
pub fn negotiate_form(accept: Option<&str>) -> Form {
    best(accept, true)
}

fn best(accept: Option<&str>, protobuf: bool) -> Form {
    let mut best = Offer { quality: 0, exact: true, form: Form::Text(Format::Text004) };
    let offers = accept.unwrap_or_default().split(',').filter_map(offer);
    for offer in offers.filter(|offer| protobuf || offer.form != Form::Protobuf) {
        if (offer.quality, offer.exact) > (best.quality, best.exact) {
            best = offer;
        }
    }
    best.form
}

/// A media range that one of our formats satisfies.
struct Offer {
    /// The q-value in thousandths.
    quality: u32,
    exact: bool,
    form: Form,
}

fn offer(range: &str) -> Option<Offer> {
    let mut parts = range.split(';').map(str::trim);
    let media = parts.next()?.to_ascii_lowercase();
    let (mut quality, mut version, mut escaping, mut proto, mut encoding) = (1000, "", "", "", "");
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        let value = value.trim().trim_matches('"');
        match key.trim().to_ascii_lowercase().as_str() {
            "q" => quality = thousandths(value)?,
            "version" => version = value,
            "escaping" => escaping = value,
            "proto" => proto = value,
            "encoding" => encoding = value,
            _ => {}
        }
    }
    let form = match (media.as_str(), version) {
        ("application/openmetrics-text", "" | "1.0.0") => Form::Text(Format::OpenMetrics100),
        ("text/plain", "1.0.0") if matches!(escaping, "" | "allow-utf-8") => Form::Text(Format::Text100),
        ("text/plain", "" | "0.0.4") | ("text/*" | "*/*", _) => Form::Text(Format::Text004),
        ("application/vnd.google.protobuf", _)
            if (proto, encoding) == ("io.prometheus.client.MetricFamily", "delimited") =>
        {
            Form::Protobuf
        }
        _ => return None,
    };
    Some(Offer { quality, exact: !media.ends_with('*'), form })
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
    fn protobuf_is_for_whoever_takes_it() {
        let check = |accept: &str, expected| assert_eq!(negotiate_form(Some(accept)), expected, "{accept}");
        let wanted =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        check(&format!("{wanted};q=0.7,text/plain;q=0.6"), Form::Protobuf);
        check(&format!("{wanted};q=0.5,text/plain;q=0.6"), Form::Text(Format::Text004));
        check("application/vnd.google.protobuf", Form::Text(Format::Text004));
        assert_eq!(negotiate(Some(wanted)), Format::Text004);
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
