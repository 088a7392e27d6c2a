//! The section `metrics`: how the server measures itself.
//!
//! The settings of `metrics` are those of the SDK, by the names of their environment variables without `METRICS_`, in small
//! letters. A variable comes before the file, and the file before the profile.

use barograph::telemetry::{Profile, Setting, SettingError, Settings};

use super::{
    section::{Findings, Section},
    tree::Node,
};

/// How requests and the runtime are measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measuring {
    /// What the server is run for, as the command line says.
    pub chosen: Option<Profile>,
    /// The same, as the file says.
    pub profile: Option<Profile>,
    /// Settings with their values.
    pub values: Vec<(Setting, String)>,
}

impl Measuring {
    /// The settings that hold, the environment included.
    ///
    /// # Errors
    /// A variable whose value is not valid.
    pub fn settings(&self) -> Result<Settings, SettingError> {
        Settings::of_process(self.chosen, self.profile, &self.values)
    }
}

pub(super) fn read_measuring(node: &Node, findings: &mut Findings) -> Measuring {
    let mut section = Section::open(node, "`metrics`", findings);
    let profile = section.value("profile", |text| profile(text).map_err(|e| e.to_string()), findings);
    let mut values = Vec::new();
    for setting in Setting::ALL {
        let valid = |text: &str| match Settings::default().with(setting, text) {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => Err(error.to_string()),
        };
        values.extend(section.value(setting.key(), valid, findings).map(|value| (setting, value)));
    }
    section.finish(&[], findings);
    Measuring { chosen: None, profile, values }
}

/// A profile by its name.
///
/// # Errors
/// There is none of that name.
pub fn profile(name: &str) -> Result<Profile, SettingError> {
    Profile::named(name)
}
