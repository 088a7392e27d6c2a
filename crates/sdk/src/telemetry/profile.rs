//! Profiles: what settings are where nobody says, by what the program is run for.

use super::settings::{Setting, SettingError};

/// What a program is run for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// To try things out: windows of a minute, so that figures soon show what was done last.
    Dev,
    /// Under test: windows of half a minute, a thousand raw samples at most, and no task that samples the runtime.
    Test,
    /// For real: the defaults.
    #[default]
    Prod,
}

impl Profile {
    /// The environment variable that names one.
    pub const VARIABLE: &str = "METRICS_PROFILE";

    /// The one of this name, in any case.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn named(name: &str) -> Result<Self, SettingError> {
        let known = [Self::Dev, Self::Test, Self::Prod];
        let found = known.into_iter().find(|profile| profile.as_str().eq_ignore_ascii_case(name.trim()));
        found.ok_or_else(|| SettingError::Invalid {
            name: Self::VARIABLE,
            value: name.to_owned(),
            reason: "is no profile",
            remedy: "give dev, test or prod",
        })
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Test => "test",
            Self::Prod => "prod",
        }
    }

    /// The settings that differ from the defaults.
    pub(super) const fn values(self) -> &'static [(Setting, &'static str)] {
        match self {
            Self::Dev => &[(Setting::WindowSizeSeconds, "60")],
            Self::Test => &[
                (Setting::WindowSizeSeconds, "30"),
                (Setting::MaxSamples, "1000"),
                (Setting::EventLoopMonitoring, "false"),
            ],
            Self::Prod => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Origin, Settings};

    #[test]
    fn each_layer_comes_before_the_one_below() {
        let variable = |name: &str| match name {
            "METRICS_PROFILE" => Some("TEST".to_owned()),
            "METRICS_MAX_SAMPLES" => Some("7".to_owned()),
            _ => None,
        };
        let given = [(Setting::MaxSamples, "6".to_owned()), (Setting::PrometheusEnabled, "false".to_owned())];
        let (settings, problems) = Settings::layered(None, Some(Profile::Dev), &given, variable);
        assert_eq!((problems, settings.profile()), (vec![], Profile::Test));
        let origins = settings.entries().map(|entry| (entry.value, entry.origin.as_str()));
        let of = |setting: Setting| {
            let (value, origin) = &origins[setting as usize];
            (value.as_str(), *origin)
        };
        assert_eq!(of(Setting::WindowSizeSeconds), ("30", "profile"));
        assert_eq!(of(Setting::MaxSamples), ("7", "environment"));
        assert_eq!(of(Setting::PrometheusEnabled), ("false", "file"));
        assert_eq!(of(Setting::EventLoopMonitoring), ("false", "profile"));
        assert_eq!(of(Setting::ExpositionUnits), ("seconds", "default"));
        let (settings, _) = Settings::layered(Some(Profile::Prod), None, &[], variable);
        assert_eq!((settings.profile(), settings.window().as_secs()), (Profile::Prod, 300));
        assert_eq!(settings.entries()[0].origin, Origin::Default);
    }

    #[test]
    fn a_profile_that_is_none_is_told() {
        let (settings, problems) =
            Settings::read(|name| (name == Profile::VARIABLE).then(|| "play".to_owned()));
        assert_eq!((settings.profile(), problems.len()), (Profile::Prod, 1));
        assert_eq!(
            problems[0].to_string(),
            "METRICS_PROFILE: \"play\" is no profile; give dev, test or prod"
        );
        let every = [Profile::Dev, Profile::Test, Profile::Prod];
        every.iter().for_each(|profile| {
            assert_eq!(Profile::named(profile.as_str()), Ok(*profile));
            profile.values().iter().for_each(|(setting, value)| {
                assert!(Settings::default().with(*setting, value).is_ok());
            });
        });
    }
}
