//! The settings of measuring itself: six environment variables, each with a value and where it came from. A profile
//! ([`Profile`]) is below them all.
//!
//! What is invalid is refused with the name of the variable and what would do. Some can be changed while the program
//! runs; those that cannot say why.

use std::{collections::BTreeMap, env, fmt, time::Duration};

use super::Profile;
use crate::{
    requests::REQUEST_BOUNDS,
    window::{WINDOW, WINDOW_MAX, WINDOW_MIN},
};

/// How many samples a window may keep, unless configured otherwise.
pub const SAMPLES_MAX: usize = 10_000;

/// The most samples a window can be configured to keep.
const SAMPLES_LIMIT: usize = 1_000_000;

/// The most bounds a histogram can be configured to have.
const BOUNDS_MAX: usize = 64;

/// The settings, by the name of their environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// `METRICS_WINDOW_SIZE_SECONDS`: how long sliding windows are. 300 by default.
    WindowSizeSeconds,
    /// `METRICS_MAX_SAMPLES`: how many single requests are kept as samples at most, where they are kept at all. 10,000 by
    /// default.
    MaxSamples,
    /// `METRICS_PROMETHEUS_ENABLED`: whether metrics are exposed. `true` by default.
    PrometheusEnabled,
    /// `METRICS_EVENT_LOOP_MONITORING`: whether the lag of the async runtime is sampled. `true` by default.
    EventLoopMonitoring,
    /// `METRICS_HISTOGRAM_BUCKETS`: the bounds of the latency histogram in milliseconds, ascending, separated by
    /// commas. 25 to 5,000 by default.
    HistogramBuckets,
    /// `METRICS_EXPOSITION_UNITS`: `seconds` by default, or `ms` for names and values of durations in milliseconds.
    ExpositionUnits,
}

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said.
    Default,
    /// The profile.
    Profile,
    /// A file of configuration.
    File,
    /// The environment variable.
    Environment,
    /// The command line.
    Flag,
    /// It was changed while running, or by the program.
    Program,
}

/// The unit in which durations are exposed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExpositionUnits {
    /// Base units, as Prometheus advises.
    #[default]
    Seconds,
    /// Milliseconds.
    Milliseconds,
}

/// Why a setting was not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingError {
    /// The value is not one.
    Invalid {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
        /// What would do.
        remedy: &'static str,
    },
    /// It cannot change while the program runs.
    Fixed {
        /// The variable.
        name: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// There is no such setting.
    Unknown {
        /// What was asked for.
        name: String,
    },
}

impl fmt::Display for SettingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid { name, value, reason, remedy } => {
                write!(f, "{name}: \"{value}\" {reason}; {remedy}")
            }
            Self::Fixed { name, reason } => {
                write!(
                    f,
                    "{name} cannot change while running: {reason}; set it in the environment and start again"
                )
            }
            Self::Unknown { name } => {
                write!(
                    f,
                    "there is no setting \"{name}\"; there are {}",
                    Setting::ALL.map(Setting::name).join(", ")
                )
            }
        }
    }
}

impl std::error::Error for SettingError {}

/// A setting as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The variable.
    pub name: &'static str,
    /// The value, as one would write it in the environment.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
    /// Why it cannot change while running; `None` if it can.
    pub fixed: Option<&'static str>,
}

/// All settings, valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    window: Duration,
    max_samples: usize,
    prometheus_enabled: bool,
    event_loop_monitoring: bool,
    bounds: Vec<f64>,
    exposition_units: ExpositionUnits,
    origins: BTreeMap<Setting, Origin>,
    profile: Profile,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: WINDOW,
            max_samples: SAMPLES_MAX,
            prometheus_enabled: true,
            event_loop_monitoring: true,
            bounds: REQUEST_BOUNDS.to_vec(),
            exposition_units: ExpositionUnits::default(),
            origins: BTreeMap::new(),
            profile: Profile::default(),
        }
    }
}

