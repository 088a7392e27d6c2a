//! What the environment says about OpenTelemetry, by the names of its specification.
//!
//! | Variable | |
//! |---|---|
//! | `OTEL_SDK_DISABLED` | `true`: nothing is exported |
//! | `OTEL_METRICS_EXPORTER` | `none`: no metrics are; other names than `otlp` are not known |
//! | `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` | where to, as it stands |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | where to, with `/v1/metrics` behind it; `http://localhost:4318` |
//! | `OTEL_EXPORTER_OTLP_[METRICS_]PROTOCOL` | `http/protobuf`, nothing else |
//! | `OTEL_EXPORTER_OTLP_[METRICS_]HEADERS` | `name=value,…`, percent-encoded |
//! | `OTEL_EXPORTER_OTLP_[METRICS_]TIMEOUT` | of one request, in ms; 10,000 |
//! | `OTEL_EXPORTER_OTLP_[METRICS_]COMPRESSION` | `none`; with `gzip` requests go uncompressed, which every receiver takes |
//! | `OTEL_METRIC_EXPORT_INTERVAL` | from push to push, in ms; 60,000 |
//! | `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` | who reports; the former wins |
//!
//! Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter". What cannot be used
//! is an error, never silently something else.

use std::time::Duration;

use super::{Address, AddressError};

/// How metrics are pushed to a receiver of OpenTelemetry.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpSettings {
    /// The whole address of requests, with its path.
    pub endpoint: Address,
    /// Headers that all requests get.
    pub headers: Vec<(String, String)>,
    /// How long one request may take.
    pub timeout: Duration,
    /// From one push to the next.
    pub interval: Duration,
    /// Attributes of who reports, `service.name` first.
    pub resource: Vec<(String, String)>,
}

/// Why the environment cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The endpoint is no address that can be sent to.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A value that is not known, or not to be had here.
    #[error("{variable} is {value:?}; {expected}")]
    Value {
        /// The variable.
        variable: String,
        /// What it is.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

impl OtlpSettings {
    /// With the defaults: of the service `service`, to an address that requests go to as it stands.
    pub fn new(endpoint: Address, service: &str) -> Self {
        Self {
            endpoint,
            headers: Vec::new(),
            timeout: Duration::from_secs(10),
            interval: Duration::from_secs(60),
            resource: vec![("service.name".to_owned(), service.to_owned())],
        }
    }

    /// What the environment of the process says; `None` if metrics are not to be exported.
    ///
    /// # Errors
    /// [`SettingsError`]: a variable cannot be followed.
    pub fn from_env() -> Result<Option<Self>, SettingsError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the names are those of a specification, and are read once"
        )]
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// What variables say; `None` if metrics are not to be exported. An empty value is none.
    ///
    /// # Errors
    /// [`SettingsError`]: a variable cannot be followed.
    pub fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingsError> {
        let get =
            |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        if get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        match get("OTEL_METRICS_EXPORTER") {
            None => {}
            Some(value) if value == "otlp" => {}
            Some(value) if value == "none" => return Ok(None),
            Some(value) => return wrong("OTEL_METRICS_EXPORTER", value, "otlp and none are known"),
        }
        // The form of the signal comes before the one for all.
        let of_signal = |what: &str| {
            let names = [format!("OTEL_EXPORTER_OTLP_METRICS_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
            names.into_iter().find_map(|name| get(&name).map(|value| (name, value)))
        };
        match of_signal("PROTOCOL") {
            Some((name, value)) if value != "http/protobuf" => {
                return wrong(&name, value, "http/protobuf is spoken here");
            }
            _ => {}
        }
        match of_signal("COMPRESSION") {
            Some((name, value)) if !matches!(value.as_str(), "none" | "gzip") => {
                return wrong(&name, value, "none and gzip are known");
            }
            _ => {}
        }
        let endpoint = match get("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") {
            Some(whole) => whole,
            None => {
                let base =
                    get("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_else(|| "http://localhost:4318".into());
                format!("{}/v1/metrics", base.trim_end_matches('/'))
            }
        };
        let millis = |named: Option<(String, String)>, usual: u64| match named {
            None => Ok(Duration::from_millis(usual)),
            Some((name, value)) => match value.parse() {
                Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
                _ => wrong(&name, value, "a number of milliseconds above zero is expected"),
            },
        };
        let interval =
            get("OTEL_METRIC_EXPORT_INTERVAL").map(|v| ("OTEL_METRIC_EXPORT_INTERVAL".to_owned(), v));
        let pairs = |named: Option<(String, String)>| match named {
            None => Ok(Vec::new()),
            Some((name, value)) => match pairs(&value) {
                Some(pairs) => Ok(pairs),
                None => wrong(&name, value, "name=value pairs with commas between them are expected"),
            },
        };
        let mut resource =
            pairs(get("OTEL_RESOURCE_ATTRIBUTES").map(|v| ("OTEL_RESOURCE_ATTRIBUTES".to_owned(), v)))?;
        let named =
            resource.iter().position(|(name, _)| name == "service.name").map(|at| resource.remove(at).1);
        let service = get("OTEL_SERVICE_NAME").or(named).unwrap_or_else(unknown_service);
        resource.insert(0, ("service.name".to_owned(), service));
        Ok(Some(Self {
            endpoint: Address::parse(&endpoint)?,
            headers: pairs(of_signal("HEADERS"))?,
            timeout: millis(of_signal("TIMEOUT"), 10_000)?,
            interval: millis(interval, 60_000)?,
            resource,
        }))
    }
}

fn wrong<T>(variable: &str, value: String, expected: &'static str) -> Result<T, SettingsError> {
    Err(SettingsError::Value { variable: variable.to_owned(), value, expected })
}

/// `name=value` pairs as baggage has them, percent-decoded.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let pair = |text: &str| {
        let (name, value) = text.split_once('=')?;
        Some((decoded(name.trim())?, decoded(value.trim())?)).filter(|(name, _)| !name.is_empty())
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}

fn decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(rest.get(..2)?).ok().filter(|hex| !hex.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).ok()
}

