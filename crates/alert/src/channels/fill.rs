//! Templates of a channel filled in: what cannot be filled in is said plainly instead, and told.

use std::cell::RefCell;

use super::{Setting, data};
use crate::{
    notice::Notice,
    template::{Library, Template, Value},
};

/// Templates that everybody may call, under the names that Alertmanager has them under.
const DEFAULTS: &str = include_str!("defaults.tmpl");

/// The templates that are there before any file is read.
pub fn library() -> Library {
    let mut library = Library::default();
    let added = library.add(DEFAULTS);
    debug_assert_eq!(added, Ok(()));
    library
}

/// Fills in the templates of one notice.
pub(super) struct Fill<'a> {
    pub(super) notice: &'a Notice,
    pub(super) setting: &'a Setting<'a>,
    fields: Value,
    failed: RefCell<Option<String>>,
}

impl<'a> Fill<'a> {
    pub(super) fn new(notice: &'a Notice, setting: &'a Setting<'a>) -> Self {
        let fields = data::fields(notice, setting);
        Self { notice, setting, fields, failed: RefCell::default() }
    }

    /// What a template says; the plain form if there is none or it fails.
    pub(super) fn text(&self, template: Option<&Template>, plain: impl FnOnce() -> String) -> String {
        self.given(template).unwrap_or_else(plain)
    }

    /// What a template says, if there is one and it can be filled in.
    pub(super) fn given(&self, template: Option<&Template>) -> Option<String> {
        self.filled(template?, false)
    }

    /// As [`Fill::given`], for HTML.
    pub(super) fn html(&self, template: Option<&Template>) -> Option<String> {
        self.filled(template?, true)
    }

    fn filled(&self, template: &Template, escapes: bool) -> Option<String> {
        let Setting { templates, now, .. } = *self.setting;
        match template.tell(&self.fields, templates, now, escapes) {
            Ok(text) => Some(text),
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error.to_string());
                None
            }
        }
    }

    /// Why the first template that failed did.
    pub(super) fn failed(self) -> Option<String> {
        self.failed.into_inner()
    }
}