impl Setting {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::WindowSizeSeconds,
        Self::MaxSamples,
        Self::PrometheusEnabled,
        Self::EventLoopMonitoring,
        Self::HistogramBuckets,
        Self::ExpositionUnits,
    ];

    /// The environment variable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WindowSizeSeconds => "METRICS_WINDOW_SIZE_SECONDS",
            Self::MaxSamples => "METRICS_MAX_SAMPLES",
            Self::PrometheusEnabled => "METRICS_PROMETHEUS_ENABLED",
            Self::EventLoopMonitoring => "METRICS_EVENT_LOOP_MONITORING",
            Self::HistogramBuckets => "METRICS_HISTOGRAM_BUCKETS",
            Self::ExpositionUnits => "METRICS_EXPOSITION_UNITS",
        }
    }

    /// Its key in files: `window_size_seconds`.
    pub const fn key(self) -> &'static str {
        match self {
            Self::WindowSizeSeconds => "window_size_seconds",
            Self::MaxSamples => "max_samples",
            Self::PrometheusEnabled => "prometheus_enabled",
            Self::EventLoopMonitoring => "event_loop_monitoring",
            Self::HistogramBuckets => "histogram_buckets",
            Self::ExpositionUnits => "exposition_units",
        }
    }

    /// The setting of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.name().eq_ignore_ascii_case(name))
    }

    /// Why it cannot change while running; `None` if it can.
    pub const fn fixed(self) -> Option<&'static str> {
        match self {
            Self::HistogramBuckets => Some("what was counted so far was counted by the old bounds"),
            Self::ExpositionUnits => Some("the names of metrics would change under those who read them"),
            _ => None,
        }
    }
}

impl Settings {
    /// The settings of the environment; what is not set there has its default.
    ///
    /// # Errors
    /// The first variable whose value is not valid.
    pub fn from_env() -> Result<Self, SettingError> {
        let (settings, problems) = Self::read_env();
        problems.into_iter().next().map_or(Ok(settings), Err)
    }

    /// The settings of the environment, with the default in place of what is not valid, and what that was.
    pub fn read_env() -> (Self, Vec<SettingError>) {
        #[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
        Self::read(|name| env::var(name).ok())
    }