/// What the specification calls a service that was not named.
fn unknown_service() -> String {
    let program = std::env::args_os().next();
    let name = program.as_ref().and_then(|path| std::path::Path::new(path).file_name()?.to_str());
    name.map_or_else(|| "unknown_service".to_owned(), |name| format!("unknown_service:{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<OtlpSettings>, SettingsError> {
        OtlpSettings::from_variables(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_are_those_of_the_specification() {
        let settings = read(&[]).unwrap().unwrap();
        assert_eq!(settings.endpoint, Address::parse("http://localhost:4318/v1/metrics").unwrap());
        assert_eq!((settings.timeout.as_secs(), settings.interval.as_secs()), (10, 60));
        assert!(settings.resource[0].1.starts_with("unknown_service"));
    }

    #[test]
    fn endpoints_and_forms_of_the_signal() {
        let check = |variables: &[(&str, &str)], expected| {
            let settings = read(variables).unwrap().unwrap();
            assert_eq!(settings.endpoint, Address::parse(expected).unwrap());
        };
        let (all, own) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT");
        check(&[(all, "http://c:1/base/")], "http://c:1/base/v1/metrics");
        check(&[(all, "http://c:1"), (own, "http://d:2/x")], "http://d:2/x");
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "api-key=k%20v, b = 2"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "500"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,host.name=h"),
            ("OTEL_SERVICE_NAME", "shop"),
        ])
        .unwrap()
        .unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(settings.headers, [pair("api-key", "k v"), pair("b", "2")]);
        assert_eq!(settings.resource, [pair("service.name", "shop"), pair("host.name", "h")]);
        assert_eq!((settings.timeout.as_millis(), settings.interval.as_millis()), (500, 1_000));
    }

    #[test]
    fn what_is_switched_off_is_off() {
        assert_eq!(read(&[("OTEL_SDK_DISABLED", "True")]), Ok(None));
        assert_eq!(read(&[("OTEL_METRICS_EXPORTER", "none")]), Ok(None));
    }

    #[test]
    fn what_cannot_be_followed_is_told() {
        let check = |name, value| assert!(read(&[(name, value)]).is_err(), "{name}={value}");
        check("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        check("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector");
        check("OTEL_EXPORTER_OTLP_TIMEOUT", "soon");
        check("OTEL_EXPORTER_OTLP_HEADERS", "no pair");
        check("OTEL_RESOURCE_ATTRIBUTES", "a=%2");
        check("OTEL_METRICS_EXPORTER", "console");
    }
}
