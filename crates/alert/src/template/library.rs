//! Templates of files, called by name.

use std::{collections::BTreeMap, sync::Arc};

use super::{Dialect, Mistake, TEXT_BYTES_MAX, TemplateError, parser, tree::Node};

/// Templates that a library holds at most.
const TEMPLATES_MAX: usize = 1_000;

/// Templates by name. A later one takes the place of an earlier one of the same name.
#[derive(Clone, Debug, Default)]
pub struct Library {
    defined: BTreeMap<String, Arc<Vec<Node>>>,
    bytes: usize,
}

impl Library {
    /// Adds what a file defines.
    ///
    /// # Errors
    /// It is no template, or too much is held already.
    pub fn add(&mut self, text: &str) -> Result<(), TemplateError> {
        let read = parser::parse(text, Dialect::Notices).and_then(|tree| {
            let known = |name: &String| self.defined.contains_key(name);
            let new = tree.defined.keys().filter(|name| !known(name)).count();
            if self.defined.len() + new > TEMPLATES_MAX {
                return Err(Mistake::new(0, format!("there may be {TEMPLATES_MAX} templates")));
            }
            if self.bytes + text.len() > 4 * TEXT_BYTES_MAX {
                let most = 4 * TEXT_BYTES_MAX;
                return Err(Mistake::new(
                    0,
                    format!("files of templates have at most {most} bytes together"),
                ));
            }
            Ok(tree)
        });
        let tree = read.map_err(|mistake| mistake.placed(text))?;
        self.bytes += text.len();
        self.defined.extend(tree.defined.into_iter().map(|(name, body)| (name, Arc::new(body))));
        Ok(())
    }

    /// Whether there is a template of this name.
    pub fn has(&self, name: &str) -> bool {
        self.defined.contains_key(name)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Vec<Node>> {
        self.defined.get(name).map(|body| &**body)
    }
}