    /// The same of any source.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> (Self, Vec<SettingError>) {
        Self::layered(None, None, &[], variable)
    }

    /// The settings of a program that has a command line and a file of configuration, too. `chosen` is the profile of the
    /// command line, `profile` that of the file.
    ///
    /// # Errors
    /// The first value that is not valid.
    pub fn of_process(
        chosen: Option<Profile>,
        profile: Option<Profile>,
        file: &[(Setting, String)],
    ) -> Result<Self, SettingError> {
        #[expect(clippy::disallowed_methods, reason = "the environment is read here and nowhere else")]
        let (settings, problems) = Self::layered(chosen, profile, file, |name| env::var(name).ok());
        problems.into_iter().next().map_or(Ok(settings), Err)
    }

    /// Profile below file below environment; of profiles the chosen one, else the environment's, else the file's.
    pub(super) fn layered(
        chosen: Option<Profile>,
        profile: Option<Profile>,
        file: &[(Setting, String)],
        variable: impl Fn(&str) -> Option<String>,
    ) -> (Self, Vec<SettingError>) {
        let variable = |name| variable(name).filter(|value| !value.trim().is_empty());
        let mut settings = Self::default();
        let named = variable(Profile::VARIABLE).map(|name| Profile::named(&name)).transpose();
        let mut problems = Vec::from_iter(named.as_ref().err().cloned());
        settings.profile = chosen.or(named.ok().flatten()).or(profile).unwrap_or_default();
        let below = settings.profile.values().iter();
        let below = below.map(|(setting, value)| (*setting, (*value).to_owned(), Origin::Profile));
        let file = file.iter().map(|(setting, value)| (*setting, value.clone(), Origin::File));
        let above = |setting: Setting| Some((setting, variable(setting.name())?, Origin::Environment));
        let above = Setting::ALL.into_iter().filter_map(above);
        for (setting, value, origin) in below.chain(file).chain(above) {
            problems.extend(settings.set(setting, value.trim(), origin).err());
        }
        (settings, problems)
    }

    /// What the program is run for.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// The same settings with another value for one.
    ///
    /// # Errors
    /// The value is not valid.
    pub fn with(mut self, setting: Setting, value: &str) -> Result<Self, SettingError> {
        self.set(setting, value, Origin::Program)?;
        Ok(self)
    }

    /// Changes a setting of a running program. The value it has already is always taken.
    ///
    /// # Errors
    /// The value is not valid, or the setting cannot change any more.
    pub(super) fn change(&mut self, setting: Setting, value: &str) -> Result<(), SettingError> {
        let changed = self.clone().with(setting, value)?;
        if let Some(reason) = setting.fixed().filter(|_| changed.value(setting) != self.value(setting)) {
            return Err(SettingError::Fixed { name: setting.name(), reason });
        }
        *self = changed;
        Ok(())
    }

    /// How long windows are.
    pub fn window(&self) -> Duration {
        self.window
    }

    /// How many single requests are kept as samples at most.
    pub fn max_samples(&self) -> usize {
        self.max_samples
    }

    /// Whether metrics are exposed.
    pub fn prometheus_enabled(&self) -> bool {
        self.prometheus_enabled
    }

    /// Whether the lag of the async runtime is to be sampled.
    pub fn event_loop_monitoring(&self) -> bool {
        self.event_loop_monitoring
    }

    /// The bounds of the latency histogram, in seconds.
    pub fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// The unit in which durations are exposed.
    pub fn exposition_units(&self) -> ExpositionUnits {
        self.exposition_units
    }

    /// All settings with their values and origins.
    pub fn entries(&self) -> [Entry; 6] {
        Setting::ALL.map(|setting| Entry {
            name: setting.name(),
            value: self.value(setting),
            origin: self.origins.get(&setting).copied().unwrap_or(Origin::Default),
            fixed: setting.fixed(),
        })
    }

    fn value(&self, setting: Setting) -> String {
        match setting {
            Setting::WindowSizeSeconds => self.window.as_secs().to_string(),
            Setting::MaxSamples => self.max_samples.to_string(),
            Setting::PrometheusEnabled => self.prometheus_enabled.to_string(),
            Setting::EventLoopMonitoring => self.event_loop_monitoring.to_string(),
            Setting::HistogramBuckets => {
                let texts: Vec<_> =
                    self.bounds.iter().map(|bound| milliseconds(*bound).to_string()).collect();
                texts.join(",")
            }
            Setting::ExpositionUnits => match self.exposition_units {
                ExpositionUnits::Seconds => "seconds".to_owned(),
                ExpositionUnits::Milliseconds => "ms".to_owned(),
            },
        }
    }

    fn set(&mut self, setting: Setting, value: &str, origin: Origin) -> Result<(), SettingError> {
        let name = setting.name();
        let refuse =
            |(reason, remedy)| SettingError::Invalid { name, value: value.to_owned(), reason, remedy };
        match setting {
            Setting::WindowSizeSeconds => {
                let range = WINDOW_MIN.as_secs()..=WINDOW_MAX.as_secs();
                let seconds = value.parse().ok().filter(|seconds| range.contains(seconds));
                let remedy = "give whole seconds from 30 to 86400, such as 300";
                self.window = Duration::from_secs(seconds.ok_or_else(|| refuse(("is no length", remedy)))?);
            }
            Setting::MaxSamples => {
                let samples = value.parse().ok().filter(|samples| *samples <= SAMPLES_LIMIT);
                let remedy = "give a whole number from 0 to 1000000, such as 10000";
                self.max_samples = samples.ok_or_else(|| refuse(("is no number of samples", remedy)))?;
            }
            Setting::PrometheusEnabled => self.prometheus_enabled = truth(value).map_err(refuse)?,
            Setting::EventLoopMonitoring => self.event_loop_monitoring = truth(value).map_err(refuse)?,
            Setting::HistogramBuckets => self.bounds = bounds(value).map_err(refuse)?,
            Setting::ExpositionUnits => {
                self.exposition_units = match value {
                    "seconds" | "s" => ExpositionUnits::Seconds,
                    "ms" | "milliseconds" => ExpositionUnits::Milliseconds,
                    _ => return Err(refuse(("is no unit", "give seconds or ms"))),
                }
            }
        }
        self.origins.insert(setting, origin);
        Ok(())
    }
}

/// What is wrong, and what would do.
type Refusal = (&'static str, &'static str);

fn truth(value: &str) -> Result<bool, Refusal> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(("is neither true nor false", "give true or false")),
    }
}

/// Bounds in seconds, of a list in milliseconds.
fn bounds(list: &str) -> Result<Vec<f64>, Refusal> {
    let remedy =
        "give upper bounds in milliseconds, each greater than the one before, separated by commas: 25,50,100";
    let bound = |text: &str| text.trim().parse().ok().filter(|ms: &f64| ms.is_finite() && *ms > 0.0);
    let bounds: Option<Vec<f64>> = list.split(',').map(bound).collect();
    match bounds {
        None => Err(("has a bound that is no positive number", remedy)),
        Some(bounds) if bounds.len() > BOUNDS_MAX => Err(("has more than 64 bounds", remedy)),
        Some(bounds) if !bounds.is_sorted_by(|a, b| a < b) => Err(("is not in ascending order", remedy)),
        Some(bounds) => Ok(bounds.into_iter().map(|ms| ms / 1e3).collect()),
    }
}

