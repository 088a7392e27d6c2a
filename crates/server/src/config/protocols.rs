//! In which format a target is asked for its page, in the names that `prometheus.yml` has for them.

use barograph_wire::exposition::Dialect;

/// A format, with its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Delimited protobuf, which alone has native histograms.
    PrometheusProto,
    /// Text 0.0.4.
    Text004,
    /// Text 1.0.0, with names of any characters.
    Text100,
    /// OpenMetrics 0.0.1.
    OpenMetrics001,
    /// OpenMetrics 1.0.0.
    OpenMetrics100,
}

/// What a page is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFormat {
    /// Lines of text.
    Text(Dialect),
    /// Delimited protobuf.
    Protobuf,
}

/// All protocols by name.
const NAMES: [(&str, Protocol); 5] = [
    ("PrometheusProto", Protocol::PrometheusProto),
    ("PrometheusText0.0.4", Protocol::Text004),
    ("PrometheusText1.0.0", Protocol::Text100),
    ("OpenMetricsText0.0.1", Protocol::OpenMetrics001),
    ("OpenMetricsText1.0.0", Protocol::OpenMetrics100),
];

impl Protocol {
    /// What is asked for where nothing is said, dearest first.
    pub const USUAL: [Self; 4] = [Self::OpenMetrics100, Self::OpenMetrics001, Self::Text100, Self::Text004];

    /// The same where native histograms are wanted.
    pub const NATIVE: [Self; 5] =
        [Self::PrometheusProto, Self::OpenMetrics100, Self::OpenMetrics001, Self::Text100, Self::Text004];

    /// What a page in it is read as.
    pub const fn format(self) -> PageFormat {
        match self {
            Self::PrometheusProto => PageFormat::Protobuf,
            Self::Text004 | Self::Text100 => PageFormat::Text(Dialect::Text),
            Self::OpenMetrics001 | Self::OpenMetrics100 => PageFormat::Text(Dialect::OpenMetrics),
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::Text004 => "text/plain;version=0.0.4",
            Self::Text100 => "text/plain;version=1.0.0",
            Self::OpenMetrics001 => "application/openmetrics-text;version=0.0.1",
            Self::OpenMetrics100 => "application/openmetrics-text;version=1.0.0",
        }
    }

    const fn tells_escaping(self) -> bool {
        matches!(self, Self::PrometheusProto | Self::Text100 | Self::OpenMetrics100)
    }

    pub(super) fn parse(name: &str) -> Result<Self, String> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, protocol)| *protocol).ok_or_else(|| {
            let all: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("expected one of {}, found `{name}`", all.join(", "))
        })
    }
}

/// The `Accept` header that asks for protocols, dearest first.
pub(crate) fn accept(protocols: &[Protocol], escaping: Escaping) -> String {
    let mut text = String::new();
    let mut weight = NAMES.len() + 1;
    for protocol in protocols {
        text.push_str(protocol.media_type());
        if protocol.tells_escaping() {
            text.push_str(";escaping=");
            text.push_str(escaping.as_str());
        }
        text.push_str(&format!(";q=0.{weight},"));
        weight = weight.saturating_sub(1).max(1);
    }
    text.push_str(&format!("*/*;q=0.{weight}"));
    text
}

/// How a target spells names that have other characters than letters, digits, `_` and `:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escaping {
    /// As they are.
    #[default]
    Allow,
    /// With `_` in place of others.
    Underscores,
    /// The same, dots as `_dot_`.
    Dots,
    /// The code of each other character, in a way that can be undone.
    Values,
}

impl Escaping {
    /// As in headers and the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let all = [Self::Allow, Self::Underscores, Self::Dots, Self::Values];
        all.into_iter().find(|known| known.as_str() == name).ok_or_else(|| {
            format!("expected `allow-utf-8`, `underscores`, `dots` or `values`, found `{name}`")
        })
    }
}

/// Which names a page may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Any characters.
    #[default]
    Utf8,
    /// Letters, digits, `_`, and `:` in names of metrics.
    Legacy,
}

impl Names {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        match name {
            "utf8" => Ok(Self::Utf8),
            "legacy" => Ok(Self::Legacy),
            _ => Err(format!("expected `utf8` or `legacy`, found `{name}`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_weighs_them_as_prometheus_does() {
        assert_eq!(
            accept(&Protocol::USUAL, Escaping::Allow),
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        );
        assert_eq!(
            accept(&[Protocol::PrometheusProto], Escaping::Dots),
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;\
             escaping=dots;q=0.6,*/*;q=0.5"
        );
    }

    #[test]
    fn names_are_those_of_prometheus() {
        for (name, protocol) in NAMES {
            assert_eq!(Protocol::parse(name), Ok(protocol));
        }
        assert!(Protocol::parse("prometheusproto").is_err_and(|error| error.contains("PrometheusText1.0.0")));
    }
}
