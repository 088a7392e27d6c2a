//! Templates of a channel by name: those of its own keys, and those that a mapping of it names.

use barograph_yaml::section::{Findings, Section, read_scalar};

use super::{
    fill::Fill,
    read::{parsed, template},
};
use crate::template::Template;

/// Templates by name, in their order. A name is there once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(String, Template)>);

impl Fields {
    /// Those keys of a section that are there.
    pub(super) fn of_keys(
        section: &mut Section<'_>,
        keys: impl IntoIterator<Item = &'static str>,
        findings: &mut Findings,
    ) -> Self {
        let mut fields = Vec::new();
        for key in keys {
            fields.extend(template(section, key, findings).map(|template| (key.to_owned(), template)));
        }
        Self(fields)
    }

    /// The mapping `details`: what is told besides.
    pub(super) fn details(section: &mut Section<'_>, findings: &mut Findings) -> Self {
        let mut fields = Vec::new();
        for (name, node) in section.entries("details", findings) {
            let template = read_scalar(node, "a detail", parsed, findings);
            fields.extend(template.map(|template| (name.text.clone(), template)));
        }
        Self(fields)
    }

    /// The one of a name.
    pub(super) fn of(&self, name: &str) -> Option<&Template> {
        self.iter().find(|(known, _)| *known == name).map(|(_, template)| template)
    }

    /// What the one of a name says; the plain form if there is none or it fails.
    pub(super) fn text(&self, fill: &Fill<'_>, name: &str, plain: impl FnOnce() -> String) -> String {
        fill.text(self.of(name), plain)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.0.iter().map(|(name, template)| (name.as_str(), template))
    }
}