/// Seconds in milliseconds, without what binary fractions leave: 0.07 is 70.
pub(super) fn milliseconds(seconds: f64) -> f64 {
    let nanoseconds = (seconds * 1e9).round();
    if nanoseconds.abs() < 9e15 && nanoseconds != 0.0 { nanoseconds / 1e6 } else { seconds * 1e3 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> (Settings, Vec<SettingError>) {
        let find = |name: &str| variables.iter().find(|(other, _)| *other == name);
        Settings::read(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn defaults_are_those_of_the_sample() {
        let (settings, problems) = read(&[]);
        assert_eq!((&settings, problems), (&Settings::default(), vec![]));
        let values = settings.entries().map(|entry| (entry.name, entry.value, entry.origin));
        let expected = [
            ("METRICS_WINDOW_SIZE_SECONDS", "300"),
            ("METRICS_MAX_SAMPLES", "10000"),
            ("METRICS_PROMETHEUS_ENABLED", "true"),
            ("METRICS_EVENT_LOOP_MONITORING", "true"),
            ("METRICS_HISTOGRAM_BUCKETS", "25,50,100,200,350,500,750,1000,1500,2500,5000"),
            ("METRICS_EXPOSITION_UNITS", "seconds"),
        ];
        assert_eq!(values, expected.map(|(name, value)| (name, value.to_owned(), Origin::Default)));
    }

    #[test]
    fn values_come_from_the_environment() {
        let (settings, problems) = read(&[
            ("METRICS_WINDOW_SIZE_SECONDS", " 60 "),
            ("METRICS_PROMETHEUS_ENABLED", "False"),
            ("METRICS_HISTOGRAM_BUCKETS", "0.5, 70,1000"),
            ("METRICS_EXPOSITION_UNITS", "ms"),
            ("METRICS_MAX_SAMPLES", ""),
        ]);
        assert_eq!(problems, []);
        assert_eq!((settings.window().as_secs(), settings.prometheus_enabled()), (60, false));
        assert_eq!(settings.bounds(), [0.0005, 0.07, 1.0]);
        let entries = settings.entries();
        assert_eq!((&*entries[4].value, entries[4].origin), ("0.5,70,1000", Origin::Environment));
        assert_eq!((entries[1].origin, settings.max_samples()), (Origin::Default, SAMPLES_MAX));
    }

    #[test]
    fn what_is_invalid_is_refused_with_a_remedy() {
        let check = |name: &'static str, value: &str, message: &str| {
            let (settings, problems) = read(&[(name, value)]);
            assert_eq!(settings, Settings::default());
            assert_eq!(problems.len(), 1, "{name}={value}");
            let said = problems[0].to_string();
            assert!(said.starts_with(&format!("{name}: \"{value}\" {message}")), "{said}");
            assert!(said.contains("; give "), "{said}");
        };
        check("METRICS_WINDOW_SIZE_SECONDS", "5", "is no length");
        check("METRICS_WINDOW_SIZE_SECONDS", "five", "is no length");
        check("METRICS_MAX_SAMPLES", "-1", "is no number of samples");
        check("METRICS_PROMETHEUS_ENABLED", "maybe", "is neither true nor false");
        check("METRICS_HISTOGRAM_BUCKETS", "25,100,50", "is not in ascending order");
        check("METRICS_HISTOGRAM_BUCKETS", "25,25", "is not in ascending order");
        check("METRICS_HISTOGRAM_BUCKETS", "25,,50", "has a bound that is no positive number");
        check("METRICS_HISTOGRAM_BUCKETS", "0,25", "has a bound that is no positive number");
        check("METRICS_EXPOSITION_UNITS", "minutes", "is no unit");
    }

    #[test]
    fn some_change_while_running_and_some_do_not() {
        let mut settings = Settings::default();
        settings.change(Setting::WindowSizeSeconds, "120").unwrap();
        assert_eq!(settings.window().as_secs(), 120);
        assert_eq!(settings.entries()[0].origin, Origin::Program);
        let refused = settings.change(Setting::HistogramBuckets, "1,2").unwrap_err().to_string();
        assert!(refused.contains("cannot change while running: what was counted"), "{refused}");
        settings.change(Setting::ExpositionUnits, "seconds").unwrap();
        assert!(settings.change(Setting::ExpositionUnits, "ms").is_err());
        assert!(settings.change(Setting::MaxSamples, "many").is_err());
        assert_eq!(Setting::named("metrics_max_samples"), Some(Setting::MaxSamples));
    }
}
